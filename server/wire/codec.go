package wire

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/session"
	"statehouse.dev/statehouse/server/structwire"
	"statehouse.dev/statehouse/server/unsent"
)

// codec is gRPC's protobuf codec, but for three things.
//
// A google.protobuf.Struct is neither unmarshalled nor marshalled (package structwire).
//
// A request that does not parse, or has too many elements, is not gRPC's INTERNAL:
// it is handed on with a mark, and the interceptors say what is wrong with it.
type codec struct{ encoding.CodecV2 }

// Marks on a message that stand for what is wrong with a request, as unknown fields whose
// numbers protobuf reserves for implementations.
const (
	MalformedField protowire.Number = 19006
	CrowdedField   protowire.Number = 19007
)

// MaxElements bounds the operations, preconditions, reads, names, conditions and metadata entries of
// one request together. An empty one is 2 bytes in a request and 150 in memory:
// without a bound 4 MiB would become 370.
const MaxElements = 1 << 15

// Codec is what a server of this service must be given. Serve does; the
// simulator, whose transport is its own, asks for it.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2("proto")} }

// Marshal hands on what the interceptors have marshalled, and counted, already.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if data, ok := unsent.Encoded(v); ok {
		return data, nil
	}
	if a, ok := v.(session.Answers); ok {
		return a.Data, nil
	}
	return c.CodecV2.Marshal(v)
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if f, ok := v.(*session.Frame); ok {
		f.Set(data.MaterializeToBuffer(mem.DefaultBufferPool()))
		return nil
	}
	m, ok := v.(proto.Message)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	buf := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buf.Free()
	wire := buf.ReadOnlyData()
	var err error
	switch m.(type) {
	case *pb.WriteRequest, *pb.TransactRequest, *pb.CommitRequest, *pb.BatchGetStateRequest, *pb.FindRequest:
		var hidden []byte
		if hidden, err = structwire.Hide(m.ProtoReflect().Descriptor(), wire, MaxElements); hidden != nil {
			wire = hidden
		}
	}
	if err == nil {
		err = proto.Unmarshal(wire, m)
	}
	if err != nil {
		mark := MalformedField
		if errors.Is(err, structwire.ErrCrowded) {
			mark = CrowdedField
		}
		proto.Reset(m)
		m.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, mark, protowire.BytesType), nil))
	}
	return nil
}

// checkParsed refuses a request that the codec marked.
func CheckParsed(req any) error {
	m, ok := req.(proto.Message)
	if !ok {
		return nil
	}
	num, _, n := protowire.ConsumeField(m.ProtoReflect().GetUnknown())
	switch {
	case n > 0 && num == MalformedField:
		return Invalid("request", "the request is not a well-formed message of its type, or a string in it is not valid UTF-8")
	case n > 0 && num == CrowdedField:
		return Fail(engine.ErrLimit, fmt.Sprintf("the request has more than %d operations, preconditions, names, conditions or metadata entries", MaxElements))
	}
	return nil
}
