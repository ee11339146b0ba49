package moment_test

import (
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/moment"
)

func TestParseAt(t *testing.T) {
	zone := time.FixedZone("there", 2*3600)
	now := time.Date(2026, 2, 7, 12, 0, 0, 0, zone)
	at := func(s string) client.At {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return client.AtTime(v)
	}
	for in, want := range map[string]client.At{
		"":                          {},
		"0":                         client.AtCommit(0),
		"12":                        client.AtCommit(12),
		"18446744073709551615":      client.AtCommit(1<<64 - 1),
		"2026-02-07T10:00:00Z":      at("2026-02-07T10:00:00Z"),
		"2026-02-07T10:00:00.5Z":    at("2026-02-07T10:00:00.5Z"),
		"2026-02-07T10:00:00+01:00": at("2026-02-07T09:00:00Z"),
		"2026-02-07 10:00:00":       at("2026-02-07T08:00:00Z"),
		"2026-02-07 10:00:00.25":    at("2026-02-07T08:00:00.25Z"),
		"2026-02-07T10:00:00":       at("2026-02-07T08:00:00Z"),
		"2026-02-07 10:00":          at("2026-02-07T08:00:00Z"),
		"2026-02-07":                at("2026-02-06T22:00:00Z"),
		"-5m":                       at("2026-02-07T09:55:00Z"),
		"-2h30m":                    at("2026-02-07T07:30:00Z"),
		"-7d":                       at("2026-01-31T10:00:00Z"),
		"-1d12h":                    at("2026-02-05T22:00:00Z"),
		"-0s":                       at("2026-02-07T10:00:00Z"),
		"5m":                        at("2026-02-07T09:55:00Z"),
		"1h":                        at("2026-02-07T09:00:00Z"),
		"2h30m":                     at("2026-02-07T07:30:00Z"),
		"7d":                        at("2026-01-31T10:00:00Z"),
		"1d12h":                     at("2026-02-05T22:00:00Z"),
		"1.5h":                      at("2026-02-07T08:30:00Z"),
		"now":                       {},
		"2026-02-07T10:00Z":         at("2026-02-07T10:00:00Z"),
		"2026-02-07 10:00:00Z":      at("2026-02-07T10:00:00Z"),
		"2026-02-07 10:00:00+01:00": at("2026-02-07T09:00:00Z"),
	} {
		got, err := moment.ParseAt(in, now)
		if err != nil || got.String() != want.String() {
			t.Errorf("ParseAt(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"x", "-", "--5m", "-5", "-0", "+5m", "-+5m", "5 m", "m", "d", "5m ago", "1h-5m", "-d", "-1d-1h", "-99999999d", "18446744073709551616", "2026-13-01", "Now", "+5", " 5", "1e3"} {
		if got, err := moment.ParseAt(in, now); err == nil {
			t.Errorf("ParseAt(%q) = %v, want an error", in, got)
		}
	}
}

func TestParse(t *testing.T) {
	now := time.Date(2026, 2, 7, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{"now": now, "1h": now.Add(-time.Hour), "-1h": now.Add(-time.Hour), "1d": now.Add(-24 * time.Hour), "0s": now} { // any order
		if got, err := moment.Parse(in, now); err != nil || !got.Equal(want) {
			t.Errorf("Parse(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "7", "0", "-", "soon"} {
		if got, err := moment.Parse(in, now); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", in, got)
		}
	}
}
