package traced

import (
	"testing"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

func TestCall(t *testing.T) {
	op := func(deletes bool) *pb.TransactOperation {
		return &pb.TransactOperation{Namespace: "n", AgentId: "a", Key: "private", Delete: deletes}
	}
	for _, c := range []struct {
		method  string
		request any
		want    Call
	}{
		{"GetState", &pb.GetStateRequest{Namespace: "n", AgentId: "a", Key: "private"}, Call{"GetState", "search_memory", "n", "a"}},
		{"Transact", &pb.TransactRequest{Operations: []*pb.TransactOperation{op(true), op(false)}}, Call{"Transact", "upsert_memory", "n", "a"}},
		{"Transact", &pb.TransactRequest{Operations: []*pb.TransactOperation{op(true), op(true)}}, Call{"Transact", "delete_memory", "n", "a"}},
		{"Transact", &pb.TransactRequest{}, Call{"Transact", "upsert_memory", "", ""}},
		{"GetStatus", &pb.GetStatusRequest{}, Call{Method: "GetStatus"}},
		{"Watch", nil, Call{Method: "Watch"}},
	} {
		if got := callOf("/statehouse.v1.StatehouseService/"+c.method, c.request); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.method, got, c.want)
		}
	}
}
