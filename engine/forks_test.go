package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

// Forks are held to a model that copies: whatever is read of a fork, at any point, must be what an
// agent would have into which the parent's versions had been copied.

func forkOf(agent, parent string, at engine.At) engine.Write {
	return engine.Write{Name: engine.RecordName{Agent: agent}, Eval: engine.Fork{Parent: parent, At: at}}
}

func atTS(ts engine.CommitTS) engine.At { return engine.At{CommitTS: &ts} }

// forkModel is what was committed.
type forkModel struct {
	agents map[string]*forkedAgent
	names  []string
	head   engine.CommitTS
}

type forkedAgent struct {
	first    engine.CommitTS
	versions map[string][]pastVersion // oldest first
	parent   string
	upTo     engine.CommitTS
}

func (m *forkModel) agent(name string) *forkedAgent {
	a := m.agents[name]
	if a == nil {
		a = &forkedAgent{first: m.head, versions: map[string][]pastVersion{}}
		m.agents[name] = a
		m.names = append(m.names, name)
	}
	return a
}

func (a *forkedAgent) at(key string, ts engine.CommitTS) (v pastVersion) {
	if ts < a.first {
		return v
	}
	for _, x := range a.versions[key] {
		if x.ts <= ts {
			v = x
		}
	}
	return v
}

type forkRun struct {
	t     *testing.T
	p     *process
	disk  *simdisk.Disk
	clock *rigClock
	m     *forkModel
	rng   *rand.Rand
	n     int
	floor engine.CommitTS
	// few has a transaction change few keys of more, and chores look at few rows, so that deletes are acts
	// that take several steps.
	few  bool
	acts int // restores of very many keys
}

var forkKeys = []string{"a", "a/1", "b", "b/2", "c", "zz"}

func (r *forkRun) keys() []string {
	if r.few {
		return []string{"a", "a/1", "b", "b/2", "b/3", "b/4", "b/5", "b/6", "c", "c/1", "c/2", "d", "zz"}
	}
	return forkKeys
}

func (r *forkRun) write() {
	r.n++
	var ws []engine.Write
	names := r.m.names
	if len(names) == 0 || r.rng.IntN(10) == 0 {
		names = append(slices.Clone(names), fmt.Sprint("new-", len(names)))
	}
	agent := names[r.rng.IntN(len(names))]
	if r.rng.IntN(3) == 0 {
		agent = names[0] // one key has many versions
	}
	for _, k := range r.keys() {
		if r.few && len(ws) == fewOps {
			break
		}
		switch r.rng.IntN(6) {
		case 0, 1:
			ws = append(ws, put(agent, k, r.n))
		case 2:
			ws = append(ws, remove(agent, k))
		}
	}
	if len(ws) == 0 {
		ws = append(ws, put(agent, "a", r.n))
	}
	got := r.p.transact(r.t, fmt.Sprint("w-", r.n), map[string]string{"n": fmt.Sprint(r.n)}, ws...)
	r.m.head = got.CommitTS
	a := r.m.agent(agent)
	for i, w := range ws {
		vs := a.versions[w.Name.Key]
		v := pastVersion{ts: got.CommitTS, number: 1, value: string(w.Value), tombstone: w.Tombstone}
		if len(vs) > 0 {
			v.number = vs[len(vs)-1].number + 1
		}
		if got.Versions[i].Version != v.number {
			r.t.Fatalf("key %q of %q got version %d, of %d", w.Name.Key, agent, got.Versions[i].Version, v.number)
		}
		a.versions[w.Name.Key] = append(vs, v)
	}
}

func (r *forkRun) fork() {
	r.n++
	parent := r.m.names[r.rng.IntN(len(r.m.names))]
	name := fmt.Sprint("fork-", r.n)
	at, upTo := engine.At{}, r.m.head
	if r.rng.IntN(2) == 0 {
		upTo = max(r.floor, 1+engine.CommitTS(r.rng.IntN(int(r.m.head))))
		at = atTS(upTo)
	}
	got, err := r.p.Transact(context.Background(), engine.TxnID(fmt.Sprint("f-", r.n)), []engine.Write{forkOf(name, parent, at)}, engine.Conditions{})
	from := r.m.agents[parent]
	if upTo < from.first {
		if !errors.Is(err, engine.ErrPrecondition) {
			r.t.Fatalf("a fork of what was not there yet: %v", err)
		}
		return
	}
	if errors.Is(err, engine.ErrLimit) {
		return
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.m.head = got.CommitTS
	a := r.m.agent(name)
	a.parent, a.upTo = parent, upTo
	for k, vs := range from.versions {
		for _, v := range vs {
			if v.ts <= upTo {
				a.versions[k] = append(a.versions[k], v)
			}
		}
	}
}

// check compares all that can be read of all agents at some commit.
func (r *forkRun) check() {
	t := r.t
	t.Helper()
	ts := max(r.floor, engine.CommitTS(r.rng.IntN(int(r.m.head)+1)))
	if r.rng.IntN(2) == 0 {
		ts = r.m.head
	}
	r.checkFind(ts)
	for range 4 {
		r.checkDiff()
	}
	at, err := r.p.Snapshot(atTS(ts))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range r.m.names {
		a := r.m.agents[n]
		var want []string
		for _, k := range r.keys() {
			v := a.at(k, ts)
			rec, err := at.Get(name(n, k))
			if err != nil {
				t.Fatalf("%q of %q at %d: %v", k, n, ts, err)
			}
			if rec.Version != v.number || string(rec.Value) != v.value || rec.Exists != (v.number > 0 && !v.tombstone) || rec.CommitTS != v.ts {
				t.Fatalf("%q of %q at %d is %d %s, of %+v", k, n, ts, rec.Version, rec.Value, v)
			}
			if rec.Exists {
				want = append(want, fmt.Sprint(k, rec.Version, string(rec.Value)))
			}
			r.checkHistory(at, n, k, ts)
		}
		for _, reverse := range []bool{false, true} {
			o := engine.ScanOptions{Agent: engine.AgentName{Agent: n}, Reverse: reverse, Page: engine.Page{Items: 1 + r.rng.IntN(4)}, KeysOnly: false}
			var got []string
			for more := true; more; {
				var recs []engine.Record
				if recs, more, err = at.Scan(o); err != nil {
					t.Fatal(err)
				}
				for _, rec := range recs {
					got = append(got, fmt.Sprint(rec.Name.Key, rec.Version, string(rec.Value)))
					o.After = rec.Name.Key
				}
			}
			if reverse {
				slices.Reverse(got)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%q at %d lists %q, of %q", n, ts, got, want)
			}
		}
		of, _, err := at.Lineage(engine.AgentName{Agent: n})
		if err != nil || (of != nil) != (a.parent != "" && a.first <= ts) || of != nil && (of.Parent.Agent != a.parent || of.ParentTS != a.upTo || of.CommitTS != a.first) {
			t.Fatalf("the lineage of %q is %+v, %v", n, of, err)
		}
	}
}

func (r *forkRun) checkHistory(at engine.Snapshot, n, k string, ts engine.CommitTS) {
	r.t.Helper()
	a := r.m.agents[n]
	var want []pastVersion
	for _, v := range a.versions[k] {
		if ts >= a.first && v.ts <= ts {
			want = append(want, v)
		}
	}
	got, _, err := at.History(name(n, k), 0, true, engine.Page{})
	if err != nil {
		r.t.Fatal(err)
	}
	// What was superseded at the floor may be gone, and nothing else.
	for len(want) > 1 && len(got) < len(want) && r.floor > 0 && want[1].ts <= max(r.floor, a.first) {
		want = want[1:]
	}
	if len(got) != len(want) {
		r.t.Fatalf("the history of %q of %q at %d has %d versions, of %d", k, n, ts, len(got), len(want))
	}
	for i, v := range want {
		h := got[i]
		if h.Version != v.number || string(h.Value) != v.value || h.CommitTS != v.ts || h.TxnID == "" || v.ts >= r.floor && h.Metadata["n"] != string(h.TxnID[2:]) {
			r.t.Fatalf("history of %q of %q: %+v, of %+v", k, n, h, v)
		}
		rec, err := r.p.GetVersion(name(n, k), v.number)
		if err != nil || string(rec.Value) != v.value || rec.CommitTS != v.ts {
			r.t.Fatalf("version %d of %q of %q: %+v, %v", v.number, k, n, rec, err)
		}
	}
}

// checkReplay folds the log of readers who know no acts, up to some commit, and compares it with the state then.
func (r *forkRun) checkReplay() {
	t := r.t
	state := map[engine.RecordName]engine.EventOp{}
	var in *engine.Inside
	cursor, last := engine.Cursor(max(r.floor, 1)-1), r.p.Published()
	if r.floor > 1 {
		return
	}
	if r.rng.IntN(2) == 0 {
		last = 1 + engine.CommitTS(r.rng.IntN(int(last)))
	}
	for cursor < last {
		if in == nil {
			in = &engine.Inside{}
		}
		events, next, err := r.p.ReplayChunk(engine.Filter{AllAgents: true}, cursor, last, engine.Chunk{Bytes: 64 + r.rng.IntN(2000), Inside: in})
		if err != nil {
			t.Fatal(err)
		}
		in = nil
		for _, ev := range events {
			for _, op := range ev.Ops {
				state[op.Name] = op
			}
			in = ev.Rest
		}
		if cursor = next; len(events) == 0 && next < last {
			t.Fatalf("replay stands still at %d of %d", next, last)
		}
	}
	at, _ := r.p.Snapshot(atTS(last))
	for _, n := range r.m.names {
		for _, k := range r.keys() {
			rec, err := at.Get(name(n, k))
			op := state[name(n, k)]
			if err != nil || rec.Exists != (op.Version > 0 && !op.Tombstone) || string(op.Value) != string(rec.Value) || rec.Exists && op.Version != rec.Version {
				t.Fatalf("%q of %q is %+v, the log says %+v, %v", k, n, rec, op, err)
			}
		}
	}
}

// see takes note of the floor.
func (r *forkRun) see() {
	list, err := r.p.Retentions()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, x := range list {
		r.floor = x.Floor
	}
}

func (r *forkRun) open() {
	r.p = newProcess(r.disk, r.clock, func(err error) { r.t.Errorf("halted: %v", err) })
	r.p.lookedRows = []int{0, 3, 40}[r.n%3]
	if r.few {
		r.p.txnOps, r.p.pieceRows = fewOps, 3
	}
	if err := r.p.open(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *forkRun) reopen(crash bool) {
	if crash {
		next := r.disk.Crash(simdisk.CrashOptions{Mode: simdisk.DropAll})
		_ = r.p.Close()
		r.disk = next
	} else if err := r.p.Close(); err != nil {
		r.t.Fatal(err)
	}
	if _, err := verifyOn(r.disk); err != nil {
		r.t.Fatalf("verify: %v", err)
	}
	r.open()
}

func newForkRun(t *testing.T, seed uint64) *forkRun {
	r := &forkRun{t: t, disk: simdisk.NewDisk(simdisk.DiskOptions{Seed: seed}), clock: &rigClock{}, rng: rand.New(rand.NewPCG(seed, 16)), m: &forkModel{agents: map[string]*forkedAgent{}}}
	r.open()
	return r
}

func TestForks(t *testing.T) {
	simtest.Serial(t)
	for seed := range seeds(8) {
		r := newForkRun(t, seed)
		r.write()
		for range 120 {
			switch r.rng.IntN(20) {
			case 0, 1, 2, 3, 4, 5, 6, 7, 8:
				r.write()
			case 9, 10, 11:
				r.fork()
			case 12:
				_ = r.p.Flush()
			case 13:
				r.reopen(r.rng.IntN(2) == 0)
			case 14:
				r.checkReplay()
			case 15:
				r.p.chores()
			default:
				r.check()
			}
		}
		r.reopen(false)
		r.check()
		if err := r.p.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestForksAreCopied: a namespace forgets, and forks keep what they inherited.
func TestForksAreCopied(t *testing.T) {
	simtest.Serial(t)
	for seed := range seeds(8) {
		r := newForkRun(t, seed)
		r.forgets(150, r.fork)
	}
}
