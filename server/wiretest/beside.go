package wiretest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// BesideNewer has newer clients do what the base contract does not know: leases, operations that the daemon
// evaluates, bytes, deletes and restores of very many keys, forks, expiry, wake-ups. What a client of the base
// contract is then shown must be right by that contract alone. The daemon takes at most manyOps operations a
// transaction.
func BesideNewer(t testing.TB, conn grpc.ClientConnInterface, manyOps int, advance func(time.Duration)) {
	t.Helper()
	n := &newer{t: t, stub: pb.NewStatehouseServiceClient(conn)}
	n.leases()
	n.evaluated()
	n.many(2*manyOps, manyOps)
	n.forks()
	n.ending(advance)
	l := newLegacy(t, conn)
	for _, agent := range []string{"held", "evaluated", "many", "fork", "fork of a fork", "ending"} {
		l.consistent(agent, agent == "many" || agent == "fork" || agent == "fork of a fork")
	}
	l.expect("GetState", `{"agent_id":"evaluated","key":"shot"}`, `{"value":{"$bytes":"AAEC","$content_type":"image/png"},"version":"1","commit_ts":"7","exists":true}`)
	if events := l.replay(`{"agent_id":"held"}`); len(events) != 1 {
		t.Errorf("of an agent with leases, and one write under one, there is %q", events)
	}
}

// newer is a client of today's contract.
type newer struct {
	t    testing.TB
	stub pb.StatehouseServiceClient
	ids  int
}

func (n *newer) do(ops ...*pb.TransactOperation) *pb.TransactResponse {
	n.t.Helper()
	return n.under(nil, ops...)
}

func (n *newer) under(conditions []*pb.KeyPrecondition, ops ...*pb.TransactOperation) *pb.TransactResponse {
	n.t.Helper()
	n.ids++
	resp, err := n.stub.Transact(Timeout(n.t), &pb.TransactRequest{TxnId: fmt.Sprint("newer-", n.ids), Operations: ops, KeyPreconditions: conditions})
	if err != nil {
		n.t.Fatalf("%v: %v", ops, err)
	}
	return resp
}

func (n *newer) leases() {
	lease := &pb.TransactOperation{AgentId: "held", Key: "main", Acquire: &pb.AcquireLease{Holder: "one", TtlMs: 3_600_000}}
	token := n.do(lease).Results[0].Lease.Token
	if _, err := n.stub.RenewLeases(Timeout(n.t), &pb.RenewLeasesRequest{Leases: []*pb.LeaseRenewal{{AgentId: "held", Lease: "main", Token: token}}}); err != nil {
		n.t.Fatal(err)
	}
	n.under([]*pb.KeyPrecondition{{AgentId: "held", Lease: "main", ExpectedVersion: token}}, &pb.TransactOperation{AgentId: "held", Key: "work", ValueJson: []byte(`{}`)})
	n.do(&pb.TransactOperation{AgentId: "held", Key: "main", Release: &pb.ReleaseLease{Token: token}})
}

func (n *newer) evaluated() {
	op := func(key string, o *pb.TransactOperation) *pb.TransactOperation {
		o.AgentId, o.Key = "evaluated", key
		return o
	}
	n.do(op("n", &pb.TransactOperation{Increment: &pb.Increment{Pointer: "/n", Delta: "1"}}))
	n.do(op("n", &pb.TransactOperation{MergeJson: []byte(`{"n":null,"m":1}`)}), op("log/", &pb.TransactOperation{Put: &pb.Put{ValueJson: []byte(`{}`), Append: true}}))
	n.do(op("n", &pb.TransactOperation{Put: &pb.Put{ValueJson: []byte(`{}`), IfAbsent: true}})) // there is one
	n.do(op("log/", &pb.TransactOperation{Put: &pb.Put{ValueJson: []byte(`{}`), Append: true}}))
	n.do(op("shot", &pb.TransactOperation{Put: &pb.Put{ValueBytes: []byte{0, 1, 2}, ContentType: "image/png"}}))
}

// many deletes and restores more keys than a transaction may change.
func (n *newer) many(keys, most int) {
	var last uint64
	for from := 0; from < keys; from += most {
		var ops []*pb.TransactOperation
		for i := from; i < from+most; i++ {
			ops = append(ops, &pb.TransactOperation{AgentId: "many", Key: fmt.Sprintf("k/%04d", i), ValueJson: []byte(`{}`)})
		}
		last = n.do(ops...).CommitTs
	}
	if r := n.do(&pb.TransactOperation{AgentId: "many", Key: "k/", DeletePrefix: true}); r.Results[0].Keys != uint64(keys) {
		n.t.Errorf("%d keys are deleted", r.Results[0].Keys)
	}
	Eventually(n.t, "the keys are restored", func() error { // one act of an agent at a time
		n.ids++
		then := &pb.Restore{At: &pb.At{Point: &pb.At_CommitTs{CommitTs: last}}}
		_, err := n.stub.Transact(Timeout(n.t), &pb.TransactRequest{TxnId: fmt.Sprint("newer-", n.ids), Operations: []*pb.TransactOperation{{AgentId: "many", Restore: then}}})
		return err
	})
}

func (n *newer) forks() {
	fork := func(name, of string) { n.do(&pb.TransactOperation{AgentId: name, Fork: &pb.Fork{AgentId: of}}) }
	fork("fork", "many")
	n.do(&pb.TransactOperation{AgentId: "fork", Key: "k/0000", ValueJson: []byte(`{"of":"the fork"}`)}, &pb.TransactOperation{AgentId: "fork", Key: "k/0001", Delete: true})
	fork("fork of a fork", "fork")
	n.do(&pb.TransactOperation{AgentId: "fork of a fork", DeleteAgent: true})
	n.do(&pb.TransactOperation{AgentId: "fork of a fork", Key: "k/0000", ValueJson: []byte(`{}`)})
}

// ending has records expire, become due, and be completed, and a lease lapse.
func (n *newer) ending(advance func(time.Duration)) {
	op := func(key string, o *pb.TransactOperation) *pb.TransactOperation {
		o.AgentId, o.Key = "ending", key
		return o
	}
	minute := uint64(60_000)
	n.do(op("expires", &pb.TransactOperation{Put: &pb.Put{ValueJson: []byte(`{}`), TtlMs: minute}}), op("due", &pb.TransactOperation{Put: &pb.Put{ValueJson: []byte(`{}`), DueInMs: &minute}}))
	n.do(op("lapses", &pb.TransactOperation{Acquire: &pb.AcquireLease{Holder: "one", TtlMs: minute}}))
	advance(2 * time.Minute)
	Eventually(n.t, "what ends has ended", func() error {
		resp, err := n.stub.GetState(Timeout(n.t), &pb.GetStateRequest{AgentId: "ending", Key: "expires"})
		if err == nil && resp.Exists {
			err = ErrNotYet
		}
		return err
	})
	var claimed *pb.DueRecord
	Eventually(n.t, "a record is due", func() error {
		r := n.do(&pb.TransactOperation{AgentId: "ending", Claim: &pb.ClaimDue{Holder: "one", TtlMs: minute}}).Results[0]
		if len(r.Claimed) == 0 {
			return ErrNotYet
		}
		claimed = r.Claimed[0]
		return nil
	})
	n.do(op("due", &pb.TransactOperation{Complete: &pb.CompleteDue{Token: claimed.Lease.Token}}))
}

// The answers of the base contract, as a client without our stubs reads them.
type (
	oldState struct {
		Key      string          `json:"key"`
		Value    json.RawMessage `json:"value"`
		Version  uint64          `json:"version,string"`
		CommitTS uint64          `json:"commit_ts,string"`
		Exists   bool            `json:"exists"`
	}
	oldEvent struct {
		CommitTS   uint64     `json:"commit_ts,string"`
		Operations []oldState `json:"operations"`
	}
)

func (l *legacy) ask(method string, out any, request map[string]any) {
	l.t.Helper()
	text, err := json.Marshal(request)
	if err != nil {
		l.t.Fatal(err)
	}
	got, err := l.call(method, string(text))
	if err == nil {
		err = json.Unmarshal([]byte(got), out)
	}
	if err != nil {
		l.t.Fatalf("%s %s: %s, %v", method, text, got, err)
	}
}

// consistent holds all that is answered of an agent to what its replay folds to. together: several events may
// have one commit_ts.
func (l *legacy) consistent(agent string, together bool) {
	l.t.Helper()
	state, last := map[string]oldState{}, uint64(0)
	for _, text := range l.replay(`{"agent_id":"` + agent + `"}`) {
		var ev oldEvent
		if err := json.Unmarshal([]byte(text), &ev); err != nil {
			l.t.Fatal(err)
		}
		if ev.CommitTS < last || ev.CommitTS == last && !together || len(ev.Operations) == 0 {
			l.t.Errorf("%s: after commit %d comes %s", agent, last, text)
		}
		last = ev.CommitTS
		for _, op := range ev.Operations {
			if op.Key == "" || op.Key[0] < ' ' {
				l.t.Errorf("%s: an operation on %q", agent, op.Key)
			}
			if before, known := state[op.Key]; known && op.Version != before.Version+1 {
				l.t.Errorf("%s: after version %d of %s comes %d", agent, before.Version, op.Key, op.Version)
			}
			op.CommitTS, op.Exists = ev.CommitTS, op.Value != nil
			state[op.Key] = op
			var at oldState
			l.ask("GetStateAtVersion", &at, map[string]any{"agent_id": agent, "key": op.Key, "version": fmt.Sprint(op.Version)})
			if string(at.Value) != string(op.Value) || at.Exists != op.Exists || at.Version != op.Version {
				l.t.Errorf("%s: version %d of %s is %+v, and was written as %+v", agent, op.Version, op.Key, at, op)
			}
		}
	}
	var keys struct{ Keys []string }
	l.ask("ListKeys", &keys, map[string]any{"agent_id": agent})
	var scan struct{ Entries []oldState }
	l.ask("ScanPrefix", &scan, map[string]any{"agent_id": agent})
	maps.DeleteFunc(state, func(_ string, s oldState) bool { return !s.Exists })
	if want := slices.Sorted(maps.Keys(state)); !slices.Equal(keys.Keys, want) || len(scan.Entries) != len(want) {
		l.t.Errorf("%s has the keys %q and %d entries, by its replay %q", agent, keys.Keys, len(scan.Entries), want)
	}
	for _, e := range scan.Entries {
		want := state[e.Key]
		var is oldState
		l.ask("GetState", &is, map[string]any{"agent_id": agent, "key": e.Key})
		if string(e.Value) != string(want.Value) || e.Version != want.Version || string(is.Value) != string(e.Value) || is.Version != e.Version || !is.Exists {
			l.t.Errorf("%s: %s is %+v and %+v, by its replay %+v", agent, e.Key, is, e, want)
		}
	}
}
