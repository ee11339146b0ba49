package client

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/client/state"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// ReplayQuery selects past commits. Ranges include both ends; the zero value of a field
// leaves it open.
type ReplayQuery struct {
	Agent            string
	AllAgents        bool // of the namespace; Agent must then be empty
	Prefix           string
	From, To         CommitTS
	FromTime, ToTime time.Time
	Limit            int // at most this many commits; 0: all
	// Epoch in which From was learnt, as Event says it: ErrEpochChanged when the store was restored
	// to a commit before it since. Empty: From is not a cursor.
	Epoch    string
	NoValues bool // leave values out
	// AllOperations: also those on leases, which are no records (Operation.Lease), and a fork as one
	// operation (Operation.Fork), in place of the records that it began with.
	AllOperations bool
	// WithLineage: of an agent that was forked, first the events of what it was forked from, up to there.
	WithLineage bool
}

// WatchQuery selects commits to follow.
type WatchQuery struct {
	Agent     string
	AllAgents bool // of the namespace; Agent must then be empty
	Prefix    string
	After     CommitTS // events after this commit; 0: from the first
	FromNow   bool     // events after the last commit now, in place of After
	// Epoch in which After was learnt, as Event says it. ErrEpochChanged when the store was restored
	// to a commit before After since. Without one, after any restore, After may not be past the commit that
	// it went back to.
	Epoch    string
	NoValues bool
	// AllOperations: as in ReplayQuery. Lease: only those on the lease of this name of Agent.
	AllOperations bool
	Lease         string
	// Due: only what becomes of records as ones that are due (Operation.Due).
	Due bool
	// Marks: yield progress marks, too (Event.Mark). The first comes when the watch has
	// begun.
	Marks bool
}

// Replay yields past commits in order.
func (c *Client) Replay(ctx context.Context, q ReplayQuery) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if q.Limit < 0 {
			yield(Event{}, invalidf("the limit is negative: %d", q.Limit))
			return
		}
		f := &feed{c: c, yield: yield, limit: q.Limit, placed: true, epoch: q.Epoch, patience: c.config.Timeout}
		if q.From > 0 {
			f.cursor = q.From - 1
		}
		f.open = func(ctx context.Context) (grpc.ServerStreamingClient[pb.EventBatch], error) {
			return c.stub.ReplayBatches(ctx, q.request(c.config.Namespace, f))
		}
		f.run(ctx)
	}
}

// request is the part of q after the feed's cursor.
func (q *ReplayQuery) request(namespace string, f *feed) *pb.ReplayRequest {
	req := &pb.ReplayRequest{
		Namespace: namespace, AgentId: q.Agent, AllAgents: q.AllAgents, KeyPrefix: q.Prefix, Encoding: f.c.encoding(q.NoValues),
		AllOperations: q.AllOperations, WithLineage: q.WithLineage,
	}
	if f.cursor > 0 {
		req.StartTs, req.Epoch = new(uint64(f.cursor)+1), f.epoch
	}
	if q.To > 0 {
		req.EndTs = new(uint64(q.To))
	}
	if !q.FromTime.IsZero() {
		req.StartTime = state.Timestamp(&q.FromTime)
	}
	if !q.ToTime.IsZero() {
		req.EndTime = state.Timestamp(&q.ToTime)
	}
	if q.Limit > 0 {
		req.Limit = uint64(q.Limit - f.events)
	}
	return req
}

// Watch yields commits as they are made, until ctx ends. It yields the error of ctx
// last.
func (c *Client) Watch(ctx context.Context, q WatchQuery) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f := &feed{c: c, yield: yield, marks: q.Marks, endless: true, cursor: q.After, epoch: q.Epoch, placed: !q.FromNow, patience: -1}
		f.open = func(ctx context.Context) (grpc.ServerStreamingClient[pb.EventBatch], error) {
			req := &pb.WatchRequest{
				Namespace: c.config.Namespace, AgentId: q.Agent, AllAgents: q.AllAgents, KeyPrefix: q.Prefix, Encoding: c.encoding(q.NoValues),
				AllOperations: q.AllOperations, Lease: q.Lease, Due: q.Due,
			}
			if f.placed {
				req.AfterTs, req.Epoch = new(uint64(f.cursor)), f.epoch
			}
			return c.stub.Watch(ctx, req)
		}
		f.run(ctx)
	}
}

// feed reads a stream of batches, and opens it again after the cursor when it breaks.
type feed struct {
	c        *Client
	open     func(ctx context.Context) (grpc.ServerStreamingClient[pb.EventBatch], error)
	yield    func(Event, error) bool
	limit    int           // of events; 0: none
	marks    bool          // hand out marks too
	endless  bool          // a watch: any end of the stream is a failure
	patience time.Duration // how long the daemon may be unreachable; negative: until ctx ends

	// Everything up to cursor has been handed out, and nothing after it but events of last: a fork may
	// be more than one event holds, and several then have its commit_ts. Invariant: both only rise.
	cursor, last CommitTS
	placed       bool // the cursor is known; a watch from now learns it from the first batch
	// epoch is that in which the cursor names a commit; "": the daemon does not say.
	epoch  string
	events int // handed out
}

// errDone ends a feed whose consumer wants no more.
var errDone = errors.New("done")

// run hands out events and marks until the stream ends for good or the consumer
// wants no more.
func (f *feed) run(ctx context.Context) {
	var since time.Time // when the daemon was lost
	known := false      // the daemon has been reached
	for n := 0; ; n++ {
		heard, err := f.read(ctx)
		if heard {
			known, n, since = true, 0, time.Time{}
		}
		if err == errDone || err == io.EOF && !f.endless {
			return
		}
		failed := streamError(ctx, err)
		if f.c.onlyText(failed) {
			continue
		}
		if !failed.passes() || ctx.Err() != nil || !known && !failed.Answered && f.c.config.FailFast {
			f.yield(Event{}, failed)
			return
		}
		now := f.c.config.Now()
		if since.IsZero() {
			since = now
		}
		if f.patience > 0 && now.Sub(since) >= f.patience {
			f.yield(Event{}, failed)
			return
		}
		if err := f.c.pause(ctx, n, failed); err != nil {
			f.yield(Event{}, failed.after(err))
			return
		}
	}
}

// Failure is an error that gRPC returned of a call or a stream on a Client's Connection, as the
// Client's own calls return it; nil for none.
func Failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return streamError(ctx, err)
}

// streamError says why a stream ended. An end that was not expected is a failure.
func streamError(ctx context.Context, err error) *Error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	if ended := ctx.Err(); ended != nil {
		return &Error{Code: "UNAVAILABLE", Message: "the stream was ended: " + ended.Error(), kind: ErrUnavailable, cause: ended}
	}
	if err == io.EOF {
		return &Error{Code: "UNAVAILABLE", Message: "the daemon ended the stream", kind: ErrUnavailable}
	}
	return fromStatus(err)
}

// read opens the stream once and hands out what it receives. heard reports whether it
// received anything.
func (f *feed) read(ctx context.Context) (heard bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // frees the stream
	stream, err := f.open(ctx)
	if err != nil {
		return false, err
	}
	for {
		batch, err := stream.Recv()
		if err != nil {
			return heard, err
		}
		heard = true
		if err := f.handOut(batch); err != nil {
			return heard, err
		}
	}
}

func (f *feed) handOut(batch *pb.EventBatch) error {
	if batch.GetEpoch() != "" {
		f.epoch = batch.GetEpoch()
	}
	for _, m := range batch.GetEvents() {
		ev := state.EventOf(m)
		ev.Epoch = f.epoch
		if f.placed && (ev.CommitTS <= f.cursor || ev.CommitTS < f.last) {
			return broken("commit %d after commit %d", ev.CommitTS, max(f.cursor, f.last))
		}
		f.last = ev.CommitTS
		if !f.placed {
			f.cursor, f.placed = ev.CommitTS-1, true
		}
		f.events++
		if !f.yield(ev, nil) || f.limit > 0 && f.events >= f.limit {
			return errDone
		}
	}
	cursor := CommitTS(batch.GetCursor())
	if f.placed && (cursor < f.cursor || cursor+1 < f.last) {
		return broken("cursor %d after commit %d", cursor, max(f.cursor, f.last))
	}
	f.cursor, f.placed = cursor, true
	if f.marks && !f.yield(Event{CommitTS: cursor, Epoch: f.epoch, Mark: true}, nil) {
		return errDone
	}
	return nil
}
