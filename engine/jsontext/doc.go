// Package jsontext reads JSON text that is known to be valid and to have no white space between
// its tokens, as every stored value is: it builds no trees, and what it hands out are parts
// of the text. Given anything else it may panic.
//
// Numbers compare by what they are, however they are spelled and however long, and never
// as a float64: 1.0 is 1, and 9007199254740993 is not 9007199254740992. Strings compare by the
// bytes that they stand for, as UTF-8.
package jsontext
