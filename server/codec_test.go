package server

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/structwire"
	"statehouse.dev/statehouse/server/wire"
	"statehouse.dev/statehouse/server/wiretest"
)

// decode is what the server's side of gRPC does with a request's bytes.
func decode(t testing.TB, data []byte, into proto.Message) error {
	t.Helper()
	if err := wire.Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, into); err != nil {
		t.Fatalf("the codec failed, which gRPC answers with INTERNAL: %v", err)
	}
	return wire.CheckParsed(into)
}

// fataler is testing.TB, and rapid's T as well.
type fataler interface{ Fatal(...any) }

func structOf(t fataler, fields map[string]any) *structpb.Struct {
	s, err := structpb.NewStruct(fields)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wireOf(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Numbers of the Struct fields of requests.
const (
	writeValue     protowire.Number = 5
	operations     protowire.Number = 2
	operationsItem protowire.Number = 4
)

// longTag is a tag in more bytes than it needs, which every protobuf reader takes.
func longTag(num protowire.Number, size int) []byte {
	b := protowire.AppendTag(nil, num, protowire.BytesType)
	for len(b) < size {
		b[len(b)-1] |= 0x80
		b = append(b, 0)
	}
	return b
}

func TestStructsAreNotUnmarshalled(t *testing.T) {
	value := wireOf(t, structOf(t, map[string]any{"k": []any{1, "x", map[string]any{}}}))
	for size := 1; size <= 5; size++ {
		write := append(protowire.AppendBytes(longTag(writeValue, size), value), wiretest.Text(4, "key")...)
		op := append(wiretest.Text(3, "key"), protowire.AppendBytes(longTag(operationsItem, size), value)...)
		var w pb.WriteRequest
		var x pb.TransactRequest
		if err := decode(t, write, &w); err != nil || w.Value != nil || w.Key != "key" {
			t.Errorf("tag of %d bytes: err %v, value %v, key %q", size, err, w.Value, w.Key)
		}
		if raw, given, err := structwire.Wire(&w); !given || err != nil || !bytes.Equal(raw, value) {
			t.Errorf("tag of %d bytes: the Struct's bytes are not kept: %v %v", size, given, err)
		}
		wire := append(wiretest.Text(1, "id"), append(wiretest.Message(operations, op), wiretest.Message(operations, wiretest.Text(3, "other"), op)...)...)
		if err := decode(t, wire, &x); err != nil || len(x.Operations) != 2 {
			t.Fatalf("tag of %d bytes: err %v, %d operations", size, err, len(x.Operations))
		}
		for i, o := range x.Operations {
			if o.Value != nil || o.Key != "key" {
				t.Errorf("tag of %d bytes, operation %d: key %q, the Struct was unmarshalled: %v", size, i, o.Key, o.Value)
			}
			if raw, given, err := structwire.Wire(o); !given || err != nil || !bytes.Equal(raw, value) {
				t.Errorf("tag of %d bytes, operation %d: the Struct's bytes are not kept: %v %v", size, i, given, err)
			}
		}
	}
}

// Whatever else a request holds arrives as protobuf's own codec would have read it.
func TestCodecChangesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringN(0, 6, -1)
		req := &pb.TransactRequest{TxnId: name.Draw(t, "id"), Metadata: rapid.MapOfN(name, name, 0, 3).Draw(t, "metadata")}
		for range rapid.IntRange(0, 4).Draw(t, "operations") {
			op := &pb.TransactOperation{Namespace: name.Draw(t, "ns"), AgentId: name.Draw(t, "agent"), Key: name.Draw(t, "key"), Delete: rapid.Bool().Draw(t, "delete")}
			if rapid.Bool().Draw(t, "is struct") {
				op.Value = structOf(t, map[string]any{name.Draw(t, "field"): name.Draw(t, "text")})
			}
			if rapid.Bool().Draw(t, "is json") {
				op.ValueJson = []byte(name.Draw(t, "json"))
			}
			req.Operations = append(req.Operations, op)
		}
		data, err := proto.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		var got pb.TransactRequest
		if err := wire.Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, &got); err != nil || wire.CheckParsed(&got) != nil {
			t.Fatal(err, wire.CheckParsed(&got))
		}
		for i, op := range got.Operations {
			raw, given, err := structwire.Wire(op)
			if err != nil || given != (req.Operations[i].Value != nil) {
				t.Fatalf("operation %d: %v, given %v", i, err, given)
			}
			if given { // put it where protobuf would have
				op.Value = &structpb.Struct{}
				if err := proto.Unmarshal(raw, op.Value); err != nil {
					t.Fatal(err)
				}
			}
			op.ProtoReflect().SetUnknown(nil)
		}
		if !proto.Equal(req, &got) {
			t.Fatalf("sent %v, got %v", req, &got)
		}
	})
}

func TestOneValueOrNone(t *testing.T) {
	r := newRig(t)
	value := structOf(t, map[string]any{"a": 1})
	json := []byte(`{"a":1}`)
	txn := r.begin()
	write := func(v *structpb.Struct, j []byte) error {
		_, err := r.Write(timeout(t), &pb.WriteRequest{TxnId: txn, AgentId: "a", Key: "k", Value: v, ValueJson: j})
		return err
	}
	operation := func(v *structpb.Struct, j []byte, del bool) error {
		first := set("", "a", "before", `{}`)
		op := &pb.TransactOperation{AgentId: "a", Key: "k", Value: v, ValueJson: j, Delete: del}
		_, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: r.id(), Operations: []*pb.TransactOperation{first, op}})
		return err
	}
	invalidArgument(t, "write: both", write(value, json), "not both")
	invalidArgument(t, "write: neither", write(nil, nil), "absent", "{}")
	invalidArgument(t, "operation: both", operation(value, json, false), "not both")
	invalidArgument(t, "operation: neither", operation(nil, nil, false), "absent")
	invalidArgument(t, "operation: delete and Struct", operation(value, nil, true), "not both")
	invalidArgument(t, "operation: delete and JSON", operation(nil, json, true), "not both")
	invalidArgument(t, "operation: everything", operation(value, json, true))
	for what, err := range map[string]error{ // any order: of one key the last counts, whichever it is
		"write: Struct": write(value, nil), "write: empty Struct": write(&structpb.Struct{}, nil), "write: JSON": write(nil, json),
		"operation: Struct": operation(value, nil, false), "operation: empty Struct": operation(&structpb.Struct{}, nil, false),
		"operation: JSON": operation(nil, json, false), "operation: delete": operation(nil, nil, true),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The rule must hold for bytes that no library writes, too.
func TestOneValueInOddBytes(t *testing.T) {
	r := newRig(t)
	value := wiretest.Entry("a", wiretest.Double(1))
	for size := 1; size <= 5; size++ {
		odd := protowire.AppendBytes(longTag(operationsItem, size), value)
		deletes := append(append(wiretest.Text(2, "a"), wiretest.Text(3, "k")...), wiretest.Varint(6, 1)...)
		err := r.raw(transactMethod, append(wiretest.Text(1, r.id()), wiretest.Message(operations, deletes, odd)...))
		invalidArgument(t, "a delete with a value", err, "not both")
	}
	twice := bytes.Join([][]byte{wiretest.Text(2, "a"), wiretest.Text(3, "k"), wiretest.Message(operationsItem, value), wiretest.Message(operationsItem, value)}, nil)
	err := r.raw(transactMethod, append(wiretest.Text(1, r.id()), wiretest.Message(operations, twice)...))
	invalidArgument(t, "a value twice", err, "twice")
	number := bytes.Join([][]byte{wiretest.Text(2, "a"), wiretest.Text(3, "k"), wiretest.Varint(operationsItem, 1)}, nil)
	err = r.raw(transactMethod, append(wiretest.Text(1, r.id()), wiretest.Message(operations, number)...))
	invalidArgument(t, "a value of the wrong wire type", err, "absent")
}

func TestMalformedRequests(t *testing.T) {
	r := newRig(t)
	good := wireOf(t, &pb.TransactRequest{TxnId: "x", Operations: []*pb.TransactOperation{set("", "a", "k", `{}`)}})
	for what, data := range map[string][]byte{ // independent of each other: any order
		"cut":                   good[:len(good)-1],
		"no tag":                {0xff},
		"varint without end":    {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"field number 0":        {0x02, 0x00},
		"group without end":     {0x0b},
		"end without group":     {0x0c},
		"length past the end":   {0x0a, 0x7f, 'x'},
		"length past memory":    {0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"reserved wire type":    {0x0e, 0x00},
		"not UTF-8":             wiretest.Text(1, "a\xff"),
		"operation cut":         wiretest.Message(operations, []byte{0x0a}),
		"the mark":              wiretest.Message(wire.MalformedField, nil),
		"the mark with content": append(wiretest.Text(wire.MalformedField, "x"), good...),
	} {
		invalidArgument(t, what+" Transact", r.raw(transactMethod, data), "well-formed")
	}
	for _, m := range allMethods() { // including the streams
		invalidArgument(t, m, r.raw(m, []byte{0x0f}), "well-formed")
		invalidArgument(t, m, r.raw(m, []byte{0x0a, 0x05, 'x'}), "well-formed")
	}
}

func TestCompressedAndOversizeAreRefused(t *testing.T) {
	r := newRig(t)
	// The test's process has gzip, through the client's import: what must not be is
	// a daemon that has. See TestNoCompressor in cmd/statehoused.
	if encoding.GetCompressor(gzip.Name) == nil {
		t.Fatal("gzip is not registered: this tests nothing")
	}
	big := &pb.WriteRequest{TxnId: r.begin(), AgentId: "a", Key: "k", ValueJson: []byte(`{"a":"` + strings.Repeat("x", 5<<20) + `"}`)}
	_, err := r.Write(timeout(t), big, grpc.MaxCallSendMsgSize(16<<20))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("5 MiB: %v", err)
	}
	// A bomb: 24 MiB of blanks are 24 KiB in the pipe.
	big.ValueJson = []byte(`{` + strings.Repeat(" ", 24<<20) + `}`)
	_, err = r.Write(timeout(t), big, grpc.UseCompressor(gzip.Name), grpc.MaxCallSendMsgSize(128<<20))
	if c := status.Code(err); c != codes.ResourceExhausted && c != codes.Unimplemented {
		t.Errorf("24 MiB compressed: %v", err)
	}
}

func TestCrowdedRequestsAreRefused(t *testing.T) {
	r := newRig(t)
	crowd := func(n int) []byte {
		return bytes.Repeat(wiretest.Message(2, wiretest.Text(2, "a"), wiretest.Text(3, "k"), wiretest.Varint(6, 1)), n)
	}
	refused(t, "too many elements", r.raw(transactMethod, append(wiretest.Text(1, r.id()), crowd(wire.MaxElements+1)...)),
		codes.ResourceExhausted, pb.ErrorCode_LIMIT_EXCEEDED, "32768")
	refused(t, "too many operations", r.raw(transactMethod, append(wiretest.Text(1, r.id()), crowd(wire.MaxElements)...)),
		codes.ResourceExhausted, pb.ErrorCode_LIMIT_EXCEEDED, "operations", "32768", "5000")
	if err := r.raw(transactMethod, append(wiretest.Text(1, r.id()), crowd(1000)...)); err != nil {
		t.Errorf("as many operations as are allowed: %v", err)
	}
}

// What a request costs before a handler can refuse it is bounded by its size. An
// empty element is 2 bytes on the wire and some 150 in memory.
func TestRequestsDoNotBlowUp(t *testing.T) {
	const most = 32 << 20
	empties := func(num protowire.Number) []byte { return bytes.Repeat(wiretest.Message(num), maxRequestBytes/2-8) }
	keys := []byte{}
	for i := 0; len(keys) < maxRequestBytes-16; i++ {
		keys = append(keys, wiretest.Message(5, wiretest.Text(1, string(rune('0'+i%64))+string(rune('0'+i/64%64))+string(rune(i/4096+'0'))))...)
	}
	deep := wiretest.Entry("k", wiretest.Message(structwire.ListKind, bytes.Repeat(wiretest.Message(structwire.ListValues, wiretest.Varint(structwire.NullKind, 0)), 900_000)))
	for _, c := range []struct {
		what string
		into proto.Message
		wire []byte
	}{
		{"operations", &pb.TransactRequest{}, empties(2)},
		{"key preconditions", &pb.TransactRequest{}, empties(3)},
		{"head preconditions", &pb.TransactRequest{}, empties(4)},
		{"metadata", &pb.TransactRequest{}, keys},
		{"key preconditions of a commit", &pb.CommitRequest{}, empties(3)},
		{"head preconditions of a commit", &pb.CommitRequest{}, empties(4)},
		{"names", &pb.BatchGetStateRequest{}, empties(1)},
		{"a Struct", &pb.WriteRequest{}, wiretest.Message(writeValue, deep)},
		{"a Struct in an operation", &pb.TransactRequest{}, wiretest.Message(operations, wiretest.Message(operationsItem, deep))},
		{"a Struct in an operation, oddly", &pb.TransactRequest{}, wiretest.Message(operations, protowire.AppendBytes(longTag(operationsItem, 3), deep))},
		{"unknown fields", &pb.WriteRequest{}, bytes.Repeat(wiretest.Message(99), maxRequestBytes/3)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = decode(t, c.wire, c.into)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > most {
			t.Errorf("%s: %d bytes on the wire became %d MiB of memory", c.what, len(c.wire), n>>20)
		}
	}
}
