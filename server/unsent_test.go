package server

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/unsent"
)

// unread is a call whose answer its client does not take: gRPC's window of 64 KiB is
// all that gets to it.
type unread struct {
	grpc.ClientStream
	cancel context.CancelFunc
}

// deaf opens a connection whose windows do not grow, so that what is not read is not
// taken either.
func (r *rig) deaf() *grpc.ClientConn {
	conn := r.dial(grpc.WithStaticStreamWindowSize(64<<10), grpc.WithStaticConnWindowSize(1<<20))
	r.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ask sends a request on conn and waits until the answer has begun, or is an error.
func ask(t *testing.T, conn *grpc.ClientConn, method string, req proto.Message) (*unread, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(timeout(t))
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, fullMethod(method))
	if err == nil {
		err = errors.Join(s.SendMsg(req), s.CloseSend())
	}
	if err != nil {
		t.Fatal(err)
	}
	if md, err := s.Header(); err != nil || len(md) == 0 { // a refusal comes without headers
		cancel()
		return nil, s.RecvMsg(&pb.ScanPrefixResponse{})
	}
	return &unread{s, cancel}, nil
}

var scanAll = &pb.ScanPrefixRequest{AgentId: "large", Encoding: asJSON}

// scans leaves scans unread, each on a connection of its own, until one is refused.
func (r *rig) scans() (list []*unread, conns []*grpc.ClientConn) {
	r.t.Helper()
	for {
		conn := r.deaf()
		u, err := ask(r.t, conn, "ScanPrefix", scanAll)
		if err != nil {
			exhausted(r.t, fmt.Sprintf("scan %d", len(list)), err, "waiting to be sent", "--max-unsent-mb")
			return list, conns
		}
		if list, conns = append(list, u), append(conns, conn); len(list) == 100 {
			r.t.Fatal("100 unread scans of 3 MiB, and no end")
		}
	}
}

// nothingWaits holds that all was given back.
func (r *rig) nothingWaits(what string) {
	r.t.Helper()
	eventually(r.t, what+": nothing waits to be sent", func() error {
		runtime.GC() // for frames that the transport drops without a word
		if n := r.service.unsent.Usage().Unsent(); n != 0 {
			return fmt.Errorf("%d bytes do", n)
		}
		return nil
	})
}

func withUnsent(mib int64, streams int) func(*Config, *engine.Env) {
	return func(c *Config, _ *engine.Env) {
		c.UnsentBytes, c.Streams = mib<<20, streams
	}
}

// stoppedClock is a store's clock that only the test moves, by nanoseconds, but for one
// at each look, so that times differ: on a slow machine those who do not read would be
// stalled before the test says so.
type stoppedClock struct{ atomic.Int64 }

func (c *stoppedClock) use(_ *Config, env *engine.Env) {
	begin := time.Now()
	env.Now = func() time.Time { return begin.Add(time.Duration(c.Add(1))) }
}

// TestUnreadAnswersAreBounded: answers that nobody reads are counted until they are
// written, and past the budget a page is refused by name, while small answers,
// writes and health go on (G9).
func TestUnreadAnswersAreBounded(t *testing.T) {
	r := newRig(t, withUnsent(16, 16), new(stoppedClock).use)
	for i := range 3 {
		r.put("", "large", fmt.Sprint(i), string(textOf(1<<20-100)))
	}
	list, conns := r.scans()
	if n := r.service.unsent.Usage().Unsent(); len(list) == 0 || n > 16<<20 || n < int64(len(list))*3<<20 {
		t.Errorf("%d scans are unread, %d bytes of them are counted", len(list), n)
	}
	again := func(what string, want int) {
		t.Helper()
		if more, _ := r.scans(); len(more) != want {
			t.Errorf("%s: %d scans, want %d", what, len(more), want)
		} else {
			for _, u := range more {
				u.cancel()
			}
		}
	}
	again("nobody has read", 0)
	r.put("", "a", "k", `{"small":true}`)
	if r.get("", "a", "k") == "" {
		t.Error("a small answer is not told")
	}
	if _, err := r.Health(timeout(t), &pb.HealthRequest{}); err != nil {
		t.Errorf("health: %v", err)
	}
	// One reads after all, one gives up, one's connection goes.
	var got pb.ScanPrefixResponse
	if err := list[0].RecvMsg(&got); err != nil || len(got.Entries) != 3 {
		t.Errorf("read late: %d entries, %v", len(got.Entries), err)
	}
	eventually(t, "room for one", func() error { return r.hasRoom(3 << 20) })
	again("one has read", 1)
	eventually(t, "room for one", func() error { return r.hasRoom(3 << 20) })
	list[1].cancel()
	eventually(t, "room for two", func() error { return r.hasRoom(6 << 20) })
	again("one has given up", 2)
	_ = conns[2].Close()
	for _, u := range list {
		u.cancel()
	}
	r.nothingWaits("all have given up")
}

// hasRoom reports whether a page of n bytes would be let in.
func (r *rig) hasRoom(n int64) error {
	if r.service.unsent.Usage().PageRoom < n+1<<16 {
		return errNotYet
	}
	return nil
}

// TestStalledConnectionsMakeRoom: who has not read for long is who pays when there is
// no room, not who comes next.
func TestStalledConnectionsMakeRoom(t *testing.T) {
	var clock stoppedClock
	r := newRig(t, withUnsent(16, 16), clock.use)
	for i := range 3 {
		r.put("", "large", fmt.Sprint(i), string(textOf(1<<20-100)))
	}
	list, _ := r.scans()
	clock.Add(int64(unsent.StalledAfter + time.Second))
	if resp, err := r.ScanPrefix(timeout(t), scanAll); err != nil || len(resp.Entries) != 3 {
		t.Errorf("with others that do not read: %d entries, %v", len(resp.GetEntries()), err)
	}
	if err := list[0].RecvMsg(&pb.ScanPrefixResponse{}); status.Code(err) != codes.Unavailable {
		t.Errorf("the one that did not read for longest: %v", err)
	}
	if err := list[1].RecvMsg(&pb.ScanPrefixResponse{}); err != nil {
		t.Errorf("another: %v", err)
	}
}

// TestUnsentComesBackToNothing: whatever becomes of calls, their connections and their
// answers, nothing stays counted.
func TestUnsentComesBackToNothing(t *testing.T) {
	r := newRig(t, withUnsent(64, 64))
	for i := range 3 {
		r.put("", "large", fmt.Sprint(i), string(textOf(100_000)))
		r.put("", "small", fmt.Sprint(i), `{}`)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			conn := r.dial()
			defer conn.Close()
			s := pb.NewStatehouseServiceClient(conn)
			for j := range 60 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+(i*60+j)%40)*50*time.Microsecond)
				switch agent := []string{"large", "small"}[j/5%2]; j % 5 {
				case 0:
					_, _ = s.ScanPrefix(ctx, &pb.ScanPrefixRequest{AgentId: agent})
				case 1:
					_, _ = s.GetState(ctx, &pb.GetStateRequest{AgentId: agent, Key: "0"})
				case 2:
					if w, err := s.Watch(ctx, &pb.WatchRequest{AgentId: agent, AfterTs: ptr(uint64(0))}); err == nil {
						_, _ = w.Recv()
					}
				case 3:
					_, _ = s.Replay(ctx, &pb.ReplayRequest{AgentId: agent})
				case 4:
					_, _ = s.ReplayBatches(ctx, &pb.ReplayRequest{AllAgents: true, Encoding: asJSON})
				}
				if j%7 != 0 {
					cancel()
				}
				defer cancel()
			}
		})
	}
	all.Wait()
	r.nothingWaits("after all that")
	if u := r.service.unsent.Usage(); u.Making != 0 || u.Waiting > 0 {
		t.Errorf("%d bytes are taken by messages that are made, %d wait", u.Making, u.Waiting)
	}
}

// counted counts the requests that wait, and how often any began to.
type counted struct{ now, ever atomic.Int64 }

func (c *counted) await(env *engine.Env) {
	await := env.Await
	env.Await = func(ctx context.Context, ready <-chan struct{}) error {
		c.ever.Add(1)
		c.now.Add(1)
		defer c.now.Add(-1)
		return await(ctx, ready)
	}
}

func (c *counted) until(t *testing.T, n int64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d wait", n), func() error {
		if got := c.now.Load(); got != n {
			return fmt.Errorf("%d do", got)
		}
		return nil
	})
}

// TestSlowStreamsCostACursor: replays and watches that nobody reads hold what is on its
// way to them and nothing else, and a commit costs no work for them.
func TestSlowStreamsCostACursor(t *testing.T) {
	for what, size := range map[string]int{"small events": 300, "large events": 60_000} { // each for itself: any order
		t.Run(what, func(t *testing.T) {
			if size > 1000 {
				sequential(t)
			}
			var waits counted
			r := newRig(t, withUnsent(64, 64), func(_ *Config, env *engine.Env) { waits.await(env) })
			for i := range 2000 {
				if i*size > 24<<20 {
					break
				}
				r.put("", "a", fmt.Sprint(i%10), string(textOf(size)))
			}
			heap := heapInUse()
			var streams []*unread
			shared := r.deaf()
			for i := range 60 {
				conn := shared
				if i%3 > 0 {
					conn = r.deaf()
				}
				req := proto.Message(&pb.ReplayRequest{AgentId: "a", Encoding: asJSON})
				method := []string{"Replay", "ReplayBatches", "Watch"}[i/3%3]
				if method == "Watch" {
					req = &pb.WatchRequest{AgentId: "a", Encoding: asJSON, AfterTs: ptr(uint64(0))}
				}
				s, err := ask(t, conn, method, req)
				if err != nil {
					t.Fatal(err)
				}
				streams = append(streams, s)
			}
			waits.until(t, 60)
			if n, most := r.service.unsent.Usage().Unsent(), 60*r.service.unsent.Usage().Share; n > most {
				t.Errorf("%d bytes are unsent; 60 streams may have %d", n, most)
			}
			// What their clients, in this process, have taken comes on top: a window each.
			if grown := heapInUse() - heap; grown > 60*600<<10 {
				t.Errorf("60 streams that nobody reads hold %d KiB each", grown/60>>10)
			}
			before := waits.ever.Load()
			var last uint64
			for range 100 {
				last = r.put("", "a", "k", `{}`).CommitTs
			}
			if woken := waits.ever.Load() - before; woken > 100 {
				t.Errorf("100 commits made %d requests wait anew", woken)
			}
			readOn(t, streams[6], last)
			for _, s := range streams {
				s.cancel()
			}
			r.nothingWaits("all are gone")
		})
	}
}

// readOn reads a watch that was left alone to the end: it has missed nothing.
func readOn(t *testing.T, s *unread, last uint64) {
	t.Helper()
	var tape tape
	for tape.cursor < last {
		var b pb.EventBatch
		err := s.RecvMsg(&b)
		if err == nil {
			err = tape.take(&b)
		}
		if err != nil {
			t.Fatalf("at %d: %v", tape.cursor, err)
		}
	}
	if uint64(len(tape.events)) != last {
		t.Errorf("%d events of %d", len(tape.events), last)
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestIdleWatchesCostNothing: a commit wakes the watches that it is for, and the others
// once in a while, to move their cursors: the rarer the more there are.
func TestIdleWatchesCostNothing(t *testing.T) {
	var waits counted
	r := newRig(t, func(_ *Config, env *engine.Env) { waits.await(env) })
	const idle = 150
	const every = engine.MarkEvery * (1 + (idle+1)/engine.WatchesPerMark)
	const commits = 2 * every
	var conns []*watching
	for i := range idle {
		conns = append(conns, r.watch(&pb.WatchRequest{AgentId: fmt.Sprint("idle", i)}))
	}
	busy := r.watch(&pb.WatchRequest{AgentId: "busy"})
	waits.until(t, idle+1)
	before := waits.ever.Load()
	for range commits {
		last := r.put("", "busy", "k", `{}`).CommitTs
		busy.until(last)
	}
	// The commit's own wait, the busy watch's, and all others' at each mark.
	if woken := waits.ever.Load() - before; woken > 2*commits+3*idle {
		t.Errorf("%d commits made requests wait anew %d times: %d watches were of no concern", commits, woken, idle)
	}
	conns[idle/2].until(every)
}

// TestWatchesTakeTurns: watches that wait for their turn to read hold up no commit, and find all
// that were made meanwhile when it comes.
func TestWatchesTakeTurns(t *testing.T) {
	const watches, commits = 5, 20
	var waits counted
	r := newRig(t, func(c *Config, env *engine.Env) {
		c.Tuning.WatchesReading = 1
		waits.await(env)
	})
	var all []*watching
	for range watches {
		all = append(all, r.watch(&pb.WatchRequest{AgentId: "busy", AfterTs: new(uint64(0))}))
	}
	waits.until(t, watches)
	turn, err := r.service.following.Acquire(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for range commits {
		r.put("", "busy", "k", `{}`)
	}
	eventually(t, "all wait for their turn", func() error {
		if _, waiting := r.service.following.Usage(); waiting != watches {
			return fmt.Errorf("%d do", waiting)
		}
		return nil
	})
	r.service.following.Release(turn)
	for i, w := range all {
		batch, err := w.Recv()
		if err != nil || len(batch.Events) != commits {
			t.Errorf("watch %d: the first message has %d events, and %d commits were made: %v", i, len(batch.GetEvents()), commits, err)
		}
	}
}

// TestLargeEventsHaveTheirBounds: events that are larger than a stream's share are
// counted with the answers, and refused by name past the budget.
func TestLargeEventsHaveTheirBounds(t *testing.T) {
	sequential(t)
	r := newRig(t, withUnsent(16, 16))
	var ops []*pb.TransactOperation
	for i := range 3 {
		ops = append(ops, set("", "large", fmt.Sprint(i), string(textOf(1<<20-1000))))
	}
	r.transact(ops...)
	r.transact(ops...)
	heap := heapInUse()
	held, refusals, conn := 0, 0, r.deaf()
	for i := range 12 {
		s, err := ask(t, conn, []string{"Replay", "ReplayBatches"}[i%2], &pb.ReplayRequest{AgentId: "large", Encoding: asJSON})
		if err == nil {
			held++
			defer s.cancel()
			continue
		}
		refusals++
		exhausted(t, "a replay", err, "waiting to be sent", "--max-unsent-mb")
	}
	if held == 0 || refusals == 0 || r.service.unsent.Usage().Unsent() > 16<<20 {
		t.Errorf("%d replays are held, %d refused, %d bytes counted", held, refusals, r.service.unsent.Usage().Unsent())
	}
	if grown := heapInUse() - heap; grown > 24<<20 {
		t.Errorf("%d MiB are held", grown>>20)
	}
	if _, err := r.Health(timeout(t), &pb.HealthRequest{}); err != nil {
		t.Error(err)
	}
}

// TestIdleWatchesMakeNothing: what making a large event took is given back when it is sent,
// not when the watch has something to send again, which may be never.
func TestIdleWatchesMakeNothing(t *testing.T) {
	sequential(t)
	r := newRig(t, withUnsent(64, 16))
	large := string(textOf(900_000))
	for range 12 { // as many as would take all there is
		w := r.watch(&pb.WatchRequest{AgentId: "a", AfterTs: ptr(r.put("", "a", "k", `{}`).CommitTs), Encoding: asJSON})
		w.until(r.put("", "a", "k", large).CommitTs)
	}
	eventually(t, "all is given back", func() error {
		if u := r.service.unsent.Usage(); u.Making != 0 || u.Waiting > 0 {
			return fmt.Errorf("%d bytes are taken, %d wait", u.Making, u.Waiting)
		}
		return nil
	})
	if _, err := r.ScanPrefix(timeout(t), &pb.ScanPrefixRequest{AgentId: "a", Encoding: asJSON}); err != nil {
		t.Error(err)
	}
}
