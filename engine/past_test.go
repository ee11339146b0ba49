package engine_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

// The past shrinks while agents write, the daemon is killed at any point of a step, and what was
// shown once changes only to erased, to pruned, or falls below the floor (G5).

// pastModel is what was committed, in full, and what of it readers have seen to be gone.
type pastModel struct {
	events  []engine.Event // commit i+1
	gone    map[engine.RecordName]map[engine.Version]bool
	floor   engine.CommitTS
	ages    time.Duration // the least that was asked for
	keeps   uint64        // likewise
	erased  map[engine.RecordName]engine.Version
	retries []engine.TxnID
	writes  map[engine.TxnID][]engine.Write
}

// pastVersion is what a commit wrote.
type pastVersion struct {
	ts        engine.CommitTS
	number    engine.Version
	value     string
	tombstone bool
	by        int // restored by the commit of this number, whatever the value says; 0: as it says
}

// versions of a key, the oldest first.
func (m *pastModel) versions(n engine.RecordName) (list []pastVersion) {
	for _, ev := range m.events {
		for _, op := range ev.Ops {
			if op.Name == n {
				list = append(list, pastVersion{ev.CommitTS, op.Version, string(op.Value), op.Tombstone, 0})
			}
		}
	}
	return list
}

// pastRun is a model and the process that it is compared with.
type pastRun struct {
	t      *testing.T
	p      *process
	m      *pastModel
	rng    *rand.Rand
	check  bool // what readers see while a step is in flight, and what a crash leaves then
	inStep bool
}

func (r *pastRun) open(d *simdisk.Disk, clock *rigClock) {
	r.p = newProcess(d, clock, func(err error) { r.t.Errorf("halted: %v", err) })
	r.p.env.Await = r.await
	if err := r.p.open(); err != nil {
		r.t.Fatal(err)
	}
}

// harvest takes over what was published since.
func (r *pastRun) harvest() {
	events, _, err := r.p.Replay(engine.Filter{Whole: true}, engine.CommitTS(len(r.m.events)), r.p.Published(), 0)
	if err != nil {
		r.t.Fatal(err)
	}
	r.m.events = append(r.m.events, events...)
	if len(r.m.events) != int(r.p.Published()) {
		r.t.Fatalf("%d events of %d", len(r.m.events), r.p.Published())
	}
}

// await steps for whoever waits, and looks at what readers see in the middle of a step.
func (r *pastRun) await(ctx context.Context, ready <-chan struct{}) error {
	for {
		select {
		case <-ready:
			return nil
		default:
		}
		if !r.step() {
			r.p.Tick()
			if !r.step() {
				return errNobodyAnswers
			}
		}
	}
}

func (r *pastRun) step() bool {
	if !r.p.Plan() {
		return false
	}
	if r.inStep = true; r.check && r.rng.IntN(4) == 0 {
		r.compare()
		image := r.p.disk.Clone().Crash(simdisk.CrashOptions{Mode: []simdisk.CrashMode{simdisk.DropAll, simdisk.KeepAll}[r.rng.IntN(2)]})
		r.afterCrash(image)
	}
	r.p.Settle()
	r.inStep = false
	r.harvest()
	return true
}

// afterCrash compares what a crash leaves, lets the chores end there, and compares again.
func (r *pastRun) afterCrash(d *simdisk.Disk) {
	if _, err := verifyOn(d.Kill()); err != nil {
		r.t.Fatalf("verify after a crash: %v", err)
	}
	clock := &rigClock{}
	clock.ms.Store(r.p.clock.ms.Load())
	m := *r.m
	m.events = slices.Clone(m.events)
	m.gone, m.erased = cloneGone(m.gone), maps.Clone(m.erased)
	c := &pastRun{t: r.t, m: &m, rng: r.rng}
	c.open(d, clock)
	c.harvest()
	c.compare()
	c.p.Tick()
	for c.step() {
	}
	c.erasuresEnded()
	c.compare()
	if err := c.p.Close(); err != nil {
		r.t.Fatal(err)
	}
	if _, err := verifyOn(d); err != nil {
		r.t.Fatalf("verify: %v", err)
	}
}

// erasuresEnded says that no erasure is under way: what is before its deletes is to be gone.
func (r *pastRun) erasuresEnded() {
	for _, ev := range r.m.events {
		for _, op := range ev.Ops {
			if op.Tombstone && op.Erased {
				r.m.erased[op.Name] = op.Version
			}
		}
	}
}

func cloneGone(gone map[engine.RecordName]map[engine.Version]bool) map[engine.RecordName]map[engine.Version]bool {
	out := make(map[engine.RecordName]map[engine.Version]bool)
	for n, vs := range gone {
		out[n] = make(map[engine.Version]bool)
		for v := range vs {
			out[n][v] = true
		}
	}
	return out
}

// sees notes how a reader was shown a version's value, and holds it to what was shown before.
func (r *pastRun) sees(what string, n engine.RecordName, v *pastVersion, newest engine.Version, value []byte, erased, pruned bool) {
	r.t.Helper()
	switch {
	case v.tombstone:
		if len(value) > 0 || pruned {
			r.t.Fatalf("%s: tombstone %d of %v has a value", what, v.number, n)
		}
		return
	case !erased && !pruned:
		if string(value) != v.value {
			r.t.Fatalf("%s: version %d of %v is %q, not %q", what, v.number, n, value, v.value)
		}
		if r.m.gone[n][v.number] {
			r.t.Fatalf("%s: version %d of %v was gone and is back", what, v.number, n)
		}
		if v.number < r.m.erased[n] {
			r.t.Fatalf("%s: version %d of %v was erased", what, v.number, n)
		}
		return
	case len(value) > 0:
		r.t.Fatalf("%s: version %d of %v is gone and has a value", what, v.number, n)
	case pruned && (r.m.keeps == 0 || uint64(v.number)+r.m.keeps > uint64(newest)):
		r.t.Fatalf("%s: version %d of %v of %d is pruned, and %d are kept", what, v.number, n, newest, r.m.keeps)
	case erased && v.number == newest:
		r.t.Fatalf("%s: the current version %d of %v is erased", what, v.number, n)
	}
	if r.m.gone[n] == nil {
		r.m.gone[n] = make(map[engine.Version]bool)
	}
	r.m.gone[n][v.number] = true
}

// compare reads all of the past in every way.
func (r *pastRun) compare() {
	t, p, m := r.t, r.p, r.m
	t.Helper()
	floor := engine.CommitTS(0)
	rs, err := p.Retentions()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range rs {
		floor = x.Floor
	}
	if floor < m.floor {
		t.Fatalf("the floor was %d and is %d", m.floor, floor)
	}
	if m.floor = floor; floor > 0 {
		if newest := m.events[len(m.events)-1]; m.ages == 0 || newest.CommitTime.Sub(m.events[floor-1].CommitTime) < m.ages {
			t.Fatalf("the floor is %d, %v old, and %v is kept", floor, newest.CommitTime.Sub(m.events[floor-1].CommitTime), m.ages)
		}
	}
	for _, agent := range []string{"a", "b"} {
		r.compareReplay(agent, floor)
		for key := range 3 {
			n := name(agent, fmt.Sprint("k", key))
			if all := m.versions(n); len(all) > 0 {
				r.compareKey(n, all, floor)
			}
		}
	}
	r.compareRetry()
}

func (r *pastRun) compareReplay(agent string, floor engine.CommitTS) {
	events, _, err := r.p.Replay(engine.Filter{Agent: agent}, max(floor, 1)-1, r.p.Published(), 0)
	if err != nil {
		r.t.Fatal(err)
	}
	if floor > 1 {
		if _, _, err := r.p.Replay(engine.Filter{Agent: agent}, floor-2, r.p.Published(), 0); !errors.Is(err, engine.ErrOutOfRange) {
			r.t.Fatalf("a replay from commit %d, below the floor: %v", floor-1, err)
		}
	}
	for _, want := range r.m.events {
		if want.CommitTS < floor || want.Ops[0].Name.Agent != agent {
			continue
		}
		if len(events) == 0 || events[0].CommitTS != want.CommitTS || events[0].TxnID != want.TxnID || len(events[0].Ops) != len(want.Ops) {
			r.t.Fatalf("commit %d is not replayed as it was: %+v", want.CommitTS, events)
		}
		for i, op := range events[0].Ops {
			w := want.Ops[i]
			all := r.m.versions(w.Name)
			r.sees("replay", w.Name, &pastVersion{want.CommitTS, w.Version, string(w.Value), w.Tombstone, 0}, all[len(all)-1].number, op.Value, op.Erased, op.Pruned)
		}
		events = events[1:]
	}
	if len(events) > 0 {
		r.t.Fatalf("more is replayed than was committed: %+v", events[0])
	}
}

func (r *pastRun) compareKey(n engine.RecordName, all []pastVersion, floor engine.CommitTS) {
	t, p := r.t, r.p
	newest := all[len(all)-1].number
	ts := 1 + engine.CommitTS(r.rng.Uint64N(uint64(p.Published())))
	s, err := p.Snapshot(engine.At{CommitTS: &ts})
	if err != nil {
		t.Fatal(err)
	}
	at := -1
	for i := range all {
		if all[i].ts <= ts {
			at = i
		}
	}
	switch rec, err := s.Get(n); {
	case ts < floor:
		if !errors.Is(err, engine.ErrOutOfRange) {
			t.Fatalf("as of commit %d, below the floor %d: %v", ts, floor, err)
		}
	case err != nil:
		t.Fatal(err)
	case at < 0:
		if rec.Version != 0 {
			t.Fatalf("as of commit %d: %+v", ts, rec)
		}
	case rec.Version != all[at].number || rec.Exists == all[at].tombstone:
		t.Fatalf("as of commit %d: %+v, not %+v", ts, rec, all[at])
	default:
		r.sees("as of a commit", n, &all[at], newest, rec.Value, rec.Erased, rec.Pruned)
	}
	v := &all[r.rng.IntN(len(all))]
	superseded := int(v.number) < len(all) && all[v.number].ts <= floor
	rec, err := p.GetVersion(n, v.number)
	switch {
	case superseded:
		if !errors.Is(err, engine.ErrOutOfRange) {
			t.Fatalf("version %d, below the floor: %v", v.number, err)
		}
	case errors.Is(err, engine.ErrErased):
		r.sees("by version", n, v, newest, nil, true, false)
	case errors.Is(err, engine.ErrOutOfRange):
		r.sees("by version", n, v, newest, nil, false, true)
		var f *engine.Failure
		errors.As(err, &f)
		var oldest engine.Version
		if _, err := fmt.Sscan(f.Details["oldest_version"], &oldest); err != nil || oldest <= v.number || oldest > newest {
			t.Fatalf("the oldest version is said to be %s of %d", f.Details["oldest_version"], newest)
		}
	case err != nil:
		t.Fatal(err)
	default:
		r.sees("by version", n, v, newest, rec.Value, false, false)
	}
	r.compareHistory(n, all, floor)
}

func (r *pastRun) compareHistory(n engine.RecordName, all []pastVersion, floor engine.CommitTS) {
	s, err := r.p.Snapshot(engine.At{})
	if err != nil {
		r.t.Fatal(err)
	}
	entries, _, err := s.History(n, 0, r.rng.IntN(2) == 0, engine.Page{})
	if err != nil {
		r.t.Fatal(err)
	}
	want := slices.DeleteFunc(slices.Clone(all), func(v pastVersion) bool { return int(v.number) < len(all) && all[v.number].ts <= floor })
	if len(entries) != len(want) {
		r.t.Fatalf("a history of %d versions, not %d", len(entries), len(want))
	}
	for i := range entries {
		if e := &entries[i]; e.Version < want[0].number || e.CommitTS != all[e.Version-1].ts {
			r.t.Fatalf("history: %+v", e)
		} else {
			r.sees("history", n, &all[e.Version-1], all[len(all)-1].number, e.Value, e.Erased, e.Pruned)
		}
	}
}

// compareRetry sends a commit again.
func (r *pastRun) compareRetry() {
	if len(r.m.retries) == 0 || r.p.Published() == 0 {
		return
	}
	id := r.m.retries[r.rng.IntN(len(r.m.retries))]
	o, err := r.p.Outcome(id)
	if err != nil || o.State != engine.TxnCommitted {
		r.t.Fatalf("the outcome of %s: %+v, %v", id, o, err)
	}
	ev := r.m.events[o.Result.CommitTS-1]
	if ev.TxnID != id || len(o.Result.Versions) != len(ev.Ops) {
		r.t.Fatalf("the outcome of %s is commit %d with %v", id, o.Result.CommitTS, o.Result.Versions)
	}
	for i, v := range o.Result.Versions {
		if v.Name != ev.Ops[i].Name || v.Version != ev.Ops[i].Version {
			r.t.Fatalf("the outcome of %s has %v", id, o.Result.Versions)
		}
	}
	if r.inStep {
		return
	}
	again, err := r.p.Transact(context.Background(), id, r.m.writes[id], engine.Conditions{})
	if err != nil || again.CommitTS != o.Result.CommitTS {
		r.t.Fatalf("%s sent again: %+v, %v", id, again, err)
	}
}

func TestPast(t *testing.T) {
	simtest.Serial(t)
	runs := uint64(40)
	if fullSweep() {
		runs = 2000
	}
	for seed := range seeds(runs) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 3))
			d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: seed}), &rigClock{}
			r := &pastRun{t: t, rng: rng, m: &pastModel{
				gone: make(map[engine.RecordName]map[engine.Version]bool), erased: make(map[engine.RecordName]engine.Version), writes: make(map[engine.TxnID][]engine.Write),
			}}
			r.open(d, clock)
			for i := range 30 + rng.IntN(60) {
				r.act(i)
			}
			r.check = false
			r.p.Tick()
			for r.step() {
			}
			r.compare()
			if err := r.p.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := verifyOn(d); err != nil {
				t.Fatalf("verify: %v", err)
			}
		})
	}
}

func (r *pastRun) act(i int) {
	r.check = true
	agent, key := []string{"a", "b"}[r.rng.IntN(2)], fmt.Sprint("k", r.rng.IntN(3))
	switch x := r.rng.IntN(20); {
	case x < 12:
		id := engine.TxnID(fmt.Sprint("txn-", i))
		writes := []engine.Write{put(agent, key, i)}
		if r.rng.IntN(6) == 0 {
			writes = []engine.Write{remove(agent, key)}
		}
		if other := fmt.Sprint("k", r.rng.IntN(3)); other != key {
			writes = append(writes, put(agent, other, i))
		}
		r.m.writes[id] = writes
		if _, err := r.p.Transact(context.Background(), id, writes, engine.Conditions{Metadata: map[string]string{"n": fmt.Sprint(i)}}); err != nil {
			r.t.Fatal(err)
		}
		r.m.retries = append(r.m.retries, id)
	case x < 14:
		r.p.clock.ms.Add(int64(r.rng.IntN(60)) * time.Minute.Milliseconds())
	case x < 15:
		ask := engine.Retention{MaxAge: time.Duration(r.rng.IntN(3)) * time.Hour, MaxVersions: uint64(r.rng.IntN(4))}
		if ask.MaxAge > 0 && (r.m.ages == 0 || ask.MaxAge < r.m.ages) {
			r.m.ages = ask.MaxAge
		}
		if ask.MaxVersions > 0 && (r.m.keeps == 0 || ask.MaxVersions < r.m.keeps) {
			r.m.keeps = ask.MaxVersions
		}
		if _, err := r.p.SetRetention(context.Background(), ask); err != nil {
			r.t.Fatal(err)
		}
	case x < 17:
		ask := engine.Erasure{Agent: agent, Reason: "test"}
		if r.rng.IntN(2) == 0 {
			ask.Key = key
		}
		if err := r.p.Erase(context.Background(), ask, func(engine.ErasureProgress) error { return nil }); err != nil {
			r.t.Fatal(err)
		}
		for k := range 3 {
			n := name(agent, fmt.Sprint("k", k))
			if all := r.m.versions(n); len(all) > 0 && (ask.Key == "" || ask.Key == n.Key) {
				r.m.erased[n] = all[len(all)-1].number
			}
		}
	default:
		r.p.Tick()
		for r.rng.IntN(3) > 0 && r.step() {
		}
	}
	r.compare()
}
