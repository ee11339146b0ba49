// Package wiretest is for tests at the wire. It puts messages and requests together byte by
// byte, as no library would write them, waits for what the other end is about to do, and drives the base
// contract as a client that knows nothing else.
package wiretest

import (
	"bytes"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Message is a field that holds a message.
func Message(num protowire.Number, content ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), bytes.Join(content, nil))
}

// Varint is a field that holds a number.
func Varint(num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
}

// Text is a field that holds a string.
func Text(num protowire.Number, s string) []byte { return Message(num, []byte(s)) }

// Double is the content of a google.protobuf.Value that is a number.
func Double(d float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(nil, 2, protowire.Fixed64Type), math.Float64bits(d))
}

// Entry is an entry of a google.protobuf.Struct: a key and the content of a Value.
func Entry(key string, value ...[]byte) []byte {
	return Message(1, Text(1, key), Message(2, value...))
}
