package server

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/types/known/emptypb"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// bodyless begins a request and sends no body.
func (r *rig) bodyless(ctx context.Context, method string) error {
	r.t.Helper()
	stream, err := r.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		r.t.Fatal(err)
	}
	return stream.RecvMsg(&emptypb.Empty{})
}

// One client may open as many streams as it likes: those past the limit are refused by
// name, and its other requests are answered (G9).
func TestStreamsOfOneClient(t *testing.T) {
	r := newRig(t)
	const more = 80
	results := make(chan error, 1024+more)
	for range 1024 + more {
		stream, err := r.Watch(timeout(t), &pb.WatchRequest{AgentId: "a"})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := stream.Recv() // the first mark: the watch stands
			results <- err
		}()
	}
	stand := 0
	for range cap(results) {
		if err := <-results; err != nil {
			exhausted(t, "one too many", err, "streams", "1024", "retry")
		} else {
			stand++
		}
	}
	if stand != 1024 {
		t.Errorf("%d watches stand", stand)
	}
	r.put("", "a", "k", `{}`)
}

// Who watches over the daemon is answered while a crowd waits for the disk, and while
// nobody else gets in any more.
func TestHealthBehindACrowd(t *testing.T) {
	var disk *slowDisk
	r := newRig(t, func(_ *Config, env *engine.Env) {
		disk = newSlowDisk(env.FS)
		env.FS = disk
	})
	release := disk.block()
	var crowd sync.WaitGroup
	for i := range 1100 {
		crowd.Go(func() {
			_, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: fmt.Sprint("crowd-", i), Operations: []*pb.TransactOperation{set("", "a", "k", `{}`)}})
			if err != nil && detailOf(err).GetCode() != pb.ErrorCode_OVERLOADED { // that is of who got in and waited long
				exhausted(t, "one of the crowd", err, "requests", "1024")
			}
		})
	}
	eventually(t, "no more get in", func() error {
		if r.service.requests.Free() > 0 {
			return errNotYet
		}
		return nil
	})
	_, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: "k"})
	exhausted(t, "a read", err, "requests", "1024")
	health := healthpb.NewHealthClient(r.conn)
	watch, err := health.Watch(timeout(t), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{ // in any order
		"Health":         second(r.Health(timeout(t), &pb.HealthRequest{})),
		"Version":        second(r.Version(timeout(t), &pb.VersionRequest{})),
		"GetStatus":      second(r.GetStatus(timeout(t), &pb.GetStatusRequest{})),
		"standard Check": second(health.Check(timeout(t), &healthpb.HealthCheckRequest{})),
		"standard Watch": second(watch.Recv()),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	release()
	crowd.Wait()
}

// Watches of the standard health service have room of their own, which is bounded.
func TestHealthWatchesAreBounded(t *testing.T) {
	r := newRig(t)
	refusals := 0
	for range r.config.WithDefaults().Tuning.HealthWatches + 3 {
		watch, err := healthpb.NewHealthClient(r.conn).Watch(timeout(t), &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := watch.Recv(); err != nil {
			exhausted(t, "a watch", err, "health", fmt.Sprint(r.config.WithDefaults().Tuning.HealthWatches))
			refusals++
		}
	}
	if refusals != 3 {
		t.Errorf("%d were refused", refusals)
	}
}

// What a header decides is not put off until the body is there.
func TestDecidedOnTheHeader(t *testing.T) {
	r := newRig(t, func(c *Config, _ *engine.Env) { c.Token, c.Requests, c.Streams = secret, 1, 1 })
	r.mute = true
	good := "Bearer " + secret
	for _, m := range []string{pb.StatehouseService_Transact_FullMethodName, pb.StatehouseService_Replay_FullMethodName, reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName} {
		refused(t, m+" without a token", r.bodyless(bearer(t), m), codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED)
	}
	watch, err := r.Watch(bearer(t, good), &pb.WatchRequest{AgentId: "a"})
	if err == nil {
		_, err = watch.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	exhausted(t, "a stream past the limit", r.bodyless(bearer(t, good), pb.StatehouseService_Replay_FullMethodName), "streams")
	if err := r.service.requests.Enter(); err != nil {
		t.Fatal(err)
	}
	defer r.service.requests.Leave()
	exhausted(t, "a request past the limit", r.bodyless(bearer(t, good), pb.StatehouseService_GetState_FullMethodName), "requests")
}

// A client without a token and one with a wrong one are told apart, and the log says
// who was refused: now and then, and never what was given.
func TestRefusedTokensAreTold(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	r := newRig(t, func(c *Config, env *engine.Env) {
		c.Token = secret
		env.Log = func(event string, attrs ...any) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, fmt.Sprint(event, " ", attrs))
		}
	})
	r.mute = true
	for range 50 {
		_, err := r.Health(bearer(t), &pb.HealthRequest{})
		refused(t, "none", err, codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED, "this daemon wants a token")
		_, err = r.Health(bearer(t, "Bearer guessed"), &pb.HealthRequest{})
		refused(t, "a wrong one", err, codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED, "not the one of this daemon")
	}
	mu.Lock()
	defer mu.Unlock()
	all := strings.Join(lines, "\n")
	if n := strings.Count(all, "refused for its token"); n == 0 || n > 40 {
		t.Errorf("%d lines of 100 refusals", n)
	}
	if !strings.Contains(all, "127.0.0.1:") || strings.Contains(all, "guessed") || strings.Contains(all, secret) {
		t.Errorf("the log:\n%s", all)
	}
}

// On a connection that is kept back there is health and administration, and the rest
// is refused by name.
func TestConnectionsKeptBack(t *testing.T) {
	r := newRig(t, func(c *Config, _ *engine.Env) { c.Connections, c.KeptBack = 1, 4 })
	w := r.watch(&pb.WatchRequest{AgentId: "a"})
	late := r.dial()
	defer late.Close()
	c := pb.NewStatehouseServiceClient(late)
	_, err := c.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: "k"})
	exhausted(t, "a read", err, "limit of 1 connections", "retry")
	stream, err := c.Watch(timeout(t), &pb.WatchRequest{AgentId: "a"})
	if err == nil {
		_, err = stream.Recv()
	}
	exhausted(t, "a watch", err, "limit of 1 connections")
	for what, err := range map[string]error{ // in any order
		"health":  second(c.Health(timeout(t), &pb.HealthRequest{})),
		"status":  second(c.GetStatus(timeout(t), &pb.GetStatusRequest{})),
		"capture": second(pb.NewCaptureServiceClient(late).GetCaptureStatus(timeout(t), &pb.GetCaptureStatusRequest{})),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	_ = w
}

// A reflection client that says nothing more does not hold the drain up.
func TestDrainEndsReflection(t *testing.T) {
	r := newRig(t)
	stream, err := reflectionpb.NewServerReflectionClient(r.conn).ServerReflectionInfo(timeout(t))
	if err != nil {
		t.Fatal(err)
	}
	ask := &reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}
	if err := stream.Send(ask); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	r.stop()
	_, err = stream.Recv()
	refused(t, "the stream", err, codes.Unavailable, pb.ErrorCode_UNAVAILABLE, "stopping")
	r.drained()
}

// Old clients ping once a second.
func TestFrequentPings(t *testing.T) {
	r := newRig(t)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	fr := http2.NewFramer(c, c)
	_, _ = c.Write([]byte(http2.ClientPreface))
	_ = fr.WriteSettings()
	tick := time.NewTicker(minPing + 100*time.Millisecond)
	defer tick.Stop()
	for i := range 5 {
		<-tick.C
		_ = fr.WritePing(false, [8]byte{byte(i)})
	}
	for acks := 0; acks < 5; {
		f, err := fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := f.(type) {
		case *http2.PingFrame:
			acks++
		case *http2.GoAwayFrame:
			t.Fatalf("%v %s", f.ErrCode, f.DebugData())
		}
	}
}
