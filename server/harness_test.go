package server

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/captures"
	"statehouse.dev/statehouse/server/wiretest"
)

// rig is a whole Statehouse in the test's process: the assembly that the daemon
// uses, on a store in memory, behind a real gRPC server on a loopback port. When
// the test ends it must still serve, shut down cleanly, leave no goroutine behind
// and leave a store on which Verify finds nothing.
type rig struct {
	pb.StatehouseServiceClient
	t       *testing.T
	config  Config
	env     engine.Env
	skew    atomic.Int64 // of the store's clock to the real one, in nanoseconds
	service *Service
	addr    string
	conn    *grpc.ClientConn
	stop    context.CancelFunc // ends Serve
	served  chan error
	ids     atomic.Uint64
	mute    bool // the test leaves the daemon unable to write; the end does not try
}

// The words of waiting: see wiretest.
const patience = wiretest.Patience

var (
	errNotYet  = wiretest.ErrNotYet
	eventually = wiretest.Eventually
	timeout    = wiretest.Timeout
)

// newRig assembles and serves. change may adjust what is assembled.
func newRig(t *testing.T, change ...func(*Config, *engine.Env)) *rig {
	t.Helper()
	before := runtime.NumGoroutine()
	r := &rig{t: t}
	r.env = engine.MemoryEnv(
		func(err error) { t.Errorf("the engine halted: %v", err) },
		func(event string, attrs ...any) {
			if strings.Contains(event, "panic") {
				t.Errorf("%s %v", event, attrs)
			}
		})
	r.env.Now = func() time.Time { return time.Now().Add(time.Duration(r.skew.Load())) }
	r.config = Config{Version: "test", Engine: engine.Options{Dir: "/data", Tuning: engine.Tuning{CacheBytes: 8 << 20}}}
	r.config.Capture = captures.Config{Dir: t.TempDir(), MaxBytes: 256 << 20, On: true}
	for _, c := range change {
		c(&r.config, &r.env)
	}
	r.start()
	t.Cleanup(func() {
		if !r.mute {
			r.put("", "the end", "k", `{"still":"serving"}`)
			r.judgeCapture()
		}
		r.halt()
		if _, err := engine.Verify(r.env, r.config.Engine.Dir, nil); err != nil {
			t.Errorf("verify after the test: %v", err)
		}
		eventually(t, "goroutines are gone", func() error {
			if n := runtime.NumGoroutine(); n > before {
				buf := make([]byte, 1<<16)
				return fmt.Errorf("%d goroutines, %d before the test:\n%s", n, before, buf[:runtime.Stack(buf, true)])
			}
			return nil
		})
	})
	return r
}

func (r *rig) start() {
	r.t.Helper()
	var err error
	if r.service, err = Assemble(r.env, r.config); err != nil {
		r.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.addr, r.stop, r.served = l.Addr().String(), cancel, make(chan error, 1)
	go func(s *Service, served chan<- error) { served <- s.Serve(ctx, nil, l) }(r.service, r.served)
	r.conn = r.dial()
	r.StatehouseServiceClient = pb.NewStatehouseServiceClient(r.conn)
}

// dial opens one more connection. Its user closes it.
func (r *rig) dial(opts ...grpc.DialOption) *grpc.ClientConn {
	r.t.Helper()
	opts = append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, opts...)
	conn, err := grpc.NewClient("passthrough:///"+r.addr, opts...)
	if err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// halt shuts down in order and waits for it.
func (r *rig) halt() {
	r.t.Helper()
	r.stop()
	select {
	case err := <-r.served:
		if err != nil {
			r.t.Errorf("Serve ended with %v", err)
		}
	case <-time.After(drainTimeout + patience):
		r.t.Fatal("Serve does not end")
	}
	_ = r.conn.Close()
	if err := r.service.Close(); err != nil {
		r.t.Errorf("Close: %v", err)
	}
}

// restart stops and starts again on what is on the disk.
func (r *rig) restart() {
	r.t.Helper()
	r.halt()
	r.start()
}

// advance moves the store's clock.
func (r *rig) advance(d time.Duration) { r.skew.Add(int64(d)) }

// id is a fresh transaction id for Transact.
func (r *rig) id() string { return fmt.Sprintf("test-%d", r.ids.Add(1)) }

// put commits one value and fails the test if it cannot.
func (r *rig) put(ns, agent, key, json string) *pb.TransactResponse {
	r.t.Helper()
	return r.transact(set(ns, agent, key, json))
}

func (r *rig) transact(ops ...*pb.TransactOperation) *pb.TransactResponse {
	r.t.Helper()
	resp, err := r.Transact(timeout(r.t), &pb.TransactRequest{TxnId: r.id(), Operations: ops})
	if err != nil {
		r.t.Fatalf("transact: %v", err)
	}
	return resp
}

func set(ns, agent, key, json string) *pb.TransactOperation {
	return &pb.TransactOperation{Namespace: ns, AgentId: agent, Key: key, ValueJson: []byte(json)}
}

func remove(ns, agent, key string) *pb.TransactOperation {
	return &pb.TransactOperation{Namespace: ns, AgentId: agent, Key: key, Delete: true}
}

// get reads a value as JSON text; "" when there is none.
func (r *rig) get(ns, agent, key string) string {
	r.t.Helper()
	resp, err := r.GetState(timeout(r.t), &pb.GetStateRequest{Namespace: ns, AgentId: agent, Key: key, Encoding: asJSON})
	if err != nil {
		r.t.Fatalf("get %q %q %q: %v", ns, agent, key, err)
	}
	if resp.Exists != (len(resp.ValueJson) > 0) {
		r.t.Fatalf("get %q: exists %v with value %q", key, resp.Exists, resp.ValueJson)
	}
	return string(resp.ValueJson)
}

// begin opens a transaction.
func (r *rig) begin() string {
	r.t.Helper()
	resp, err := r.BeginTransaction(timeout(r.t), &pb.BeginTransactionRequest{})
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.TxnId
}

func (r *rig) write(txn, agent, key, json string) error {
	_, err := r.Write(timeout(r.t), &pb.WriteRequest{TxnId: txn, AgentId: agent, Key: key, ValueJson: []byte(json)})
	return err
}

const (
	asStruct = pb.ValueEncoding_VALUE_ENCODING_STRUCT
	asJSON   = pb.ValueEncoding_VALUE_ENCODING_JSON
	noValues = pb.ValueEncoding_VALUE_ENCODING_NONE
)

// detailOf is the StatehouseError that an error carries.
func detailOf(err error) *pb.StatehouseError {
	for _, d := range status.Convert(err).Details() {
		if d, ok := d.(*pb.StatehouseError); ok {
			return d
		}
	}
	return nil
}

// refused checks an error's gRPC code, its ErrorCode, and that every word of says
// is in its message.
func refused(t *testing.T, what string, err error, code codes.Code, want pb.ErrorCode, says ...string) *pb.StatehouseError {
	t.Helper()
	if err == nil {
		t.Errorf("%s: accepted, want %v / %v", what, code, want)
		return &pb.StatehouseError{}
	}
	d := detailOf(err)
	switch {
	case d == nil:
		t.Errorf("%s: no StatehouseError in %v", what, err)
		return &pb.StatehouseError{}
	case status.Code(err) != code || d.Code != want:
		t.Errorf("%s: %v / %v, want %v / %v (%s)", what, status.Code(err), d.Code, code, want, d.Message)
	case d.Message == "" || d.Message != status.Convert(err).Message():
		t.Errorf("%s: the detail says %q, the status %q", what, d.Message, status.Convert(err).Message())
	case d.MaybeApplied != (want == pb.ErrorCode_OUTCOME_UNKNOWN):
		t.Errorf("%s: maybe_applied is %v with %v", what, d.MaybeApplied, want)
	}
	for _, word := range says {
		if !strings.Contains(d.Message, word) {
			t.Errorf("%s: %q does not say %q", what, d.Message, word)
		}
	}
	return d
}

func invalidArgument(t *testing.T, what string, err error, says ...string) *pb.StatehouseError {
	t.Helper()
	return refused(t, what, err, codes.InvalidArgument, pb.ErrorCode_INVALID_REQUEST, says...)
}

func ptr[T any](v T) *T { return &v }

// sequential marks a test in which one client sends one request after another, thousands
// or megabytes of them. The race detector sees nothing there that it would not see in a few,
// which other tests send, and takes ten times as long:
// "make race" also runs this package without it.
func sequential(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("one client and one request at a time: make race runs it without the detector")
	}
}
