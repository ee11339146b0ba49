package server

import (
	"testing"

	"google.golang.org/grpc/codes"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

func putBytes(agent, key, data, contentType string) *pb.TransactOperation {
	return &pb.TransactOperation{AgentId: agent, Key: key, Put: &pb.Put{ValueBytes: []byte(data), ContentType: contentType}}
}

// TestDiffOfBytes: bytes differ from other bytes, and from JSON, whatever it spells; two spellings of JSON do not.
func TestDiffOfBytes(t *testing.T) {
	r := newRig(t)
	r.transact(putBytes("a", "bytes", `{"n":1}`, "x/y"), putBytes("a", "to-json", `{"n":1}`, "x/y"), set("", "a", "to-bytes", `{"n":1}`), set("", "a", "same", `{"n":1,"m":2}`), putBytes("a", "type", "x", "x/y"))
	r.transact(putBytes("a", "bytes", `{"n":2}`, "x/y"), set("", "a", "to-json", `{"n":1}`), putBytes("a", "to-bytes", `{"n":1}`, "x/y"), set("", "a", "same", `{"m":2,"n":1}`), putBytes("a", "type", "x", "x/z"))
	resp, err := r.Diff(timeout(t), &pb.DiffRequest{AgentId: "a", From: atCommit(1), To: atCommit(2)})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, k := range resp.Keys {
		got += k.Key + " " + string(k.PatchJson) + "|"
	}
	if want := "bytes |to-bytes |to-json |type |"; got != want {
		t.Errorf("%q differ, not %q", got, want)
	}
}

// TestForkSpelledOut: a namespace that is left out is the default one.
func TestForkSpelledOut(t *testing.T) {
	r := newRig(t)
	r.put("", "a", "k", `{}`)
	r.put("x", "a", "k", `{}`)
	fork := func(ns, agent, of string) *pb.TransactRequest {
		return &pb.TransactRequest{TxnId: r.id(), Operations: []*pb.TransactOperation{{Namespace: ns, AgentId: agent, Fork: &pb.Fork{Namespace: of, AgentId: "a"}}}}
	}
	for _, c := range []struct {
		ns, agent, of string
		good          bool
	}{{"", "b", "", true}, {"", "c", "default", true}, {"default", "d", "", true}, {"x", "b", "x", true}, {"x", "c", "", false}, {"", "e", "x", false}} {
		_, err := r.Transact(timeout(t), fork(c.ns, c.agent, c.of))
		if c.good != (err == nil) {
			t.Errorf("%+v: %v", c, err)
		} else if err != nil {
			invalidArgument(t, "a fork from elsewhere", err)
		}
	}
	for ns, first := range map[string]uint64{"": 3, "default": 3, "x": 6} { // each by itself: order cannot matter
		resp, err := r.GetAgent(timeout(t), &pb.GetAgentRequest{Namespace: ns, AgentId: "b"})
		if err != nil || resp.GetAgent().GetFirstTs() != first || resp.GetForkedFrom().GetAgentId() != "a" {
			t.Errorf("%q: %v, %v", ns, resp, err)
		}
	}
}

// TestLeaseTokens: a page of leases goes on where the one before ended, and no other list does.
func TestLeaseTokens(t *testing.T) {
	r := newRig(t)
	for _, l := range []string{"l1", "l2", "l3"} {
		r.transact(&pb.TransactOperation{AgentId: "a", Key: l, Acquire: &pb.AcquireLease{TtlMs: 60_000}})
	}
	got := ""
	req := &pb.ListLeasesRequest{AgentId: "a", Limit: 1}
	for range 3 {
		resp, err := r.ListLeases(timeout(t), req)
		if err != nil || len(resp.Leases) != 1 {
			t.Fatalf("%v, %v", resp, err)
		}
		got, req.PageToken = got+resp.Leases[0].Name+" ", resp.NextPageToken
	}
	if got != "l1 l2 l3 " || req.PageToken != "" {
		t.Errorf("page by page: %q, %q", got, req.PageToken)
	}
	first, err := r.ListLeases(timeout(t), &pb.ListLeasesRequest{AgentId: "a", Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, req := range []*pb.ListLeasesRequest{{AgentId: "a", PageToken: "none"}, {AgentId: "b", PageToken: first.NextPageToken}, {PageToken: first.NextPageToken}, {AgentId: "a", Prefix: "l", PageToken: first.NextPageToken}} {
		_, err := r.ListLeases(timeout(t), req)
		refused(t, "a token of another list", err, codes.InvalidArgument, pb.ErrorCode_INVALID_REQUEST)
	}
}
