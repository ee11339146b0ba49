package server

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/capture"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/unsent"
	"statehouse.dev/statehouse/server/wire"
	"statehouse.dev/statehouse/server/wiretest"
)

// What holds for unary calls holds for the requests of a session: the same request gets the
// same refusal, whatever refuses it.

func TestSessionRefusesAsUnaryCallsDo(t *testing.T) {
	r := newRig(t, func(c *Config, _ *engine.Env) { c.Engine.Limits.TxnOps = 3 })
	k := r.talk()
	defer k.cancel()
	r.put("", "a", "k", `{"n":9223372036854775807}`)
	crowd := bytes.Repeat(wiretest.Message(2, wiretest.Text(2, "a"), wiretest.Text(3, "k"), wiretest.Varint(6, 1)), wire.MaxElements+1)
	wires := map[string][]byte{ // independent of each other: any order
		"nothing":       {},
		"no tag":        {0xff},
		"cut":           {0x0a, 0x05, 'x'},
		"not UTF-8":     wiretest.Text(1, "a\xff"),
		"a crowd":       append(wiretest.Text(1, "crowd"), crowd...),
		"control":       wiretest.Text(1, "\x01"),
		"too large":     wiretest.Text(99, strings.Repeat("x", maxRequestBytes)),
		"unknown field": wiretest.Text(99, "x"),
	}
	for what, wire := range wires { // any order
		for _, m := range allMethods() {
			if isStream(m) || m == "BeginTransaction" || m == "GetStatus" {
				continue
			}
			unary := r.raw(m, wire)
			req := k.request(m, nil)
			req.Request = wire
			w := k.waits(req)
			k.send(req)
			same(t, m+" "+what, k.answerTo(w, &pb.HealthRequest{}), unary)
		}
	}
	for what, req := range map[string]proto.Message{ // any order
		"too many operations": &pb.TransactRequest{TxnId: "many", Operations: []*pb.TransactOperation{set("", "a", "1", "{}"), set("", "a", "2", "{}"), set("", "a", "3", "{}"), set("", "a", "4", "{}")}},
		"a precondition":      &pb.TransactRequest{TxnId: "pre", Operations: []*pb.TransactOperation{{AgentId: "a", Key: "k", ValueJson: []byte(`{}`), ExpectedVersion: ptr(uint64(7))}}},
	} {
		wire := wireOf(t, req)
		method := strings.TrimSuffix(string(req.ProtoReflect().Descriptor().Name()), "Request")
		err := k.call(method, req, &pb.HealthRequest{})
		if same(t, what, err, r.raw(method, wire)); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}

// same holds that a request of a session ends as the same call does.
func same(t *testing.T, what string, inSession, unary error) {
	t.Helper()
	a, b := detailOf(inSession), detailOf(unary)
	if status.Code(inSession) != status.Code(unary) || status.Convert(inSession).Message() != status.Convert(unary).Message() || !proto.Equal(a, b) {
		t.Errorf("%s: %v %v, as a call %v %v", what, inSession, a, unary, b)
	}
}

// The token is asked for with each request: what a session may do ends with it.
func TestSessionAndToken(t *testing.T) {
	r := newRig(t, func(c *Config, _ *engine.Env) { c.Token = "secret" })
	r.mute = true
	ctx := metadata.AppendToOutgoingContext(timeout(t), "authorization", "Bearer secret")
	none, err := r.StatehouseServiceClient.Session(timeout(t))
	if err == nil {
		_, err = none.Recv()
	}
	refused(t, "a session without a token", err, codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED)
	stream, err := r.StatehouseServiceClient.Session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	k := newTalk(t, stream, func() {})
	go k.read()
	ask := func() error {
		return k.call("GetState", &pb.GetStateRequest{AgentId: "a", Key: "k"}, &pb.GetStateResponse{})
	}
	if err := ask(); err != nil {
		t.Errorf("with the token: %v", err)
	}
	r.service.SetToken("another")
	refused(t, "with the old token", ask(), codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED)
	r.service.SetToken("secret")
	if err := ask(); err != nil {
		t.Errorf("with the token again: %v", err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	_ = k.end()
}

// The limits of what is under way are those of the daemon, not of a session.
func TestSessionAndLimits(t *testing.T) {
	r := newRig(t)
	k := r.talk()
	defer k.cancel()
	r.put("", "a", "k", "{}")
	copied := &pb.TransactRequest{TxnId: "copied", Operations: []*pb.TransactOperation{set("", "a", "k", "{}")}}
	if _, err := r.Transact(timeout(t), copied); err != nil {
		t.Fatal(err)
	}
	taken := 0
	for ; r.service.requests.Enter() == nil; taken++ {
	}
	read := k.call("GetState", &pb.GetStateRequest{AgentId: "a", Key: "k"}, &pb.GetStateResponse{})
	write := k.call("Transact", copied, &pb.TransactResponse{})
	probe := k.call("Health", &pb.HealthRequest{}, &pb.HealthResponse{})
	for range taken {
		r.service.requests.Leave()
	}
	refused(t, "a read", read, codes.ResourceExhausted, pb.ErrorCode_LIMIT_EXCEEDED, "requests", "1024")
	if d := detailOf(write); d == nil || d.Code != pb.ErrorCode_LIMIT_EXCEEDED || !d.MaybeApplied {
		t.Errorf("a copy of what was committed: %v", write)
	}
	if probe != nil {
		t.Errorf("health: %v", probe)
	}
}

// Sessions that send more than the daemon takes wait for their turn: nothing of theirs is
// refused, and others are served meanwhile (G9).
func TestSessionsLeaveRoom(t *testing.T) {
	const limit, share, each = 8, 6, 8
	var disk *slowDisk
	r := newRig(t, func(c *Config, env *engine.Env) {
		c.Requests = limit
		disk = newSlowDisk(env.FS)
		env.FS = disk
	})
	r.put("", "a", "k", "{}")
	release := sync.OnceFunc(disk.block())
	defer release()
	talks := []*talk{r.talk(), r.talk()}
	answers := make(map[*talk][]<-chan *pb.SessionAnswer)
	for n, k := range talks {
		defer k.cancel()
		var frame []*pb.SessionRequest
		for i := range each {
			q := k.request("Transact", &pb.TransactRequest{TxnId: fmt.Sprint("t-", n, "-", i), Operations: []*pb.TransactOperation{set("", "a", "k", "{}")}})
			frame, answers[k] = append(frame, q), append(answers[k], k.waits(q))
		}
		k.send(frame...)
	}
	eventually(t, "both sessions wait for a turn", func() error {
		if taken, waiting := r.service.turns.Usage(); taken != share || waiting != len(talks) {
			return fmt.Errorf("%d turns are taken, and %d sessions wait", taken, waiting)
		}
		return nil
	})
	if got := r.get("", "a", "k"); got != "{}" {
		t.Errorf("another client reads %s", got)
	}
	release()
	for _, k := range talks {
		for i, w := range answers[k] {
			if err := k.answerTo(w, &pb.TransactResponse{}); err != nil {
				t.Errorf("request %d: %v", i, err)
			}
		}
	}
	eventually(t, "the turns are given back", func() error {
		if taken, waiting := r.service.turns.Usage(); taken != 0 || waiting != 0 {
			return fmt.Errorf("%d are taken, and %d sessions wait", taken, waiting)
		}
		return nil
	})
}

// stuck is an environment in which whoever waits is held until release, and with it the
// commit that it waits for: answers come when the test says so.
type stuck struct {
	held    chan struct{} // one for each
	release chan struct{}
}

func newStuck() *stuck { return &stuck{make(chan struct{}, 1<<16), make(chan struct{})} }

// use holds what requests of sessions wait for.
func (s *stuck) use(_ *Config, env *engine.Env) {
	await := env.Await
	env.Await = func(ctx context.Context, ready <-chan struct{}) error {
		if unsent.CallOf(ctx) == nil {
			return await(ctx, ready)
		}
		s.held <- struct{}{}
		select {
		case <-s.release:
			return await(ctx, ready)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A deadline ends its own request and no other, and so does a cancellation; ids are free
// after their answers.
func TestSessionDeadlinesAndCancellation(t *testing.T) {
	s := newStuck()
	r := newRig(t, s.use)
	k := r.talk()
	defer k.cancel()
	var reqs []*pb.SessionRequest
	var waits []<-chan *pb.SessionAnswer
	for i := range 4 {
		q := k.request("Transact", &pb.TransactRequest{TxnId: fmt.Sprint("stuck-", i), Operations: []*pb.TransactOperation{set("", "a", fmt.Sprint(i), "{}")}})
		reqs, waits = append(reqs, q), append(waits, k.waits(q))
	}
	reqs[1].TimeoutUs = 50_000
	reqs[3].TimeoutUs = uint64(time.Hour.Microseconds())
	k.send(reqs...)
	var done pb.TransactResponse
	refused(t, "past its deadline", k.answerTo(waits[1], &done), codes.Unavailable, pb.ErrorCode_OUTCOME_UNKNOWN, "deadline")
	k.send(&pb.SessionRequest{Id: reqs[2].Id, Cancel: true}, &pb.SessionRequest{Id: 999, Cancel: true})
	refused(t, "cancelled", k.answerTo(waits[2], &done), codes.Unavailable, pb.ErrorCode_OUTCOME_UNKNOWN, "canceled")
	if len(waits[0])+len(waits[3]) != 0 {
		t.Error("others have ended, too")
	}
	close(s.release)
	for _, i := range []int{0, 3} {
		if err := k.answerTo(waits[i], &done); err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	again := k.request("GetState", &pb.GetStateRequest{AgentId: "a", Key: "0", Encoding: asJSON})
	k.mu.Lock()
	k.waiting[reqs[0].Id] = k.waiting[again.Id]
	delete(k.waiting, again.Id)
	again.Id = reqs[0].Id
	k.mu.Unlock()
	w := k.waits(again)
	k.send(again)
	var got pb.GetStateResponse
	if err := k.answerTo(w, &got); err != nil || string(got.ValueJson) != "{}" {
		t.Errorf("an id again: %v %v", &got, err)
	}
}

// An id that is under way already ends the session: no one could say which answer is whose.
// What is under way ends with it, and no other session does.
func TestSessionIDsAreUnique(t *testing.T) {
	s := newStuck()
	r := newRig(t, s.use)
	k, other := r.talk(), r.talk()
	defer other.cancel()
	q := k.request("Transact", &pb.TransactRequest{TxnId: "twice", Operations: []*pb.TransactOperation{set("", "a", "k", "{}")}})
	k.send(q)
	<-s.held
	k.send(q)
	invalidArgument(t, "the session", k.end(), "under way already", fmt.Sprint(q.Id))
	close(s.release)
	if err := other.call("Health", &pb.HealthRequest{}, &pb.HealthResponse{}); err != nil {
		t.Errorf("another session: %v", err)
	}
	var st pb.GetStatusResponse
	if err := other.call("GetStatus", &pb.GetStatusRequest{}, &st); err != nil || st.Sessions != 1 || st.SessionRequests != 1 {
		t.Errorf("%v %v", &st, err)
	}
}

// Each request of a session is in a capture as a call of its own (the rig judges them, too).
func TestSessionIsCaptured(t *testing.T) {
	r := newRig(t)
	k := r.talk()
	defer k.cancel()
	var reqs []*pb.SessionRequest
	var waits []<-chan *pb.SessionAnswer
	for i := range 20 {
		q := k.request("Transact", &pb.TransactRequest{TxnId: fmt.Sprint("c-", i), Operations: []*pb.TransactOperation{set("", "a", "k", fmt.Sprintf(`{"n":%d}`, i))}})
		g := k.request("GetState", &pb.GetStateRequest{AgentId: "a", Key: "k", Encoding: asJSON})
		reqs, waits = append(reqs, q, g), append(waits, k.waits(q), k.waits(g))
	}
	k.send(reqs...)
	for i, w := range waits {
		var into proto.Message = &pb.TransactResponse{}
		if i%2 == 1 {
			into = &pb.GetStateResponse{}
		}
		if err := k.answerTo(w, into); err != nil {
			t.Error(err)
		}
	}
	var b bytes.Buffer
	if err := r.service.captures.Dump(context.Background(), &b, capture.RedactNothing); err != nil {
		t.Fatal(err)
	}
	h, err := history.ReadHistory(&b)
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[history.Kind]int)
	for _, o := range h.Operations {
		kinds[o.Kind]++
		if o.Outcome != history.OK {
			t.Errorf("%+v", o)
		}
	}
	if kinds[history.Transact] != 20 || kinds[history.Get] != 20 {
		t.Errorf("%v", kinds)
	}
}

// A panic is its request's, as in a call.
func TestSessionPanics(t *testing.T) {
	r := newRig(t, func(_ *Config, env *engine.Env) {
		env.Log = func(string, ...any) {}
	})
	k := r.talk()
	defer k.cancel()
	inner := r.service.inSession
	r.service.inSession = func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return inner(ctx, req, info, func(ctx context.Context, req any) (any, error) {
			if g, ok := req.(*pb.GetStateRequest); ok && g.Key == "panic" {
				panic("on purpose")
			}
			return handler(ctx, req)
		})
	}
	err := k.call("GetState", &pb.GetStateRequest{AgentId: "a", Key: "panic"}, &pb.GetStateResponse{})
	refused(t, "a panic", err, codes.Internal, pb.ErrorCode_INTERNAL_ERROR, "GetState")
	if err := k.call("GetState", &pb.GetStateRequest{AgentId: "a", Key: "k"}, &pb.GetStateResponse{}); err != nil {
		t.Errorf("after it: %v", err)
	}
}
