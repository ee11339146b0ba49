package server

import (
	"fmt"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/wiretest"
)

// TestLegacyClientBesideNewer has newer clients do what the base contract does not know: leases, operations that the
// daemon evaluates, bytes, deletes and restores of very many keys, forks, expiry, wake-ups. A client of the base
// contract is shown nothing that it does not know.
func TestLegacyClientBesideNewer(t *testing.T) {
	const manyOps = 8
	r := newRig(t, func(c *Config, _ *engine.Env) { c.Engine.Limits.TxnOps = manyOps })
	n := &newer{t: t, stub: r}
	n.leases()
	n.evaluated()
	n.many(2*manyOps, manyOps)
	n.forks()
	n.ending(r.advance)
	wiretest.SeesWhatItKnows(t, r.conn,
		wiretest.Agent{Name: "held", Events: 1}, // the write under the lease
		wiretest.Agent{Name: "evaluated"},
		wiretest.Agent{Name: "many", Together: true},
		wiretest.Agent{Name: "fork", Together: true},
		wiretest.Agent{Name: "fork of a fork", Together: true},
		wiretest.Agent{Name: "ending"})
	wiretest.Sees(t, r.conn, "evaluated", "shot", `{"$bytes":"AAEC","$content_type":"image/png"}`)
}

// newer is a client of today's contract.
type newer struct {
	t    *testing.T
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
	resp, err := n.stub.Transact(timeout(n.t), &pb.TransactRequest{TxnId: fmt.Sprint("newer-", n.ids), Operations: ops, KeyPreconditions: conditions})
	if err != nil {
		n.t.Fatalf("%v: %v", ops, err)
	}
	return resp
}

func (n *newer) leases() {
	lease := &pb.TransactOperation{AgentId: "held", Key: "main", Acquire: &pb.AcquireLease{Holder: "one", TtlMs: 3_600_000}}
	token := n.do(lease).Results[0].Lease.Token
	if _, err := n.stub.RenewLeases(timeout(n.t), &pb.RenewLeasesRequest{Leases: []*pb.LeaseRenewal{{AgentId: "held", Lease: "main", Token: token}}}); err != nil {
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
	eventually(n.t, "the keys are restored", func() error { // one act of an agent at a time
		n.ids++
		then := &pb.Restore{At: &pb.At{Point: &pb.At_CommitTs{CommitTs: last}}}
		_, err := n.stub.Transact(timeout(n.t), &pb.TransactRequest{TxnId: fmt.Sprint("newer-", n.ids), Operations: []*pb.TransactOperation{{AgentId: "many", Restore: then}}})
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
	eventually(n.t, "what ends has ended", func() error {
		resp, err := n.stub.GetState(timeout(n.t), &pb.GetStateRequest{AgentId: "ending", Key: "expires"})
		if err == nil && resp.Exists {
			err = errNotYet
		}
		return err
	})
	var claimed *pb.DueRecord
	eventually(n.t, "a record is due", func() error {
		r := n.do(&pb.TransactOperation{AgentId: "ending", Claim: &pb.ClaimDue{Holder: "one", TtlMs: minute}}).Results[0]
		if len(r.Claimed) == 0 {
			return errNotYet
		}
		claimed = r.Claimed[0]
		return nil
	})
	n.do(op("due", &pb.TransactOperation{Complete: &pb.CompleteDue{Token: claimed.Lease.Token}}))
}
