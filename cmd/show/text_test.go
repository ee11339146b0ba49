package show

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestQuote(t *testing.T) {
	for name, want := range map[string]string{
		"note/1":           "note/1",
		"日本語":              "日本語",
		"":                 `""`,
		"two words":        `"two words"`,
		"-rf":              `"-rf"`,
		"../../etc/passwd": `"../../etc/passwd"`,
		"a..b":             "a..b",
		`a"b`:              `"a\"b"`,
		`a\b`:              `"a\\b"`,
		"\x1b[31m":         `"\x1b[31m"`,
		"a\u009bb":         `"a\u009bb"`,
		"a\u202eb":         `"a\u202eb"`,
		"a\u2028b":         `"a\u2028b"`,
		"\x9b":             `"\x9b"`,
	} {
		if got := Quote(name); got != want {
			t.Errorf("Quote(%q) = %s, want %s", name, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		s     string
		width int
		want  string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"", 0, ""}, {"e\u0301e\u0301", 2, "e\u0301e\u0301"},
	} {
		if got := Cut(tt.s, tt.width); got != tt.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", tt.s, tt.width, got, tt.want)
		}
	}
	long := []byte(`{"a":"` + strings.Repeat("語", 1<<18) + `"}`)
	if got := Summary(long, 20); Columns(got) > 20 || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
		t.Errorf("summary of a long value: %q", got)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 5 << 20: "5.0 MiB", 1 << 63: "8192.0 PiB"} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %s, want %s", n, got, want)
		}
	}
}

// Whatever comes in, nothing but printable characters comes out, and JSON stays
// the same JSON.
func FuzzPrintable(f *testing.F) {
	for _, s := range []string{`{"a":"\u001b"}`, "{\"a\":\"\u009b\u202e\u2028\x7f\U000e0041\"}", "\x9b\xff", "a\nb", `{"n":9007199254740993}`, "\ufffd"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for what, s := range map[string]string{"name": Quote(string(in)), "message": strings.ReplaceAll(Printable(string(in)), "\n", "")} {
			if bad := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }); bad >= 0 || !utf8.ValidString(s) {
				t.Errorf("%s %q comes out as %q", what, in, s)
			}
		}
		if !json.Valid(in) || !utf8.Valid(in) {
			return
		}
		out := AppendJSON(nil, in)
		if bad := strings.IndexFunc(string(out), func(r rune) bool { return !unicode.IsPrint(r) && !strings.ContainsRune(" \t\r\n", r) }); bad >= 0 {
			t.Errorf("JSON %q comes out as %q", in, out)
		}
		var before, after any
		if err := json.Unmarshal(in, &before); err != nil {
			return // valid, yet with a number that is out of range
		}
		if err := json.Unmarshal(out, &after); err != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("JSON %q became %q: %v", in, out, err)
		}
	})
}
