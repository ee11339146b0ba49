package server

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/wire"
)

// bench is a service without sockets and goroutines: whoever waits steps the
// engine. Requests enter as bytes, through the codec, the interceptors and the
// generated handlers, as they do from gRPC.
type bench struct {
	t        testing.TB
	s        *Service
	env      engine.Env
	panicked string
	txn      string // an open transaction
	done     string // a committed one
	token    string // a page token
}

func newBench(t testing.TB) *bench {
	b := &bench{t: t}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ids := rand.NewChaCha8([32]byte{1})
	b.env = engine.MemoryEnv(func(err error) { t.Fatalf("halted: %v", err) }, func(event string, attrs ...any) {
		if strings.Contains(event, "panic") {
			b.panicked = fmt.Sprint(event, attrs)
		}
	})
	b.env.Now = func() time.Time { now = now.Add(time.Microsecond); return now }
	b.env.Rand = func(p []byte) { _, _ = ids.Read(p) }
	b.env.Await = func(ctx context.Context, ready <-chan struct{}) error {
		for {
			select {
			case <-ready:
				return nil
			default:
			}
			if !b.s.engine.Step() {
				return context.Canceled // nothing can happen any more: a watch that has seen all
			}
		}
	}
	var err error
	if b.s, err = Assemble(b.env, Config{Engine: engine.Options{Dir: "/data", Limits: engine.Limits{TxnBytes: 1 << 16, ValueBytes: 1 << 12, StagedBytes: 1 << 24}, Tuning: engine.Tuning{CacheBytes: 1 << 20}}}); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		b.must("Transact", &pb.TransactRequest{TxnId: fmt.Sprint("seed-", i), Operations: []*pb.TransactOperation{
			set("", "a", fmt.Sprint("k", i%20), `{"n":9007199254740993}`), set("ns", "b", "k", `{"x":[1,"é",null]}`)}})
	}
	txn := b.must("BeginTransaction", &pb.BeginTransactionRequest{}).(*pb.BeginTransactionResponse)
	done := b.must("BeginTransaction", &pb.BeginTransactionRequest{}).(*pb.BeginTransactionResponse)
	b.must("Write", &pb.WriteRequest{TxnId: done.TxnId, AgentId: "a", Key: "k", ValueJson: []byte(`{}`)})
	b.must("Commit", &pb.CommitRequest{TxnId: done.TxnId})
	page := b.must("ListKeys", &pb.ListKeysRequest{AgentId: "a", Limit: 3}).(*pb.ListKeysResponse)
	b.txn, b.done, b.token = txn.TxnId, done.TxnId, page.NextPageToken
	return b
}

func (b *bench) close() {
	if err := b.s.Close(); err != nil {
		b.t.Errorf("close: %v", err)
	}
	if _, err := engine.Verify(b.env, "/data", nil); err != nil {
		b.t.Errorf("verify: %v", err)
	}
}

func (b *bench) must(method string, req proto.Message) any {
	b.t.Helper()
	resp, err := b.call(method, wireOf(b.t, req))
	if err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	return resp
}

// call is one request; of a stream the answer is nil.
func (b *bench) call(method string, data []byte) (any, error) {
	desc := pb.StatehouseService_ServiceDesc
	for _, m := range desc.Methods {
		if m.MethodName == method {
			decoder := func(into any) error {
				return wire.Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(slices.Clone(data))}, into)
			}
			resp, err := m.Handler(b.s, context.Background(), decoder, b.s.Unary)
			if err == nil {
				b.checkAnswer(method, resp)
			}
			return resp, err
		}
	}
	for _, s := range desc.Streams {
		if s.StreamName == method {
			return nil, b.s.Stream(b.s, &benchStream{b: b, method: method, wire: data}, &grpc.StreamServerInfo{FullMethod: method}, s.Handler)
		}
	}
	b.t.Fatalf("no method %s", method)
	return nil, nil
}

// checkAnswer holds that an answer can be sent, fits and can be read.
func (b *bench) checkAnswer(method string, m any) {
	wire, err := proto.Marshal(m.(proto.Message))
	if err == nil {
		err = proto.Unmarshal(wire, m.(proto.Message).ProtoReflect().New().Interface())
	}
	if err != nil || len(wire) > maxRequestBytes {
		b.t.Errorf("%s: an answer of %d bytes: %v", method, len(wire), err)
	}
}

type benchStream struct {
	grpc.ServerStream
	b      *bench
	method string
	wire   []byte
	read   bool
}

func (s *benchStream) Context() context.Context { return context.Background() }

func (s *benchStream) RecvMsg(m any) error {
	if s.read {
		return io.EOF
	}
	s.read = true
	return wire.Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(slices.Clone(s.wire))}, m)
}

func (s *benchStream) SendMsg(m any) error {
	s.b.checkAnswer(s.method, m)
	return nil
}

// try sends one request and holds its answer to be clean: OK, or a status of the
// table with its detail. Afterwards the service must still work.
func (b *bench) try(method string, wire []byte) codes.Code {
	_, err := b.call(method, wire)
	code := status.Code(err)
	switch d := detailOf(err); {
	case b.panicked != "":
		b.t.Fatalf("%s %x: %s", method, wire, b.panicked)
	case err == nil, code == codes.Canceled && method == "Watch":
	case d == nil, code == codes.Internal, code == codes.DataLoss, code == codes.Unknown, d.MaybeApplied:
		b.t.Fatalf("%s %x: %v", method, wire, err)
	}
	if !b.s.engine.Status().Durable || b.s.engine.Healthy() != nil {
		b.t.Fatalf("%s %x: unhealthy", method, wire)
	}
	got := b.must("GetState", &pb.GetStateRequest{Namespace: "ns", AgentId: "b", Key: "k"}).(*pb.GetStateResponse)
	if !got.Exists {
		b.t.Fatalf("%s %x: a record is gone", method, wire)
	}
	return code
}

type seed struct {
	method string
	req    proto.Message
}

// seeds are valid requests of every method, so that mutations get far.
func (b *bench) seeds() []seed {
	past := &pb.At{Point: &pb.At_CommitTs{CommitTs: 7}}
	then := timestamppb.New(time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC))
	value := structOf(b.t, map[string]any{"s": "é\x01", "n": 1.5, "l": []any{true, nil, map[string]any{"k": "v"}}})
	keys := []*pb.KeyPrecondition{{AgentId: "a", Key: "k1", ExpectedVersion: 2}}
	heads := []*pb.HeadPrecondition{{AgentId: "a", ExpectedHead: 41}}
	meta := map[string]string{"actor": "me", "run_id": "1"}
	return []seed{
		{"Health", &pb.HealthRequest{}}, {"Version", &pb.VersionRequest{}}, {"GetStatus", &pb.GetStatusRequest{}},
		{"BeginTransaction", &pb.BeginTransactionRequest{TimeoutMs: ptr(uint64(5))}},
		{"Write", &pb.WriteRequest{TxnId: b.txn, Namespace: "ns", AgentId: "a", Key: "k", Value: value, ExpectedVersion: ptr(uint64(1))}},
		{"Write", &pb.WriteRequest{TxnId: b.txn, AgentId: "a", Key: "k", ValueJson: []byte(`{"a":[1,{"b":"\u00e9"}]}`)}},
		{"Write", &pb.WriteRequest{TxnId: b.done, AgentId: "a", Key: "k", ValueJson: []byte(`{}`)}},
		{"Delete", &pb.DeleteRequest{TxnId: b.txn, AgentId: "a", Key: "k", ExpectedVersion: ptr(uint64(0))}},
		{"Commit", &pb.CommitRequest{TxnId: b.done, Metadata: meta, KeyPreconditions: keys, HeadPreconditions: heads}},
		{"Abort", &pb.AbortRequest{TxnId: b.done}},
		{"GetState", &pb.GetStateRequest{AgentId: "a", Key: "k1", Encoding: asJSON, At: past}},
		{"GetState", &pb.GetStateRequest{AgentId: "a", Key: "k1", Encoding: asJSON, TxnId: b.txn}},
		{"GetStateAtVersion", &pb.GetStateAtVersionRequest{AgentId: "a", Key: "k1", Version: 1}},
		{"ListKeys", &pb.ListKeysRequest{AgentId: "a", Prefix: "k", Limit: 3, Reverse: true, At: &pb.At{Point: &pb.At_Time{Time: then}}}},
		{"ListKeys", &pb.ListKeysRequest{AgentId: "a", Limit: 3, PageToken: b.token}},
		{"ScanPrefix", &pb.ScanPrefixRequest{AgentId: "a", Prefix: "k", Encoding: asJSON, TxnId: b.txn}},
		{"ScanPrefix", &pb.ScanPrefixRequest{Namespace: "ns", AgentId: "b", At: past}},
		{"Replay", &pb.ReplayRequest{AgentId: "a", StartTs: ptr(uint64(2)), EndTs: ptr(uint64(9)), Encoding: asJSON, KeyPrefix: "k", Limit: 2}},
		{"ReplayBatches", &pb.ReplayRequest{AllAgents: true, StartTime: then, EndTime: then, Encoding: noValues}},
		{"Watch", &pb.WatchRequest{Namespace: "ns", AgentId: "b", AfterTs: ptr(uint64(3)), KeyPrefix: "k"}},
		{"Transact", &pb.TransactRequest{TxnId: "t-1", Operations: []*pb.TransactOperation{
			{AgentId: "a", Key: "k", Value: value}, set("", "a", "k2", `{"n":1e308}`), remove("ns", "a", "gone")},
			KeyPreconditions: keys, HeadPreconditions: heads, Metadata: meta}},
		{"Transact", &pb.TransactRequest{TxnId: "seed-1", Operations: []*pb.TransactOperation{set("", "a", "k1", `{}`)}}},
		{"GetTransaction", &pb.GetTransactionRequest{TxnId: "seed-1"}},
		{"BatchGetState", &pb.BatchGetStateRequest{Names: []*pb.RecordName{{AgentId: "a", Key: "k1"}, {Namespace: "ns", AgentId: "b", Key: "k"}}, Encoding: asJSON, At: past}},
		{"GetHistory", &pb.GetHistoryRequest{AgentId: "a", Key: "k1", Encoding: asJSON, Limit: 1, OldestFirst: true, At: past}},
		{"ListKeys", &pb.ListKeysRequest{AgentId: "a", Prefix: "k", Delimiter: "/", MinReadTs: 1}},
		{"Find", &pb.FindRequest{AgentId: "a", Prefix: "k", Where: []*pb.Condition{where("/n/0", pb.Comparison_COMPARISON_IN, `[1,"a"]`), {Metadata: "actor", Value: `"me"`, Negate: true}}, Limit: 2, WithMetadata: true}},
		{"Find", &pb.FindRequest{Namespace: "ns", AgentId: "b", Order: pb.FindOrder_FIND_ORDER_CHANGED, At: past, Encoding: asJSON}},
		{"Diff", &pb.DiffRequest{AgentId: "a", From: past, ToNamespace: "ns", ToAgentId: "b", Prefix: "k", Limit: 1, Encoding: asJSON}},
		{"ListRefusals", &pb.ListRefusalsRequest{Namespace: "ns", Limit: 1}}, {"ListStreams", &pb.ListStreamsRequest{All: true}},
		{"ListAgents", &pb.ListAgentsRequest{Namespace: "ns", Prefix: "b", Limit: 1}}, {"ListNamespaces", &pb.ListNamespacesRequest{Limit: 1}},
	}
}

// mutate changes wire in one to four places, as networks and attackers do.
func mutate(rng *rand.Rand, wire []byte, other []byte) []byte {
	edges := []uint64{0, 1, 127, 128, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1<<63 - 1, 1 << 63, 1<<64 - 1}
	wire = slices.Clone(wire)
	for range 1 + rng.IntN(4) {
		at := rng.IntN(len(wire) + 1)
		switch rest := wire[at:]; rng.IntN(8) {
		case 0:
			wire = wire[:at]
		case 1:
			if len(rest) > 0 {
				rest[0] ^= 1 << rng.IntN(8)
			}
		case 2:
			if len(rest) > 0 {
				rest[0] = byte(rng.Uint32())
			}
		case 3:
			wire = slices.Insert(wire, at, byte(rng.Uint32()))
		case 4: // a piece again
			wire = slices.Insert(wire, at, slices.Clone(rest[:rng.IntN(len(rest)+1)])...)
		case 5: // a piece of another request
			from := rng.IntN(len(other) + 1)
			wire = slices.Insert(wire, at, other[from:from+rng.IntN(len(other)-from+1)]...)
		case 6:
			wire = slices.Replace(wire, at, min(at+1, len(wire)), binary.AppendUvarint(nil, edges[rng.IntN(len(edges))])...)
		case 7:
			wire = slices.Delete(wire, at, at+rng.IntN(len(rest)+1))
		}
	}
	return wire
}

// TestMutatedRequests is the row of that name: a thousandth of it by default, ten
// million with STATEHOUSE_SWEEP=full.
func TestMutatedRequests(t *testing.T) {
	rounds := 10_000
	if os.Getenv("STATEHOUSE_SWEEP") == "full" {
		rounds = 10_000_000
	}
	const perBench = 100_000 // a bench keeps what was written
	answered := map[codes.Code]int{}
	for from := 0; from < rounds; from += perBench {
		b := newBench(t)
		var methods []string
		var wires [][]byte
		for _, s := range b.seeds() {
			methods, wires = append(methods, s.method), append(wires, wireOf(t, s.req))
		}
		rng := rand.New(rand.NewPCG(uint64(from), 7))
		for range min(perBench, rounds-from) {
			i := rng.IntN(len(wires))
			answered[b.try(methods[i], mutate(rng, wires[i], wires[rng.IntN(len(wires))]))]++
		}
		b.close()
	}
	t.Logf("answers: %v", answered)
	if answered[codes.OK] < rounds/10 || answered[codes.InvalidArgument] < rounds/10 {
		t.Errorf("the mutations are too mild or too wild: %v", answered)
	}
}

// FuzzRequests lets the fuzzer look for what the mutations above do not find.
func FuzzRequests(f *testing.F) {
	b := newBench(f)
	for _, s := range b.seeds() {
		f.Add(byte(slices.Index(allMethods(), s.method)), wireOf(f, s.req))
	}
	used := 0
	f.Fuzz(func(t *testing.T, method byte, wire []byte) {
		if used++; used%5000 == 0 {
			b.close()
			b = newBench(t)
		}
		b.t = t
		names := allMethods()
		b.try(names[int(method)%len(names)], wire)
	})
}
