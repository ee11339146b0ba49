package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// drained waits for Serve to end by itself, not by drainTimeout's hammer, and
// starts it again.
func (r *rig) drained() {
	r.t.Helper()
	select {
	case err := <-r.served:
		if err != nil {
			r.t.Errorf("Serve ended with %v", err)
		}
		r.served <- nil // for halt, which waits again
	case <-time.After(drainTimeout / 2):
		r.t.Error("Serve does not end by itself")
	}
	r.restart()
}

func TestDrainEndsWatches(t *testing.T) {
	r := newRig(t)
	r.put("", "a", "k", `{}`)
	w := r.watch(&pb.WatchRequest{AgentId: "a"})
	r.stop()
	_, err := w.Recv()
	refused(t, "the watch", err, codes.Unavailable, pb.ErrorCode_UNAVAILABLE, "after 1")
	_, err = r.Watch(timeout(t), &pb.WatchRequest{AgentId: "a"})
	if err == nil {
		t.Log("a new watch was let in while the connection was still up")
	}
	r.drained()
	w = r.watch(&pb.WatchRequest{AgentId: "a", AfterTs: ptr(w.cursor)})
	w.until(r.put("", "a", "k", `{}`).CommitTs)
}

// A watch that is far behind ends too, where it is: its client resumes.
func TestDrainEndsWatchesThatCatchUp(t *testing.T) {
	r := newRig(t)
	const commits = 100
	for range commits {
		r.put("", "a", "k", string(textOf(100_000)))
	}
	w := r.watch(&pb.WatchRequest{AgentId: "a", AfterTs: ptr(uint64(0)), Encoding: asJSON})
	w.until(1)
	r.stop()
	<-r.service.draining.Done()
	var err error
	for err == nil {
		var batch *pb.EventBatch
		if batch, err = w.Recv(); err == nil {
			err = w.take(batch)
		}
	}
	refused(t, "the watch", err, codes.Unavailable, pb.ErrorCode_UNAVAILABLE)
	if w.cursor == commits {
		t.Error("it was sent all the log first")
	}
	r.drained()
	w2 := r.watch(&pb.WatchRequest{AgentId: "a", AfterTs: ptr(w.cursor), Encoding: noValues})
	w2.until(commits)
	if got := len(w.events) + len(w2.events); got != commits {
		t.Errorf("%d events over both, want %d", got, commits)
	}
}

// What is under way when the drain begins is finished and answered.
func TestDrainFinishesWhatIsUnderWay(t *testing.T) {
	held, release := make(chan struct{}, 1), make(chan struct{})
	r := newRig(t, func(_ *Config, env *engine.Env) {
		await := env.Await
		env.Await = func(ctx context.Context, ready <-chan struct{}) error {
			select {
			case held <- struct{}{}: // the first one only
				<-release
			default:
			}
			return await(ctx, ready)
		}
	})
	answer := make(chan error, 1)
	go func() {
		_, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: "held", Operations: []*pb.TransactOperation{set("", "a", "k", `{}`)}})
		answer <- err
	}()
	eventually(t, "the commit is under way", func() error {
		if len(held) == 0 {
			return errNotYet
		}
		return nil
	})
	r.stop()
	<-r.service.draining.Done()
	close(release)
	if err := <-answer; err != nil {
		t.Errorf("a commit under way: %v", err)
	}
	r.drained()
	if r.get("", "a", "k") != `{}` {
		t.Error("the commit is gone")
	}
}

// Clients that check health by a stream, as gRPC's own do, must not hold the
// daemon up.
func TestDrainEndsHealthWatches(t *testing.T) {
	r := newRig(t)
	s, err := healthpb.NewHealthClient(r.conn).Watch(timeout(t), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is serving", func() error {
		if got, err := s.Recv(); err != nil || got.Status != healthpb.HealthCheckResponse_SERVING {
			return fmt.Errorf("%v %w", got, err)
		}
		return nil
	})
	r.stop()
	r.drained()
	for err == nil {
		var got *healthpb.HealthCheckResponse
		if got, err = s.Recv(); err == nil && got.Status != healthpb.HealthCheckResponse_NOT_SERVING {
			t.Errorf("while draining: %v", got)
		}
	}
}

// A replay under way may finish; what comes after the drain is not served.
func TestDrainAndReplays(t *testing.T) {
	r := newRig(t)
	for range 50 {
		r.put("", "a", "k", string(textOf(100_000)))
	}
	s, err := r.ReplayBatches(timeout(t), &pb.ReplayRequest{AgentId: "a", Encoding: asJSON})
	if err != nil {
		t.Fatal(err)
	}
	var got tape
	batch, err := s.Recv()
	if err != nil || got.take(batch) != nil {
		t.Fatal(err)
	}
	r.stop()
	<-r.service.draining.Done()
	for err == nil {
		if batch, err = s.Recv(); err == nil {
			err = got.take(batch)
		}
	}
	if !errors.Is(err, io.EOF) || len(got.events) != 50 {
		t.Errorf("%d events, then %v", len(got.events), err)
	}
	eventually(t, "new requests are refused", func() error {
		_, err := r.Health(timeout(t), &pb.HealthRequest{})
		if err == nil {
			return errNotYet
		}
		if c := status.Code(err); c != codes.Unavailable && !strings.Contains(err.Error(), "closing") {
			t.Errorf("after the drain: %v", err)
		}
		return nil
	})
	r.drained()
}
