package history

import (
	"strings"
	"unicode/utf8"
)

// IsCanonical reports whether text is one JSON value of which Canonical would make the same
// bytes again. Nearly all values are, and taking one apart and together again costs many
// times as much as looking. It may say no of text that is: strings with escapes, and what
// is deeper than maxDepth, are left to Canonical.
func IsCanonical(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	s := scan{text: text}
	return s.value(0) && s.at == len(text)
}

const maxDepth = 100

// scan is a place in text. Its methods go over one part; false: it is not canonical.
type scan struct {
	text string
	at   int
}

func (s *scan) peek() byte {
	if s.at == len(s.text) {
		return 0
	}
	return s.text[s.at]
}

func (s *scan) skip(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

func (s *scan) value(depth int) bool {
	switch c := s.peek(); {
	case depth == maxDepth:
		return false
	case c == '{':
		return s.object(depth)
	case c == '[':
		return s.array(depth)
	case c == '"':
		_, ok := s.str()
		return ok
	case c == '-' || digit(c):
		return s.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if strings.HasPrefix(s.text[s.at:], word) {
			s.at += len(word)
			return true
		}
	}
	return false
}

// object: its members are in order, and none is there twice.
func (s *scan) object(depth int) bool {
	s.at++
	if s.skip('}') {
		return true
	}
	for last, first := "", true; ; first = false {
		name, ok := s.str()
		if !ok || !first && name <= last || !s.skip(':') || !s.value(depth+1) {
			return false
		}
		last = name
		if !s.skip(',') {
			return s.skip('}')
		}
	}
}

func (s *scan) array(depth int) bool {
	s.at++
	if s.skip(']') {
		return true
	}
	for {
		if !s.value(depth + 1) {
			return false
		}
		if !s.skip(',') {
			return s.skip(']')
		}
	}
}

// str: nothing in it that is written as an escape.
func (s *scan) str() (string, bool) {
	if !s.skip('"') {
		return "", false
	}
	for from := s.at; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return s.text[from : s.at-1], true
		case c < 0x20 || c == '\\' || c == '<' || c == '>' || c == '&':
			return "", false
		case c == 0xe2 && (strings.HasPrefix(s.text[s.at:], "\u2028") || strings.HasPrefix(s.text[s.at:], "\u2029")):
			return "", false
		}
	}
	return "", false
}

// number: any that is one, as it is written.
func (s *scan) number() bool {
	s.skip('-')
	if !s.skip('0') && !s.digits() {
		return false
	}
	if s.skip('.') && !s.digits() {
		return false
	}
	if s.skip('e') || s.skip('E') {
		if !s.skip('+') {
			s.skip('-')
		}
		return s.digits()
	}
	return true
}

func (s *scan) digits() bool {
	from := s.at
	for digit(s.peek()) {
		s.at++
	}
	return s.at > from
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
