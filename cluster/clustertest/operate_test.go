package clustertest_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/cluster/clustertest"
	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/admin"
	"statehouse.dev/statehouse/server/captures"
)

// operated runs a cluster whose members can be operated.
func operated(t *testing.T) *clustertest.Cluster {
	t.Helper()
	return clustertest.Start(t, clustertest.Options{Config: func(_ uint64, c *server.Config, _ *engine.Env) {
		c.Token = "the token"
		c.Capture = captures.Config{Dir: t.TempDir(), MaxBytes: 8 << 20}
		c.Operator = admin.Process{SetLogLevel: func(string) (string, error) { return "info", nil }}
	}})
}

func shows(ctx context.Context, secret string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+secret)
}

// drain reads a stream to its end.
func drain[T any](t *testing.T, what string, s grpc.ServerStreamingClient[T], err error) {
	t.Helper()
	for err == nil {
		_, err = s.Recv()
	}
	if err != io.EOF {
		t.Errorf("%s of a follower ends with %v", what, err)
	}
}

// acts are the acts of the audit log, with the member of which each speaks.
func acts(t *testing.T, c *clustertest.Cluster) (list []string) {
	t.Helper()
	log := must[*pb.ListAuditResponse](t)(pb.NewAdminServiceClient(connect(t, c.Leader())).ListAudit(shows(c.Timeout(), "the token"), &pb.ListAuditRequest{}))
	for _, e := range log.GetEntries() {
		list = append(list, strings.TrimSpace(fmt.Sprint(e.GetAction(), " ", e.GetDetails()["member"])))
	}
	return list
}

// TestOperateFollower: what operators ask of one member is done there, whichever it is, and is in the audit log.
func TestOperateFollower(t *testing.T) {
	c := operated(t)
	follower := c.Followers()[0]
	conn := connect(t, follower)
	operator, capture := pb.NewAdminServiceClient(conn), pb.NewCaptureServiceClient(conn)
	ctx := shows(c.Timeout(), "the token")
	must[*pb.SetLogLevelResponse](t)(operator.SetLogLevel(ctx, &pb.SetLogLevelRequest{Level: "debug"}))
	must[*pb.CaptureStatus](t)(capture.StartCapture(ctx, &pb.StartCaptureRequest{}))
	if s := must[*pb.CaptureStatus](t)(capture.GetCaptureStatus(ctx, &pb.GetCaptureStatusRequest{})); !s.GetOn() {
		t.Error("the follower captures nothing")
	}
	must[*pb.TransactResponse](t)(at(t, follower).Transact(ctx, &pb.TransactRequest{TxnId: "one", Operations: []*pb.TransactOperation{set("a", "k", `{}`)}}))
	must[*pb.CaptureStatus](t)(capture.StopCapture(ctx, &pb.StopCaptureRequest{}))
	compact, err := operator.Compact(ctx, &pb.CompactRequest{})
	drain(t, "a compaction", compact, err)
	backup, err := operator.Backup(ctx, &pb.BackupRequest{})
	drain(t, "a backup", backup, err)
	got := acts(t, c)
	for _, act := range []string{"SetLogLevel", "StartCapture", "StopCapture", "Compact", "Backup"} {
		if want := fmt.Sprint(act, " ", follower.ID); !slices.Contains(got, want) {
			t.Errorf("the audit log has %q, and not %q", got, want)
		}
	}
	// What only the leader answers, and nobody hands on, says where that is.
	erasing, err := operator.Erase(ctx, &pb.EraseRequest{AgentId: "a", DryRun: true})
	if err == nil {
		_, err = erasing.Recv()
	}
	if d := detailOf(err); d.GetExactCode() != pb.ErrorCode_NOT_LEADER || d.GetDetails()["leader"] != c.Leader().Address() || !strings.Contains(status.Convert(err).Message(), c.Leader().Address()) {
		t.Errorf("an erasure at a follower: %v %v", err, d)
	}
}

// TestOperateAlone: a member that knows no leader does nothing of what would not be written down.
func TestOperateAlone(t *testing.T) {
	c := operated(t)
	follower := c.Followers()[0]
	capture := pb.NewCaptureServiceClient(connect(t, follower))
	follower.Cut(true)
	ctx := shows(c.Timeout(), "the token")
	if _, err := capture.StartCapture(ctx, &pb.StartCaptureRequest{}); status.Code(err) != codes.Unavailable || detailOf(err).GetMaybeApplied() {
		t.Errorf("a capture begins with %v", err)
	}
	if s := must[*pb.CaptureStatus](t)(capture.GetCaptureStatus(ctx, &pb.GetCaptureStatusRequest{})); s.GetOn() {
		t.Error("it was begun")
	}
}

// TestRefusedAtFollower: whom a follower refuses is in the audit log, too.
func TestRefusedAtFollower(t *testing.T) {
	c := operated(t)
	follower := c.Followers()[0]
	if _, err := at(t, follower).GetState(shows(c.Timeout(), "another"), get("a", "k")); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a stranger's read: %v", err)
	}
	c.Advance(2 * time.Minute)
	want := fmt.Sprint("GetState ", follower.ID)
	c.Eventually("it is in the audit log", func() error {
		if got := acts(t, c); !slices.Contains(got, want) {
			return fmt.Errorf("which has %q, and not %q", got, want)
		}
		return nil
	})
}
