package clustertest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"statehouse.dev/statehouse/cluster/clustertest"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/wiretest"
)

// behind is a cluster of which one member has the first of two commits.
func behind(t *testing.T) (c *clustertest.Cluster, late *clustertest.Member) {
	t.Helper()
	c = clustertest.Start(t, clustertest.Options{})
	late = c.Followers()[0]
	leader := at(t, c.Leader())
	for n := 1; n <= 2; n++ {
		must[*pb.TransactResponse](t)(leader.Transact(c.Timeout(), &pb.TransactRequest{TxnId: fmt.Sprint(n), Operations: []*pb.TransactOperation{set("a", "k", fmt.Sprintf(`{"n":%d}`, n))}}))
		if n == 1 {
			c.Settle()
			late.Hold(true)
		}
	}
	return c, late
}

func soon() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 200*time.Millisecond)
}

// TestStaleReads: a member that is behind answers what may be stale, from what it has; what must have a commit, or must be
// the newest, waits until it has that.
func TestStaleReads(t *testing.T) {
	c, late := behind(t)
	replica := at(t, late)
	asks := map[string]func(ctx context.Context, least, stale uint64) (uint64, error){ // any order
		"GetState": func(ctx context.Context, least, stale uint64) (uint64, error) {
			r, err := replica.GetState(ctx, &pb.GetStateRequest{AgentId: "a", Key: "k", MinReadTs: least, MaxStalenessMs: stale})
			return r.GetReadTs(), err
		},
		"BatchGetState": func(ctx context.Context, least, stale uint64) (uint64, error) {
			r, err := replica.BatchGetState(ctx, &pb.BatchGetStateRequest{Names: []*pb.RecordName{{AgentId: "a", Key: "k"}}, MinReadTs: least, MaxStalenessMs: stale})
			return r.GetReadTs(), err
		},
		"ListKeys": func(ctx context.Context, least, stale uint64) (uint64, error) {
			r, err := replica.ListKeys(ctx, &pb.ListKeysRequest{AgentId: "a", MinReadTs: least, MaxStalenessMs: stale})
			return r.GetReadTs(), err
		},
		"ScanPrefix": func(ctx context.Context, least, stale uint64) (uint64, error) {
			r, err := replica.ScanPrefix(ctx, &pb.ScanPrefixRequest{AgentId: "a", MinReadTs: least, MaxStalenessMs: stale})
			return r.GetReadTs(), err
		},
		"Find": func(ctx context.Context, least, stale uint64) (uint64, error) {
			r, err := replica.Find(ctx, &pb.FindRequest{AgentId: "a", MinReadTs: least, MaxStalenessMs: stale})
			return r.GetReadTs(), err
		},
	}
	const anyTime = 1 << 40
	for name, ask := range asks {
		for _, least := range []uint64{0, 1} {
			if ts, err := ask(c.Timeout(), least, anyTime); ts != 1 || err != nil {
				t.Errorf("%s at least at commit %d: at %d, %v", name, least, ts, err)
			}
		}
		for what, of := range map[string][2]uint64{"the newest": {0, 0}, "commit 2": {2, anyTime}, "within a millisecond": {0, 1}} { // any order
			ctx, cancel := soon()
			ts, err := ask(ctx, of[0], of[1])
			unanswered(t, fmt.Sprintf("%s of %s (%d)", name, what, ts), err)
			cancel()
		}
	}
	waiting := make(chan error, 1)
	go func() {
		ts, err := asks["GetState"](c.Timeout(), 2, anyTime)
		if err == nil && ts < 2 {
			err = fmt.Errorf("it is read at %d", ts)
		}
		waiting <- err
	}()
	c.Eventually("it waits", func() error {
		if late.Service().Held().Requests.UnderWay == 0 {
			return wiretest.ErrNotYet
		}
		return nil
	})
	late.Hold(false)
	if err := <-waiting; err != nil {
		t.Errorf("a read that waited for its commit: %v", err)
	}
	// Of a commit that will never have happened it is said so, as by a daemon that is alone.
	_, err := asks["GetState"](c.Timeout(), 9, anyTime)
	if d := detailOf(err); d.GetCode() != pb.ErrorCode_INVALID_REQUEST || d.GetDetails()["field"] != "min_read_ts" {
		t.Errorf("a commit that has not happened: %v", err)
	}
}

// TestWatchGoesOnElsewhere: a watch that one member ends goes on at another from its cursor, which need not have got so far
// yet: nothing is missing, and nothing comes twice.
func TestWatchGoesOnElsewhere(t *testing.T) {
	c, late := behind(t)
	first := c.Leader()
	for _, m := range c.Followers() {
		if m != late {
			first = m
		}
	}
	zero := uint64(0)
	seen := watch(t, c, first, zero, 2)
	go late.Hold(false)
	for n := 3; n <= 6; n++ {
		must[*pb.TransactResponse](t)(at(t, c.Leader()).Transact(c.Timeout(), &pb.TransactRequest{TxnId: fmt.Sprint(n), Operations: []*pb.TransactOperation{set("a", "k", `{}`)}}))
	}
	seen = append(seen, watch(t, c, late, seen[len(seen)-1], 4)...)
	if fmt.Sprint(seen) != "[1 2 3 4 5 6]" {
		t.Errorf("two watches saw %v", seen)
	}
}

// watch returns the next commits that a watch shows.
func watch(t *testing.T, c *clustertest.Cluster, m *clustertest.Member, after uint64, n int) (seen []uint64) {
	t.Helper()
	ctx, cancel := context.WithCancel(c.Timeout())
	defer cancel()
	s, err := at(t, m).Watch(ctx, &pb.WatchRequest{AgentId: "a", AfterTs: &after})
	for err == nil && len(seen) < n {
		var b *pb.EventBatch
		if b, err = s.Recv(); err == nil {
			for _, ev := range b.Events {
				seen = append(seen, ev.CommitTs)
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// TestPagesGoOnElsewhere: a page token of one member goes on at another, at the same point of the order.
func TestPagesGoOnElsewhere(t *testing.T) {
	c := clustertest.Start(t, clustertest.Options{})
	leader := at(t, c.Leader())
	for _, k := range []string{"a", "b", "c"} {
		must[*pb.TransactResponse](t)(leader.Transact(c.Timeout(), &pb.TransactRequest{TxnId: k, Operations: []*pb.TransactOperation{set("a", k, `{}`)}}))
	}
	page := must[*pb.ListKeysResponse](t)(leader.ListKeys(c.Timeout(), &pb.ListKeysRequest{AgentId: "a", Limit: 2}))
	must[*pb.TransactResponse](t)(leader.Transact(c.Timeout(), &pb.TransactRequest{TxnId: "d", Operations: []*pb.TransactOperation{set("a", "d", `{}`)}}))
	for _, m := range c.Members {
		next := must[*pb.ListKeysResponse](t)(at(t, m).ListKeys(c.Timeout(), &pb.ListKeysRequest{AgentId: "a", PageToken: page.NextPageToken}))
		if fmt.Sprint(next.Keys) != "[c]" || next.ReadTs != page.ReadTs {
			t.Errorf("member %d goes on with %v at %d, after %v at %d", m.ID, next.Keys, next.ReadTs, page.Keys, page.ReadTs)
		}
	}
}

// TestStatus: each member says what it is and who leads.
func TestStatus(t *testing.T) {
	c := clustertest.Start(t, clustertest.Options{})
	leader := c.Leader()
	for _, m := range c.Members {
		s := must[*pb.GetStatusResponse](t)(at(t, m).GetStatus(c.Timeout(), &pb.GetStatusRequest{})).GetCluster()
		want := pb.ClusterRole_CLUSTER_ROLE_FOLLOWER
		if m == leader {
			want = pb.ClusterRole_CLUSTER_ROLE_LEADER
		}
		if s.GetRole() != want || s.GetId() != m.ID || s.GetLeaderId() != leader.ID || s.GetLeaderAddress() != leader.Address() || s.GetTerm() == 0 || s.GetAppliedIndex() == 0 || len(s.GetMembers()) != 3 || s.GetMembers()[1].GetAddress() != c.Members[1].Address() {
			t.Errorf("member %d says %v", m.ID, s)
		}
	}
}
