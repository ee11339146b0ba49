package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// where is a condition on a value.
func where(pointer string, c pb.Comparison, value string) *pb.Condition {
	return &pb.Condition{Pointer: pointer, Comparison: c, Value: value}
}

// findAll follows the tokens of a Find. It returns agent/key of what was found and what was scanned.
func (r *rig) findAll(req *pb.FindRequest) (found []string, scanned uint64) {
	r.t.Helper()
	for pages := 0; ; pages++ {
		resp, err := r.Find(timeout(r.t), req)
		if err != nil || pages > 10_000 {
			r.t.Fatalf("%v, page %d: %v", req, pages, err)
		}
		for _, e := range resp.Entries {
			found = append(found, e.AgentId+"/"+e.Key)
		}
		if scanned += resp.Scanned; resp.NextPageToken == "" {
			return found, scanned
		}
		req.PageToken = resp.NextPageToken
	}
}

func tasks(r *rig) {
	for i := range 20 {
		resp, err := r.Transact(timeout(r.t), &pb.TransactRequest{
			TxnId: r.id(), Metadata: map[string]string{"actor": []string{"planner", "worker"}[i%2]},
			Operations: []*pb.TransactOperation{set("", fmt.Sprintf("agent-%d", i%3), fmt.Sprintf("task/%02d", i),
				fmt.Sprintf(`{"status":"%s","n":%d,"big":900719925474099%d}`, []string{"open", "done"}[i/10], i, i%10))},
		})
		if err != nil || resp.CommitTs != uint64(i+1) {
			r.t.Fatal(resp, err)
		}
	}
}

func TestFind(t *testing.T) {
	r := newRig(t, func(c *Config, _ *engine.Env) { c.Engine.Tuning.LookedRows = 3 })
	tasks(r)
	r.transact(set("", "agent-0", "task/00", `{"status":"closed"}`), remove("", "agent-0", "task/03"), set("other", "agent-0", "task/00", `{"status":"open"}`))
	past := &pb.At{Point: &pb.At_CommitTs{CommitTs: 20}}
	for _, c := range []struct {
		what    string
		req     *pb.FindRequest
		want    string
		scanned uint64
	}{
		{"all", &pb.FindRequest{AgentId: "agent-0"}, "agent-0/task/00 agent-0/task/06 agent-0/task/09 agent-0/task/12 agent-0/task/15 agent-0/task/18", 6},
		{"as of", &pb.FindRequest{AgentId: "agent-0", At: past, Where: []*pb.Condition{where("/status", pb.Comparison_COMPARISON_EQUAL, `"open"`)}},
			"agent-0/task/00 agent-0/task/03 agent-0/task/06 agent-0/task/09", 7},
		{"now", &pb.FindRequest{AgentId: "agent-0", Where: []*pb.Condition{where("/status", pb.Comparison_COMPARISON_EQUAL, `"open"`)}}, "agent-0/task/06 agent-0/task/09", 6},
		{"all agents, two conditions, in pages", &pb.FindRequest{AllAgents: true, Limit: 2, Where: []*pb.Condition{
			where("/n", pb.Comparison_COMPARISON_GREATER_OR_EQUAL, "4.0"), where("/status", pb.Comparison_COMPARISON_IN, `["open"]`)}},
			"agent-0/task/06 agent-0/task/09 agent-1/task/04 agent-1/task/07 agent-2/task/05 agent-2/task/08", 19},
		{"exact", &pb.FindRequest{AllAgents: true, Where: []*pb.Condition{where("/big", pb.Comparison_COMPARISON_EQUAL, "9007199254740993")}}, "agent-1/task/13", 19},
		{"prefix", &pb.FindRequest{AllAgents: true, Prefix: "task/1", Where: []*pb.Condition{where("/n", pb.Comparison_COMPARISON_LESS, "12")}}, "agent-1/task/10 agent-2/task/11", 10},
		{"metadata", &pb.FindRequest{AgentId: "agent-1", Where: []*pb.Condition{{Metadata: "actor", Value: `"planner"`}}}, "agent-1/task/04 agent-1/task/10 agent-1/task/16", 7},
		{"not", &pb.FindRequest{AgentId: "agent-0", Where: []*pb.Condition{{Pointer: "/n", Comparison: pb.Comparison_COMPARISON_EXISTS, Negate: true}}}, "agent-0/task/00", 6},
		{"last change first", &pb.FindRequest{AgentId: "agent-0", Order: pb.FindOrder_FIND_ORDER_CHANGED, Limit: 2},
			"agent-0/task/00 agent-0/task/18 agent-0/task/15 agent-0/task/12 agent-0/task/09 agent-0/task/06", 6},
		{"nothing", &pb.FindRequest{AgentId: "nobody"}, "", 0},
		{"another namespace", &pb.FindRequest{Namespace: "other", AllAgents: true}, "agent-0/task/00", 1},
	} {
		found, scanned := r.findAll(c.req)
		if got := strings.Join(found, " "); got != c.want || scanned != c.scanned {
			t.Errorf("%s: %s, %d scanned\nnot %s, %d", c.what, got, scanned, c.want, c.scanned)
		}
	}
	resp, err := r.Find(timeout(t), &pb.FindRequest{AgentId: "agent-1", Encoding: asJSON, WithMetadata: true, MinReadTs: 21})
	if err != nil || len(resp.Entries) == 0 {
		t.Fatal(resp, err)
	}
	e := resp.Entries[0]
	if e.Namespace != "default" || e.Version != 1 || e.CommitTs != 2 || e.CommitTime == nil || e.Metadata["actor"] != "worker" || !strings.Contains(string(e.ValueJson), `"n":1`) || resp.ReadTs != 21 {
		t.Errorf("%v", resp)
	}
}

// TestPagesOfOnePoint: the pages of a Find, and of a Diff, show the points of the first, whatever is
// written meanwhile.
func TestPagesOfOnePoint(t *testing.T) {
	r := newRig(t)
	for _, key := range []string{"k1", "k2", "k3", "k4"} {
		r.put("", "a", key, `{"n":1}`)
	}
	find, changed := &pb.FindRequest{AgentId: "a", Limit: 1}, &pb.FindRequest{AgentId: "a", Limit: 1, Order: pb.FindOrder_FIND_ORDER_CHANGED}
	diff := &pb.DiffRequest{AgentId: "a", Limit: 1, Encoding: asJSON}
	var got []string
	for page := range 4 {
		for _, req := range []*pb.FindRequest{find, changed} {
			resp, err := r.Find(timeout(t), req)
			if err != nil || len(resp.Entries) != 1 || resp.ReadTs != 4 {
				t.Fatal(resp, err)
			}
			got, req.PageToken = append(got, resp.Entries[0].Key), resp.NextPageToken
		}
		resp, err := r.Diff(timeout(t), diff)
		if err != nil || len(resp.Keys) != 1 || resp.FromTs != 0 || resp.ToTs != 4 || string(resp.Keys[0].After.ValueJson) != `{"n":1}` {
			t.Fatal(resp, err)
		}
		got, diff.PageToken = append(got, resp.Keys[0].Key), resp.NextPageToken
		r.transact(set("", "a", fmt.Sprint("k", 4-page), `{"n":2}`), set("", "a", fmt.Sprint("k0", page), `{"n":3}`), set("", "a", fmt.Sprint("k5", page), `{"n":3}`))
	}
	if want := "k1 k4 k1 k2 k3 k2 k3 k2 k3 k4 k1 k4"; strings.Join(got, " ") != want {
		t.Errorf("%v\nnot %s", got, want)
	}
}

func TestFindRefused(t *testing.T) {
	r := newRig(t)
	tasks(r)
	ctx := timeout(t)
	try := func(req *pb.FindRequest) error { _, err := r.Find(ctx, req); return err }
	first, err := r.Find(ctx, &pb.FindRequest{AgentId: "agent-0", Limit: 1})
	if err != nil || first.NextPageToken == "" {
		t.Fatal(first, err)
	}
	for field, c := range map[string]struct { // any order
		req  *pb.FindRequest
		says string
	}{
		"agent_id":   {&pb.FindRequest{}, "empty"},
		"where":      {&pb.FindRequest{AgentId: "a", Where: []*pb.Condition{where("n", 0, "1")}}, "condition 1"},
		"order":      {&pb.FindRequest{AllAgents: true, Order: pb.FindOrder_FIND_ORDER_CHANGED}, "one agent"},
		"prefix":     {&pb.FindRequest{AgentId: "a", Prefix: "a\x00"}, "prefix"},
		"page_token": {&pb.FindRequest{AgentId: "agent-0", PageToken: first.NextPageToken, Where: []*pb.Condition{where("/n", 0, "1")}}, "page_token"},
		"encoding":   {&pb.FindRequest{AgentId: "a", Encoding: 9}, "encoding"},
		"at":         {&pb.FindRequest{AgentId: "a", At: &pb.At{Point: &pb.At_CommitTs{CommitTs: 21}}}, "the last is 20"},
	} {
		if d := invalidArgument(t, field, try(c.req), c.says); d.Details["field"] != field {
			t.Errorf("%s: the field is %q", field, d.Details["field"])
		}
	}
	invalidArgument(t, "both", try(&pb.FindRequest{AgentId: "a", AllAgents: true}), "agent_id")
	invalidArgument(t, "an order that there is not", try(&pb.FindRequest{AgentId: "a", Order: 7}), "order 7")
	invalidArgument(t, "a comparison that there is not", try(&pb.FindRequest{AgentId: "a", Where: []*pb.Condition{where("/n", 9, "1")}}), "comparison 9")
	many := make([]*pb.Condition, 40_000)
	for i := range many {
		many[i] = &pb.Condition{}
	}
	if d := detailOf(try(&pb.FindRequest{AgentId: "a", Where: many})); d.GetCode() != pb.ErrorCode_LIMIT_EXCEEDED {
		t.Errorf("40,000 conditions: %v", d)
	}
}

// TestFolders lists what is directly under a prefix, and no more.
func TestFolders(t *testing.T) {
	r := newRig(t)
	r.mute = true // a capture does not say that folders are listed
	r.transact(set("", "a", "b/1", "{}"), set("", "a", "b/2/x", "{}"), set("", "a", "b/2/y", "{}"), set("", "a", "b", "{}"), set("", "a", "c", "{}"), set("", "a", "d/", "{}"), set("", "a", "gone/1", "{}"))
	r.transact(remove("", "a", "gone/1"))
	for _, c := range []struct {
		req           *pb.ListKeysRequest
		keys, folders string
	}{
		{&pb.ListKeysRequest{AgentId: "a", Delimiter: "/"}, "b c", "b/ d/"},
		{&pb.ListKeysRequest{AgentId: "a", Delimiter: "/", Limit: 1}, "b c", "b/ d/"},
		{&pb.ListKeysRequest{AgentId: "a", Delimiter: "/", Limit: 1, Reverse: true}, "c b", "d/ b/"},
		{&pb.ListKeysRequest{AgentId: "a", Delimiter: "/", Prefix: "b/"}, "b/1", "b/2/"},
		{&pb.ListKeysRequest{AgentId: "a", Delimiter: "/", Prefix: "d/"}, "d/", ""},
		{&pb.ListKeysRequest{AgentId: "a", Delimiter: "/", Prefix: "g", At: &pb.At{Point: &pb.At_CommitTs{CommitTs: 1}}}, "", "gone/"},
		{&pb.ListKeysRequest{AgentId: "a", Delimiter: "/", Prefix: "g"}, "", ""},
	} {
		var keys, folders []string
		for {
			resp, err := r.ListKeys(timeout(t), c.req)
			if err != nil {
				t.Fatal(err)
			}
			keys, folders = append(keys, resp.Keys...), append(folders, resp.Folders...)
			if c.req.PageToken = resp.NextPageToken; resp.NextPageToken == "" {
				break
			}
		}
		if strings.Join(keys, " ") != c.keys || strings.Join(folders, " ") != c.folders {
			t.Errorf("%v: keys %q, folders %q", c.req, keys, folders)
		}
	}
	_, err := r.ListKeys(timeout(t), &pb.ListKeysRequest{AgentId: "a", Delimiter: "/", TxnId: r.begin()})
	invalidArgument(t, "in a transaction", err, "transaction")
	_, err = r.ListKeys(timeout(t), &pb.ListKeysRequest{AgentId: "a", Delimiter: "\x01"})
	invalidArgument(t, "a control character", err, "delimiter")
}

// TestMinReadTS: a read that must not be before a commit is answered if the commit is there, and
// refused otherwise, by every read.
func TestMinReadTS(t *testing.T) {
	r := newRig(t)
	last := r.put("", "a", "k", `{"v":1}`).CommitTs
	txn := r.begin()
	for name, read := range map[string]func(min uint64) error{ // any order
		"GetState": func(min uint64) error {
			_, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: "k", MinReadTs: min})
			return err
		},
		"GetState in a transaction": func(min uint64) error {
			_, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: "k", TxnId: txn, MinReadTs: min})
			return err
		},
		"BatchGetState": func(min uint64) error {
			_, err := r.BatchGetState(timeout(t), &pb.BatchGetStateRequest{MinReadTs: min})
			return err
		},
		"ListKeys": func(min uint64) error {
			_, err := r.ListKeys(timeout(t), &pb.ListKeysRequest{AgentId: "a", MinReadTs: min})
			return err
		},
		"folders": func(min uint64) error {
			_, err := r.ListKeys(timeout(t), &pb.ListKeysRequest{AgentId: "a", Delimiter: "/", MinReadTs: min})
			return err
		},
		"ScanPrefix": func(min uint64) error {
			_, err := r.ScanPrefix(timeout(t), &pb.ScanPrefixRequest{AgentId: "a", MinReadTs: min})
			return err
		},
		"GetHistory": func(min uint64) error {
			_, err := r.GetHistory(timeout(t), &pb.GetHistoryRequest{AgentId: "a", Key: "k", MinReadTs: min})
			return err
		},
		"Find": func(min uint64) error {
			_, err := r.Find(timeout(t), &pb.FindRequest{AgentId: "a", MinReadTs: min})
			return err
		},
	} {
		if err := errorsOf(read(0), read(last)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		d := invalidArgument(t, name, read(last+1), fmt.Sprintf("commit %d", last+1), fmt.Sprintf("the last is %d", last))
		if d.Details["field"] != "min_read_ts" || d.Details["last_commit_ts"] != fmt.Sprint(last) {
			t.Errorf("%s: details %v", name, d.Details)
		}
	}
}

func errorsOf(errs ...error) error {
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return errs[i]
	}
	return nil
}

// TestHeadTime: an agent comes with the time of its last commit, as of the moment of the list.
func TestHeadTime(t *testing.T) {
	r := newRig(t)
	r.put("", "a", "k", `{}`)
	second := r.put("", "b", "k", `{}`)
	third := r.put("", "a", "k", `{}`)
	agents, err := r.ListAgents(timeout(t), &pb.ListAgentsRequest{})
	if err != nil || len(agents.Agents) != 2 {
		t.Fatal(agents, err)
	}
	for i, want := range []*pb.TransactResponse{third, second} {
		if a := agents.Agents[i]; a.HeadTs != want.CommitTs || !a.HeadTime.AsTime().Equal(want.CommitTime.AsTime()) {
			t.Errorf("%v, not at %d, %v", a, want.CommitTs, want.CommitTime.AsTime())
		}
	}
}
