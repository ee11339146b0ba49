package server

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

func TestVersions(t *testing.T) {
	r := newRig(t)
	r.put("", "a", "k", `{"v":1}`)
	r.transact(remove("", "a", "k"))
	r.put("", "other", "k", `{}`)
	r.put("", "a", "k", `{"v":3}`)
	at := func(key string, v uint64) (*pb.GetStateAtVersionResponse, error) {
		return r.GetStateAtVersion(timeout(t), &pb.GetStateAtVersionRequest{AgentId: "a", Key: key, Version: v, Encoding: asJSON})
	}
	for _, when := range []string{"at once", "after a restart"} {
		for _, c := range []struct {
			version, ts uint64
			value       string
		}{{1, 1, `{"v":1}`}, {2, 2, ""}, {3, 4, `{"v":3}`}} {
			got, err := at("k", c.version)
			if err != nil || got.Version != c.version || got.CommitTs != c.ts || got.Exists != (c.value != "") || string(got.ValueJson) != c.value || got.CommitTime == nil {
				t.Errorf("%s: version %d: %v %v", when, c.version, got, err)
			}
		}
		for _, v := range []uint64{0, 4, 1 << 63, 1<<64 - 1} {
			_, err := at("k", v)
			d := refused(t, fmt.Sprintf("%s: version %d", when, v), err, codes.NotFound, pb.ErrorCode_VERSION_NOT_FOUND, `"k"`, fmt.Sprint(v))
			if d.Details["version"] != fmt.Sprint(v) {
				t.Errorf("details %v", d.Details)
			}
		}
		_, err := at("never", 1)
		refused(t, "a key that never was", err, codes.NotFound, pb.ErrorCode_VERSION_NOT_FOUND)
		r.restart()
	}
	// The next version after a delete and a restart goes on (G5).
	if v := r.put("", "a", "k", `{}`).Versions[0]; v != 4 {
		t.Errorf("the next version is %d", v)
	}
	missing, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: "never"})
	if err != nil || missing.Exists || missing.Version != 0 || missing.CommitTs != 0 || missing.CommitTime != nil {
		t.Errorf("a missing key: %v %v", missing, err)
	}
}

// Reads as of a commit or a time, in every method that takes one, show what was
// then, and a time between two commits is the earlier.
func TestAsOf(t *testing.T) {
	r := newRig(t)
	var times []time.Time
	for i := range 6 {
		r.advance(time.Minute)
		ops := []*pb.TransactOperation{set("", "a", "counter", fmt.Sprintf(`{"n":%d}`, i+1)), set("", "a", fmt.Sprint("key", i), `{}`)}
		if i > 0 {
			ops = append(ops, remove("", "a", fmt.Sprint("key", i-1)))
		}
		times = append(times, r.transact(ops...).CommitTime.AsTime())
	}
	type point struct {
		at *pb.At
		ts uint64
	}
	points := []point{{nil, 6}, {&pb.At{}, 6}}
	for ts := uint64(0); ts <= 6; ts++ {
		points = append(points, point{&pb.At{Point: &pb.At_CommitTs{CommitTs: ts}}, ts})
	}
	atTime := func(x time.Time) *pb.At { return &pb.At{Point: &pb.At_Time{Time: timestamppb.New(x)}} }
	for i, x := range times {
		ts := uint64(i + 1)
		points = append(points, point{atTime(x), ts}, point{atTime(x.Add(-1)), ts - 1}, point{atTime(x.Add(30 * time.Second)), ts})
	}
	points = append(points, point{atTime(time.Unix(-1, 0)), 0}, point{atTime(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)), 6})
	for _, p := range points {
		got, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: "counter", Encoding: asJSON, At: p.at})
		want := fmt.Sprintf(`{"n":%d}`, p.ts)
		if p.ts == 0 {
			want = ""
		}
		if err != nil || got.ReadTs != p.ts || string(got.ValueJson) != want || got.Version != p.ts {
			t.Errorf("get at %v (%d): %v %v", p.at, p.ts, got, err)
		}
		list, err := r.ListKeys(timeout(t), &pb.ListKeysRequest{AgentId: "a", At: p.at})
		var keys []string
		if p.ts > 0 {
			keys = []string{"counter", fmt.Sprint("key", p.ts-1)}
		}
		if err != nil || list.ReadTs != p.ts || !slices.Equal(list.Keys, keys) {
			t.Errorf("list at %v (%d): %v %v", p.at, p.ts, list, err)
		}
		scan, err := r.ScanPrefix(timeout(t), &pb.ScanPrefixRequest{AgentId: "a", Prefix: "c", At: p.at, Encoding: asJSON})
		if err != nil || scan.ReadTs != p.ts || p.ts > 0 && (len(scan.Entries) != 1 || string(scan.Entries[0].ValueJson) != want) {
			t.Errorf("scan at %v (%d): %v %v", p.at, p.ts, scan, err)
		}
		batch, err := r.BatchGetState(timeout(t), &pb.BatchGetStateRequest{Names: []*pb.RecordName{{AgentId: "a", Key: "counter"}, {AgentId: "a", Key: "key0"}}, At: p.at, Encoding: asJSON})
		if err != nil || batch.ReadTs != p.ts || string(batch.States[0].ValueJson) != want || batch.States[1].Exists != (p.ts == 1) {
			t.Errorf("batch at %v (%d): %v %v", p.at, p.ts, batch, err)
		}
		history, err := r.GetHistory(timeout(t), &pb.GetHistoryRequest{AgentId: "a", Key: "counter", At: p.at})
		if err != nil || len(history.Entries) != int(p.ts) {
			t.Errorf("history at %v (%d): %v %v", p.at, p.ts, history, err)
		}
	}
	for _, bad := range []*pb.At{{Point: &pb.At_CommitTs{CommitTs: 7}}, {Point: &pb.At_Time{Time: &timestamppb.Timestamp{Nanos: -1}}},
		{Point: &pb.At_Time{Time: &timestamppb.Timestamp{Seconds: 1 << 62}}}} {
		_, get := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: "counter", At: bad})
		_, list := r.ListKeys(timeout(t), &pb.ListKeysRequest{AgentId: "a", At: bad})
		_, history := r.GetHistory(timeout(t), &pb.GetHistoryRequest{AgentId: "a", Key: "counter", At: bad})
		for _, err := range []error{get, list, history} {
			invalidArgument(t, fmt.Sprint(bad), err)
		}
	}
	id := r.begin()
	_, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: "counter", TxnId: id, At: points[3].at})
	invalidArgument(t, "as of, inside a transaction", err, "transaction")
}

// The clock goes back and forth: commit order is right and commit_time never falls.
func TestClockJumps(t *testing.T) {
	r := newRig(t)
	var last time.Time
	for i, jump := range []time.Duration{0, -time.Hour, time.Hour, 10 * 365 * 24 * time.Hour, -10 * 365 * 24 * time.Hour, 0} {
		r.advance(jump)
		got := r.put("", "a", "k", `{}`)
		if got.CommitTs != uint64(i+1) || got.CommitTime.AsTime().Before(last) {
			t.Errorf("after a jump of %v: commit %d at %v, the one before was at %v", jump, got.CommitTs, got.CommitTime.AsTime(), last)
		}
		last = got.CommitTime.AsTime()
		if i%2 == 1 {
			r.restart()
		}
	}
}

// Two namespaces with two agents each, all with the same keys: nothing crosses
// over (G10), in any read.
func TestIsolation(t *testing.T) {
	r := newRig(t)
	places := [][2]string{{"n", "a"}, {"n", "ab"}, {"nn", "a"}, {"nn", "b"}}
	for round := range 3 {
		for _, p := range places {
			mark := fmt.Sprintf(`{"of":"%s/%s","round":%d}`, p[0], p[1], round)
			r.transact(set(p[0], p[1], "k", mark), set(p[0], p[1], "k2", mark))
		}
	}
	for i, p := range places {
		mine := fmt.Sprintf(`"%s/%s"`, p[0], p[1])
		check := func(what string, values ...[]byte) {
			t.Helper()
			for _, v := range values {
				if !strings.Contains(string(v), mine) {
					t.Errorf("%s of %s: %s", what, mine, v)
				}
			}
		}
		check("get", []byte(r.get(p[0], p[1], "k")))
		scan, err := r.ScanPrefix(timeout(t), &pb.ScanPrefixRequest{Namespace: p[0], AgentId: p[1], Encoding: asJSON})
		if err != nil || len(scan.Entries) != 2 {
			t.Errorf("scan of %s: %v %v", mine, scan, err)
		}
		for _, e := range scan.GetEntries() {
			check("scan", e.ValueJson)
		}
		history, err := r.GetHistory(timeout(t), &pb.GetHistoryRequest{Namespace: p[0], AgentId: p[1], Key: "k", Encoding: asJSON})
		if err != nil || len(history.Entries) != 3 {
			t.Errorf("history of %s: %v %v", mine, history, err)
		}
		for _, e := range history.GetEntries() {
			check("history", e.ValueJson)
		}
		events := r.both(&pb.ReplayRequest{Namespace: p[0], AgentId: p[1], Encoding: asJSON})
		w := r.watch(&pb.WatchRequest{Namespace: p[0], AgentId: p[1], Encoding: asJSON, AfterTs: ptr(uint64(0))})
		w.until(uint64(2*len(places) + i + 1)) // its last commit
		if len(events) != 3 || summary(w.events) != summary(events) {
			t.Errorf("replay of %s: %s, watch: %s", mine, summary(events), summary(w.events))
		}
		for _, ev := range events {
			for _, op := range ev.Operations {
				check("replay", op.ValueJson)
				if op.Namespace != p[0] || op.AgentId != p[1] {
					t.Errorf("replay of %s has an operation of %s/%s", mine, op.Namespace, op.AgentId)
				}
			}
		}
		agents, err := r.ListAgents(timeout(t), &pb.ListAgentsRequest{Namespace: p[0]})
		if err != nil || len(agents.Agents) != 2 {
			t.Errorf("agents of %s: %v %v", p[0], agents, err)
		}
		for _, a := range agents.GetAgents() {
			first := uint64(slices.Index(places, [2]string{a.Namespace, a.AgentId}) + 1)
			if a.Namespace != p[0] || a.FirstTs != first || a.HeadTs != first+uint64(2*len(places)) {
				t.Errorf("agent %v of %s, whose first commit is %d", a, p[0], first)
			}
		}
		all := r.both(&pb.ReplayRequest{Namespace: p[0], AllAgents: true})
		if len(all) != 6 {
			t.Errorf("replay of all of %s: %s", p[0], summary(all))
		}
	}
}

// Pages of one list are of one commit_ts, whatever writers do meanwhile, in both
// directions, outside and inside a transaction.
func TestPagesUnderWriters(t *testing.T) {
	r := newRig(t)
	const keys = 300
	write := func(round int) {
		var ops []*pb.TransactOperation
		for i := range keys {
			ops = append(ops, set("", "a", fmt.Sprintf("k%04d", i), fmt.Sprintf(`{"round":%d}`, round)))
		}
		ops = append(ops, set("", "a", fmt.Sprintf("k%04d-%d", round, round), fmt.Sprintf(`{"round":%d}`, round)), remove("", "a", fmt.Sprintf("k%04d-%d", round-1, round-1)))
		r.transact(ops...)
	}
	write(1)
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for round := 2; ; round++ {
			select {
			case <-stop:
				return
			default:
				write(round)
			}
		}
	})
	for i, c := range []struct{ reverse, txn bool }{{false, false}, {true, false}, {false, true}, {true, true}, {false, false}, {true, false}} {
		req := &pb.ScanPrefixRequest{AgentId: "a", Prefix: "k", Limit: uint32(7 + 13*i), Reverse: c.reverse, Encoding: asJSON}
		if c.txn {
			req.TxnId = r.begin()
		}
		var got []string
		rounds, ts := map[string]bool{}, map[uint64]bool{}
		for {
			page, err := r.ScanPrefix(timeout(t), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Entries {
				got = append(got, e.Key)
				rounds[string(e.ValueJson)] = true
			}
			ts[page.ReadTs] = true
			if len(page.Entries) != int(req.Limit) && page.NextPageToken != "" {
				t.Errorf("a page of %d, the limit is %d", len(page.Entries), req.Limit)
			}
			if req.PageToken = page.NextPageToken; req.PageToken == "" {
				break
			}
		}
		if c.reverse {
			slices.Reverse(got)
		}
		if len(got) != keys+1 || !slices.IsSorted(got) || len(slices.Compact(got)) != keys+1 || len(rounds) != 1 || len(ts) != 1 {
			t.Errorf("reverse %v, inside %v: %d keys of %d rounds at %d commits", c.reverse, c.txn, len(got), len(rounds), len(ts))
		}
	}
	close(stop)
	writing.Wait()
}

// A transaction reads its snapshot under its own writes; nobody else sees those.
func TestReadsInsideATransaction(t *testing.T) {
	r := newRig(t)
	r.transact(set("", "a", "k1", `{"v":1}`), set("", "a", "k2", `{"v":1}`), set("", "a", "k3", `{"v":1}`))
	id := r.begin()
	r.transact(set("", "a", "k1", `{"v":2}`), set("", "a", "k4", `{"v":2}`))
	if err := r.write(id, "a", "k2", `{"mine":1}`); err != nil {
		t.Fatal(err)
	}
	if err := r.write(id, "a", "k0", `{"mine":1}`); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Delete(timeout(t), &pb.DeleteRequest{TxnId: id, AgentId: "a", Key: "k3"}); err != nil {
		t.Fatal(err)
	}
	scan := func(id string, reverse bool) string {
		resp, err := r.ScanPrefix(timeout(t), &pb.ScanPrefixRequest{AgentId: "a", TxnId: id, Encoding: asJSON, Reverse: reverse, Prefix: "k"})
		if err != nil {
			t.Fatal(err)
		}
		s := ""
		for _, e := range resp.Entries {
			s += e.Key + string(e.ValueJson)
		}
		return s
	}
	if got := scan(id, false); got != `k0{"mine":1}k1{"v":1}k2{"mine":1}` {
		t.Errorf("inside: %s", got)
	}
	if got := scan(id, true); got != `k2{"mine":1}k1{"v":1}k0{"mine":1}` {
		t.Errorf("inside, backwards: %s", got)
	}
	if got := scan("", false); got != `k1{"v":2}k2{"v":1}k3{"v":1}k4{"v":2}` {
		t.Errorf("outside: %s", got)
	}
	for key, want := range map[string]string{"k0": `{"mine":1}`, "k1": `{"v":1}`, "k2": `{"mine":1}`, "k3": "", "k4": ""} { // any order
		got, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: key, TxnId: id, Encoding: asJSON})
		if err != nil || string(got.ValueJson) != want || got.Exists != (want != "") || got.ReadTs != 1 {
			t.Errorf("%s inside: %v %v", key, got, err)
		}
	}
}

// A read while a sync is blocked answers what was before, or waits: never what is
// not synced yet (G4).
func TestReadsWhileASyncIsBlocked(t *testing.T) {
	var disk *slowDisk
	r := newRig(t, func(_ *Config, env *engine.Env) {
		disk = newSlowDisk(env.FS)
		env.FS = disk
	})
	r.put("", "a", "k", `{"v":1}`)
	release := disk.block()
	answer := make(chan error, 1)
	go func() {
		_, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: "held", Operations: []*pb.TransactOperation{set("", "a", "k", `{"v":2}`), set("", "a", "new", `{}`)}})
		answer <- err
	}()
	<-disk.waiting
	w := r.watch(&pb.WatchRequest{AgentId: "a", AfterTs: ptr(uint64(0))})
	w.until(1)
	for range 20 {
		if got := r.get("", "a", "k"); got != `{"v":1}` {
			t.Errorf("read %s", got)
		}
		_, err := r.GetStateAtVersion(timeout(t), &pb.GetStateAtVersionRequest{AgentId: "a", Key: "k", Version: 2})
		refused(t, "version 2", err, codes.NotFound, pb.ErrorCode_VERSION_NOT_FOUND)
		_, err = r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: "k", At: &pb.At{Point: &pb.At_CommitTs{CommitTs: 2}}})
		invalidArgument(t, "as of commit 2", err)
		if list, err := r.ListKeys(timeout(t), &pb.ListKeysRequest{AgentId: "a"}); err != nil || len(list.Keys) != 1 || list.ReadTs != 1 {
			t.Errorf("list: %v %v", list, err)
		}
		if events := r.both(&pb.ReplayRequest{AgentId: "a"}); len(events) != 1 {
			t.Errorf("replay: %s", summary(events))
		}
		// Not committed yet, and not something that never will be either.
		r.wantState("held", pb.TransactionState_TRANSACTION_STATE_OPEN)
		if st, err := r.GetStatus(timeout(t), &pb.GetStatusRequest{}); err != nil || st.PublishedTs != 1 {
			t.Errorf("status: %v %v", st, err)
		}
	}
	select {
	case err := <-answer:
		t.Errorf("answered before the sync: %v", err)
	default:
	}
	release()
	if err := <-answer; err != nil {
		t.Error(err)
	}
	w.until(2)
	if got := r.get("", "a", "k"); got != `{"v":2}` {
		t.Errorf("after the sync: %s", got)
	}
}

// Who asks for no names is told the point that was read all the same.
func TestBatchGetStateWithoutNames(t *testing.T) {
	r := newRig(t, func(*Config, *engine.Env) {})
	r.put("", "a", "k", `{"n":1}`)
	r.put("", "a", "k", `{"n":2}`)
	for _, c := range []struct {
		at   *pb.At
		want uint64
	}{{nil, 2}, {&pb.At{Point: &pb.At_CommitTs{CommitTs: 1}}, 1}} {
		got, err := r.BatchGetState(timeout(t), &pb.BatchGetStateRequest{At: c.at})
		if err != nil || got.GetReadTs() != c.want || len(got.GetStates()) > 0 {
			t.Errorf("BatchGetState of nothing at %v = %v, %v, want read_ts %d", c.at, got, err, c.want)
		}
	}
	begun, err := r.BeginTransaction(timeout(t), &pb.BeginTransactionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.BatchGetState(timeout(t), &pb.BatchGetStateRequest{TxnId: begun.GetTxnId()}); err != nil || got.GetReadTs() != 2 {
		t.Errorf("BatchGetState of nothing in a transaction = %v, %v, want read_ts 2", got, err)
	}
	if got, err := r.BatchGetState(timeout(t), &pb.BatchGetStateRequest{TxnId: "nobody"}); status.Code(err) != codes.NotFound {
		t.Errorf("BatchGetState of nothing in a transaction that was not begun = %v, %v", got, err)
	}
}
