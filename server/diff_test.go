package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

func atCommit(ts uint64) *pb.At { return &pb.At{Point: &pb.At_CommitTs{CommitTs: ts}} }

// diffAll follows the tokens of a Diff, and says what differs, a line a key.
func (r *rig) diffAll(req *pb.DiffRequest) (text string, points [2]uint64) {
	r.t.Helper()
	for pages := 0; ; pages++ {
		resp, err := r.Diff(timeout(r.t), req)
		if err != nil || pages > 10_000 {
			r.t.Fatalf("%v, page %d: %v", req, pages, err)
		}
		for _, k := range resp.Keys {
			side := func(s *pb.GetStateResponse) string {
				if !s.Exists {
					return "-"
				}
				return fmt.Sprintf("v%d %s", s.Version, s.ValueJson)
			}
			text += fmt.Sprintf("%s: %s > %s %s\n", k.Key, side(k.Before), side(k.After), k.PatchJson)
		}
		if points = [2]uint64{resp.FromTs, resp.ToTs}; resp.NextPageToken == "" {
			return text, points
		}
		req.PageToken = resp.NextPageToken
	}
}

func TestDiff(t *testing.T) {
	for _, looked := range []int{0, 1, 64} { // pages of one row each, and few changes in the events
		r := newRig(t, func(c *Config, _ *engine.Env) { c.Engine.Tuning.LookedRows = looked })
		r.transact(set("", "a", "k1", `{"n":1,"s":"x"}`), set("", "a", "k2", `{"n":1}`), set("", "a", "k3", `{"v":3}`), set("", "b", "k3", `{"v":3}`))
		r.transact(set("", "a", "k1", `{"n":2,"s":"x"}`), remove("", "a", "k2"), set("", "a", "k4", `{"v":4}`))
		r.transact(set("", "a", "k3", `{"v":3}`)) // another version of the same value
		r.transact(set("x", "a", "k1", `{"s":"x","n":2}`))
		for _, c := range []struct {
			req    *pb.DiffRequest
			points [2]uint64
			want   string
		}{
			{&pb.DiffRequest{AgentId: "a", From: atCommit(1), Encoding: asJSON}, [2]uint64{1, 4},
				`k1: v1 {"n":1,"s":"x"} > v2 {"n":2,"s":"x"} [{"op":"replace","path":"/n","value":2}]` + "\nk2: v1 {\"n\":1} > - \nk4: - > v1 {\"v\":4} \n"},
			{&pb.DiffRequest{AgentId: "a", From: atCommit(2), To: atCommit(1), Encoding: asJSON, Limit: 1}, [2]uint64{2, 1},
				`k1: v2 {"n":2,"s":"x"} > v1 {"n":1,"s":"x"} [{"op":"replace","path":"/n","value":1}]` + "\nk2: - > v1 {\"n\":1} \nk4: v1 {\"v\":4} > - \n"},
			{&pb.DiffRequest{AgentId: "a", From: atCommit(1), Prefix: "k1", Encoding: noValues}, [2]uint64{1, 4}, `k1: v1  > v2  [{"op":"replace","path":"/n","value":2}]` + "\n"},
			{&pb.DiffRequest{AgentId: "a", From: atCommit(2)}, [2]uint64{2, 4}, ""},
			{&pb.DiffRequest{AgentId: "a", From: atCommit(3), To: atCommit(3)}, [2]uint64{3, 3}, ""},
			{&pb.DiffRequest{AgentId: "b", Encoding: asJSON}, [2]uint64{0, 4}, "k3: - > v1 {\"v\":3} \n"},
			{&pb.DiffRequest{AgentId: "a", From: atCommit(4), ToAgentId: "b", Encoding: asJSON, Limit: 1}, [2]uint64{4, 4}, "k1: v2 {\"n\":2,\"s\":\"x\"} > - \nk4: v1 {\"v\":4} > - \n"},
			{&pb.DiffRequest{AgentId: "a", From: atCommit(4), ToNamespace: "x", Prefix: "k1"}, [2]uint64{4, 4}, ""},
			{&pb.DiffRequest{AgentId: "a", From: &pb.At{}, ToAgentId: "b", Prefix: "k4"}, [2]uint64{4, 4}, "k4: v1  > - \n"},
			{&pb.DiffRequest{AgentId: "b", From: &pb.At{}, To: atCommit(0), Encoding: asJSON}, [2]uint64{4, 0}, "k3: v1 {\"v\":3} > - \n"},
			{&pb.DiffRequest{AgentId: "nobody"}, [2]uint64{0, 4}, ""},
		} {
			if got, points := r.diffAll(c.req); got != c.want || points != c.points {
				t.Errorf("%v: %v\n%s\nnot\n%s", c.req, points, got, c.want)
			}
		}
	}
}

func TestDiffRefused(t *testing.T) {
	r := newRig(t)
	for i := range 3 {
		r.transact(set("", "a", "k1", fmt.Sprintf(`{"n":%d}`, i)), set("", "a", "k2", fmt.Sprintf(`{"n":%d}`, i)))
	}
	first, err := r.Diff(timeout(t), &pb.DiffRequest{AgentId: "a", Limit: 1})
	if err != nil || first.NextPageToken == "" {
		t.Fatal(first, err)
	}
	for what, req := range map[string]*pb.DiffRequest{ // any order
		"at":         {AgentId: "a", From: atCommit(4)},
		"agent_id":   {},
		"page_token": {AgentId: "b", Limit: 1, PageToken: first.NextPageToken},
		"prefix":     {AgentId: "a", Prefix: strings.Repeat("x", 2000)},
		"encoding":   {AgentId: "a", Encoding: 17},
	} {
		_, err := r.Diff(timeout(t), req)
		if d := invalidArgument(t, what, err); d.Details["field"] != what {
			t.Errorf("%s: the field is %q", what, d.Details["field"])
		}
	}
}

// TestDiffLargeValues: two values and a patch are answered, however large they may be.
func TestDiffLargeValues(t *testing.T) {
	sequential(t)
	r := newRig(t)
	for round := range 2 {
		var ops []*pb.TransactOperation
		for i := range 3 {
			ops = append(ops, set("", "a", fmt.Sprint("k", i), `{"v":"`+strings.Repeat(fmt.Sprint(round), 1<<20-100)+`"}`))
		}
		r.transact(ops...)
	}
	req := &pb.DiffRequest{AgentId: "a", From: atCommit(1), Encoding: asJSON}
	for keys := 0; ; {
		resp, err := r.Diff(timeout(t), req)
		if err != nil {
			t.Fatal(err)
		}
		keys += len(resp.Keys)
		if req.PageToken = resp.NextPageToken; req.PageToken == "" {
			if keys != 3 {
				t.Errorf("%d keys differ, not 3", keys)
			}
			return
		}
	}
}

// TestDiffBelowFloor: what retention has taken cannot be compared with; what was before all commits
// can.
func TestDiffBelowFloor(t *testing.T) {
	r := newRig(t)
	r.mute = true // the log begins at the floor, which no capture says
	for i := range 5 {
		r.put("", "a", "k", fmt.Sprintf(`{"n":%d}`, i))
		r.advance(time.Hour)
	}
	if _, err := r.service.Engine().SetRetention(timeout(t), engine.Retention{MaxAge: 90 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the floor is at commit 3", func() error {
		if all, err := r.service.Engine().Retentions(); err != nil || len(all) != 1 || all[0].Floor != 3 {
			return fmt.Errorf("%v: %w", all, errNotYet)
		}
		return nil
	})
	_, err := r.Diff(timeout(t), &pb.DiffRequest{AgentId: "a", From: atCommit(1)})
	refused(t, "from below the floor", err, codes.OutOfRange, pb.ErrorCode_OUT_OF_RANGE)
	_, err = r.Diff(timeout(t), &pb.DiffRequest{AgentId: "a", From: atCommit(5), To: atCommit(1)})
	refused(t, "to below the floor", err, codes.OutOfRange, pb.ErrorCode_OUT_OF_RANGE)
	if got, _ := r.diffAll(&pb.DiffRequest{AgentId: "a", Encoding: asJSON}); got != "k: - > v5 {\"n\":4} \n" {
		t.Errorf("from nothing: %s", got)
	}
}
