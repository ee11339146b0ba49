package server

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// uses calls everything that takes the id of an open transaction, but Abort.
func (r *rig) uses(id string) map[string]error {
	_, write := r.Write(timeout(r.t), &pb.WriteRequest{TxnId: id, AgentId: "a", Key: "k", ValueJson: []byte(`{}`)})
	_, del := r.Delete(timeout(r.t), &pb.DeleteRequest{TxnId: id, AgentId: "a", Key: "k"})
	_, get := r.GetState(timeout(r.t), &pb.GetStateRequest{TxnId: id, AgentId: "a", Key: "k"})
	_, batch := r.BatchGetState(timeout(r.t), &pb.BatchGetStateRequest{TxnId: id, Names: []*pb.RecordName{{AgentId: "a", Key: "k"}}})
	_, list := r.ListKeys(timeout(r.t), &pb.ListKeysRequest{TxnId: id, AgentId: "a"})
	_, scan := r.ScanPrefix(timeout(r.t), &pb.ScanPrefixRequest{TxnId: id, AgentId: "a"})
	return map[string]error{"write": write, "delete": del, "get": get, "batch get": batch, "list": list, "scan": scan}
}

func (r *rig) commit(id string) (*pb.CommitResponse, error) {
	return r.Commit(timeout(r.t), &pb.CommitRequest{TxnId: id})
}

func (r *rig) abort(id string) error {
	_, err := r.Abort(timeout(r.t), &pb.AbortRequest{TxnId: id})
	return err
}

// state asks for a transaction's outcome.
func (r *rig) state(id string) *pb.GetTransactionResponse {
	r.t.Helper()
	resp, err := r.GetTransaction(timeout(r.t), &pb.GetTransactionRequest{TxnId: id})
	if err != nil {
		r.t.Fatal(err)
	}
	return resp
}

func (r *rig) wantState(id string, want pb.TransactionState) {
	r.t.Helper()
	if got := r.state(id); got.State != want {
		r.t.Errorf("transaction %s is %v, want %v", id, got.State, want)
	}
}

func TestIDsThatAreNoTransaction(t *testing.T) {
	r := newRig(t)
	unknown := "01890a5d-ac96-774b-bcce-b302099a8057"
	for what, err := range r.uses(unknown) { // independent of each other: any order
		refused(t, what+" of an unknown id", err, codes.NotFound, pb.ErrorCode_TXN_NOT_FOUND, unknown)
	}
	_, err := r.commit(unknown)
	refused(t, "commit of an unknown id", err, codes.NotFound, pb.ErrorCode_TXN_NOT_FOUND, unknown)
	if err := r.abort(unknown); err != nil {
		t.Errorf("abort of an unknown id: %v", err)
	}
	r.wantState(unknown, pb.TransactionState_TRANSACTION_STATE_NEVER_SEEN)

	// Well formed, and never issued: as unknown as any other, whatever its form.
	for _, id := range []string{"x", strings.ToUpper(unknown), unknown[:34] + "-d", strings.Repeat("-", 36), strings.Repeat("x", 128)} {
		for what, err := range r.uses(id) { // any order
			refused(t, fmt.Sprintf("%s of %.40q", what, id), err, codes.NotFound, pb.ErrorCode_TXN_NOT_FOUND, id)
		}
		_, err := r.commit(id)
		refused(t, fmt.Sprintf("commit of %.40q", id), err, codes.NotFound, pb.ErrorCode_TXN_NOT_FOUND, id)
		if err := r.abort(id); err != nil {
			t.Errorf("abort of %.40q, which began nothing: %v", id, err)
		}
	}
	for _, id := range []string{unknown + " ", "\u00e9", strings.Repeat("x", 129), strings.Repeat("x", 1<<20)} {
		for what, err := range r.uses(id) { // any order
			invalidArgument(t, fmt.Sprintf("%s of %.40q", what, id), err, "txn_id")
		}
		_, err := r.commit(id)
		invalidArgument(t, fmt.Sprintf("commit of %.40q", id), err, "txn_id")
		if err := r.abort(id); err != nil {
			t.Errorf("abort of %.40q, which is the id of nothing: %v", id, err)
		}
	}
	theirs := "test-1" // what a client of Transact chose
	r.transact(set("", "a", "k", "{}"))
	for what, err := range r.uses(theirs) { // any order
		refused(t, what+" of a Transact's id", err, codes.NotFound, pb.ErrorCode_TXN_NOT_FOUND, theirs)
	}
	_, err = r.commit(theirs)
	refused(t, "commit of a Transact's id", err, codes.NotFound, pb.ErrorCode_TXN_NOT_FOUND, theirs)
	refused(t, "abort of a Transact's id", r.abort(theirs), codes.FailedPrecondition, pb.ErrorCode_TXN_ALREADY_COMMITTED, theirs)
	for _, what := range []string{"write", "delete"} { // a read with an empty id is outside transactions
		invalidArgument(t, what+" of an empty id", r.uses("")[what], "txn_id")
	}
	_, err = r.commit("")
	invalidArgument(t, "commit of an empty id", err, "txn_id")
	if err := r.abort(""); err != nil {
		t.Errorf("abort of an empty id: %v", err)
	}
	_, err = r.GetTransaction(timeout(t), &pb.GetTransactionRequest{})
	invalidArgument(t, "outcome of an empty id", err, "txn_id")
}

func TestTimeouts(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		asked   *uint64
		granted uint64
	}{
		{nil, 30_000}, {ptr(uint64(0)), 1}, {ptr(uint64(1)), 1}, {ptr(uint64(250)), 250}, {ptr(uint64(3_600_000)), 3_600_000},
		{ptr(uint64(3_600_001)), 3_600_000}, {ptr(uint64(math.MaxInt64)), 3_600_000}, {ptr(uint64(math.MaxUint64)), 3_600_000},
	} {
		begun, err := r.BeginTransaction(timeout(t), &pb.BeginTransactionRequest{TimeoutMs: c.asked})
		if err != nil || begun.TimeoutMs != c.granted {
			t.Fatalf("asked for %v: %v %v, want %d", c.asked, begun, err, c.granted)
		}
		if c.granted > 1000 {
			r.advance(time.Duration(c.granted)*time.Millisecond - 500*time.Millisecond)
			r.wantState(begun.TxnId, pb.TransactionState_TRANSACTION_STATE_OPEN)
		}
		r.advance(time.Duration(c.granted) * time.Millisecond)
		for what, err := range r.uses(begun.TxnId) { // independent of each other: any order
			refused(t, what+" after the timeout", err, codes.DeadlineExceeded, pb.ErrorCode_TXN_EXPIRED, begun.TxnId)
		}
		_, err = r.commit(begun.TxnId)
		refused(t, "commit after the timeout", err, codes.DeadlineExceeded, pb.ErrorCode_TXN_EXPIRED)
		r.wantState(begun.TxnId, pb.TransactionState_TRANSACTION_STATE_EXPIRED)
		if err := r.abort(begun.TxnId); err != nil {
			t.Errorf("abort after the timeout: %v", err)
		}
		r.wantState(begun.TxnId, pb.TransactionState_TRANSACTION_STATE_EXPIRED)
	}
	if st, err := r.GetStatus(timeout(t), &pb.GetStatusRequest{}); err != nil || st.OpenTransactions != 0 || st.PublishedTs != 0 {
		t.Errorf("after all have expired: %v, %v", st, err)
	}
}

func TestAfterTheEnd(t *testing.T) {
	r := newRig(t)
	aborted, committed := r.begin(), r.begin()
	for _, id := range []string{aborted, committed} {
		if err := r.write(id, "a", "k", `{"v":1}`); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.abort(aborted); err != nil {
		t.Fatal(err)
	}
	first, err := r.commit(committed)
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"at once", "after a restart"} {
		for what, err := range r.uses(committed) { // independent of each other: any order
			refused(t, what+" after the commit, "+when, err, codes.FailedPrecondition, pb.ErrorCode_TXN_ALREADY_COMMITTED, committed)
		}
		refused(t, "abort after the commit, "+when, r.abort(committed), codes.FailedPrecondition, pb.ErrorCode_TXN_ALREADY_COMMITTED)
		again, err := r.commit(committed)
		if err != nil || !proto.Equal(again, first) {
			t.Errorf("commit again, %s: %v %v, want %v", when, again, err, first)
		}
		if o := r.state(committed); o.State != pb.TransactionState_TRANSACTION_STATE_COMMITTED || o.CommitTs != first.CommitTs || len(o.Versions) != 1 {
			t.Errorf("outcome, %s: %v", when, o)
		}
		if when == "at once" {
			for what, err := range r.uses(aborted) { // any order
				refused(t, what+" after the abort", err, codes.FailedPrecondition, pb.ErrorCode_TXN_ABORTED, aborted)
			}
			_, err := r.commit(aborted)
			refused(t, "commit after the abort", err, codes.FailedPrecondition, pb.ErrorCode_TXN_ABORTED)
			r.wantState(aborted, pb.TransactionState_TRANSACTION_STATE_ABORTED)
		}
		if err := r.abort(aborted); err != nil {
			t.Errorf("abort again, %s: %v", when, err)
		}
		r.restart()
	}
	if events := r.both(&pb.ReplayRequest{AgentId: "a"}); len(events) != 1 {
		t.Errorf("%d events, want 1", len(events))
	}
}

func TestHundredCommitsAtOnce(t *testing.T) {
	r := newRig(t)
	id := r.begin()
	for i := range 3 {
		if err := r.write(id, "a", fmt.Sprint(i), `{}`); err != nil {
			t.Fatal(err)
		}
	}
	answers := make([]*pb.CommitResponse, 100)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			var err error
			if answers[i], err = r.commit(id); err != nil {
				t.Errorf("commit %d: %v", i, err)
			}
		})
	}
	all.Wait()
	for i := range answers {
		if !proto.Equal(answers[i], answers[0]) {
			t.Errorf("commit %d answered %v, another %v", i, answers[i], answers[0])
		}
	}
	if events := r.both(&pb.ReplayRequest{AgentId: "a"}); len(events) != 1 || len(events[0].Operations) != 3 {
		t.Errorf("replay: %s", summary(events))
	}
}

// An answer that is lost after the commit was applied: the client hears that the
// outcome is unknown, and the same request again has the answer, once (G6).
func TestLostAnswers(t *testing.T) {
	lose := false
	r := newRig(t, func(_ *Config, env *engine.Env) {
		await := env.Await
		env.Await = func(ctx context.Context, ready <-chan struct{}) error {
			if err := await(ctx, ready); err != nil || !lose {
				return err
			}
			return context.DeadlineExceeded
		}
	})
	req := &pb.TransactRequest{TxnId: "chosen", Operations: []*pb.TransactOperation{set("", "a", "k", `{"v":1}`), remove("", "b", "k")}}
	open := r.begin()
	if err := r.write(open, "a", "k", `{"v":2}`); err != nil {
		t.Fatal(err)
	}
	lose = true
	_, err := r.Transact(timeout(t), req)
	refused(t, "transact", err, codes.Unavailable, pb.ErrorCode_OUTCOME_UNKNOWN, "chosen")
	_, err = r.commit(open)
	refused(t, "commit", err, codes.Unavailable, pb.ErrorCode_OUTCOME_UNKNOWN, open)
	lose = false
	for _, when := range []string{"at once", "after a restart"} {
		got, err := r.Transact(timeout(t), req)
		if err != nil || got.CommitTs != 1 || !slices.Equal(got.Versions, []uint64{1, 1}) {
			t.Errorf("transact again %s: %v %v", when, got, err)
		}
		done, err := r.commit(open)
		if err != nil || done.CommitTs != 2 || len(done.Versions) != 1 || done.Versions[0].Version != 2 {
			t.Errorf("commit again %s: %v %v", when, done, err)
		}
		if o := r.state("chosen"); o.State != pb.TransactionState_TRANSACTION_STATE_COMMITTED || o.CommitTs != 1 || len(o.Versions) != 2 {
			t.Errorf("outcome %s: %v", when, o)
		}
		r.restart()
	}
	if events := r.both(&pb.ReplayRequest{AgentId: "a"}); len(events) != 2 {
		t.Errorf("replay: %s", summary(events))
	}
}

func TestOneIDOtherOperations(t *testing.T) {
	r := newRig(t)
	send := func(id string, change func(*pb.TransactRequest)) (*pb.TransactResponse, error) {
		req := &pb.TransactRequest{TxnId: id, Operations: []*pb.TransactOperation{set("", "a", "k", `{"v":1}`), set("", "a", "l", `{}`)}}
		change(req)
		return r.Transact(timeout(t), req)
	}
	same := func(*pb.TransactRequest) {}
	if _, err := send("id", same); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"at once", "after a restart"} {
		for what, change := range map[string]func(*pb.TransactRequest){ // independent of each other: any order
			"value":        func(q *pb.TransactRequest) { q.Operations[0].ValueJson = []byte(`{"v":2}`) },
			"key":          func(q *pb.TransactRequest) { q.Operations[0].Key = "m" },
			"agent":        func(q *pb.TransactRequest) { q.Operations[0].AgentId = "b" },
			"namespace":    func(q *pb.TransactRequest) { q.Operations[0].Namespace = "n" },
			"fewer":        func(q *pb.TransactRequest) { q.Operations = q.Operations[:1] },
			"more":         func(q *pb.TransactRequest) { q.Operations = append(q.Operations, remove("", "a", "x")) },
			"delete":       func(q *pb.TransactRequest) { q.Operations[0] = remove("", "a", "k") },
			"precondition": func(q *pb.TransactRequest) { q.Operations[0].ExpectedVersion = ptr(uint64(1)) },
			"head": func(q *pb.TransactRequest) {
				q.HeadPreconditions = []*pb.HeadPrecondition{{AgentId: "a", ExpectedHead: 1}}
			},
		} {
			_, err := send("id", change)
			refused(t, "another "+what+" "+when, err, codes.FailedPrecondition, pb.ErrorCode_TXN_ID_REUSED, "id")
		}
		for what, change := range map[string]func(*pb.TransactRequest){ // any order
			"the same": same, "metadata": func(q *pb.TransactRequest) { q.Metadata = map[string]string{"attempt": "2"} },
			"default spelled out": func(q *pb.TransactRequest) { q.Operations[0].Namespace = "default" },
		} {
			if got, err := send("id", change); err != nil || got.CommitTs != 1 {
				t.Errorf("%s again %s: %v %v", what, when, got, err)
			}
		}
		r.restart()
	}
	open := r.begin()
	_, err := send(open, same)
	refused(t, "the id of an open transaction", err, codes.FailedPrecondition, pb.ErrorCode_TXN_ID_REUSED, open)
	if events := r.both(&pb.ReplayRequest{AgentId: "a"}); len(events) != 1 {
		t.Errorf("replay: %s", summary(events))
	}
}

// A transaction over three agents in two namespaces: each sees its own part, under
// one commit_ts, and metadata comes back everywhere.
func TestThreeAgents(t *testing.T) {
	r := newRig(t)
	meta := map[string]string{"actor": "planner", "trace_id": "é\n\x01", "": ""}
	_, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: "x", Operations: []*pb.TransactOperation{set("", "a", "k", `{}`)}, Metadata: meta})
	invalidArgument(t, "an empty metadata key", err, "metadata")
	delete(meta, "")
	got, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: "three", Metadata: meta, Operations: []*pb.TransactOperation{
		set("", "c", "k", `{"c":1}`), set("n", "a", "k", `{"a":0}`), set("", "b", "k", `{"b":1}`), set("n", "a", "k", `{"a":1}`), remove("n", "a", "z")}})
	if err != nil || !slices.Equal(got.Versions, []uint64{1, 1, 1, 1, 1}) {
		t.Fatal(got, err)
	}
	for _, c := range []struct{ ns, agent, want string }{
		{"", "c", `1:c/k@1={"c":1}, `}, {"n", "a", `1:a/k@1={"a":1},a/z@1-, `}, {"", "b", `1:b/k@1={"b":1}, `}, {"n", "c", ""}, {"", "a", ""},
	} {
		events := r.both(&pb.ReplayRequest{Namespace: c.ns, AgentId: c.agent, Encoding: asJSON})
		if s := summary(events); s != c.want {
			t.Errorf("replay of %s/%s: %s, want %s", c.ns, c.agent, s, c.want)
		}
		for _, ev := range events {
			if ev.TxnId != "three" || fmt.Sprint(ev.Metadata) != fmt.Sprint(meta) {
				t.Errorf("replay of %s/%s: %v", c.ns, c.agent, ev)
			}
		}
	}
	h, err := r.GetHistory(timeout(t), &pb.GetHistoryRequest{Namespace: "n", AgentId: "a", Key: "k"})
	if err != nil || len(h.Entries) != 1 || h.Entries[0].TxnId != "three" || fmt.Sprint(h.Entries[0].Metadata) != fmt.Sprint(meta) {
		t.Errorf("history: %v %v", h, err)
	}
}

// A commit without writes adds no event and answers the point it read at.
func TestCommitWithoutWrites(t *testing.T) {
	r := newRig(t)
	r.put("", "a", "k", `{}`)
	id := r.begin()
	r.put("", "a", "l", `{}`)
	for range 2 {
		if got, err := r.commit(id); err != nil || got.CommitTs != 1 {
			t.Errorf("it read at 1: %v %v", got, err)
		}
	}
	if err := r.write(id, "a", "k", `{}`); err == nil {
		t.Error("a write after it was taken")
	}
	_, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: "nothing"})
	invalidArgument(t, "a transact of nothing", err, "operations")
	if events := r.both(&pb.ReplayRequest{AgentId: "a"}); len(events) != 2 {
		t.Errorf("replay: %s", summary(events))
	}
}

// TestOneRequestManyEncodings: a request that is encoded anew is the same request: a
// Struct is a map, whose entries go over the wire in any order, and JSON has many
// spellings. All are answered as the first was.
func TestOneRequestManyEncodings(t *testing.T) {
	r := newRig(t)
	value, err := structpb.NewStruct(map[string]any{
		"a": 1, "b": 2.5, "c": []any{"é", nil, true}, "d": map[string]any{"x": 1e21, "y": -0.25, "z": "/"}, "e": 0, "f": 1 << 53, "g": 1e-7,
	})
	if err != nil {
		t.Fatal(err)
	}
	send := func(op *pb.TransactOperation) (*pb.TransactResponse, error) {
		op.AgentId, op.Key = "a", "k"
		return r.Transact(timeout(t), &pb.TransactRequest{TxnId: "id", Operations: []*pb.TransactOperation{op}})
	}
	for i := range 20 { // the runtime shuffles maps
		if got, err := send(&pb.TransactOperation{Value: value}); err != nil || got.CommitTs != 1 {
			t.Fatalf("the same message for the %d. time: %v %v", i+1, got, err)
		}
	}
	for _, text := range []string{
		`{"a":1,"b":2.5,"c":["é",null,true],"d":{"x":1e21,"y":-0.25,"z":"/"},"e":0,"f":9007199254740992,"g":1e-7}`,
		`{"g":0.0000001,"f":9007199254740992.0,"e":-0.0,"d":{"z":"\/","y":-25e-2,"x":1000000000000000000000},"c":["\u00e9",null,true],"b":25E-1,"a":1.0}`,
	} {
		if got, err := send(&pb.TransactOperation{ValueJson: []byte(text)}); err != nil || got.CommitTs != 1 {
			t.Errorf("as %s: %v %v", text, got, err)
		}
	}
	_, err = send(&pb.TransactOperation{ValueJson: []byte(`{"a":1,"b":2.5,"c":["é",null,true],"d":{"x":1e21,"y":-0.25,"z":"/"},"e":0,"f":9007199254740993,"g":1e-7}`)})
	refused(t, "a number that rounds to the same double", err, codes.FailedPrecondition, pb.ErrorCode_TXN_ID_REUSED, "id")
	if events := r.both(&pb.ReplayRequest{AgentId: "a"}); len(events) != 1 {
		t.Errorf("replay: %s", summary(events))
	}
}
