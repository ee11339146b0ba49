package server

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// attempts are the two ways to commit one write under conditions.
func (r *rig) attempts() map[string]func(op *pb.TransactOperation, keys []*pb.KeyPrecondition, heads []*pb.HeadPrecondition) error {
	type keys = []*pb.KeyPrecondition
	type heads = []*pb.HeadPrecondition
	return map[string]func(*pb.TransactOperation, keys, heads) error{
		"Transact": func(op *pb.TransactOperation, k keys, h heads) error {
			_, err := r.Transact(timeout(r.t), &pb.TransactRequest{TxnId: r.id(), Operations: []*pb.TransactOperation{op}, KeyPreconditions: k, HeadPreconditions: h})
			return err
		},
		"interactive": func(op *pb.TransactOperation, k keys, h heads) error {
			id, err := r.begin(), error(nil)
			if op.Delete {
				_, err = r.Delete(timeout(r.t), &pb.DeleteRequest{TxnId: id, Namespace: op.Namespace, AgentId: op.AgentId, Key: op.Key, ExpectedVersion: op.ExpectedVersion})
			} else {
				_, err = r.Write(timeout(r.t), &pb.WriteRequest{TxnId: id, Namespace: op.Namespace, AgentId: op.AgentId, Key: op.Key, ValueJson: op.ValueJson, ExpectedVersion: op.ExpectedVersion})
			}
			if err != nil {
				return err
			}
			_, err = r.Commit(timeout(r.t), &pb.CommitRequest{TxnId: id, KeyPreconditions: k, HeadPreconditions: h})
			if err != nil { // the refusal ended it, and is what it answers from now on
				_, again := r.commit(id)
				if again == nil || again.Error() != err.Error() {
					r.t.Errorf("refused with %v, then %v", err, again)
				}
				r.wantState(id, pb.TransactionState_TRANSACTION_STATE_ABORTED)
			}
			return err
		},
	}
}

func TestPreconditions(t *testing.T) {
	r := newRig(t)
	for path, try := range r.attempts() { // independent of each other: any order
		agent := path
		expecting := func(op *pb.TransactOperation, v uint64) *pb.TransactOperation { op.ExpectedVersion = &v; return op }
		fails := func(what string, err error, expected, current string) {
			t.Helper()
			d := refused(t, path+": "+what, err, codes.FailedPrecondition, pb.ErrorCode_PRECONDITION_FAILED)
			if d.Details["agent_id"] != agent || d.Details["namespace"] != "default" ||
				d.Details["expected_version"]+d.Details["expected_head"] != expected || d.Details["current_version"]+d.Details["current_head"] != current {
				t.Errorf("%s: %s: details %v, want expected %s, current %s", path, what, d.Details, expected, current)
			}
		}
		holds := func(what string, err error) {
			t.Helper()
			if err != nil {
				t.Errorf("%s: %s: %v", path, what, err)
			}
		}
		write := func(v uint64) error { return try(expecting(set("", agent, "k", `{}`), v), nil, nil) }
		fails("version 1 of a key that never was", write(1), "1", "0")
		holds("absent", write(0))
		fails("absent, but it is there", write(0), "0", "1")
		fails("a future version", write(2), "2", "1")
		holds("its version", write(1))
		holds("a delete at its version", try(expecting(remove("", agent, "k"), 2), nil, nil))
		fails("the version before the delete", write(2), "2", "3")
		holds("absent after a delete", write(0))
		holds("a delete of what is absent", try(expecting(remove("", agent, "other"), 0), nil, nil))

		key := func(v uint64) []*pb.KeyPrecondition {
			return []*pb.KeyPrecondition{{AgentId: agent, Key: "k", ExpectedVersion: v}}
		}
		holds("another key's version", try(set("", agent, "l", `{}`), key(4), nil))
		fails("another key's old version", try(set("", agent, "l", `{}`), key(3), nil), "3", "4")

		head := r.transact(set("", agent, "m", `{}`)).CommitTs
		heads := func(ts uint64) []*pb.HeadPrecondition {
			return []*pb.HeadPrecondition{{AgentId: agent, ExpectedHead: ts}}
		}
		r.put("", "somebody else", "k", `{}`) // moves the log, not this agent's head
		fails("a head before the last", try(set("", agent, "m", `{}`), nil, heads(head-1)), fmt.Sprint(head-1), fmt.Sprint(head))
		fails("a head that is another agent's", try(set("", agent, "m", `{}`), nil, heads(head+1)), fmt.Sprint(head+1), fmt.Sprint(head))
		holds("the head", try(set("", agent, "m", `{}`), nil, heads(head)))
		fails("the head again", try(set("", agent, "m", `{}`), nil, heads(head)), fmt.Sprint(head), fmt.Sprint(head+2))
		holds("no commit", try(set("", path+"'s new agent", "k", `{}`), nil, []*pb.HeadPrecondition{{AgentId: path + "'s new agent"}}))
	}
}

// A transaction of which one condition fails leaves nothing behind.
func TestNothingIsLeftOfARefusedTransaction(t *testing.T) {
	r := newRig(t)
	r.put("", "a", "k", `{"v":1}`)
	bad := set("", "b", "k", `{}`)
	bad.ExpectedVersion = ptr(uint64(9))
	_, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: "bad", Operations: []*pb.TransactOperation{
		set("", "a", "k", `{"v":2}`), remove("", "a", "l"), set("new", "c", "k", `{}`), bad}})
	refused(t, "transact", err, codes.FailedPrecondition, pb.ErrorCode_PRECONDITION_FAILED)
	if got := r.get("", "a", "k"); got != `{"v":1}` {
		t.Errorf("a part was applied: %s", got)
	}
	if ns, err := r.ListNamespaces(timeout(t), &pb.ListNamespacesRequest{}); err != nil || len(ns.Namespaces) != 1 {
		t.Errorf("namespaces %v: %v", ns, err)
	}
	if agents, err := r.ListAgents(timeout(t), &pb.ListAgentsRequest{}); err != nil || len(agents.Agents) != 1 {
		t.Errorf("agents %v: %v", agents, err)
	}
	if events := r.both(&pb.ReplayRequest{AllAgents: true}); len(events) != 1 {
		t.Errorf("replay: %s", summary(events))
	}
	r.wantState("bad", pb.TransactionState_TRANSACTION_STATE_ABORTED)
}

// What a transaction read must still hold when it commits: keys, absent ones too,
// and every stretch of keys that it listed.
func TestConflicts(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		name     string
		read     func(id string) error
		change   *pb.TransactOperation
		conflict string // key; "": none
		current  string
	}{
		{"a key that changed", r.reads("k"), set("", "a", "k", `{}`), "k", "2"},
		{"a key that was deleted", r.reads("k"), remove("", "a", "k"), "k", "2"},
		{"a key that came", r.reads("new"), set("", "a", "new", `{}`), "new", "1"},
		{"another key", r.reads("k"), set("", "a", "l", `{}`), "", ""},
		{"another agent", r.reads("k"), set("", "b", "k", `{}`), "", ""},
		{"a list, a key came", r.lists("p/", 0), set("", "a", "p/9", `{}`), "p/9", "1"},
		{"a list, a key went", r.lists("p/", 0), remove("", "a", "p/1"), "p/1", "2"},
		{"a list, a value changed", r.lists("p/", 0), set("", "a", "p/1", `{}`), "p/1", "2"},
		{"a list, beside it", r.lists("p/", 0), set("", "a", "p0", `{}`), "", ""},
		{"a page, within it", r.lists("p/", 2), set("", "a", "p/15", `{}`), "p/15", "1"},
		{"a page, behind it", r.lists("p/", 2), set("", "a", "p/25", `{}`), "", ""},
	} {
		r.transact(set("", "a", "k", `{}`), set("", "a", "p/1", `{}`), set("", "a", "p/2", `{}`), set("", "a", "p/3", `{}`))
		for _, when := range []string{"changed before", "changed after"} {
			id := r.begin()
			if err := c.read(id); err != nil {
				t.Fatal(err)
			}
			if err := r.write(id, "a", "written", `{}`); err != nil {
				t.Fatal(err)
			}
			if when == "changed before" {
				r.transact(c.change)
			}
			_, err := r.commit(id)
			if c.conflict == "" || when == "changed after" {
				if err != nil {
					t.Errorf("%s, %s: %v", c.name, when, err)
				}
				continue
			}
			d := refused(t, c.name, err, codes.Aborted, pb.ErrorCode_CONFLICT, c.conflict)
			if d.Details["key"] != c.conflict || d.Details["current_version"] != c.current || d.Details["agent_id"] != "a" || d.Details["namespace"] != "default" {
				t.Errorf("%s: details %v, want key %s at %s", c.name, d.Details, c.conflict, c.current)
			}
			_, again := r.commit(id)
			refused(t, c.name+", again", again, codes.Aborted, pb.ErrorCode_CONFLICT)
		}
		r.restartEmpty()
	}
}

// restartEmpty goes on with a store that knows none of the names used so far.
func (r *rig) restartEmpty() {
	r.halt()
	_ = r.env.FS.RemoveAll(r.config.Engine.Dir)
	r.start()
}

func (r *rig) reads(key string) func(string) error {
	return func(id string) error {
		_, err := r.GetState(timeout(r.t), &pb.GetStateRequest{TxnId: id, AgentId: "a", Key: key})
		return err
	}
}

func (r *rig) lists(prefix string, limit uint32) func(string) error {
	return func(id string) error {
		_, err := r.ListKeys(timeout(r.t), &pb.ListKeysRequest{TxnId: id, AgentId: "a", Prefix: prefix, Limit: limit})
		return err
	}
}

// Clients count up one key by read, modify, write. With the version they read, or
// within a transaction, exactly one wins a round; without either, counts are lost
// (or the test shows nothing).
func TestReadModifyWrite(t *testing.T) {
	r := newRig(t)
	const clients, rounds = 4, 25
	count := func(agent string, try func(n int, version uint64) error) (successes int64, counter int) {
		var won atomic.Int64
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for range rounds {
					got, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: agent, Key: "n", Encoding: asJSON})
					if err != nil {
						t.Error(err)
						return
					}
					var v struct{ N int }
					if got.Exists {
						_ = json.Unmarshal(got.ValueJson, &v)
					}
					if err := try(v.N+1, got.Version); err == nil {
						won.Add(1)
					} else {
						refused(t, agent, err, codes.FailedPrecondition, pb.ErrorCode_PRECONDITION_FAILED)
					}
				}
			})
		}
		all.Wait()
		var v struct{ N int }
		if err := json.Unmarshal([]byte(r.get("", agent, "n")), &v); err != nil {
			t.Error(err)
		}
		return won.Load(), v.N
	}
	won, n := count("guarded", func(n int, version uint64) error {
		op := set("", "guarded", "n", fmt.Sprintf(`{"N":%d}`, n))
		op.ExpectedVersion = &version
		_, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: r.id(), Operations: []*pb.TransactOperation{op}})
		return err
	})
	if int64(n) != won {
		t.Errorf("with expected_version: %d succeeded, the counter is %d", won, n)
	}
	won, n = count("blind", func(n int, _ uint64) error {
		_, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: r.id(), Operations: []*pb.TransactOperation{set("", "blind", "n", fmt.Sprintf(`{"N":%d}`, n))}})
		return err
	})
	if won != clients*rounds || n > clients*rounds {
		t.Errorf("without: %d of %d succeeded, the counter is %d", won, clients*rounds, n)
	}
	t.Logf("blind: %d writes, counter %d", won, n)
}
