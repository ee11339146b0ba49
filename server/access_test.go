package server

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

const secret = "correct horse battery staple"

func bearer(t *testing.T, values ...string) context.Context {
	ctx := timeout(t)
	for _, v := range values {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", v)
	}
	return ctx
}

func TestToken(t *testing.T) {
	r := newRig(t, func(c *Config, _ *engine.Env) { c.Token = secret })
	r.mute = true // the end of the test has no token
	for _, c := range []struct {
		what   string
		values []string
		let    bool
	}{
		{"none", nil, false},
		{"the token", []string{"Bearer " + secret}, true},
		{"among others", []string{"Basic eDp5", "Bearer wrong", "Bearer " + secret}, true},
		{"without scheme", []string{secret}, false},
		{"of another scheme", []string{"Basic " + secret}, false},
		{"empty", []string{"Bearer "}, false},
		{"wrong", []string{"Bearer " + strings.ToUpper(secret)}, false},
		{"a prefix of it", []string{"Bearer " + secret[:len(secret)-1]}, false},
		{"one character more", []string{"Bearer " + secret + "x"}, false},
	} {
		_, unary := r.Health(bearer(t, c.values...), &pb.HealthRequest{})
		stream, err := r.Watch(bearer(t, c.values...), &pb.WatchRequest{AgentId: "a"})
		if err != nil {
			t.Fatal(err)
		}
		_, streaming := stream.Recv()
		for _, err := range []error{unary, streaming} {
			if !c.let {
				d := refused(t, c.what, err, codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED, "Bearer")
				if strings.Contains(d.Message, "horse") {
					t.Errorf("%s: the refusal gives the token away: %s", c.what, d.Message)
				}
			} else if err != nil {
				t.Errorf("%s: refused: %v", c.what, err)
			}
		}
	}
}

// Nothing answers without the token, neither the neighbours of the service nor a
// method that it does not have; but the standard health service, for probes.
func TestTokenGuardsEverything(t *testing.T) {
	r := newRig(t, func(c *Config, _ *engine.Env) { c.Token = secret })
	r.mute = true
	for _, m := range allMethods() {
		refused(t, m, r.raw(m, nil), codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED)
		refused(t, m+", malformed", r.raw(m, []byte{0xff}), codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED)
	}
	health := healthpb.NewHealthClient(r.conn)
	for what, ctx := range map[string]context.Context{"no token": timeout(t), "a wrong one": bearer(t, "Bearer wrong")} { // in any order
		if got, err := health.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil || got.Status != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("standard health with %s: %v %v", what, got, err)
		}
		watch, err := health.Watch(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := watch.Recv(); err != nil || got.Status != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("a watch of standard health with %s: %v %v", what, got, err)
		}
	}
	stream, err := reflectionpb.NewServerReflectionClient(r.conn).ServerReflectionInfo(timeout(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	refused(t, "reflection", err, codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED)
}

// Past the number of requests and streams under way there is a clear no at once,
// and a place is free again as soon as one ends (G9).
func TestGates(t *testing.T) {
	block := make(chan struct{})
	r := newRig(t, func(c *Config, env *engine.Env) {
		c.Requests, c.Streams = 2, 2
		await := env.Await
		env.Await = func(ctx context.Context, ready <-chan struct{}) error {
			select { // a commit that takes its time
			case <-block:
			case <-ctx.Done():
			}
			return await(ctx, ready)
		}
	})
	done := make(chan error, 2)
	for _, id := range []string{"one", "two"} {
		go func() {
			_, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: id, Operations: []*pb.TransactOperation{set("", "a", "k", `{}`)}})
			done <- err
		}()
	}
	eventually(t, "both are under way", func() error {
		if r.service.requests.Free() != 0 {
			return errNotYet
		}
		return nil
	})
	read := func() error {
		_, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: "k"})
		return err
	}
	err := read()
	refused(t, "a third request", err, codes.ResourceExhausted, pb.ErrorCode_LIMIT_EXCEEDED, "requests", "2", "retry")
	close(block)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := read(); err != nil {
		t.Errorf("after they have ended: %v", err)
	}

	open := func() (context.CancelFunc, error) {
		ctx, cancel := context.WithCancel(timeout(t))
		stream, err := r.Watch(ctx, &pb.WatchRequest{AgentId: "a"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		return cancel, err
	}
	first, err1 := open()
	_, err2 := open()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	_, err = open()
	refused(t, "a third watch", err, codes.ResourceExhausted, pb.ErrorCode_LIMIT_EXCEEDED, "streams")
	first()
	eventually(t, "a place is free", func() error { _, err := open(); return err })
}
