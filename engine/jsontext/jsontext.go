package jsontext

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Kind is the type of a value, of which there are six.
type Kind byte

const (
	Null   Kind = 'n'
	Bool   Kind = 't'
	Number Kind = '0'
	String Kind = '"'
	Array  Kind = '['
	Object Kind = '{'
)

// KindOf is the kind of the value that begins with c.
func KindOf(c byte) Kind {
	switch c {
	case '{', '[', '"', 'n', 't':
		return Kind(c)
	case 'f':
		return Bool
	}
	return Number
}

// Skip is the end of the value that begins at text[i].
func Skip(text []byte, i int) int {
	switch text[i] {
	case '"':
		return SkipString(text, i)
	case '{', '[':
		return Leave(text, i+1)
	}
	for i < len(text) && text[i] != ',' && text[i] != '}' && text[i] != ']' {
		i++
	}
	return i
}

// SkipString is the end of the string that begins at text[i].
func SkipString(text []byte, i int) int {
	for i++; ; {
		i += bytes.IndexByte(text[i:], '"')
		if text[i-1] != '\\' || evenBackslashes(text, i) {
			return i + 1
		}
		i++
	}
}

// evenBackslashes reports whether the quote at text[i] is no escaped one.
func evenBackslashes(text []byte, i int) bool {
	n := 0
	for text[i-1-n] == '\\' { // ends at the quote that begins the string
		n++
	}
	return n%2 == 0
}

// Leave is the end of the object or array that text[i] is inside of, between two tokens.
func Leave(text []byte, i int) int {
	for depth := 1; ; i++ {
		switch text[i] {
		case '"':
			i = SkipString(text, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}

// Text is what a string stands for. raw has its quotes.
func Text(raw []byte) string {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		panic("jsontext: a string that is not valid: " + err.Error())
	}
	return s
}

// CompareString compares what a string stands for, which has its quotes, with s.
func CompareString(raw []byte, s string) int {
	inner := raw[1 : len(raw)-1]
	plain := bytes.IndexByte(inner, '\\')
	if plain < 0 {
		return compare(inner, s)
	}
	// Up to the first escape it is decided without decoding, mostly.
	n := min(plain, len(s))
	if order := compare(inner[:n], s[:n]); order != 0 {
		return order
	}
	if n < plain {
		return 1
	}
	return strings.Compare(Text(raw), s)
}

// compare copies nothing, as strings.Compare of a conversion would.
func compare(a []byte, b string) int {
	switch {
	case string(a) == b:
		return 0
	case string(a) < b:
		return -1
	}
	return 1
}

// A Member is a member of an object.
type Member struct {
	Name  string
	Value []byte
}

// Members are those of an object, as they come.
func Members(object []byte) (members []Member) {
	for i := 1; object[i] != '}'; {
		if object[i] == ',' {
			i++
		}
		end := SkipString(object, i)
		next := Skip(object, end+1)
		members = append(members, Member{Text(object[i:end]), object[end+1 : next]})
		i = next
	}
	return members
}

// Elements are those of an array.
func Elements(array []byte) (elements [][]byte) {
	for i := 1; array[i] != ']'; {
		if array[i] == ',' {
			i++
		}
		next := Skip(array, i)
		elements = append(elements, array[i:next])
		i = next
	}
	return elements
}
