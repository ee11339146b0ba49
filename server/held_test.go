package server

import (
	"testing"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// What requests hold can be seen while they are under way, and is given back (G9).
func TestHeldIsGivenBack(t *testing.T) {
	r := newRig(t)
	if held := r.service.Held(); held != (Held{}) {
		t.Errorf("before the first request: %+v", held)
	}
	txn, err := r.BeginTransaction(timeout(t), &pb.BeginTransactionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	r.watch(&pb.WatchRequest{AgentId: "a"})
	held := r.service.Held()
	if held.Txns.Open != 1 || held.Txns.Deadlines != 1 || held.Watches.Open != 1 || held.Watches.Topics != 1 || held.Streams.UnderWay != 1 {
		t.Errorf("with a transaction and a watch: %+v", held)
	}
	if _, err := r.Abort(timeout(t), &pb.AbortRequest{TxnId: txn.GetTxnId()}); err != nil {
		t.Error(err)
	}
	r.stop()
	r.drained()
	if held := r.service.Held(); held != (Held{}) {
		t.Errorf("after a drain: %+v", held)
	}
}
