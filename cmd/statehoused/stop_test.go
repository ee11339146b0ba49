package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// TestStopUnderLoad stops the daemon in order under 16 writers and a health watch,
// by one signal, by two of one kind and by two of different kinds. Nothing that was
// acknowledged is lost, watches are told where to go on, the exit is clean and in
// time. All lives are on one directory: the log is checked at the end.
func TestStopUnderLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	b := &book{txns: map[string]*transaction{}}
	tapes := map[string]*tape{"default": {}, "other": {}}
	for life, signals := range [][]syscall.Signal{{syscall.SIGTERM}, {syscall.SIGTERM, syscall.SIGTERM}, {syscall.SIGINT, syscall.SIGTERM}} {
		d := start(t, dir)
		b.sendAgain(t, d, newRand(life))
		followed := follow(context.Background(), t, d, tapes)
		health, err := healthpb.NewHealthClient(d.conn).Watch(call(t), &healthpb.HealthCheckRequest{})
		if err == nil {
			_, err = health.Recv()
		}
		if err != nil {
			t.Fatal(err)
		}
		until := b.acks.Load() + 150
		written := load(t, d, b, life, nil)
		eventually(t, "enough is acknowledged", func() error {
			if b.acks.Load() < until {
				return errNotYet
			}
			return nil
		})
		begun := time.Now()
		for _, s := range signals {
			d.signal(s)
		}
		if code := d.exit(); code != exitOK {
			t.Errorf("%v: exit code %d:\n%s", signals, code, d.log())
		}
		// Everybody was let go at once; 20 s are for those who do not want to.
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("%v: it took %v", signals, took)
		}
		if !strings.Contains(lastLine(d.log()), "msg=stopped") {
			t.Errorf("%v: the last words are %q", signals, lastLine(d.log()))
		}
		written()
		followed()
		verified(t, dir)
	}
	d := start(t, dir)
	b.sendAgain(t, d, newRand(99))
	st, err := d.GetStatus(call(t), &pb.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	n := b.check(t, d, st.PublishedTs, map[string]*tape{"default": replay(t, d, "default"), "other": replay(t, d, "other")})
	t.Logf("%d transactions in the log, %d acknowledged", n, len(b.all(acked)))
}

// A watch hears that the daemon stops, with a code that says: come again.
func TestStopTellsWatches(t *testing.T) {
	d := start(t, filepath.Join(t.TempDir(), "data"))
	s, err := d.Watch(call(t), &pb.WatchRequest{AgentId: "a"})
	if err == nil {
		_, err = s.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	d.terminate()
	if _, err = s.Recv(); status.Code(err) != codes.Unavailable || detail(err) != pb.ErrorCode_UNAVAILABLE {
		t.Errorf("the watch heard %v", err)
	}
}

// A client that holds a stream and does not read cannot keep the daemon from
// stopping within 30 s. This takes drainTimeout.
func TestStopDespiteAClientThatDoesNotRead(t *testing.T) {
	if !sweep {
		t.Skip("20 s: with STATEHOUSE_SWEEP=full")
	}
	d := start(t, filepath.Join(t.TempDir(), "data"))
	value := `{"v":"` + strings.Repeat("x", 1<<19) + `"}`
	for i := range 40 {
		if _, err := d.Transact(call(t), &pb.TransactRequest{TxnId: fmt.Sprint(i), Operations: []*pb.TransactOperation{put("a", "k", value)}}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := d.Replay(context.Background(), &pb.ReplayRequest{AgentId: "a", Encoding: pb.ValueEncoding_VALUE_ENCODING_JSON})
	if err == nil {
		_, err = s.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	d.terminate()
	t.Logf("it took %v", time.Since(begun))
}
