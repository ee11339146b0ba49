package clustertest_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/cluster/clustertest"
	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server"
)

// TestKeys: a key that one member was asked to make is good at all at once, for what it may and nothing else, and one that
// was revoked is good at none; the commits of its holder are in its name, wherever they were asked for.
func TestKeys(t *testing.T) {
	c := clustertest.Start(t, clustertest.Options{Config: func(_ uint64, c *server.Config, _ *engine.Env) { c.Token = "the token" }})
	followers := c.Followers()
	shows := func(secret string) context.Context {
		return metadata.AppendToOutgoingContext(c.Timeout(), "authorization", "Bearer "+secret)
	}
	admin := pb.NewAdminServiceClient(connect(t, followers[0]))
	for n := range 5 {
		name := string(rune('a' + n))
		made := must[*pb.AccessKeySecret](t)(admin.CreateAccessKey(shows("the token"), &pb.CreateAccessKeyRequest{
			Name: name, Scopes: []*pb.AccessScope{{Permission: pb.Permission_PERMISSION_WRITE, Namespace: "mine"}},
		}))
		other := at(t, followers[1])
		ops := []*pb.TransactOperation{{Namespace: "mine", AgentId: "a", Key: "k", ValueJson: []byte(`{}`)}}
		done := must[*pb.TransactResponse](t)(other.Transact(shows(made.Secret), &pb.TransactRequest{TxnId: name, Operations: ops}))
		ops[0].Namespace = "another"
		if _, err := other.Transact(shows(made.Secret), &pb.TransactRequest{TxnId: name + "'", Operations: ops}); status.Code(err) != codes.PermissionDenied {
			t.Errorf("a commit to another namespace: %v", err)
		}
		h := must[*pb.GetHistoryResponse](t)(other.GetHistory(shows(made.Secret), &pb.GetHistoryRequest{Namespace: "mine", AgentId: "a", Key: "k", Limit: 1}))
		if h.Entries[0].CommitTs != done.CommitTs || h.Entries[0].Principal != name {
			t.Errorf("the commit of %s is %v", name, h.Entries[0])
		}
		must[*pb.AccessKey](t)(admin.RevokeAccessKey(shows("the token"), &pb.RevokeAccessKeyRequest{Key: made.Key.KeyId}))
		for _, m := range c.Members {
			if _, err := at(t, m).GetState(shows(made.Secret), &pb.GetStateRequest{Namespace: "mine", AgentId: "a", Key: "k"}); status.Code(err) != codes.Unauthenticated {
				t.Errorf("member %d lets in who shows a key that was revoked: %v", m.ID, err)
			}
		}
	}
}
