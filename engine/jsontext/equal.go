package jsontext

import (
	"bytes"
	"slices"
	"strings"
)

// Equal reports whether two values are equal: objects with the same members in any order, arrays
// with the same elements, strings that stand for the same, numbers for which same says so.
func Equal(a, b []byte, same func(a, b []byte) bool) bool {
	if bytes.Equal(a, b) {
		return true
	}
	kind := KindOf(a[0])
	if kind != KindOf(b[0]) {
		return false
	}
	switch kind {
	case Number:
		return same(a, b)
	case String:
		return CompareString(a, Text(b)) == 0
	case Array:
		return slices.EqualFunc(Elements(a), Elements(b), func(x, y []byte) bool { return Equal(x, y, same) })
	case Object:
		return slices.EqualFunc(Sorted(a), Sorted(b), func(x, y Member) bool { return x.Name == y.Name && Equal(x.Value, y.Value, same) })
	}
	return false
}

// SameNumber reports whether two numbers are equal, however they are spelled.
func SameNumber(a, b []byte) bool { return CompareNumbers(a, b) == 0 }

// SameSpelling reports whether two numbers are spelled the same.
func SameSpelling(a, b []byte) bool { return bytes.Equal(a, b) }

// Sorted are the members of an object in byte order of their names.
func Sorted(object []byte) []Member {
	members := Members(object)
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return members
}
