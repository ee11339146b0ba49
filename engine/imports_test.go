package engine_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

// openSmall opens the store with steps of a few commits.
func (p *process) openSmall(t *testing.T) *process {
	t.Helper()
	tuning := rigTuning
	tuning.StepLookups, tuning.ErasedKeys = 16, 1
	var err error
	if p.Engine, err = engine.Open(p.env, engine.Options{Dir: rigDir, Tuning: tuning, Limits: engine.Limits{TxnOps: 8}}); err != nil {
		t.Fatalf("open: %v", err)
	}
	return p
}

func smallOn(t *testing.T, d *simdisk.Disk, clock *rigClock) *process {
	t.Helper()
	return newProcess(d, clock, func(err error) { t.Errorf("halted: %v", err) }).openSmall(t)
}

// importSource is a store with all kinds of commits in namespaces of which some are imported elsewhere.
func importSource(t *testing.T) *process {
	t.Helper()
	p := openOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 7}), &rigClock{})
	ctx := context.Background()
	for i := range 12 {
		id := fmt.Sprint("source-", i)
		w := []engine.Write{put("ann", fmt.Sprint("key-", i%3), i), putIn("other", "bob", "k", i)}
		if i == 0 {
			w = append(w, putIn("other", "early", "k", 0))
		}
		if i%4 == 3 {
			w = append(w, remove("ann", "key-0"), remove("cy", "never"))
			w = slices.DeleteFunc(w, func(x engine.Write) bool { return x.Name.Key == "key-0" && !x.Tombstone })
		}
		c := engine.Conditions{Principal: "agent-7", TraceID: "0af7"}
		if i%2 == 0 {
			c = engine.Conditions{Metadata: map[string]string{"run": fmt.Sprint(i), "why": "because"}}
		}
		if _, err := p.Transact(ctx, engine.TxnID(id), w, c); err != nil {
			t.Fatal(err)
		}
	}
	p.transact(t, "unicode", nil, engine.Write{Name: engine.RecordName{Namespace: "other", Agent: "𝔞gent", Key: "κλειδί/😀"}, Value: []byte(`{"n":9007199254740993,"e":1e+2,"s":"\u2028 😀 <&>"}`)})
	p.transact(t, "erased", nil, secret("dee", "k", 1), secret("dee", "stays", 1))
	p.transact(t, "erased-too", nil, secret("dee", "k", 2))
	p.erase(t, engine.Erasure{Agent: "dee", Key: "k", Reason: "asked for"})
	p.transact(t, "after", nil, put("dee", "k", 3))
	if _, err := p.SetRetention(ctx, engine.Retention{Namespace: "other", MaxVersions: 3}); err != nil {
		t.Fatal(err)
	}
	p.chores()
	return p
}

// eventsOf are the commits of a store, of some namespaces.
func eventsOf(t *testing.T, p *process, in func(engine.RecordName) bool) (events []engine.Event) {
	t.Helper()
	all, _, err := p.Replay(engine.Filter{Whole: true}, 0, p.Published(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range all {
		ev.Ops = slices.DeleteFunc(slices.Clone(ev.Ops), func(op engine.EventOp) bool { return !in(op.Name) })
		if len(ev.Ops) > 0 {
			events = append(events, ev)
		}
	}
	return events
}

func anyName(engine.RecordName) bool { return true }

func inOther(n engine.RecordName) bool { return n.Namespace == "other" }

func toImport(events []engine.Event) []engine.ImportEvent {
	out := make([]engine.ImportEvent, len(events))
	for i, ev := range events {
		out[i] = engine.ImportEvent{CommitTS: ev.CommitTS, CommitTime: ev.CommitTime, TxnID: ev.TxnID, Metadata: ev.Metadata, Principal: ev.Principal, TraceID: ev.TraceID, Ops: slices.Clone(ev.Ops)}
	}
	return out
}

// importAll begins an import or goes on with it, and finishes it.
func (p *process) importAll(what engine.Import, events []engine.ImportEvent) (engine.Import, error) {
	ctx := context.Background()
	x, err := p.BeginImport(ctx, what)
	for err == nil && x.State == engine.ImportStaging && x.Events < uint64(len(events)) {
		n := x.Events
		for _, more := range []uint64{4, 6} { // the second is of whoever had no answer, and has more
			if err == nil {
				x, err = p.StageImport(ctx, what.ID, n, events[n:min(n+more, uint64(len(events)))])
			}
		}
	}
	if err != nil {
		return x, err
	}
	err = p.FinishImport(ctx, what.ID, uint64(len(events)), func(at engine.Import) error { x = at; return nil })
	return x, err
}

func verifyClosed(t *testing.T, p *process) engine.Report {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := verifyOn(p.disk)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Into an empty store an import brings the same commits: numbers, times, ids, versions, values.
func TestImportKeeps(t *testing.T) {
	source := importSource(t)
	want := eventsOf(t, source, anyName)
	p := smallOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{})
	p.clock.ms.Store(source.clock.ms.Load())
	what := engine.Import{ID: "all", Keep: true, Targets: []engine.ImportTarget{{Namespace: "default"}, {Namespace: "other"}}}
	x, err := p.importAll(what, toImport(want))
	if err != nil || x.State != engine.ImportDone || x.First != 1 || x.Last != source.Published() {
		t.Fatalf("%+v, %v", x, err)
	}
	sameEvents(t, want, eventsOf(t, p, anyName))
	if o, err := p.Outcome("source-3"); err != nil || o.State != engine.TxnCommitted || o.Result.CommitTS != 4 {
		t.Errorf("the outcome of an imported transaction: %+v, %v", o, err)
	}
	again, err := p.Transact(context.Background(), "source-3", []engine.Write{put("ann", "k", 1)}, engine.Conditions{})
	if err != nil || again.CommitTS != 4 {
		t.Errorf("a transaction that is sent again: %+v, %v", again, err)
	}
	r := p.transact(t, "later", nil, putIn("other", "bob", "k", 99))
	if r.CommitTS != x.Last+1 || r.Versions[0].Version != 13 {
		t.Errorf("the commit after: %+v", r)
	}
	if again, err := p.importAll(what, toImport(want)); err != nil || !reflect.DeepEqual(again, x) {
		t.Errorf("once more: %+v, %v", again, err)
	}
	if r := verifyClosed(t, p); r.Staged != 0 {
		t.Errorf("verify: %+v", r)
	}
}

// Of a part of a store numbers are kept, too: what is between has commits of which nothing came.
func TestImportKeepsNumbersOfAPart(t *testing.T) {
	source := importSource(t)
	want := eventsOf(t, source, func(n engine.RecordName) bool { return n.Agent == "dee" })
	p := smallOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{})
	p.clock.ms.Store(source.clock.ms.Load())
	if _, err := p.importAll(engine.Import{ID: "dee", Keep: true, Targets: []engine.ImportTarget{{Namespace: "default", Agent: "dee"}}}, toImport(want)); err != nil {
		t.Fatal(err)
	}
	sameEvents(t, want, eventsOf(t, p, anyName))
	p.transact(t, "later", nil, put("dee", "k", 99))
	verifyClosed(t, p)
}

// sameEvents compares commits, as they were and as they were imported with their numbers.
func sameEvents(t *testing.T, want, got []engine.Event) {
	t.Helper()
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || !reflect.DeepEqual(want[i], got[i]) {
			t.Fatalf("event %d of %d and %d:\n%+v\n%+v", i, len(want), len(got), want[min(i, len(want)-1)], got[min(i, len(got)-1)])
		}
	}
}

// sameHistory compares commits with those that an import made of them with new numbers.
func sameHistory(want, got []engine.Event) error {
	if len(want) != len(got) {
		return fmt.Errorf("%d events, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if !reflect.DeepEqual(w.Ops, g.Ops) || w.Principal != g.Principal || w.TraceID != g.TraceID {
			return fmt.Errorf("event %d:\n%+v\n%+v", i, w, g)
		}
		if g.Metadata[engine.MetadataImportTS] != w.CommitTS.String() || g.Metadata[engine.MetadataImportTxn] != string(w.TxnID) || g.Metadata[engine.MetadataImportTime] == "" {
			return fmt.Errorf("event %d says of its origin: %v, want %d", i, g.Metadata, w.CommitTS)
		}
		for k, v := range w.Metadata { // in any order
			if g.Metadata[k] != v {
				return fmt.Errorf("event %d has lost metadata %q", i, k)
			}
		}
		if i > 0 && g.CommitTS != got[i-1].CommitTS+1 {
			return fmt.Errorf("commit %d comes after %d", g.CommitTS, got[i-1].CommitTS)
		}
	}
	return nil
}

// liveTarget is a store in use.
func liveTarget(t *testing.T) *process {
	t.Helper()
	p := smallOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 3}), &rigClock{})
	for i := range 3 {
		p.transact(t, fmt.Sprint("live-", i), nil, put("ann", "k", i))
	}
	return p
}

var otherImport = engine.Import{ID: "other", Targets: []engine.ImportTarget{{Namespace: "other"}}, Principal: "root"}

// hidden fails the test if anything of the import can be seen.
func hidden(t *testing.T, p *process) {
	t.Helper()
	s, err := p.Snapshot(engine.At{})
	if err != nil {
		t.Fatal(err)
	}
	if names, _, err := s.Namespaces("", engine.Page{}); err != nil || slices.Contains(names, "other") {
		t.Fatalf("namespaces %q, %v", names, err)
	}
	n := engine.RecordName{Namespace: "other", Agent: "bob", Key: "k"}
	if rec, err := s.Get(n); err != nil || rec.Version != 0 {
		t.Fatalf("get: %+v, %v", rec, err)
	}
	if _, err := p.GetVersion(n, 1); !errors.Is(err, engine.ErrVersionNotFound) {
		t.Fatalf("version 1: %v", err)
	}
	if list, _, err := s.Scan(engine.ScanOptions{Agent: n.AgentName()}); err != nil || len(list) > 0 {
		t.Fatalf("scan: %+v, %v", list, err)
	}
	if list, _, err := s.Agents("other", "", "", engine.Page{}); err != nil || len(list) > 0 {
		t.Fatalf("agents: %+v, %v", list, err)
	}
	if events := eventsOf(t, p, inOther); len(events) > 0 {
		t.Fatalf("replay: %+v", events)
	}
}

// While it is staged and while its commits are made nothing of an import is to be seen, and then all.
func TestImportIsHidden(t *testing.T) {
	source := importSource(t)
	want := eventsOf(t, source, inOther)
	p := liveTarget(t)
	ctx := context.Background()
	steps, made := 0, false
	p.env.Await = func(_ context.Context, ready <-chan struct{}) error {
		for {
			select {
			case <-ready:
				return nil
			default:
			}
			if !p.Plan() {
				return errNobodyAnswers
			}
			if !made {
				hidden(t, p)
			}
			p.Settle()
			steps++
			list, err := p.Imports()
			if err != nil {
				t.Fatal(err)
			}
			if made = made || len(list) > 0 && list[0].State == engine.ImportDone; !made {
				hidden(t, p)
			}
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p.openSmall(t)
	x, err := p.BeginImport(ctx, otherImport)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Transact(ctx, "taken", []engine.Write{putIn("other", "zed", "k", 1)}, engine.Conditions{})
	if !errors.Is(err, engine.ErrPrecondition) {
		t.Errorf("somebody else makes the namespace: %v", err)
	}
	if _, err := p.BeginImport(ctx, engine.Import{ID: "second", Targets: []engine.ImportTarget{{Namespace: "other", Agent: "bob"}}}); !errors.Is(err, engine.ErrPrecondition) {
		t.Errorf("another import makes the same: %v", err)
	}
	p.transact(t, "between", nil, put("ann", "k", 4))
	w, err := p.Watch(engine.Filter{Namespace: "other", Agent: "early"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Published()
	steps = 0
	if x, err = p.importAll(otherImport, toImport(want)); err != nil {
		t.Fatal(err)
	}
	if !made || steps < 6 || x.First != 5 || x.Last != p.Published() {
		t.Errorf("made %v in %d steps: %+v", made, steps, x)
	}
	if err := w.Wait(ctx); err != nil {
		t.Errorf("the watch of an agent is not woken: %v", err)
	}
	if err := sameHistory(want, eventsOf(t, p, inOther)); err != nil {
		t.Error(err)
	}
	p.transact(t, "afterwards", nil, putIn("other", "zed", "k", 1))
	verifyClosed(t, p)
}

// importImages are the disk at each operation of an import into a store in use, and of one that keeps numbers.
func importImages(t *testing.T, what engine.Import, events []engine.ImportEvent) (images []*simdisk.Disk, clock int64) {
	t.Helper()
	var p *process
	if what.Keep {
		p = smallOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 4}), &rigClock{})
		p.clock.ms.Store(1_000)
	} else {
		p = liveTarget(t)
	}
	var mu sync.Mutex
	p.disk.OnOp(func(op simdisk.Op) {
		if changes(op) {
			c := p.disk.Clone()
			mu.Lock()
			defer mu.Unlock()
			images = append(images, c)
		}
	})
	if _, err := p.importAll(what, events); err != nil {
		t.Fatal(err)
	}
	p.disk.OnOp(nil)
	return images, p.clock.ms.Load()
}

// An import goes on where it was, whatever a crash leaves of it, and what another crash leaves of that.
func TestImportCrashes(t *testing.T) {
	simtest.Serial(t)
	source := importSource(t)
	for _, keep := range []bool{false, true} {
		what, of := otherImport, inOther
		if keep {
			what = engine.Import{ID: "other", Keep: true, Targets: []engine.ImportTarget{{Namespace: "default"}, {Namespace: "other"}}}
			of = anyName
		}
		want := eventsOf(t, source, of)
		images, clock := importImages(t, what, toImport(want))
		seen := make(map[string]int)
		for i, image := range images {
			for m, mode := range crashModes {
				if !fullSweep() && (i+m)%3 != 0 {
					continue
				}
				c := importCrash{t: t, what: what, want: want, clock: clock, seen: seen}
				c.name = fmt.Sprintf("keep %v, image %d, %s", keep, i, mode)
				c.run(crashed(image, mode, uint64(i)), uint64(i*len(crashModes)+m))
			}
		}
		t.Logf("keep %v: %d images: %v", keep, len(images), seen)
		for _, state := range []string{"staging", "making", "done", "made while nobody asked"} {
			if seen[state] == 0 {
				t.Errorf("keep %v: no crash left the import %s", keep, state)
			}
		}
	}
}

// importCrash is what a crash has left of an import.
type importCrash struct {
	t     *testing.T
	name  string
	what  engine.Import
	want  []engine.Event
	clock int64
	seen  map[string]int
}

func (c *importCrash) open(d *simdisk.Disk) (q *process, state string) {
	c.t.Helper()
	if _, err := verifyOn(d); err != nil {
		c.t.Fatalf("%s: verify: %v", c.name, err)
	}
	c.clock += 1000 // from which each life draws its ids
	clock := &rigClock{}
	clock.ms.Store(c.clock)
	q = smallOn(c.t, d, clock)
	list, err := q.Imports()
	if err != nil {
		c.t.Fatal(err)
	}
	state = "not begun"
	if len(list) > 0 {
		state = list[0].State.String()
	}
	if c.seen[state]++; state != "done" {
		hidden(c.t, q)
	}
	return q, state
}

func (c *importCrash) run(d *simdisk.Disk, seed uint64) {
	c.t.Helper()
	q, state := c.open(d)
	if state == "making" {
		// Nobody asks: it goes on by itself. It is killed again, after some steps.
		q.Tick()
		for range seed % 4 {
			q.Step()
		}
		q, state = c.open(crashed(q.disk, crashModes[seed%uint64(len(crashModes))], seed))
		if state == "making" && seed%2 == 0 {
			// Whatever else comes waits until it is done.
			c.seen["made while nobody asked"]++
			r, err := q.Transact(context.Background(), "waits", []engine.Write{put("zed", "k", 1)}, engine.Conditions{})
			list, listErr := q.Imports()
			if err != nil || listErr != nil || list[0].State != engine.ImportDone || r.CommitTS != list[0].Last+1 {
				c.t.Fatalf("%s: a commit that waits: %+v, %v; %+v, %v", c.name, r, err, list, listErr)
			}
		}
	}
	if x, err := q.importAll(c.what, toImport(c.want)); err != nil || x.State != engine.ImportDone {
		c.t.Fatalf("%s, %v: %+v, %v", c.name, state, x, err)
	}
	if c.what.Keep {
		sameEvents(c.t, c.want, eventsOf(c.t, q, func(n engine.RecordName) bool { return n.Agent != "zed" }))
	} else if err := sameHistory(c.want, eventsOf(c.t, q, inOther)); err != nil {
		c.t.Fatalf("%s, %v: %v", c.name, state, err)
	}
	verifyClosed(c.t, q)
}

// An import that is dropped leaves nothing, and what it was to make can be made.
func TestImportIsDropped(t *testing.T) {
	source := importSource(t)
	want := toImport(eventsOf(t, source, inOther))
	p := liveTarget(t)
	ctx := context.Background()
	if _, err := p.BeginImport(ctx, otherImport); err != nil {
		t.Fatal(err)
	}
	if _, err := p.StageImport(ctx, "other", 0, want); err != nil {
		t.Fatal(err)
	}
	if err := p.AbortImport(ctx, "other"); err != nil {
		t.Fatal(err)
	}
	if err := p.AbortImport(ctx, "other"); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("dropped twice: %v", err)
	}
	hidden(t, p)
	p.transact(t, "free", nil, putIn("other", "bob", "k", 1))
	if list, err := p.Imports(); err != nil || len(list) > 0 {
		t.Errorf("left: %+v, %v", list, err)
	}
	if r := verifyClosed(t, p); r.Staged != 0 {
		t.Errorf("verify: %+v", r)
	}
}

// What is wrong with an import is found before any of it is a commit.
func TestImportRefuses(t *testing.T) {
	ctx := context.Background()
	p := liveTarget(t)
	op := func(key string, v engine.Version, change func(*engine.EventOp)) engine.EventOp {
		o := engine.EventOp{Name: engine.RecordName{Namespace: "other", Agent: "bob", Key: key}, Version: v, Value: []byte(`{}`)}
		if change != nil {
			change(&o)
		}
		return o
	}
	event := func(ts engine.CommitTS, ops ...engine.EventOp) engine.ImportEvent {
		return engine.ImportEvent{CommitTS: ts, Ops: ops}
	}
	pruned := func(o *engine.EventOp) { o.Pruned, o.Value = true, nil }
	erased := func(o *engine.EventOp) { o.Erased, o.Value = true, nil }
	for _, c := range []struct {
		name, want string
		events     []engine.ImportEvent
	}{
		{"out of order", "in order", []engine.ImportEvent{event(2, op("a", 1, nil)), event(2, op("b", 1, nil))}},
		{"a version twice", "versions are 1, 2, 3", []engine.ImportEvent{event(1, op("a", 1, nil)), event(2, op("a", 1, nil))}},
		{"a version left out", "versions are 1, 2, 3", []engine.ImportEvent{event(1, op("a", 2, nil))}},
		{"a key twice", "twice", []engine.ImportEvent{event(1, op("a", 1, nil), op("a", 2, nil))}},
		{"another namespace", "did not say", []engine.ImportEvent{event(1, op("a", 1, func(o *engine.EventOp) { o.Name.Namespace = "third" }))}},
		{"no value", "value", []engine.ImportEvent{event(1, op("a", 1, func(o *engine.EventOp) { o.Value = nil }))}},
		{"no JSON", "value", []engine.ImportEvent{event(1, op("a", 1, func(o *engine.EventOp) { o.Value = []byte(`{"a":`) }))}},
		{"a value that was pruned", "lost it", []engine.ImportEvent{event(1, op("a", 1, func(o *engine.EventOp) { o.Pruned = true }))}},
		{"the last version is pruned", "lost its value", []engine.ImportEvent{event(1, op("a", 1, pruned))}},
		{"nothing erased it", "lost its value", []engine.ImportEvent{event(1, op("a", 1, erased)), event(2, op("a", 2, nil))}},
		{"a control character", "control character", []engine.ImportEvent{event(1, op("a\tb", 1, nil))}},
	} {
		what := otherImport
		what.ID = "refused"
		_, err := p.importAll(what, c.events)
		if !errors.Is(err, engine.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := p.AbortImport(ctx, "refused"); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := p.BeginImport(ctx, engine.Import{ID: "x", Targets: []engine.ImportTarget{{Namespace: "default"}}}); !errors.Is(err, engine.ErrPrecondition) {
		t.Errorf("a namespace that exists: %v", err)
	}
	if _, err := p.BeginImport(ctx, engine.Import{ID: "x", Targets: []engine.ImportTarget{{Agent: "ann"}}}); !errors.Is(err, engine.ErrPrecondition) {
		t.Errorf("an agent that exists: %v", err)
	}
	if _, err := p.BeginImport(ctx, engine.Import{ID: "x", Keep: true, Targets: []engine.ImportTarget{{Namespace: "other"}}}); !errors.Is(err, engine.ErrPrecondition) {
		t.Errorf("numbers are kept where there are others: %v", err)
	}
	_, err := p.Transact(ctx, "forged", []engine.Write{put("ann", "k", 1)}, engine.Conditions{Metadata: map[string]string{engine.MetadataImportTS: "7"}})
	if !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("a client says where its commit comes from: %v", err)
	}
	if _, err := p.StageImport(ctx, "none", 0, nil); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("an import that never was: %v", err)
	}
	hidden(t, p)
	verifyClosed(t, p)
}
