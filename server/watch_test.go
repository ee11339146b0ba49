package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// watching is a watch that a test reads by hand.
type watching struct {
	grpc.ServerStreamingClient[pb.EventBatch]
	tape
	t      *testing.T
	cancel context.CancelFunc
}

// watch opens a watch and takes its first mark.
func (r *rig) watch(req *pb.WatchRequest) *watching {
	r.t.Helper()
	ctx, cancel := context.WithCancel(timeout(r.t))
	s, err := r.Watch(ctx, req)
	if err != nil {
		r.t.Fatal(err)
	}
	w := &watching{ServerStreamingClient: s, t: r.t, cancel: cancel}
	first, err := s.Recv()
	if err != nil || len(first.Events) != 0 || req.AfterTs != nil && first.Cursor != req.GetAfterTs() {
		r.t.Fatalf("the first mark is %v: %v", first, err)
	}
	w.cursor = first.Cursor
	return w
}

// until reads on until the cursor is at ts, or further.
func (w *watching) until(ts uint64) {
	w.t.Helper()
	for w.cursor < ts {
		batch, err := w.Recv()
		if err == nil {
			err = w.take(batch)
		}
		if err != nil {
			w.t.Fatalf("at %d of %d: %v", w.cursor, ts, err)
		}
	}
}

func TestWatchFromACursor(t *testing.T) {
	r := newRig(t)
	for i := range 5 {
		r.put("", "a", fmt.Sprint("k", i%2), fmt.Sprintf(`{"n":%d}`, i))
	}
	now := r.watch(&pb.WatchRequest{AgentId: "a", Encoding: asJSON})
	start := r.watch(&pb.WatchRequest{AgentId: "a", Encoding: asJSON, AfterTs: ptr(uint64(0))})
	middle := r.watch(&pb.WatchRequest{AgentId: "a", Encoding: asJSON, AfterTs: ptr(uint64(3)), KeyPrefix: "k0"})
	end := r.watch(&pb.WatchRequest{AgentId: "a", Encoding: asJSON, AfterTs: ptr(uint64(5))})
	if now.cursor != 5 {
		t.Errorf("a watch from now is at %d", now.cursor)
	}
	last := r.transact(set("", "a", "k0", `{"n":5}`), remove("", "a", "k1")).CommitTs
	for _, w := range []*watching{now, start, middle, end} {
		w.until(last)
	}
	tail := `6:a/k0@4={"n":5},a/k1@3-, `
	for what, c := range map[string]struct{ got, want string }{ // independent of each other: any order
		"from now": {summary(now.events), tail}, "from the end": {summary(end.events), tail},
		"from the start": {summary(start.events), `1:a/k0@1={"n":0}, 2:a/k1@1={"n":1}, 3:a/k0@2={"n":2}, 4:a/k1@2={"n":3}, 5:a/k0@3={"n":4}, ` + tail},
		"of a prefix":    {summary(middle.events), `5:a/k0@3={"n":4}, 6:a/k0@4={"n":5}, `},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", what, c.got, c.want)
		}
	}
	err := r.rawFirst("Watch", wireOf(t, &pb.WatchRequest{AgentId: "a", AfterTs: ptr(uint64(7))}))
	invalidArgument(t, "a cursor from the future", err, "7", "6")
}

// A watch that has nothing to send says how far it has looked, so that it can be
// resumed there.
func TestWatchMarksProgress(t *testing.T) {
	r := newRig(t)
	idle := r.watch(&pb.WatchRequest{AgentId: "idle"})
	for range 3 * engine.MarkEvery {
		r.put("", "busy", "k", `{}`)
	}
	idle.until(2 * engine.MarkEvery)
	if len(idle.events) != 0 {
		t.Errorf("it saw %s", summary(idle.events))
	}
}

// While writers write, watchers of one agent, of all and of a prefix see each
// commit once and in order, however often they lose their connection (G5).
func TestWatchUnderWritersAndReconnects(t *testing.T) {
	r := newRig(t)
	const writers, commits = 4, 120
	var writing, all sync.WaitGroup
	for i := range writers {
		writing.Go(func() {
			for j := range commits {
				r.transact(set("", fmt.Sprint("agent", i%2), fmt.Sprintf("%d/%d", i, j%3), `{}`), set("n2", "agent0", "elsewhere", `{}`))
			}
		})
	}
	total := uint64(writers*commits) + 1
	all.Go(func() { // one commit that every watcher sees, to end with
		writing.Wait()
		r.transact(set("", "agent0", "2/end", `{}`), set("", "agent1", "2/end", `{}`), set("n2", "agent0", "end", `{}`))
	})
	for n, req := range []*pb.WatchRequest{
		{AgentId: "agent0"}, {AgentId: "agent1", Encoding: asJSON}, {AllAgents: true, Encoding: noValues}, {AllAgents: true, KeyPrefix: "2/"}, {Namespace: "n2", AllAgents: true},
	} {
		all.Go(func() {
			var tape tape
			rng := rand.New(rand.NewPCG(uint64(n), 1))
			lost := 0
			for ; tape.cursor < total; lost++ {
				conn := r.dial()
				again := &pb.WatchRequest{Namespace: req.Namespace, AgentId: req.AgentId, AllAgents: req.AllAgents, KeyPrefix: req.KeyPrefix, Encoding: req.Encoding, AfterTs: ptr(tape.cursor)}
				s, err := pb.NewStatehouseServiceClient(conn).Watch(timeout(t), again)
				for range 1 + rng.IntN(12) {
					var batch *pb.EventBatch
					if err == nil {
						batch, err = s.Recv()
					}
					if err == nil {
						err = tape.take(batch)
					}
					if err != nil {
						t.Errorf("watcher %d at %d: %v", n, tape.cursor, err)
						_ = conn.Close()
						return
					}
					if tape.cursor >= total {
						break
					}
				}
				_ = conn.Close() // in the middle of whatever is under way
			}
			// What it saw is what replay tells afterwards.
			want := r.both(&pb.ReplayRequest{Namespace: req.Namespace, AgentId: req.AgentId, AllAgents: req.AllAgents, KeyPrefix: req.KeyPrefix, Encoding: req.Encoding})
			if summary(tape.events) != summary(want) || len(want) < commits {
				t.Errorf("watcher %d saw %d events over %d connections, replay has %d, or they differ", n, len(tape.events), lost, len(want))
			}
		})
	}
	all.Wait()
}

// A value that the watch's encoding cannot carry ends it before its cursor passes
// it: resumed, in another encoding, the watch goes on with that event.
func TestWatchStopsBeforeWhatItCannotCarry(t *testing.T) {
	for _, before := range []int{0, 1, engine.MarkEvery} {
		r := newRig(t)
		for range before {
			r.put("", "a", "k", `{}`)
		}
		big := r.put("", "a", "k", `{"n":9007199254740993}`).CommitTs
		for range 2 * engine.MarkEvery {
			r.put("", "a", "k", `{}`)
		}
		w := r.watch(&pb.WatchRequest{AgentId: "a", AfterTs: ptr(uint64(0)), Strict: true})
		var err error
		for err == nil {
			var batch *pb.EventBatch
			if batch, err = w.Recv(); err == nil {
				err = w.take(batch)
			}
		}
		refused(t, "the watch", err, codes.FailedPrecondition, pb.ErrorCode_NOT_REPRESENTABLE, fmt.Sprint("commit ", big))
		if w.cursor >= big || len(w.events) != before {
			t.Errorf("%d before it: %d events, the cursor is at %d of %d", before, len(w.events), w.cursor, big)
		}
		w = r.watch(&pb.WatchRequest{AgentId: "a", AfterTs: ptr(w.cursor), Encoding: asJSON})
		w.until(big)
		if !strings.Contains(summary(w.events), "9007199254740993") {
			t.Errorf("%d before it: resumed, the event is gone", before)
		}
	}
}

// A watcher that does not read costs its cursor and nobody else's time; when it
// reads again it has missed nothing.
func TestSlowWatcher(t *testing.T) {
	r := newRig(t)
	slow := r.watch(&pb.WatchRequest{AgentId: "a", Encoding: asJSON})
	for range 100 {
		r.put("", "a", "k", string(textOf(100_000)))
	}
	fast := r.watch(&pb.WatchRequest{AgentId: "a", Encoding: noValues})
	last := r.put("", "a", "k", `{}`).CommitTs
	fast.until(last)
	slow.until(last)
	if len(slow.events) != 101 {
		t.Errorf("%d events, want 101", len(slow.events))
	}
}

// A client that goes away ends its watch on the server.
func TestWatchEndsWithItsClient(t *testing.T) {
	r := newRig(t)
	w := r.watch(&pb.WatchRequest{AgentId: "a"})
	if r.service.streams.Free() != r.service.config.Streams-1 {
		t.Error("the watch is not counted: this tests nothing")
	}
	w.cancel()
	eventually(t, "the watch has ended", func() error {
		if r.service.streams.Free() != r.service.config.Streams {
			return errNotYet
		}
		return nil
	})
	if _, err := w.Recv(); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the client heard %v", err)
	}
}
