package show

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestWriter: nothing that a terminal would obey gets through, however it is cut into
// writes, and JSON stays the same to a program.
func TestWriter(t *testing.T) {
	const evil = "plain é 日本語 🤖\n\ttab \x1b[2J \r \x00 \x7f \u0085 \u009b31m \u202e \u2066 \u2028 \u2029 \ufeff \U000e0001 \xff \xe2\x80 end\n"
	const want = "plain é 日本語 🤖\n\ttab \\u001b[2J \\u000d \\u0000 \\u007f \\u0085 \\u009b31m \\u202e \\u2066 \\u2028 \\u2029 \\ufeff \\udb40\\udc01 \\ufffd \\ufffd\\ufffd end\n"
	for size := 1; size <= len(evil); size++ {
		var out bytes.Buffer
		w := NewWriter(&out)
		for rest := evil; rest != ""; {
			n := min(size, len(rest))
			if got, err := w.Write([]byte(rest[:n])); err != nil || got != n {
				t.Fatal(got, err)
			}
			rest = rest[n:]
		}
		if out.String() != want {
			t.Fatalf("in writes of %d bytes: %q, want %q", size, out.String(), want)
		}
	}
	text, err := json.Marshal(map[string]string{"a": strings.ToValidUTF8(evil, "?")})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := NewWriter(&out).Write(text); err != nil {
		t.Fatal(err)
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["a"] != strings.ToValidUTF8(evil, "?") {
		t.Errorf("a program reads %q, %v", back["a"], err)
	}
}

// TestAlert: colours are there where they are asked for, and nowhere else.
func TestAlert(t *testing.T) {
	for _, colour := range []bool{false, true} {
		var out strings.Builder
		w := NewWriter(&out)
		w.Colour = colour
		table := NewTable(&out)
		table.Colour = colour
		ev := &Event{Operations: []Operation{{Agent: "a", Key: "k", Version: 1}, {Agent: "a", Key: "k", Version: 2, Deleted: true}}}
		if err := errors.Join(w.Alert("no\x1b[2J"), table.Event(ev, 0, false), table.Release()); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\x1b[31m"); n != 0 && !colour || n != 2 && colour || strings.Count(out.String(), "\x1b") != 2*n {
			t.Errorf("%v: %q", colour, out.String())
		}
		if colour && !strings.Contains(out.String(), "\x1b[31m-  0  a  DELETE  k  v2\x1b[0m\n") {
			t.Errorf("%q", out.String())
		}
	}
	for _, c := range []struct {
		terminal      bool
		noColor, term string
		want          bool
	}{{true, "", "xterm", true}, {false, "", "xterm", false}, {true, "1", "xterm", false}, {true, "", "dumb", false}} {
		env := map[string]string{"NO_COLOR": c.noColor, "TERM": c.term}
		if got := Colours(c.terminal, func(name string) string { return env[name] }); got != c.want {
			t.Errorf("%+v", c)
		}
	}
}
