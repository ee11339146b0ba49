// Package show prints names, values and commits for the command line tools, so that a
// commit looks the same in all of them.
//
// What a client wrote never reaches a terminal as it is: it may hold escape sequences,
// line breaks and characters that reorder text. Quote, Printable and AppendJSON escape
// it, and a tool prints through a Writer, which escapes what is left.
package show

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Quote returns a name as it is if it is plain, otherwise as a Go string.
func Quote(name string) string {
	plain := name != "" && name[0] != '-' && !climbs(name) && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return r == ' ' || r == '"' || r == '\\' || !unicode.IsPrint(r)
	})
	if plain {
		return name
	}
	return strconv.Quote(name)
}

// climbs reports whether a name taken for a path would leave its directory.
func climbs(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// Printable escapes every character of a message that is not printable, except line
// breaks.
func Printable(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\n' || unicode.IsPrint(r) && r != utf8.RuneError:
			b.WriteRune(r)
		default:
			_, size := utf8.DecodeRuneInString(s[i:])
			q := strconv.Quote(s[i : i+size])
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

// AppendJSON appends JSON text with every character that is not printable escaped.
// Outside of strings JSON is ASCII, so what is escaped was inside one: the text
// stays the same to a program.
func AppendJSON(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if c == 0x7f {
				dst = append(dst, `\u007f`...)
			} else {
				dst = append(dst, c) // below 0x20 only white space between tokens is JSON
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError: // a byte that is not UTF-8 among them
			dst = appendEscape(dst, r)
		case unicode.IsPrint(r):
			dst = append(dst, text[i:i+size]...)
		case r > 0xffff:
			r -= 0x10000
			dst = appendEscape(appendEscape(dst, 0xd800+r>>10), 0xdc00+r&0x3ff)
		default:
			dst = appendEscape(dst, r)
		}
		i += size
	}
	return dst
}

func appendEscape(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// Summary shows a value, JSON on one line, in at most width columns.
func Summary(value []byte, width int) string {
	if most := 4 * width; len(value) > most { // no more than that can be shown
		for value = value[:most+1]; len(value) > 0 && !utf8.Valid(value); {
			value = value[:len(value)-1]
		}
	}
	return Cut(string(AppendJSON(nil, value)), width)
}

// Cut shortens text to at most width columns.
func Cut(s string, width int) string {
	if Columns(s) <= width {
		return s
	}
	used := 0
	for i, r := range s {
		if used += columnsOf(r); used > width-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// Columns is the number of columns that text takes on a terminal.
func Columns(s string) (n int) {
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

// columnsOf knows the large ranges of wide characters. On a terminal that differs about a
// rare one, a line is a little too long.
func columnsOf(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
		r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}

// Pad fills text up to width columns.
func Pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-Columns(s)))
}

// Size shows a number of bytes.
func Size(n uint64) string {
	if n < 1024 {
		return strconv.FormatUint(n, 10) + " B"
	}
	f, unit := float64(n)/1024, 0
	for f >= 1024 && unit < 4 {
		f, unit = f/1024, unit+1
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + "KMGTP"[unit:unit+1] + "iB"
}
