package server

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// unreadReads has a session ask for a value, again and again, without reading an answer,
// until it is stalled or has asked often enough. The channel tells when that has been sent.
func (k *talk) unreadReads(n int, agent string) <-chan error {
	sent := make(chan error, 1)
	go func() {
		raw := wireOf(k.t, &pb.GetStateRequest{AgentId: agent, Key: "k", Encoding: asJSON})
		for i := 0; i < n; {
			frame := &pb.SessionRequests{}
			for range 100 {
				i++
				frame.Requests = append(frame.Requests, &pb.SessionRequest{Id: uint64(i), Method: "GetState", Request: raw})
			}
			if err := k.stream.Send(frame); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	return sent
}

// A client that does not read its answers stalls its own session, on the same connection as
// others, and no other. When it reads, it goes on where it was (G9).
func TestSessionThatIsNotRead(t *testing.T) {
	r := newRig(t)
	r.put("", "a", "k", string(textOf(1000)))
	n := 50_000
	if underRace {
		n = 20_000 // still many times what waits for a reader
	}
	slow := silentOn(t, r.StatehouseServiceClient)
	defer slow.cancel()
	sent := slow.unreadReads(n, "a")
	eventually(t, "it is stalled", func() error {
		before := r.service.unsent.Usage().Unsent()
		time.Sleep(50 * time.Millisecond)
		if now := r.service.unsent.Usage().Unsent(); now == 0 || now != before {
			return errNotYet
		}
		return nil
	})
	other := r.talk()
	defer other.cancel()
	for range 100 {
		if err := other.call("GetState", &pb.GetStateRequest{AgentId: "a", Key: "k", Encoding: asJSON}, &pb.GetStateResponse{}); err != nil {
			t.Fatalf("another session: %v", err)
		}
	}
	r.put("", "a", "other", "{}")
	h, l := r.service.Held(), r.service.config.Tuning
	if h.Sessions.Requests > l.SessionRequests || h.Sessions.Bytes > l.SessionBytes+2000 {
		t.Errorf("%+v", h.Sessions)
	}
	if len(sent) != 0 {
		t.Error("all was taken from a client that reads nothing")
	}
	got := make(map[uint64]bool)
	for len(got) < n {
		m, err := slow.stream.Recv()
		if err != nil {
			t.Fatalf("after %d answers: %v", len(got), err)
		}
		for _, a := range m.Answers {
			if got[a.Id] || a.Status != nil || len(a.Answer) < 1000 {
				t.Fatalf("the answer to %d: twice %v, status %x, %d bytes", a.Id, got[a.Id], a.Status, len(a.Answer))
			}
			got[a.Id] = true
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// Many sessions whose answers are never read hold no more than the budget, and the daemon
// stays in reach.
func TestManySessionsThatAreNotRead(t *testing.T) {
	sequential(t)
	const unsentMiB, sessions = 16, 256
	r := newRig(t, withUnsent(unsentMiB, 512), new(stoppedClock).use)
	r.put("", "small", "k", string(textOf(200)))
	r.put("", "large", "k", string(textOf(200_000)))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var all []*talk
	for i := range sessions {
		if i%16 == 0 {
			conn := r.deaf()
			r.t.Cleanup(func() { _ = conn.Close() })
			for range 16 {
				k := silentOn(t, pb.NewStatehouseServiceClient(conn))
				k.unreadReads(2000, []string{"small", "large"}[i/16%2])
				all = append(all, k)
			}
		}
	}
	most := int64(0)
	eventually(t, "all are stalled", func() error {
		before := r.service.Held().Sessions
		time.Sleep(100 * time.Millisecond)
		most = max(most, r.service.unsent.Usage().Unsent())
		if h := r.service.Held().Sessions; h != before || h.Open < sessions {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	runtime.GC()
	runtime.ReadMemStats(&after)
	if most > unsentMiB<<20 {
		t.Errorf("%d bytes were counted as unsent", most)
	}
	// The clients are in this process, too, with windows of 64 KiB, and what they send.
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 2*unsentMiB<<20+sessions*(600<<10) {
		t.Errorf("%d MiB for %d sessions", grown>>20, sessions)
	} else {
		t.Logf("%d MiB for %d sessions, %d MiB counted, %+v", grown>>20, sessions, most>>20, r.service.Held().Sessions)
	}
	r.put("", "a", "k", "{}")
	if r.get("", "small", "k") == "" {
		t.Error("a small answer is not told")
	}
	for _, k := range all {
		k.cancel()
	}
	r.nothingWaits("all sessions are given up")
	eventually(t, "no session is left", func() error {
		if h := r.service.Held().Sessions; h.Open+h.Requests+h.Bytes != 0 {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
}

// When a stream breaks, what was under way in it ends, but commits that were begun.
func TestSessionThatBreaks(t *testing.T) {
	s := newStuck()
	r := newRig(t, s.use)
	k := r.talk()
	k.send(k.request("Transact", &pb.TransactRequest{TxnId: "begun", Operations: []*pb.TransactOperation{set("", "a", "k", `{"n":1}`)}}))
	<-s.held
	k.cancel()
	if err := k.end(); status.Code(err) != codes.Canceled {
		t.Error(err)
	}
	eventually(t, "nothing is held", func() error {
		if h := r.service.Held(); h.Sessions.Open+h.Sessions.Requests+h.Sessions.Bytes+h.Requests.UnderWay+h.Streams.UnderWay != 0 {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	close(s.release)
	if got := r.get("", "a", "k"); got != `{"n":1}` {
		t.Errorf("the commit that was begun: %q", got)
	}
}

// A drain answers what is under way, refuses what comes later, and then ends the session.
func TestDrainAndSessions(t *testing.T) {
	s := newStuck()
	r := newRig(t, s.use)
	k, idle := r.talk(), r.talk()
	var done pb.TransactResponse
	q := k.request("Transact", &pb.TransactRequest{TxnId: "early", Operations: []*pb.TransactOperation{set("", "a", "k", "{}")}})
	early := k.waits(q)
	k.send(q)
	<-s.held
	r.stop()
	refused(t, "an idle session", idle.end(), codes.Unavailable, pb.ErrorCode_UNAVAILABLE, "stopping")
	eventually(t, "requests are refused", func() error {
		err := k.call("GetState", &pb.GetStateRequest{AgentId: "a", Key: "k"}, &pb.GetStateResponse{})
		if err == nil {
			return errNotYet
		}
		refused(t, "a late read", err, codes.Unavailable, pb.ErrorCode_UNAVAILABLE, "stopping")
		return nil
	})
	late := k.call("Transact", &pb.TransactRequest{TxnId: "late", Operations: []*pb.TransactOperation{set("", "a", "l", "{}")}}, &done)
	refused(t, "a late commit", late, codes.Unavailable, pb.ErrorCode_UNAVAILABLE)
	again := k.call("Transact", &pb.TransactRequest{TxnId: "early", Operations: []*pb.TransactOperation{set("", "a", "k", "{}")}}, &done)
	if d := detailOf(again); d == nil || !d.MaybeApplied {
		t.Errorf("a late copy of a commit under way: %v", again)
	}
	close(s.release)
	if err := k.answerTo(early, &done); err != nil || done.CommitTs == 0 {
		t.Errorf("what was under way: %v %v", &done, err)
	}
	refused(t, "the session", k.end(), codes.Unavailable, pb.ErrorCode_UNAVAILABLE, "stopping")
	r.drained()
	if r.get("", "a", "k") != "{}" || r.get("", "a", "l") != "" {
		t.Error("the wrong commits are there")
	}
}

// A client that sends no more gets its answers, and then the end.
func TestSessionHalfClosed(t *testing.T) {
	s := newStuck()
	r := newRig(t, s.use)
	k := r.talk()
	q := k.request("Transact", &pb.TransactRequest{TxnId: "last", Operations: []*pb.TransactOperation{set("", "a", "k", "{}")}})
	w := k.waits(q)
	k.send(q)
	<-s.held
	if err := k.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	close(s.release)
	if err := k.answerTo(w, &pb.TransactResponse{}); err != nil {
		t.Error(err)
	}
	if err := k.end(); !errors.Is(err, io.EOF) {
		t.Errorf("the end: %v", err)
	}
}

// What is under way in a session is bounded by count, and waits in place of being refused.
func TestSessionInFlight(t *testing.T) {
	s := newStuck()
	r := newRig(t, s.use, func(c *Config, _ *engine.Env) { c.Tuning.SessionRequests = 3 })
	k := r.talk()
	defer k.cancel()
	var reqs []*pb.SessionRequest
	var waits []<-chan *pb.SessionAnswer
	for i := range 10 {
		q := k.request("Transact", &pb.TransactRequest{TxnId: fmt.Sprint("q-", i), Operations: []*pb.TransactOperation{set("", "a", fmt.Sprint(i), "{}")}})
		reqs, waits = append(reqs, q), append(waits, k.waits(q))
	}
	k.send(reqs...)
	for range 3 {
		<-s.held
	}
	time.Sleep(20 * time.Millisecond)
	if h := r.service.Held(); h.Sessions.Requests != 3 || len(s.held) != 0 || r.service.Reached()["SessionRequests"] == 0 {
		t.Errorf("%+v, %d more, %d", h.Sessions, len(s.held), r.service.Reached()["SessionRequests"])
	}
	close(s.release)
	for i, w := range waits {
		if err := k.answerTo(w, &pb.TransactResponse{}); err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
}

// Requests and answers of all sizes, from many callers: each gets its own answer.
func TestSessionUnderLoad(t *testing.T) {
	r := newRig(t)
	k := r.talk()
	defer k.cancel()
	var callers sync.WaitGroup
	for c := range 16 {
		callers.Go(func() {
			agent := fmt.Sprint("agent-", c)
			for i := range 30 {
				size := []int{10, 300, 5000, 70_000}[(c+i)%4]
				if c == 0 && i%10 == 0 {
					size = 1<<20 - 100
				}
				value := string(textOf(size))
				var done pb.TransactResponse
				if err := k.call("Transact", &pb.TransactRequest{TxnId: fmt.Sprint(c, "-", i), Operations: []*pb.TransactOperation{set("", agent, "k", value)}}, &done); err != nil {
					t.Errorf("%s, %d bytes: %v", agent, size, err)
					return
				}
				var got pb.GetStateResponse
				if err := k.call("GetState", &pb.GetStateRequest{AgentId: agent, Key: "k", Encoding: asJSON}, &got); err != nil || string(got.ValueJson) != value || got.CommitTs != done.CommitTs {
					t.Errorf("%s: commit %d, read %d of %d bytes, %v", agent, done.CommitTs, got.CommitTs, len(got.ValueJson), err)
					return
				}
				if i%5 == 0 {
					var list pb.ScanPrefixResponse
					if err := k.call("ScanPrefix", &pb.ScanPrefixRequest{AgentId: agent, Encoding: asJSON}, &list); err != nil || len(list.Entries) != 1 {
						t.Errorf("%s: %v %v", agent, len(list.Entries), err)
					}
				}
			}
		})
	}
	callers.Wait()
}

// The largest request, and the largest answer.
func TestSessionLargest(t *testing.T) {
	r := newRig(t)
	k := r.talk()
	defer k.cancel()
	var ops []*pb.TransactOperation
	for i := range 3 {
		ops = append(ops, set("", "a", fmt.Sprint(i), string(textOf(1<<20-200))))
	}
	if err := k.call("Transact", &pb.TransactRequest{TxnId: "large", Operations: ops}, &pb.TransactResponse{}); err != nil {
		t.Error(err)
	}
	var list pb.ScanPrefixResponse
	if err := k.call("ScanPrefix", &pb.ScanPrefixRequest{AgentId: "a", Encoding: asJSON}, &list); err != nil || len(list.Entries) != 3 {
		t.Errorf("%d entries, %v", len(list.Entries), err)
	}
	raw := func(n int) error {
		q := k.request("GetState", &pb.GetStateRequest{AgentId: "a", Key: "0"})
		pad := wireOf(t, &pb.GetStateRequest{Namespace: strings.Repeat("x", n-len(q.Request)-5)})
		q.Request = append(pad, q.Request...)
		if len(q.Request) != n {
			t.Fatalf("%d bytes", len(q.Request))
		}
		w := k.waits(q)
		k.send(q)
		return k.answerTo(w, &pb.GetStateResponse{})
	}
	invalidArgument(t, "as large as may be", raw(maxRequestBytes), "namespace")
	if err := raw(maxRequestBytes + 1); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("larger: %v", err)
	}
	if err := k.call("Health", &pb.HealthRequest{}, &pb.HealthResponse{}); err != nil {
		t.Errorf("after it: %v", err)
	}
}
