package jsonedit

import (
	"bytes"
	"unicode/utf8"

	"statehouse.dev/statehouse/engine/jsontext"
)

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
			m.nameEnd = jsontext.SkipString(text, at)
			m.value = m.nameEnd + 1
		}
		m.end = jsontext.Skip(text, m.value)
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
	return []byte(jsontext.Text(quoted))
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
