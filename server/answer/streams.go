package answer

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/limiter"
	"statehouse.dev/statehouse/server/lookout"
	"statehouse.dev/statehouse/server/unsent"
	"statehouse.dev/statehouse/server/wire"
)

func (s *Service) Replay(req *pb.ReplayRequest, stream pb.StatehouseService_ReplayServer) error {
	epoch, _ := s.engine.Epoch()
	return s.replay(stream.Context(), req, singlePart, func(events []*pb.ReplayEvent, _ engine.Cursor) error {
		for _, ev := range events {
			ev.Epoch, epoch = epoch, "" // in the first one
			if err := s.fits(ev); err != nil {
				return err
			}
			if err := stream.Send(ev); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) ReplayBatches(req *pb.ReplayRequest, stream pb.StatehouseService_ReplayBatchesServer) error {
	epoch, _ := s.engine.Epoch()
	return s.replay(stream.Context(), req, batchPart, s.batchSender(epoch, stream.Send))
}

// What a stream reads at a time, in eighths of its share. With the half that may be
// unsent when it reads they make the whole, for events that are messages of their own
// take more on their way.
const (
	batchPart  = 4
	singlePart = 3
)

// sender sends a chunk: events, and the cursor after them.
type sender func(events []*pb.ReplayEvent, cursor engine.Cursor) error

// batchSender cuts a chunk into messages that clients accept. The cursor goes
// with the last; those before carry the commit_ts of their last event.
// The first message says the epoch.
func (s *Service) batchSender(epoch string, sendBatch func(*pb.EventBatch) error) sender {
	send := func(b *pb.EventBatch) error {
		b.Epoch, epoch = epoch, ""
		return sendBatch(b)
	}
	return func(events []*pb.ReplayEvent, cursor engine.Cursor) error {
		size, from := 0, 0
		for i, ev := range events {
			n := proto.Size(ev)
			if size += n; i > from && size > s.config.Tuning.BatchBytes {
				s.reached.BatchBytes.Add(1)
				if err := send(&pb.EventBatch{Events: events[from:i], Cursor: cursorBefore(events, i)}); err != nil {
					return err
				}
				size, from = n, i
			}
			if err := s.fits(ev); err != nil {
				return fmt.Errorf("commit %d: %w", ev.GetCommitTs(), err)
			}
		}
		return send(&pb.EventBatch{Events: events[from:], Cursor: uint64(cursor)})
	}
}

// cursorBefore is the cursor before an event of which the one before was sent: several may be of one
// commit, and who resumes needs all of them.
func cursorBefore(events []*pb.ReplayEvent, i int) uint64 {
	ts := events[i-1].GetCommitTs()
	if events[i].GetCommitTs() == ts {
		ts--
	}
	return ts
}

// replay streams what is published now, a part of the stream's share at a time.
func (s *Service) replay(ctx context.Context, req *pb.ReplayRequest, part int, send sender) error {
	values, err := wire.ValuesFor(req)
	if err != nil {
		return err
	}
	r := engine.Range{Namespace: req.GetNamespace(), From: commitTS(req.StartTs), To: commitTS(req.EndTs)}
	if r.FromTime, err = wire.TimeOf("start_time", req.GetStartTime()); err != nil {
		return err
	}
	if r.ToTime, err = wire.TimeOf("end_time", req.GetEndTime()); err != nil {
		return err
	}
	if from := req.GetStartTs(); req.GetEpoch() != "" && from > 0 {
		if err := s.engine.CheckEpoch(req.GetEpoch(), engine.CommitTS(from-1)); err != nil {
			return err
		}
	}
	first, last, err := s.engine.ReplayRange(r)
	if err != nil {
		return err
	}
	f := engine.Filter{Namespace: req.GetNamespace(), Agent: req.GetAgentId(), AllAgents: req.GetAllAgents(), KeyPrefix: req.GetKeyPrefix(), KeysOnly: values.None(), AllOperations: req.GetAllOperations()}
	if first > last {
		_, _, err := s.engine.Replay(f, 0, 0, 1) // for the checks of the filter
		return err
	}
	left, cursor := req.GetLimit(), first-1
	list, err := s.withLineage(req, last)
	if err != nil {
		return err
	}
	open := s.opened(ctx, pb.StreamKind_STREAM_KIND_REPLAY, f, cursor)
	open.Last = uint64(last)
	defer s.config.Streams.Add(open)()
	for _, of := range list {
		f.Agent = of.agent
		reader := &eventReader{s: s, filter: f, values: values, part: part, ahead: true, turns: s.reading, cursor: cursor, open: open}
		reader.last = func() engine.CommitTS { return of.last }
		done, err := s.replayOne(ctx, reader, of.last, &left, send)
		if done || err != nil {
			return err
		}
		cursor = max(cursor, of.last)
	}
	return nil
}

// replayOne streams what a reader reads up to a commit. done reports whether the limit ended it.
func (s *Service) replayOne(ctx context.Context, reader *eventReader, last engine.CommitTS, left *uint64, send sender) (done bool, err error) {
	for reader.cursor < last {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		out, refused, err := reader.next(ctx, clampLimit(*left))
		if err != nil {
			return false, err
		}
		if len(out) > 0 || reader.cursor == last {
			if err := send(out, reader.cursor); err != nil {
				return false, err
			}
		}
		if refused != nil {
			return false, refused
		}
		if *left > 0 {
			if *left -= uint64(len(out)); *left == 0 {
				return true, nil
			}
		}
	}
	return false, nil
}

// eventReader reads events for a stream, as few at a time as the stream has room for.
type eventReader struct {
	s      *Service
	filter engine.Filter
	values wire.Values
	part   int  // what is read at a time, in eighths of the stream's share
	ahead  bool // more may be read when the client has taken much
	taken  int  // by it, about
	turns  *limiter.Semaphore
	last   func() engine.CommitTS // to read, as it is when the turn has come
	cursor engine.Cursor
	inside engine.Inside   // where it goes on in the commit after the cursor
	open   *lookout.Stream // for those who look on
}

// next waits until the stream has room and it is its turn, and reads the next events up to
// last, and moves the cursor. refused says why the event after them cannot be sent to this client.
func (r *eventReader) next(ctx context.Context, limit int) (out []*pb.ReplayEvent, refused, err error) {
	stream := unsent.StreamOf(ctx)
	if err := stream.Ready(ctx); err != nil {
		return nil, nil, err
	}
	admit := func(bytes int) error { return stream.Admit(ctx, int64(bytes), r.values.Growth()) }
	t := &r.s.config.Tuning
	c := engine.Chunk{Events: limit, Bytes: max(min(stream.Share(), t.StreamBytes)*r.part/8, 1), Admit: admit}
	if r.ahead && r.taken >= t.AheadBytes && c.Bytes < t.AheadBytes && stream.Ahead(int64(t.AheadBytes)) {
		c.Bytes = t.AheadBytes
	}
	r.taken += c.Bytes
	events, next, err := r.read(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	out, refused = eventMessages(events, r.values, c.Bytes)
	if len(out) < len(events) { // the cursor stays before the next, so that a client can resume there
		next = lastOf(out, r.cursor)
	}
	if n := len(out); n > 0 {
		r.inside = engine.Inside{}
		if rest := events[n-1].Rest; rest != nil { // and before a commit of which more follows
			r.inside, next = *rest, rest.CommitTS-1
		}
	}
	r.cursor = next
	r.open.Seen.Store(uint64(next))
	return out, refused, nil
}

func (r *eventReader) read(ctx context.Context, c engine.Chunk) ([]engine.Event, engine.Cursor, error) {
	turn, err := r.turns.Acquire(ctx, 1)
	if err != nil {
		return nil, 0, err
	}
	defer r.turns.Release(turn)
	c.Inside = &r.inside
	return r.s.engine.ReplayChunk(r.filter, r.cursor, r.last(), c)
}

// lastOf is the commit_ts of the last event, or before when there is none.
func lastOf(events []*pb.ReplayEvent, before engine.Cursor) engine.Cursor {
	if len(events) == 0 {
		return before
	}
	return engine.CommitTS(events[len(events)-1].GetCommitTs())
}

// clampLimit makes an engine's limit of a client's; 0 stays: as many as fit.
func clampLimit(left uint64) int { return int(min(left, 1<<20)) }

func commitTS(v *uint64) *engine.CommitTS {
	if v == nil {
		return nil
	}
	ts := engine.CommitTS(*v)
	return &ts
}

// eventMessages turns events into messages: those before the first that the client's
// encoding cannot carry, and the error that says which it is. As Structs they may grow to
// many times their stored bytes: then it stops after the event with which they reach bytes.
func eventMessages(events []engine.Event, values wire.Values, bytes int) ([]*pb.ReplayEvent, error) {
	out := make([]*pb.ReplayEvent, len(events))
	size := 0
	for i := range events {
		ev := &events[i]
		msg := &pb.ReplayEvent{
			TxnId: string(ev.TxnID), CommitTs: uint64(ev.CommitTS), CommitTime: wire.Timestamp(ev.CommitTime),
			Metadata: ev.Metadata, Principal: ev.Principal, TraceId: ev.TraceID, Cause: ev.Cause.String(), Operations: make([]*pb.Operation, len(ev.Ops)),
		}
		for j := range ev.Ops {
			op := &ev.Ops[j]
			m := &pb.Operation{
				Key: op.Name.Key, Version: uint64(op.Version), Namespace: op.Name.Namespace, AgentId: op.Name.Agent, Deleted: op.Tombstone,
				Erased: op.Erased, Pruned: op.Pruned,
			}
			if op.Fork != nil {
				m.Act = actMessage(op.Fork)
			} else if op.Many {
				m.Act = &pb.RangeAct{Kind: pb.RangeAct_DELETED}
			}
			if kind, name := engine.SplitHidden(op.Name.Key); kind != "" {
				setHidden(m, kind, name, op)
			} else if op.Value != nil {
				if err := values.Set(m, operationValue, &m.ValueJson, op.Name.Key, op.Value); err != nil {
					return out[:i], fmt.Errorf("commit %d: %w", ev.CommitTS, err)
				}
			}
			msg.Operations[j] = m
		}
		out[i] = msg
		if values.Structs() {
			if size += proto.Size(msg); size >= bytes {
				return out[:i+1], nil
			}
		}
	}
	return out, nil
}

// Watch is replay that goes on. Batches without events say how far it has looked without
// finding any, so that a client can resume there.
func (s *Service) Watch(req *pb.WatchRequest, stream pb.StatehouseService_WatchServer) error {
	values, err := wire.ValuesFor(req)
	if err != nil {
		return err
	}
	f := engine.Filter{Namespace: req.GetNamespace(), Agent: req.GetAgentId(), AllAgents: req.GetAllAgents(), KeyPrefix: req.GetKeyPrefix(), KeysOnly: values.None(), AllOperations: req.GetAllOperations(), Lease: req.GetLease(), Due: req.GetDue()}
	cursor := s.engine.Published()
	if req.AfterTs != nil {
		// First: of a commit of another epoch it does not matter whether there is one of its number.
		if err := s.engine.CheckEpoch(req.GetEpoch(), engine.CommitTS(req.GetAfterTs())); err != nil {
			return err
		}
		if cursor < engine.CommitTS(req.GetAfterTs()) {
			return wire.Invalid("after_ts", fmt.Sprintf("commit %d has not happened yet; the last is %d", req.GetAfterTs(), cursor))
		}
		cursor = engine.CommitTS(req.GetAfterTs())
	}
	watch, err := s.engine.Watch(f)
	if err != nil {
		return err
	}
	defer watch.Close()
	epoch, _ := s.engine.Epoch()
	send := s.batchSender(epoch, stream.Send)
	if err := send(nil, cursor); err != nil { // the first mark: the watch stands
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	open := s.opened(ctx, pb.StreamKind_STREAM_KIND_WATCH, f, cursor)
	defer s.config.Streams.Add(open)()
	reader := &eventReader{s: s, filter: f, values: values, part: batchPart, turns: s.following, last: watch.Published, cursor: cursor, open: open}
	err = s.follow(ctx, watch, reader, send)
	if ctx.Err() != nil && s.draining.Err() != nil {
		return wire.Fail(engine.ErrStopped, fmt.Sprintf("the daemon is stopping: watch again after %d", reader.cursor))
	}
	return err
}

// follow sends what is published, as it is.
func (s *Service) follow(ctx context.Context, watch *engine.Watch, reader *eventReader, send sender) error {
	for marked := reader.cursor; ; {
		for reader.cursor < watch.Published() {
			// A watch that is behind never waits: the drain must be looked for, too.
			if err := ctx.Err(); err != nil {
				return err
			}
			out, refused, err := reader.next(ctx, 0)
			if err != nil {
				return err
			}
			cursor := reader.cursor
			if len(out) > 0 || watch.Due(marked, cursor) {
				if err := send(out, cursor); err != nil {
					return err
				}
				marked = cursor
			}
			if refused != nil {
				return refused
			}
		}
		if err := watch.Wait(ctx); err != nil {
			return err
		}
	}
}
