package record

import (
	"context"
	"io"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Recorder writes down what clients ask and are told, on real connections. It is
// safe for concurrent use.
//
// The time of a call is taken before anything is sent, and that of its return after
// the answer came: the point at which an operation takes effect is always between
// the two, so what real time demands of the order is never overstated.
type Recorder struct {
	clock func() int64

	mu sync.Mutex
	// ops in the order of their calls: ids and call times are given under one lock.
	ops   []*history.Operation
	acked int // commits among them that were acknowledged
	notes []history.Note
	// events seen, by commit. Many streams carry the same ones, which are kept once.
	events map[uint64][]history.Event
}

// NewRecorder makes a recorder. clock tells nanoseconds since some start, and never
// runs backwards.
func NewRecorder(clock func() int64) *Recorder {
	return &Recorder{clock: clock, events: make(map[uint64][]history.Event)}
}

// Conn is inner with everything that client asks through it written down: all
// methods that KindOf knows. The others (health, status) pass through.
func (r *Recorder) Conn(client string, inner grpc.ClientConnInterface) grpc.ClientConnInterface {
	return &conn{r: r, client: client, inner: inner, pages: make(map[string]int)}
}

// Note writes down something that happened beside the operations.
func (r *Recorder) Note(lane, kind, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, history.Note{Time: r.clock(), Lane: lane, Kind: kind, Text: text})
}

// History is what was written down until now. What is still under way is in it as
// unknown, and what comes of it later is not.
func (r *Recorder) History() *history.History {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &history.History{
		Header: history.Header{Format: history.Format, Version: history.Version, Unit: "ns"},
		Notes:  slices.Clone(r.notes), Operations: make([]*history.Operation, len(r.ops)),
	}
	for i, op := range r.ops {
		known := *op // its batches may grow, those that are there do not change
		h.Operations[i] = &known
	}
	return h
}

// Counts tells how far it is: operations, and commits among them that were
// acknowledged.
func (r *Recorder) Counts() (operations, acked int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ops), r.acked
}

// call writes down that something is about to be sent.
func (r *Recorder) call(client string, kind history.Kind, in history.Input) *history.Operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	op := &history.Operation{ID: len(r.ops) + 1, Client: client, Kind: kind, Call: r.clock(), In: in, Outcome: history.Unknown}
	r.ops = append(r.ops, op)
	return op
}

// end writes down how a call ended. Return is when the client stopped waiting,
// also when no one had answered.
func (r *Recorder) end(op *history.Operation, out history.Output, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	op.Return = r.clock()
	op.Outcome, op.Error = Outcome(err)
	if err != nil {
		return
	}
	op.Out = out
	if op.Kind.Info().Commits {
		r.acked++
	}
}

// batch writes down a message of a stream.
func (r *Recorder) batch(op *history.Operation, m *pb.EventBatch) {
	b := Batch(0, m)
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range b.Events {
		b.Events[i] = r.once(b.Events[i])
	}
	b.Time = r.clock()
	op.Batches = append(op.Batches, b)
}

// maxShapes is how many views of one commit are kept to be shared: streams filter.
const maxShapes = 4

// once is an event equal to ev, whose parts are shared with those seen before: the
// same log read a thousand times fits in memory.
func (r *Recorder) once(ev history.Event) history.Event {
	known := r.events[ev.CommitTS]
	for i := range known {
		if same(&known[i], &ev) {
			return known[i]
		}
	}
	if len(known) < maxShapes {
		r.events[ev.CommitTS] = append(known, ev)
	}
	return ev
}

func same(a, b *history.Event) bool {
	if a.CommitTime != b.CommitTime || a.TxnID != b.TxnID || a.Principal != b.Principal || a.TraceID != b.TraceID || a.Cause != b.Cause || len(a.Metadata) != len(b.Metadata) ||
		!slices.EqualFunc(a.Ops, b.Ops, func(x, y history.EventOp) bool { return x.Equal(&y) }) {
		return false
	}
	for k, v := range a.Metadata { // compared one by one: order cannot matter
		if w, has := b.Metadata[k]; !has || v != w {
			return false
		}
	}
	return true
}

// conn is one client's connection.
type conn struct {
	r      *Recorder
	client string
	inner  grpc.ClientConnInterface

	mu sync.Mutex
	// pages tells which operation's answer a page token came with. One client's: two
	// that read the same may be given equal tokens. The last one given counts.
	pages map[string]int
}

// open writes down a call of a client.
func (c *conn) open(kind history.Kind, req any) *history.Operation {
	in, token := Input(kind, req.(proto.Message))
	if token != "" {
		c.mu.Lock()
		in.PageOf = c.pages[token]
		c.mu.Unlock()
	}
	return c.r.call(c.client, kind, in)
}

// Invoke makes a call and writes it down.
func (c *conn) Invoke(ctx context.Context, method string, req, resp any, opts ...grpc.CallOption) error {
	kind, recorded := KindOf(method)
	if !recorded {
		return c.inner.Invoke(ctx, method, req, resp, opts...)
	}
	op := c.open(kind, req)
	err := c.inner.Invoke(ctx, method, req, resp, opts...)
	var out history.Output
	if err == nil {
		var next string
		if out, next = Output(kind, &op.In, resp.(proto.Message)); next != "" {
			c.mu.Lock()
			c.pages[next] = op.ID
			c.mu.Unlock()
		}
	}
	c.r.end(op, out, err)
	return err
}

// NewStream opens a stream, which is written down once its request is sent.
func (c *conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := c.inner.NewStream(ctx, desc, method, opts...)
	kind, recorded := KindOf(method)
	if err != nil || !recorded {
		return s, err
	}
	return &stream{ClientStream: s, conn: c, kind: kind}, nil
}

// stream is a replay or a watch. Its consumer may leave it at any time: then its
// outcome stays unknown.
type stream struct {
	grpc.ClientStream
	conn *conn
	kind history.Kind
	op   *history.Operation
}

// SendMsg sends the request.
func (s *stream) SendMsg(m any) error {
	s.op = s.conn.open(s.kind, m)
	return s.ClientStream.SendMsg(m)
}

// RecvMsg receives a message, or the end.
func (s *stream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	switch batch, ok := m.(*pb.EventBatch); {
	case err == io.EOF:
		s.conn.r.end(s.op, history.Output{}, nil)
	case err != nil:
		s.conn.r.end(s.op, history.Output{}, err)
	case ok:
		s.conn.r.batch(s.op, batch)
	}
	return err
}
