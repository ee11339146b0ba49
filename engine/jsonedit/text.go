package jsonedit

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// skip returns the end of the value that begins at text[at].
func skip(text []byte, at int) int {
	switch text[at] {
	case '"':
		return skipString(text, at)
	case '{', '[':
	default: // a number or a word
		for at < len(text) && text[at] != ',' && text[at] != '}' && text[at] != ']' {
			at++
		}
		return at
	}
	for depth := 0; ; {
		switch text[at] {
		case '"':
			at = skipString(text, at)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if at++; depth == 0 {
			return at
		}
	}
}

// skipString returns the end of the string that begins at text[at].
func skipString(text []byte, at int) int {
	for at++; ; at++ {
		i := bytes.IndexByte(text[at:], '"')
		j := bytes.IndexByte(text[at:at+i], '\\')
		if j < 0 {
			return at + i + 1
		}
		at += j + 1 // the character after the backslash
	}
}

// A member is a member of an object, or an element of an array, which has no name.
type member struct {
	start      int // of the whole
	nameEnd    int
	value, end int
}

// children visits what is in the object or array that begins at text[at], until visit returns
// false.
func children(text []byte, at int, visit func(member) bool) {
	named := text[at] == '{'
	if at++; text[at] == '}' || text[at] == ']' {
		return
	}
	for ; ; at++ {
		m := member{start: at, nameEnd: at, value: at}
		if named {
			m.nameEnd = skipString(text, at)
			m.value = m.nameEnd + 1
		}
		m.end = skip(text, m.value)
		if at = m.end; !visit(m) || text[at] != ',' {
			return
		}
	}
}

// name returns the name of a member.
func (m *member) name(text []byte) []byte {
	quoted := text[m.start:m.nameEnd]
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // it is a string
	return []byte(s)
}

// appendQuoted appends a string.
func appendQuoted(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

// kind names what a value is.
func kind(value []byte) string {
	switch value[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
