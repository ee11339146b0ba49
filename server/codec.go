package server

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// codec is gRPC's protobuf codec, but for three things.
//
// A google.protobuf.Struct in a request is not unmarshalled: 1 MiB of it would
// become 38 MB of live objects before a handler could refuse it. Its bytes are
// kept as an unknown field of the message, for structToJSON to scan and
// transcode in one pass. Answers do the same the other way round (setStruct).
//
// A request that does not parse, or has too many elements, is not gRPC's INTERNAL:
// it is handed on with a mark, and the interceptors say what is wrong with it.
type codec struct{ encoding.CodecV2 }

// Field numbers that protobuf reserves for implementations, so that no contract
// can use them: where the bytes of Struct fields are kept, and the marks.
const (
	rawStructField protowire.Number = 19005
	malformedField protowire.Number = 19006
	crowdedField   protowire.Number = 19007
)

// maxElements bounds the operations, preconditions, names and metadata entries of
// one request together. An empty one is 2 bytes in a request and 150 in memory:
// without a bound 4 MiB would become 370.
const maxElements = 1 << 15

var errCrowded = errors.New("too many elements")

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Marshal hands on what the interceptors have marshalled, and counted, already.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*encoded); ok {
		return m.data, nil
	}
	return c.CodecV2.Marshal(v)
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	buf := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buf.Free()
	wire := buf.ReadOnlyData()
	var err error
	switch m.(type) {
	case *pb.WriteRequest, *pb.TransactRequest, *pb.CommitRequest, *pb.BatchGetStateRequest:
		var hidden []byte
		if hidden, err = hideStructs(m.ProtoReflect().Descriptor(), wire); hidden != nil {
			wire = hidden
		}
	}
	if err == nil {
		err = proto.Unmarshal(wire, m)
	}
	if err != nil {
		mark := malformedField
		if errors.Is(err, errCrowded) {
			mark = crowdedField
		}
		proto.Reset(m)
		m.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, mark, protowire.BytesType), nil))
	}
	return nil
}

// hideStructs renumbers Struct fields, also of repeated messages, so that they
// are kept unparsed, and counts elements. It returns nil when there are no Structs.
func hideStructs(md protoreflect.MessageDescriptor, wire []byte) ([]byte, error) {
	var out []byte // nil until something had to change
	elements := 0
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
		if fd != nil && fd.Cardinality() == protoreflect.Repeated {
			if elements++; elements > maxElements {
				return nil, errCrowded
			}
		}
		changed, err := hideField(fd, typ, wire[at+tagSize:next])
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
func hideField(fd protoreflect.FieldDescriptor, typ protowire.Type, value []byte) ([]byte, error) {
	if fd == nil || fd.Message() == nil || typ != protowire.BytesType || fd.IsMap() {
		return nil, nil
	}
	if fd.Message().FullName() == "google.protobuf.Struct" {
		return append(protowire.AppendTag(nil, rawStructField, protowire.BytesType), value...), nil
	}
	if fd.Message().FullName() != "statehouse.v1.TransactOperation" {
		return nil, nil
	}
	content, _ := protowire.ConsumeBytes(value)
	hidden, err := hideStructs(fd.Message(), content)
	if err != nil || hidden == nil {
		return nil, err
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, fd.Number(), protowire.BytesType), hidden), nil
}

// rawStruct is the Struct that hideStructs kept in m.
func rawStruct(m proto.Message) (wire []byte, given bool, err error) {
	for unknown := m.ProtoReflect().GetUnknown(); len(unknown) > 0; {
		num, typ, n := protowire.ConsumeField(unknown)
		if n < 0 {
			return nil, false, protowire.ParseError(n)
		}
		if num == rawStructField && typ == protowire.BytesType {
			if given {
				return nil, false, invalid("value", "the value is given twice")
			}
			_, _, tagSize := protowire.ConsumeTag(unknown)
			wire, _ = protowire.ConsumeBytes(unknown[tagSize:])
			given = true
		}
		unknown = unknown[n:]
	}
	return wire, given, nil
}

// structFieldNumbers are the numbers of the fields of an answer that a Struct fills: itself,
// and what is said of numbers that it cannot carry.
type structFieldNumbers struct{ value, inexact protowire.Number }

// setStruct puts JSON text, as the wire bytes of a Struct, into a field of an answer,
// which its client parses as any other. Tag and length are written in front of the
// Struct when that is complete: a large one is not copied for them.
func setStruct(m proto.Message, fields structFieldNumbers, text []byte) (inexactNumbers, error) {
	var room [2 * maxVarintSize]byte
	wire, inexact, err := appendStruct(room[:len(room):len(room)], text)
	if err != nil {
		return inexact, err
	}
	size := uint64(len(wire) - len(room))
	var front [2 * maxVarintSize]byte
	tag := protowire.AppendVarint(protowire.AppendTag(front[:0], fields.value, protowire.BytesType), size)
	start := len(room) - len(tag)
	copy(wire[start:], tag)
	if inexact.count > 0 {
		told, err := proto.Marshal(inexact.message())
		if err != nil {
			return inexact, err // a place is not UTF-8: then the text was none either
		}
		wire = protowire.AppendBytes(protowire.AppendTag(wire, fields.inexact, protowire.BytesType), told)
	}
	m.ProtoReflect().SetUnknown(wire[start:])
	return inexact, nil
}

// checkParsed refuses a request that the codec marked.
func checkParsed(req any) error {
	m, ok := req.(proto.Message)
	if !ok {
		return nil
	}
	num, _, n := protowire.ConsumeField(m.ProtoReflect().GetUnknown())
	switch {
	case n > 0 && num == malformedField:
		return invalid("request", "the request is not a well-formed message of its type, or a string in it is not valid UTF-8")
	case n > 0 && num == crowdedField:
		return fail(engine.ErrLimit, fmt.Sprintf("the request has more than %d operations, preconditions, names or metadata entries", maxElements))
	}
	return nil
}

// Codec is what a server of this service must be given. Serve does; the
// simulator, whose transport is its own, asks for it.
func Codec() encoding.CodecV2 { return newCodec() }
