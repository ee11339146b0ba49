package client

import (
	"testing"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

func TestTracedCall(t *testing.T) {
	op := func(deletes bool) *pb.TransactOperation {
		return &pb.TransactOperation{Namespace: "n", AgentId: "a", Key: "private", Delete: deletes}
	}
	for _, c := range []struct {
		method  string
		request any
		want    TracedCall
	}{
		{"GetState", &pb.GetStateRequest{Namespace: "n", AgentId: "a", Key: "private"}, TracedCall{"GetState", "search_memory", "n", "a"}},
		{"Transact", &pb.TransactRequest{Operations: []*pb.TransactOperation{op(true), op(false)}}, TracedCall{"Transact", "upsert_memory", "n", "a"}},
		{"Transact", &pb.TransactRequest{Operations: []*pb.TransactOperation{op(true), op(true)}}, TracedCall{"Transact", "delete_memory", "n", "a"}},
		{"Transact", &pb.TransactRequest{}, TracedCall{"Transact", "upsert_memory", "", ""}},
		{"GetStatus", &pb.GetStatusRequest{}, TracedCall{Method: "GetStatus"}},
		{"Watch", nil, TracedCall{Method: "Watch"}},
	} {
		if got := tracedCall("/statehouse.v1.StatehouseService/"+c.method, c.request); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.method, got, c.want)
		}
	}
}
