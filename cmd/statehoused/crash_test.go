package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// TestKillUnderLoad kills the daemon under 16 writers, one-shot and interactive,
// again and again, sometimes while it recovers. After each life: verify is green;
// everything acknowledged is in the log once, as it was answered; what was not is
// there whole or not at all; what was aborted or left open is not there (G1, G2,
// G6). In the end the log is dense, folds to the state, and two watches that were
// resumed across all the lives saw each commit once and in order (G5).
func TestKillUnderLoad(t *testing.T) { killUnderLoad(t, 5) }

// TestKillUnderLoadUnsynced is TestKillUnderLoad without syncs, of which the death of a
// process knows nothing.
func TestKillUnderLoadUnsynced(t *testing.T) { killUnderLoad(t, 3, "--fsync-on-commit=false") }

func killUnderLoad(t *testing.T, lives int, args ...string) {
	most := int64(1500)
	if raceEnabled {
		most = 300 // verify and the clients are slow then
	}
	if sweep {
		lives = 50
	}
	dir := filepath.Join(t.TempDir(), "data")
	b := &book{txns: map[string]*transaction{}}
	tapes := map[string]*tape{"default": {}, "other": {}}
	rng := newRand(lives)
	for life := range lives {
		if life%2 == 1 {
			killWhileStarting(t, dir, rng, args)
		}
		d := start(t, dir, append(args, "--must-exist="+fmt.Sprint(life > 0))...)
		followed := follow(context.Background(), t, d, tapes)
		b.sendAgain(t, d, rng)
		until := b.acks.Load() + 50 + rng.Int64N(most)
		written := load(t, d, b, life, nil)
		eventually(t, "enough is acknowledged", func() error {
			if b.acks.Load() < until {
				return errNotYet
			}
			return nil
		})
		d.kill()
		written()
		followed()
		report := verified(t, dir)
		for _, x := range b.all(acked) {
			if x.ts > uint64(report.Commits) {
				t.Errorf("G1: %s was acknowledged at %d, the log ends at %d", x.id, x.ts, report.Commits)
			}
		}
	}
	d := start(t, dir, append(args, "--must-exist")...)
	b.sendAgain(t, d, rng)
	st, err := d.GetStatus(call(t), &pb.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	followed := follow(ctx, t, d, tapes)
	replays := map[string]*tape{"default": replay(t, d, "default"), "other": replay(t, d, "other")}
	// One commit that both watches see, to end them with.
	last, err := d.Transact(call(t), &pb.TransactRequest{TxnId: "the-end", Operations: []*pb.TransactOperation{put("end", "k", `{}`), {Namespace: "other", AgentId: "end", Key: "k", Delete: true}}})
	if err != nil {
		t.Fatal(err)
	}
	caughtUp(t, tapes, last.CommitTs)
	cancel()
	followed()
	for ns, tp := range tapes { // each for itself: any order
		tp.events = slices.DeleteFunc(tp.events, func(ev *pb.ReplayEvent) bool { return ev.CommitTs == last.CommitTs })
		sameEvents(t, "the watch of "+ns, tp.events, replays[ns].events)
	}
	n := b.check(t, d, st.PublishedTs, replays)
	d.terminate()
	verified(t, dir)
	t.Logf("%d lives, %d transactions in the log, %d acknowledged, %d never", lives, n, len(b.all(acked)), len(b.all(never)))
}

// killWhileStarting ends a daemon in the middle of its recovery, or nearly.
func killWhileStarting(t *testing.T, dir string, rng *rand.Rand, args []string) {
	t.Helper()
	for range 2 {
		cmd := command(nil, append(args, "--data-dir", dir, "--listen-addr", "127.0.0.1:0", "--must-exist")...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rng.IntN(40)) * time.Millisecond) // the fault's moment, not a wait
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// replay reads a namespace's log.
func replay(t *testing.T, d *daemon, namespace string) *tape {
	t.Helper()
	tp := &tape{}
	s, err := d.ReplayBatches(call(t), &pb.ReplayRequest{Namespace: namespace, AllAgents: true, Encoding: pb.ValueEncoding_VALUE_ENCODING_JSON})
	for err == nil {
		var batch *pb.EventBatch
		if batch, err = s.Recv(); err == nil {
			tp.take(t, batch)
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return tp
}

// caughtUp waits until watches that other goroutines read have seen ts.
func caughtUp(t *testing.T, tapes map[string]*tape, ts uint64) {
	t.Helper()
	eventually(t, "the watches have caught up", func() error {
		for ns, tp := range tapes { // any order
			if tp.seen.Load() < ts {
				return fmt.Errorf("%s is at %d of %d", ns, tp.seen.Load(), ts)
			}
		}
		return nil
	})
}

func sameEvents(t *testing.T, what string, got, want []*pb.ReplayEvent) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("G5: %s has %d events, replay %d", what, len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if !proto.Equal(got[i], want[i]) {
			t.Fatalf("G5: %s differs from replay: %v, %v", what, got[i], want[i])
		}
	}
}

// record is a key's state as the log implies it.
type record struct {
	version, ts uint64
	value       string // "": deleted
}

// check holds the log to what the clients heard and the state to the log.
func (b *book) check(t *testing.T, d *daemon, last uint64, replays map[string]*tape) int {
	t.Helper()
	commits := map[uint64]map[string][]*pb.Operation{} // by commit_ts: operations by transaction id
	for _, tp := range replays {                       // into a map: any order
		for _, ev := range tp.events {
			if commits[ev.CommitTs] == nil {
				commits[ev.CommitTs] = map[string][]*pb.Operation{}
			}
			commits[ev.CommitTs][ev.TxnId] = append(commits[ev.CommitTs][ev.TxnId], ev.Operations...)
		}
	}
	if len(commits) != int(last) {
		t.Errorf("G5: %d commits in the log, the last is %d", len(commits), last)
	}
	state := map[string]record{}
	seen := map[string]uint64{}
	for ts := uint64(1); ts <= last; ts++ {
		if len(commits[ts]) != 1 {
			t.Fatalf("G5: commit %d has %d transactions", ts, len(commits[ts]))
		}
		for id, ops := range commits[ts] { // there is one
			if seen[id] != 0 {
				t.Errorf("G6: %s is in the log at %d and %d", id, seen[id], ts)
			}
			seen[id] = ts
			b.checkCommit(t, id, ts, ops, state)
		}
	}
	for _, x := range b.all(acked) {
		if seen[x.id] != x.ts {
			t.Errorf("G1: %s was acknowledged at %d, it is in the log at %d", x.id, x.ts, seen[x.id])
		}
	}
	b.checkOutcomes(t, d, seen)
	checkState(t, d, last, state)
	return len(seen)
}

// checkCommit holds one commit to what its client sent, and folds it.
func (b *book) checkCommit(t *testing.T, id string, ts uint64, ops []*pb.Operation, state map[string]record) {
	t.Helper()
	x := b.txns[id]
	if x == nil || x.fate == never {
		t.Errorf("G2: commit %d is %s, which nobody committed", ts, id)
		return
	}
	got := map[string]*pb.Operation{}
	for _, op := range ops {
		got[op.Namespace+"/"+op.AgentId+"/"+op.Key] = op
	}
	want := map[string]*pb.TransactOperation{} // of one key the last counts
	for _, op := range x.ops {
		want[op.Namespace+"/"+op.AgentId+"/"+op.Key] = op
	}
	if len(got) != len(want) || len(ops) != len(want) {
		t.Errorf("G2: commit %d (%s) has %d operations, %d were sent", ts, id, len(ops), len(want))
	}
	for name, op := range want { // any order
		r := record{version: state[name].version + 1, ts: ts, value: string(op.ValueJson)}
		state[name] = r
		if g := got[name]; g == nil || g.Version != r.version || string(g.ValueJson) != r.value || g.Deleted != op.Delete {
			t.Errorf("G2: commit %d (%s), %s: %v, want %+v", ts, id, name, got[name], r)
		}
	}
	for i, v := range x.order {
		if op := x.ops[i]; state[op.Namespace+"/"+op.AgentId+"/"+op.Key].version != v {
			t.Errorf("G6: %s was answered version %d of %s", id, v, op.Key)
		}
	}
}

// checkOutcomes asks for every transaction by its id.
func (b *book) checkOutcomes(t *testing.T, d *daemon, seen map[string]uint64) {
	t.Helper()
	for id := range b.txns { // each for itself: any order
		got, err := d.GetTransaction(call(t), &pb.GetTransactionRequest{TxnId: id})
		if err != nil {
			t.Fatal(err)
		}
		isCommitted := got.State == pb.TransactionState_TRANSACTION_STATE_COMMITTED
		if isCommitted != (seen[id] != 0) || got.CommitTs != seen[id] {
			t.Errorf("G6: %s is %v at %d, the log has it at %d", id, got.State, got.CommitTs, seen[id])
		}
	}
}

// checkState compares the state with what the log folds to.
func checkState(t *testing.T, d *daemon, last uint64, state map[string]record) {
	t.Helper()
	left := map[string]record{}
	for name, r := range state { // into a map: any order
		if r.value != "" {
			left[name] = r
		}
	}
	at := &pb.At{Point: &pb.At_CommitTs{CommitTs: last}}
	for _, ns := range []string{"default", "other"} {
		agents, err := d.ListAgents(call(t), &pb.ListAgentsRequest{Namespace: ns})
		if err != nil || agents.NextPageToken != "" {
			t.Fatal(err, agents.GetNextPageToken())
		}
		for _, a := range agents.Agents {
			scan, err := d.ScanPrefix(call(t), &pb.ScanPrefixRequest{Namespace: ns, AgentId: a.AgentId, At: at, Encoding: pb.ValueEncoding_VALUE_ENCODING_JSON})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range scan.Entries {
				name := ns + "/" + a.AgentId + "/" + e.Key
				if got := (record{e.Version, e.CommitTs, string(e.ValueJson)}); got != left[name] {
					t.Errorf("G5: the state has %s as %+v, the log as %+v", name, got, left[name])
				}
				delete(left, name)
			}
		}
	}
	for name, r := range left { // any order
		t.Errorf("G5: the log has %s as %+v, the state does not", name, r)
	}
}
