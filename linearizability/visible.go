package linearizability

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"statehouse.dev/statehouse/linearizability/verdict"
)

// visible is text for people, of which anybody may have written any part: what is not
// printable is escaped, so that a terminal or a browser does nothing but show it.
func visible(text string) string {
	return strings.ReplaceAll(visibleLines(text), "\n", `\n`)
}

// visibleLines is visible for text that has lines.
func visibleLines(text string) string {
	if !strings.ContainsFunc(text, escaped) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !escaped(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func escaped(r rune) bool { return r != '\n' && (!unicode.IsPrint(r) || r == utf8.RuneError) }

// visibleViolation is a violation that can be shown.
func visibleViolation(v verdict.Violation) verdict.Violation {
	v.Check, v.Sentence = visible(v.Check), visibleLines(v.Sentence)
	v.Expected, v.Got = visibleLines(v.Expected), visibleLines(v.Got)
	return v
}

func visibleOnes(list []verdict.Violation) []verdict.Violation {
	out := make([]verdict.Violation, len(list))
	for i := range list {
		out[i] = visibleViolation(list[i])
	}
	return out
}
