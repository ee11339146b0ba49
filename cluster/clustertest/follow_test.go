package clustertest_test

import (
	"fmt"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/cluster/clustertest"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

const asJSON = pb.ValueEncoding_VALUE_ENCODING_JSON

// at is a client of one member, as clients are that know of no others.
func at(t *testing.T, m *clustertest.Member) pb.StatehouseServiceClient {
	t.Helper()
	return pb.NewStatehouseServiceClient(connect(t, m))
}

func connect(t *testing.T, m *clustertest.Member) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+m.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func set(agent, key, json string) *pb.TransactOperation {
	return &pb.TransactOperation{AgentId: agent, Key: key, ValueJson: []byte(json)}
}

func get(agent, key string) *pb.GetStateRequest {
	return &pb.GetStateRequest{AgentId: agent, Key: key, Encoding: asJSON}
}

func must[A any](t *testing.T) func(A, error) A {
	return func(a A, err error) A {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
}

// detailOf is what an error says besides.
func detailOf(err error) *pb.StatehouseError {
	for _, d := range status.Convert(err).Details() {
		if d, is := d.(*pb.StatehouseError); is {
			return d
		}
	}
	return &pb.StatehouseError{}
}

// TestFollower: what is committed through one member is read through every other at once.
func TestFollower(t *testing.T) {
	c := clustertest.Start(t, clustertest.Options{})
	leader := c.Leader()
	for i := range 20 {
		by, then := c.Members[i%3], c.Members[(i+1)%3]
		var trailer metadata.MD
		value := fmt.Sprintf(`{"n":%d}`, i)
		done := must[*pb.TransactResponse](t)(at(t, by).Transact(c.Timeout(), &pb.TransactRequest{TxnId: fmt.Sprint("txn-", i), Operations: []*pb.TransactOperation{set("a", "k", value)}}, grpc.Trailer(&trailer)))
		if done.CommitTs != uint64(i+1) {
			t.Fatalf("it is commit %d, want %d", done.CommitTs, i+1)
		}
		if named := trailer.Get("statehouse-leader"); by == leader && len(named) > 0 || by != leader && (len(named) != 1 || named[0] != leader.Address()) {
			t.Errorf("the leader is said to be at %v, it is at %s", named, leader.Address())
		}
		read := must[*pb.GetStateResponse](t)(at(t, then).GetState(c.Timeout(), get("a", "k")))
		if string(read.ValueJson) != value || read.ReadTs < done.CommitTs {
			t.Fatalf("%s is read after %s, as of %d", read.ValueJson, value, read.ReadTs)
		}
	}
	if leader.Handed() == 0 {
		t.Error("nothing was forwarded")
	}
}
