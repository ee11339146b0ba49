package structwire

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// hiddenField is the number under which the bytes of a Struct are kept in a message that
// protobuf has unmarshalled: one that protobuf reserves for implementations, so that no
// contract can use it.
const hiddenField protowire.Number = 19005

// Errors of requests.
var (
	ErrCrowded = errors.New("too many elements")
	errTwice   = errors.New("the value is given twice")
)

// Hide renumbers the Struct fields in the wire bytes of a request, also of the
// operations in it, so that protobuf keeps them unparsed. It returns nil when there are none.
// With more elements in repeated fields than maxElements, those of a read set among them, it
// fails with ErrCrowded.
func Hide(md protoreflect.MessageDescriptor, wire []byte, maxElements int) ([]byte, error) {
	return hide(md, wire, &maxElements)
}

// hide counts the elements that may yet come down from left; nil: it is an answer, in which any message may have a
// Struct, and nothing is counted.
func hide(md protoreflect.MessageDescriptor, wire []byte, left *int) ([]byte, error) {
	var out []byte // nil until something had to change
	for at := 0; at < len(wire); {
		num, typ, tagSize := protowire.ConsumeTag(wire[at:])
		if tagSize < 0 {
			return nil, protowire.ParseError(tagSize)
		}
		size := protowire.ConsumeFieldValue(num, typ, wire[at+tagSize:])
		if size < 0 {
			return nil, protowire.ParseError(size)
		}
		next := at + tagSize + size
		fd := md.Fields().ByNumber(num)
		if fd != nil && left != nil && fd.Cardinality() == protoreflect.Repeated {
			if *left--; *left < 0 {
				return nil, ErrCrowded
			}
		}
		changed, err := hideField(fd, typ, wire[at+tagSize:next], left)
		if err != nil {
			return nil, err
		}
		if changed != nil && out == nil {
			out = append(make([]byte, 0, len(wire)+64), wire[:at]...)
		}
		switch {
		case changed != nil:
			out = append(out, changed...)
		case out != nil:
			out = append(out, wire[at:next]...)
		}
		at = next
	}
	return out, nil
}

// hideField returns what is to stand in place of a field; nil: the field itself.
func hideField(fd protoreflect.FieldDescriptor, typ protowire.Type, value []byte, left *int) ([]byte, error) {
	if fd == nil || fd.Message() == nil || typ != protowire.BytesType || fd.IsMap() {
		return nil, nil
	}
	if fd.Message().FullName() == "google.protobuf.Struct" {
		return append(protowire.AppendTag(nil, hiddenField, protowire.BytesType), value...), nil
	}
	switch fd.Message().FullName() {
	case "statehouse.v1.TransactOperation", "statehouse.v1.Put", "statehouse.v1.ReadSet":
	default:
		if left != nil {
			return nil, nil
		}
	}
	content, _ := protowire.ConsumeBytes(value)
	hidden, err := hide(fd.Message(), content, left)
	if err != nil || hidden == nil {
		return nil, err
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, fd.Number(), protowire.BytesType), hidden), nil
}

// Wire is the Struct of a request, as its wire bytes, which Hide kept in m. It fails
// with errTwice when m was given two.
func Wire(m proto.Message) (wire []byte, given bool, err error) {
	for unknown := m.ProtoReflect().GetUnknown(); len(unknown) > 0; {
		num, typ, n := protowire.ConsumeField(unknown)
		if n < 0 {
			return nil, false, protowire.ParseError(n)
		}
		if num == hiddenField && typ == protowire.BytesType {
			if given {
				return nil, false, errTwice
			}
			_, _, tagSize := protowire.ConsumeTag(unknown)
			wire, _ = protowire.ConsumeBytes(unknown[tagSize:])
			given = true
		}
		unknown = unknown[n:]
	}
	return wire, given, nil
}

// Text is the JSON of the Struct that a request carries, if it carries one.
func Text(m proto.Message) (text []byte, given bool, err error) {
	wire, given, err := Wire(m)
	if err != nil || !given {
		return nil, false, err
	}
	text, err = JSON(wire)
	return text, true, err
}

// Fields are the numbers of the fields of an answer that a Struct fills: itself,
// and what is said of numbers that it cannot carry.
type Fields struct{ Value, Inexact protowire.Number }

// Set puts JSON text, as the wire bytes of a Struct, into a field of an answer,
// which its client parses as any other. Tag and length are written in front of the
// Struct when that is complete: a large one is not copied for them.
func Set(m proto.Message, fields Fields, text []byte) (Inexact, error) {
	var room [2 * maxVarintSize]byte
	wire, inexact, err := Append(room[:len(room):len(room)], text)
	if err != nil {
		return inexact, err
	}
	size := uint64(len(wire) - len(room))
	var front [2 * maxVarintSize]byte
	tag := protowire.AppendVarint(protowire.AppendTag(front[:0], fields.Value, protowire.BytesType), size)
	start := len(room) - len(tag)
	copy(wire[start:], tag)
	if inexact.Count > 0 {
		told, err := proto.Marshal(inexact.message())
		if err != nil {
			return inexact, err // a place is not UTF-8: then the text was none either
		}
		wire = protowire.AppendBytes(protowire.AppendTag(wire, fields.Inexact, protowire.BytesType), told)
	}
	m.ProtoReflect().SetUnknown(wire[start:])
	return inexact, nil
}
