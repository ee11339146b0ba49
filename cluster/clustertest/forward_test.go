package clustertest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/client/session"
	"statehouse.dev/statehouse/cluster/clustertest"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/captures"
	"statehouse.dev/statehouse/server/web"
	"statehouse.dev/statehouse/server/wiretest"
)

// TestLostAnswer: a commit that was forwarded, and of which the answer is lost, may have been made. It is not sent a
// second time; sent again by its client it is found wherever it is sent.
func TestLostAnswer(t *testing.T) {
	c := clustertest.Start(t, clustertest.Options{})
	leader, follower := c.Leader(), c.Followers()[0]
	req := &pb.TransactRequest{TxnId: "one", Operations: []*pb.TransactOperation{set("a", "k", `{}`)}}
	c.LoseAnswers(true)
	before := leader.Handed()
	_, err := at(t, follower).Transact(c.Timeout(), req)
	if d := detailOf(err); status.Code(err) != codes.Unavailable || d.GetCode() != pb.ErrorCode_OUTCOME_UNKNOWN || !d.GetMaybeApplied() {
		t.Errorf("a commit of which the answer is lost: %v %v", err, d)
	}
	// What commits nothing has no outcome. It is answered as gRPC answers where nothing came back.
	_, err = at(t, follower).BeginTransaction(c.Timeout(), &pb.BeginTransactionRequest{})
	if d := detailOf(err); status.Code(err) != codes.Unavailable || d.GetCode() != pb.ErrorCode_UNKNOWN {
		t.Errorf("the beginning of a transaction of which the answer is lost: %v %v", err, d)
	}
	if sent := leader.Handed() - before; sent != 2 {
		t.Errorf("two requests were handed on %d times", sent)
	}
	c.LoseAnswers(false)
	for _, m := range c.Members {
		if r, err := at(t, m).Transact(c.Timeout(), req); err != nil || r.CommitTs != 1 || r.Versions[0] != 1 {
			t.Errorf("sent again to member %d it is %v, %v", m.ID, r, err)
		}
	}
}

// TestExactlyOnce: a counter that is counted up through all members, while those that lead are killed, has been
// counted up once by each that was told so, in the order in which they were.
func TestExactlyOnce(t *testing.T) {
	c := clustertest.Start(t, clustertest.Options{})
	const clients, each = 3, 15
	var counting sync.WaitGroup
	for n := range clients {
		members := make([]pb.StatehouseServiceClient, len(c.Members))
		for i, m := range c.Members {
			members[i] = at(t, m)
		}
		counting.Go(func() {
			last := uint64(0)
			for i := range each {
				req := &pb.TransactRequest{TxnId: fmt.Sprintf("client-%d-%d", n, i), Operations: []*pb.TransactOperation{{AgentId: "a", Key: "n", Increment: &pb.Increment{Pointer: "/n", Delta: "1"}}}}
				r, err := insist(members, n+i, req)
				if err != nil {
					t.Errorf("%s: %v", req.TxnId, err)
					return
				}
				if r.Versions[0] <= last {
					t.Errorf("client %d made version %d after %d", n, r.Versions[0], last)
				}
				last = r.Versions[0]
			}
		})
	}
	for range 2 {
		leader := c.Leader()
		leader.Cut(true) // nobody is told that it goes
		leader.Stop()
		c.Leader()
		leader.Cut(false)
		leader.Start()
	}
	counting.Wait()
	c.Settle()
	want := fmt.Sprintf(`{"n":%d}`, clients*each)
	for _, m := range c.Members {
		r := must[*pb.GetStateResponse](t)(at(t, m).GetState(c.Timeout(), get("a", "n")))
		if r.Version != clients*each || string(r.ValueJson) != want {
			t.Errorf("member %d has version %d, %s; want %s", m.ID, r.Version, r.ValueJson, want)
		}
	}
}

// insist sends a commit to one member after another, as clients do that know of none that leads, until it is answered.
func insist(members []pb.StatehouseServiceClient, first int, req *pb.TransactRequest) (*pb.TransactResponse, error) {
	for try, end := first, time.Now().Add(wiretest.Patience); ; try++ {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		r, err := members[try%len(members)].Transact(ctx, req)
		cancel()
		if code := status.Code(err); code != codes.Unavailable && code != codes.DeadlineExceeded || time.Now().After(end) {
			return r, err
		}
		if ms, is := detailOf(err).GetDetails()["retry_after_ms"]; is {
			after, _ := time.ParseDuration(ms + "ms")
			<-time.After(after)
		}
	}
}

// TestSession: requests of a session take the same way as calls.
func TestSession(t *testing.T) {
	c := clustertest.Start(t, clustertest.Options{})
	conn := session.New(connect(t, c.Followers()[0]), session.Options{})
	defer conn.Close()
	wiretest.BaseContract(t, conn, c.Advance)
	if c.Leader().Handed() == 0 {
		t.Error("nothing was forwarded")
	}
}

// TestHTTP: and so do those over HTTP.
func TestHTTP(t *testing.T) {
	urls := map[uint64]string{}
	c := clustertest.Start(t, clustertest.Options{Assembled: func(id uint64, s *server.Service) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		front, err := web.New(web.Config{Listeners: []net.Listener{l}, Backend: s.Handler()})
		if err != nil {
			t.Fatal(err)
		}
		s.AddFront(front)
		urls[id] = "http://" + l.Addr().String()
	}})
	follower := c.Followers()[0]
	post := func(method, body string) (int, string) {
		t.Helper()
		r, err := http.Post(urls[follower.ID]+"/statehouse.v1.StatehouseService/"+method, "application/json", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Body.Close() }()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(text)
	}
	if code, text := post("Transact", `{"txnId":"one","operations":[{"agentId":"a","key":"k","value":{"n":7}}]}`); code != http.StatusOK {
		t.Errorf("a commit: %d %s", code, text)
	}
	if code, text := post("GetState", `{"agentId":"a","key":"k"}`); code != http.StatusOK || !bytes.Contains([]byte(text), []byte(`{"n":7}`)) {
		t.Errorf("a read: %d %s", code, text)
	}
	if c.Leader().Handed() == 0 {
		t.Error("nothing was forwarded")
	}
}

// TestCapturedOnce: a request is recorded where its client made it, and nowhere else; and what is recorded keeps every
// guarantee.
func TestCapturedOnce(t *testing.T) {
	c := clustertest.Start(t, clustertest.Options{Config: func(_ uint64, c *server.Config, _ *engine.Env) {
		c.Capture = captures.Config{Dir: t.TempDir(), MaxBytes: 8 << 20, On: true}
	}})
	leader, follower := c.Leader(), c.Followers()[0]
	must[*pb.TransactResponse](t)(at(t, follower).Transact(c.Timeout(), &pb.TransactRequest{TxnId: "one", Operations: []*pb.TransactOperation{set("a", "k", `{"n":1}`)}}))
	must[*pb.GetStateResponse](t)(at(t, follower).GetState(c.Timeout(), get("a", "k")))
	c.Settle()
	for _, m := range []*clustertest.Member{leader, follower} {
		path, err := m.Service().DumpCapture("a test")
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		h, err := history.ReadHistory(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		if m == follower {
			want = 2
		}
		if len(h.Operations) != want {
			t.Errorf("member %d has recorded %d operations, want %d", m.ID, len(h.Operations), want)
		}
		if m == leader {
			continue // whose log has a commit of which it knows no client
		}
		if judged := linearizability.Check(h, linearizability.Options{}); len(judged.Violations) > 0 {
			t.Errorf("member %d: %v", m.ID, judged.Violations[0])
		}
	}
}
