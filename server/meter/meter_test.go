package meter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// handClock is moved by hand.
type handClock struct{ now time.Duration }

func (c *handClock) read() time.Duration { return c.now }

func failure(code pb.ErrorCode, as codes.Code) error {
	s, err := status.New(as, "no").WithDetails(&pb.StatehouseError{Code: code})
	if err != nil {
		panic(err)
	}
	return s.Err()
}

func TestHistogram(t *testing.T) {
	h := NewHistogram(10, 20, 30)
	for _, n := range []int64{-1, 0, 10, 11, 20, 30, 31, 1 << 40} {
		h.Observe(n)
	}
	d := h.Distribution()
	if fmt.Sprint(d.Counts) != "[3 2 1 2]" || d.Sum != 1<<40+101 || d.Count() != 8 {
		t.Errorf("%+v", d)
	}
	for q, want := range map[float64]int64{0.01: 10, 0.375: 10, 0.5: 20, 0.75: 30, 1: 30} { // each by itself
		if got := d.Quantile(q); got != want {
			t.Errorf("quantile %v: %d, want %d", q, got, want)
		}
	}
	if got := NewHistogram(1).Distribution().Quantile(0.5); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}

// TestRequest: a request counts once, by method, way and code; what was refused at the door has no
// duration; a method that is not known is counted with all others of its kind.
func TestRequest(t *testing.T) {
	var clock handClock
	var said, refused []string
	m := New(Config{Refused: func(event string, attrs ...any) { refused = append(refused, event) }, Clock: clock.read, Slow: 100 * time.Millisecond, Log: func(event string, attrs ...any) { said = append(said, fmt.Sprint(event, attrs)) }})
	do := func(method string, via Via, took time.Duration, err error) {
		clock.now += time.Second // away from zero, which is: not arrived
		r := m.Method(method).Begin(via)
		r.Arrived(t.Context())
		clock.now += took
		r.Answered()
		clock.now += 10 * time.Second // its client reads slowly
		r.End(err)
	}
	const get, transact = pb.StatehouseService_GetState_FullMethodName, pb.StatehouseService_Transact_FullMethodName
	do(get, Call, 3*time.Millisecond, nil)
	do(get, Session, 300*time.Millisecond, failure(pb.ErrorCode_CONFLICT, codes.Aborted))
	do(transact, Call, time.Microsecond, failure(pb.ErrorCode_CONFLICT, codes.Aborted))
	do(transact, Call, time.Microsecond, status.Error(codes.Canceled, ""))
	do(transact, Call, time.Microsecond, errors.New("no status"))
	do(transact, Call, time.Microsecond, status.Error(codes.Code(4711), ""))
	do("/made/up", Call, time.Microsecond, nil)
	door := m.Method(get).Begin(Call)
	door.End(failure(pb.ErrorCode_LIMIT_EXCEEDED, codes.ResourceExhausted))
	got := map[string]uint64{}
	for _, of := range m.Methods() {
		for _, c := range of.Counts() {
			if c.N > 0 {
				got[of.Name[strings.LastIndex(of.Name, "/")+1:]+" "+c.Via.String()+" "+c.Code] = c.N
			}
		}
	}
	want := "map[GetState call LIMIT_EXCEEDED:1 GetState call OK:1 GetState session CONFLICT:1 Transact call CONFLICT:1 Transact call grpc_Canceled:1 Transact call grpc_Code(31):1 Transact call grpc_Unknown:1 unknown call OK:1]"
	if fmt.Sprint(got) != want {
		t.Errorf("counted %v\nwant    %v", got, want)
	}
	if d := m.methods[get].Took.Distribution(); d.Count() != 2 || d.Sum != int64(303*time.Millisecond) {
		t.Errorf("durations %+v", d)
	}
	if len(refused) != 6 || refused[0] != "a request was answered with CONFLICT" {
		t.Errorf("refused: %q", refused)
	}
	if len(said) != 1 || !strings.Contains(said[0], "GetState via session code CONFLICT took 300ms") {
		t.Errorf("slow: %q", said)
	}
}

// TestCommitPhases: the engine fills in phases through the context of a commit, and of no other
// request.
func TestCommitPhases(t *testing.T) {
	var clock handClock
	var said string
	m := New(Config{Clock: clock.read, Slow: 1, Log: func(_ string, attrs ...any) { said = fmt.Sprintln(attrs...) }})
	clock.now = 1
	r := m.Method(pb.StatehouseService_Commit_FullMethodName).Begin(Call)
	*Phases(r.Arrived(t.Context())) = engine.Phases{Queue: 1e6, Plan: 2e6, Apply: 3e6, Sync: 4e6}
	clock.now = 11e6
	r.End(nil)
	if !strings.Contains(said, "queue 1ms plan 2ms apply 3ms sync 4ms") {
		t.Error(said)
	}
	read := m.Method(pb.StatehouseService_GetState_FullMethodName).Begin(Call)
	if Phases(read.Arrived(t.Context())) != nil {
		t.Error("a read has phases")
	}
	var none *Meter
	idle := none.Method("x").Begin(Call)
	if ctx := idle.Arrived(t.Context()); ctx != t.Context() || none.Observer() != nil {
		t.Error("a nil meter does something")
	}
	idle.Answered()
	idle.End(nil)
	none.CountNamespace(&pb.GetStateRequest{}, nil)
}

// TestTraceID takes what W3C Trace Context allows, and nothing else: it is stored for good.
func TestTraceID(t *testing.T) {
	const id = "0af7651916cd43dd8448eb211c80319c"
	for parent, want := range map[string]string{ // each by itself
		"00-" + id + "-b7ad6b7169203331-01":                      id,
		"01-" + id + "-b7ad6b7169203331-00-more":                 id,
		"00-" + id + "-b7ad6b7169203331-01-more":                 "",
		"00-" + id + "-b7ad6b7169203331-01x":                     "",
		"ff-" + id + "-b7ad6b7169203331-01":                      "",
		"00-" + strings.ToUpper(id) + "-b7ad6b7169203331-01":     "",
		"00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01": "",
		"00-" + id + "-0000000000000000-01":                      "",
		"00-" + id + "-b7ad6b7169203331":                         "",
		"00" + id + "--b7ad6b7169203331--01":                     "",
		"":                                                       "",
		strings.Repeat("-", 55):                                  "",
		strings.Repeat("é", 40):                                  "",
	} {
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("traceparent", parent))
		if got := TraceID(ctx); got != want {
			t.Errorf("%q: %q, want %q", parent, got, want)
		}
	}
	if got := TraceID(t.Context()); got != "" {
		t.Errorf("without metadata: %q", got)
	}
	traced := New(Config{Clock: func() time.Duration { return 1 }, Trace: func(ctx context.Context, _ string) (context.Context, string, func(string, engine.Phases)) {
		return ctx, "f00d", func(string, engine.Phases) {}
	}})
	r := traced.Method(pb.StatehouseService_GetState_FullMethodName).Begin(Call)
	if got := TraceID(r.Arrived(t.Context())); got != "f00d" {
		t.Errorf("of a span: %q", got)
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Fuzz(func(t *testing.T, parent string) {
		if id := traceIDOf(parent); id != "" && (len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "") {
			t.Errorf("%q: %q", parent, id)
		}
	})
}

func TestNamespaces(t *testing.T) {
	m := New(Config{Namespaces: []string{"default", "a"}})
	m.CountNamespace(&pb.GetStateRequest{}, nil)
	m.CountNamespace(&pb.TransactRequest{Operations: []*pb.TransactOperation{{Namespace: "a"}, {Namespace: "b"}}}, errors.New(""))
	m.CountNamespace(&pb.BatchGetStateRequest{Names: []*pb.RecordName{{Namespace: "c"}}}, nil)
	m.CountNamespace(&pb.CommitRequest{}, nil)
	var got []string
	for _, n := range m.Namespaces() {
		got = append(got, fmt.Sprint(n.Name, " ", n.OK.Load(), " ", n.Fail.Load()))
	}
	if fmt.Sprint(got) != "[default 1 0 a 0 1 (other) 1 0]" {
		t.Error(got)
	}
}

// BenchmarkRequest is what measuring costs a request.
func BenchmarkRequest(b *testing.B) {
	began := time.Now()
	m := New(Config{Clock: func() time.Duration { return time.Since(began) }, Slow: time.Second, Log: func(string, ...any) {}})
	for _, method := range []string{pb.StatehouseService_GetState_FullMethodName, pb.StatehouseService_Transact_FullMethodName} {
		b.Run(method[strings.LastIndex(method, "/")+1:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := m.Method(method).Begin(Session)
				r.Arrived(b.Context())
				r.End(nil)
			}
		})
	}
	o := m.Observer()
	b.Run("step", func(b *testing.B) { // of one commit: what the writer does beside
		for b.Loop() {
			o.Clock()
			o.Clock()
			o.Waited(o.Clock())
			o.Clock()
			o.Clock()
			syncing := o.Clock()
			o.Synced(o.Clock() - syncing)
			o.Stepped(engine.Step{Commits: 1, Answer: o.Clock()})
		}
	})
}
