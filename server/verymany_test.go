package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// seen is what a reader of the log was sent: a line an operation, and of each commit how many events.
type seen struct {
	ops    map[uint64][]string
	events map[uint64]int
}

// take takes a batch. Between the events of one commit no cursor stands past it.
func (s *seen) take(t *testing.T, b *pb.EventBatch, wire string) {
	t.Helper()
	for _, ev := range b.Events {
		s.events[ev.CommitTs]++
		for _, op := range ev.Operations {
			line := fmt.Sprintf("%s@%d=%s", op.Key, op.Version, op.ValueJson)
			switch {
			case op.Act != nil:
				line = fmt.Sprintf("%s* %v %s@%d", op.Key, op.Act.Kind, op.Act.AgentId, op.Act.CommitTs)
			case op.Deleted:
				line = fmt.Sprintf("%s@%d-", op.Key, op.Version)
			}
			if slices.Contains(s.ops[ev.CommitTs], line) {
				t.Errorf("%s: commit %d tells %s again", wire, ev.CommitTs, line)
			}
			s.ops[ev.CommitTs] = append(s.ops[ev.CommitTs], line)
		}
	}
}

// readers reads the log as clients do: of the old contract, or of the new one, by each method.
func (r *rig) readers(agent string, upTo uint64, all bool) map[string]*seen {
	r.t.Helper()
	read := make(map[string]*seen)
	each := func(name string, open func(context.Context) (func() (*pb.EventBatch, error), error)) {
		s := &seen{ops: make(map[uint64][]string), events: make(map[uint64]int)}
		read[name] = s
		ctx, cancel := context.WithCancel(timeout(r.t))
		defer cancel()
		next, err := open(ctx)
		for err == nil {
			var b *pb.EventBatch
			if b, err = next(); err != nil {
				break
			}
			if s.take(r.t, b, name); b.Cursor >= upTo && name == "watch" {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			r.t.Fatalf("%s: %v", name, err)
		}
	}
	each("replay", func(ctx context.Context) (func() (*pb.EventBatch, error), error) {
		s, err := r.Replay(ctx, &pb.ReplayRequest{AgentId: agent, AllOperations: all, Encoding: asJSON})
		return func() (*pb.EventBatch, error) {
			ev, err := s.Recv()
			return &pb.EventBatch{Events: []*pb.ReplayEvent{ev}}, err
		}, err
	})
	each("batches", func(ctx context.Context) (func() (*pb.EventBatch, error), error) {
		s, err := r.ReplayBatches(ctx, &pb.ReplayRequest{AgentId: agent, AllOperations: all, Encoding: asJSON})
		return func() (*pb.EventBatch, error) { return s.Recv() }, err
	})
	each("watch", func(ctx context.Context) (func() (*pb.EventBatch, error), error) {
		s, err := r.Watch(ctx, &pb.WatchRequest{AgentId: agent, AfterTs: ptr(uint64(0)), AllOperations: all, Encoding: asJSON})
		return func() (*pb.EventBatch, error) { return s.Recv() }, err
	})
	return read
}

// many commits an operation on many keys. One at a time of an agent is carried out, and others of its size are
// told to try again.
func (r *rig) many(op *pb.TransactOperation) *pb.TransactResponse {
	r.t.Helper()
	req := &pb.TransactRequest{TxnId: r.id(), Operations: []*pb.TransactOperation{op}}
	var resp *pb.TransactResponse
	eventually(r.t, "the operation before is carried out", func() (err error) {
		if resp, err = r.Transact(timeout(r.t), req, grpc.WaitForReady(true)); err != nil && (status.Code(err) != codes.ResourceExhausted || detailOf(err).GetCode() != pb.ErrorCode_OVERLOADED) {
			r.t.Fatal(err)
		}
		return err
	})
	again, err := r.Transact(timeout(r.t), req)
	if err != nil || again.CommitTs != resp.CommitTs || len(again.Results) != 1 || again.Results[0].Keys != resp.Results[0].Keys {
		r.t.Errorf("sent again it is answered %v, %v, not %v", again, err, resp)
	}
	return resp
}

// TestVeryManyKeys: a delete of an agent, and its restore, of more keys than a transaction may change, are one
// commit each, as readers of the new contract and of the old one are told of them.
func TestVeryManyKeys(t *testing.T) {
	r := newRig(t, func(c *Config, _ *engine.Env) {
		c.Engine.Limits.TxnOps, c.Engine.Tuning.PieceRows, c.Engine.Tuning.ChunkBytes = 8, 4, 700
	})
	const n = 40
	key := func(i int) string { return fmt.Sprintf("note/%02d", i) }
	var deletes, writes, late []string
	for i := 0; i < n; i += 8 {
		var ops []*pb.TransactOperation
		for k := i; k < i+8; k++ {
			ops = append(ops, set("", "a", key(k), fmt.Sprintf(`{"n":%d}`, k)))
			deletes = append(deletes, key(k)+"@2-")
			writes = append(writes, fmt.Sprintf(`%s@3={"n":%d}`, key(k), k))
		}
		r.transact(ops...)
	}
	then := r.put("", "b", "k", `{"n":1}`).CommitTs
	deleted := r.many(&pb.TransactOperation{AgentId: "a", DeleteAgent: true})
	if got := r.get("", "a", key(3)); deleted.Results[0].Keys != n || !slices.Equal(deleted.Versions, []uint64{0}) || got != "" {
		t.Errorf("the delete is answered %v, and a key is %q", deleted, got)
	}
	restored := r.many(&pb.TransactOperation{AgentId: "a", Restore: &pb.Restore{At: &pb.At{Point: &pb.At_CommitTs{CommitTs: then}}}})
	if got := r.get("", "a", key(3)); restored.Results[0].Keys != n || !slices.Equal(restored.Versions, []uint64{0}) || got != `{"n":3}` {
		t.Errorf("the restore is answered %v, and a key is %q", restored, got)
	}
	last := r.put("", "a", key(3), `{"n":"later"}`).CommitTs // the commits before say what they said
	late = append(late, key(3)+`@4={"n":"later"}`)

	check := func() {
		t.Helper()
		for name, s := range r.readers("a", last, false) {
			for ts, want := range map[uint64][]string{deleted.CommitTs: deletes, restored.CommitTs: writes, last: late} {
				if !slices.Equal(s.ops[ts], want) {
					t.Errorf("%s of an old reader tells of commit %d\n%v\nnot\n%v", name, ts, s.ops[ts], want)
				}
			}
			if s.events[deleted.CommitTs] < 2 || s.events[restored.CommitTs] < 2 || s.events[last] != 1 {
				t.Errorf("%s of an old reader has %v events", name, s.events)
			}
		}
		for name, s := range r.readers("a", last, true) {
			for ts, want := range map[uint64]string{deleted.CommitTs: "* DELETED @0", restored.CommitTs: fmt.Sprintf("* RESTORED a@%d", then)} {
				if got := s.ops[ts]; len(got) != 1 || got[0] != want || s.events[ts] != 1 {
					t.Errorf("%s of a new reader tells of commit %d %v, not %q", name, ts, got, want)
				}
			}
		}
	}
	check()
	r.restart()
	check()
	_, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: r.id(), Operations: []*pb.TransactOperation{
		{AgentId: "a", Restore: &pb.Restore{At: &pb.At{Point: &pb.At_CommitTs{CommitTs: deleted.CommitTs}}}}, set("", "a", "new", `{"n":1}`),
	}})
	refused(t, "a restore of very many keys beside another operation", err, codes.ResourceExhausted, pb.ErrorCode_LIMIT_EXCEEDED, "limit of 8")
}
