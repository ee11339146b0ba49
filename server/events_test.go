package server

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// eventStream is what Replay, ReplayBatches and Watch have in common.
type eventStream interface {
	next() (*pb.EventBatch, error)
}

type single struct {
	grpc.ServerStreamingClient[pb.ReplayEvent]
}

func (s single) next() (*pb.EventBatch, error) {
	ev, err := s.Recv()
	if err != nil {
		return nil, err
	}
	return &pb.EventBatch{Events: []*pb.ReplayEvent{ev}, Cursor: ev.CommitTs}, nil
}

type batched struct {
	grpc.ServerStreamingClient[pb.EventBatch]
}

func (s batched) next() (*pb.EventBatch, error) { return s.Recv() }

// tape is what a stream brought.
type tape struct {
	events []*pb.ReplayEvent
	cursor uint64
	err    error // nil: it ended
}

// collect reads a stream to its end, and holds that commit_ts only rise, that no
// event is empty and that no cursor stands before an event already sent, or past
// one that comes later.
func collect(t *testing.T, open func() (eventStream, error)) *tape {
	t.Helper()
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	c := &tape{}
	for {
		batch, err := s.next()
		if errors.Is(err, io.EOF) {
			return c
		}
		if err != nil {
			c.err = err
			return c
		}
		if err := c.take(batch); err != nil {
			t.Error(err)
		}
	}
}

func (c *tape) take(batch *pb.EventBatch) error {
	for _, ev := range batch.Events {
		if ev.CommitTs <= c.cursor || len(ev.Operations) == 0 || ev.TxnId == "" || ev.CommitTime == nil {
			return fmt.Errorf("after %d came %v", c.cursor, ev)
		}
		c.cursor = ev.CommitTs
		c.events = append(c.events, ev)
	}
	if batch.Cursor < c.cursor {
		return fmt.Errorf("cursor %d, but %d was sent", batch.Cursor, c.cursor)
	}
	c.cursor = batch.Cursor
	return nil
}

// both runs a replay as single events and in batches, which must agree.
func (r *rig) both(req *pb.ReplayRequest) []*pb.ReplayEvent {
	r.t.Helper()
	one := collect(r.t, func() (eventStream, error) { s, err := r.Replay(timeout(r.t), req); return single{s}, err })
	many := collect(r.t, func() (eventStream, error) { s, err := r.ReplayBatches(timeout(r.t), req); return batched{s}, err })
	if one.err != nil || many.err != nil {
		r.t.Fatalf("replay %v: %v, %v", req, one.err, many.err)
	}
	a, b := summary(one.events), summary(many.events)
	if a != b {
		r.t.Errorf("replay %v: single events %s, batches %s", req, a, b)
	}
	return one.events
}

// summary spells events for comparing: "3:a/k1@2= 4:…".
func summary(events []*pb.ReplayEvent) string {
	var s strings.Builder
	for _, ev := range events {
		fmt.Fprint(&s, ev.CommitTs, ":")
		for _, op := range ev.Operations {
			sign := "="
			if op.Deleted {
				sign = "-"
			}
			fmt.Fprintf(&s, "%s/%s@%d%s%s,", op.AgentId, op.Key, op.Version, sign, op.ValueJson)
		}
		s.WriteByte(' ')
	}
	return s.String()
}
