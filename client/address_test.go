package client_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"statehouse.dev/statehouse/client"
)

// TestAddresses holds the parser to the table that every client of Statehouse shares.
func TestAddresses(t *testing.T) {
	text, err := os.ReadFile("testdata/addresses.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Address, Target, Error string
		TLS                    *bool
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, tt := range cases {
		a, err := client.ParseAddress(tt.Address)
		if tt.Error != "" {
			if !errors.Is(err, client.ErrInvalid) || !strings.Contains(strings.ToLower(err.Error()), tt.Error) {
				t.Errorf("%q: %v, want words about %q", tt.Address, err, tt.Error)
			}
			continue
		}
		scheme := ""
		if tt.TLS != nil {
			scheme = map[bool]string{false: "http", true: "https"}[*tt.TLS]
		}
		if err != nil || a.String() != tt.Target || a.Scheme != scheme {
			t.Errorf("%q: %s %+v %v, want %s", tt.Address, a, a, err, tt.Target)
		}
	}
	if len(cases) < 50 {
		t.Errorf("%d cases: where are the others?", len(cases))
	}
}

// Sisters of the cases in the table: forms that a resolver guesses about, and secrets
// that must not be repeated.
func TestAddressesThatAreGuesses(t *testing.T) {
	for _, s := range []string{
		"127.1", "010.0.0.1", "256.1.1.1", "2130706433", "0x7f000001", "1.2.3.4.5:1", "localhost]:1", "a:b", "a:٣", "a:1_0", "a:1e3", "a:0x10",
		"2001:db8:0:0:0:0:0:1", "2001:db8:0:0:0:0:0:1:54000", "[::1]:", "[::1]]:1", "[[::1]]:1", "[ ::1]:1", "https://[::1", "https://https://a", "unix:/run/s.sock", `a\b`,
		"a\u00a0b", "a\u2028", "\ufefflocalhost", "a,b:1", "*:1", "a:1,b:1", "%61", "http:/a", "//a:1", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "ab",
	} {
		if a, err := client.ParseAddress(s); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("%q is taken for %s: %v", s, a, err)
		}
	}
	for _, s := range []string{"user:hunter2@h", "hunter2@h:1", "https://u:hunter2@h/p", "u:hunter2 @h", "x://u:hunter2@h"} {
		if _, err := client.ParseAddress(s); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", s, err)
		}
	}
	for s, want := range map[string]bool{ // independent of each other: any order
		"localhost": true, "LOCALHOST:1": true, "127.8.9.1": true, "[::1]": true, "[::ffff:127.0.0.1]": true,
		"localhost.example.com": false, "0.0.0.0": false, "[::]": false, "128.0.0.1": false, "local": false, "unix:50051": false, "dns:50051": false,
	} {
		if a, err := client.ParseAddress(s); err != nil || a.Loopback() != want {
			t.Errorf("%q: loopback %v, %v", s, a.Loopback(), err)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"localhost", "[::1]:1", "https://a.b:1/", "u@h", "::1:1", "a:119536"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := client.ParseAddress(s)
		if err != nil {
			return
		}
		again, err := client.ParseAddress(a.String())
		if a.Scheme = ""; err != nil || again != a || a.Port == 0 || a.Host == "" {
			t.Errorf("%q is %+v, and that is %+v: %v", s, a, again, err)
		}
	})
}
