package jsonedit

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"statehouse.dev/statehouse/engine/jsontext"
)

// Pointer is a JSON Pointer (RFC 6901): the tokens that lead to a value, one after the other.
// The empty one is the whole document.
type Pointer []string

// MaxPointerBytes bounds the text of a pointer.
const MaxPointerBytes = 1024

// ParsePointer reads a pointer, such as "/tokens/used".
func ParsePointer(s string) (Pointer, error) {
	switch {
	case s == "":
		return nil, nil
	case len(s) > MaxPointerBytes:
		return nil, fmt.Errorf("a pointer has at most %d bytes", MaxPointerBytes)
	case !utf8.ValidString(s):
		return nil, fmt.Errorf("the pointer is not valid UTF-8")
	case s[0] != '/':
		return nil, fmt.Errorf("a pointer begins with /, such as /tokens/used")
	}
	p := strings.Split(s[1:], "/")
	for i, token := range p {
		for rest := token; ; {
			j := strings.IndexByte(rest, '~')
			if j < 0 {
				break
			}
			if rest = rest[j+1:]; rest == "" || rest[0] != '0' && rest[0] != '1' {
				return nil, fmt.Errorf("in a pointer ~ is followed by 0 or 1: ~0 stands for ~, ~1 for /")
			}
		}
		p[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	}
	return p, nil
}

// String is the pointer's text.
func (p Pointer) String() string {
	var b strings.Builder
	for _, token := range p {
		b.WriteByte('/')
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1"))
	}
	return b.String()
}

// Find returns the value that the pointer leads to, which is part of text.
func (p Pointer) Find(text []byte) (value []byte, found bool) {
	start, rest := p.walk(text)
	if len(rest) > 0 {
		return nil, false
	}
	return text[start:jsontext.Skip(text, start)], true
}

// walk goes as far as the document leads: to where a value starts, and the tokens for which there
// is nothing in it.
func (p Pointer) walk(text []byte) (start int, rest Pointer) {
	for rest = p; len(rest) > 0; rest = rest[1:] {
		at, found := child(text, start, rest[0])
		if !found {
			return start, rest
		}
		start = at
	}
	return start, nil
}

// child returns where the value starts that a token names, in the object or array that begins at
// text[at].
func child(text []byte, at int, token string) (start int, found bool) {
	var visit func(member) bool
	switch text[at] {
	case '{':
		visit = func(m member) bool {
			if found = string(m.name(text)) == token; found {
				start = m.value
			}
			return !found
		}
	case '[':
		index, ok := arrayIndex(token)
		if !ok {
			return 0, false
		}
		visit = func(m member) bool {
			if found = index == 0; found {
				start = m.value
			}
			index--
			return !found
		}
	default:
		return 0, false
	}
	children(text, at, visit)
	return start, found
}

// arrayIndex reads the index of an element: digits without leading zeros.
func arrayIndex(token string) (int, bool) {
	if token == "" || len(token) > 9 || token[0] == '0' && len(token) > 1 || strings.Trim(token, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(token)
	return n, err == nil
}

// Set makes value what the pointer leads to. Objects that are missing on the way there are made; an
// array is not made longer. The pointer is not the empty one.
func (p Pointer) Set(text, value []byte) ([]byte, error) {
	start, rest := p.walk(text)
	if len(rest) == 0 {
		return splice(text, start, jsontext.Skip(text, start), value), nil
	}
	way := p[:len(p)-len(rest)]
	if text[start] != '{' {
		return nil, fmt.Errorf("%q has no member %q: it is %s", way, rest[0], kind(text[start:]))
	}
	end := jsontext.Skip(text, start) - 1 // the closing brace
	var b []byte
	if end > start+1 {
		b = append(b, ',')
	}
	for i, token := range rest {
		if i > 0 {
			b = append(b, '{')
		}
		b = append(appendQuoted(b, token), ':')
	}
	b = append(append(b, value...), bytes.Repeat([]byte("}"), len(rest)-1)...)
	return splice(text, end, end, b), nil
}

// splice returns text with part of it replaced.
func splice(text []byte, from, to int, by []byte) []byte {
	out := make([]byte, 0, len(text)-(to-from)+len(by))
	return append(append(append(out, text[:from]...), by...), text[to:]...)
}
