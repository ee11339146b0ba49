package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

// Two machines keep one store: what one plans the other adopts, without a sync. Everything that the engine can
// do is done to the one that leads (together_test.go), they change places, and both are killed. After every
// step their rows are the same, and what their readers see.

// twoStores is a run on the one that leads, and the one that follows.
type twoStores struct {
	*allRun
	other *world
	steps []engine.Step // all that were applied
	last  func() error  // commits again what was committed last
}

// The row that says how many steps a store has.
const appliedKind, appliedName = "test", "applied"

func appliedRow(n int) engine.SystemChange {
	return engine.SystemChange{Kind: appliedKind, Name: appliedName, Body: binary.AppendUvarint(nil, uint64(n))}
}

func newTwoStores(t *testing.T, seed uint64, noSync bool) *twoStores {
	w := newWorld(t, seed, engine.Limits{OutcomeCount: 20, OutcomeAge: 10 * time.Minute})
	w.close()
	w.opts.Tuning.DeletedKeys, w.opts.Tuning.PieceRows, w.opts.Tuning.ImportCommits = 3, 8, 2
	r := &twoStores{allRun: &allRun{
		world: w, rng: rand.New(rand.NewPCG(seed, 18)), names: []string{"a", "b"},
		held: map[string]engine.Version{}, seen: map[engine.CommitTS][]string{}, erases: true, also: engine.ErrOverloaded,
	}}
	r.other = &world{t: t, disk: w.disk.Clone(), rand: rand.NewChaCha8([32]byte{9}), clock: w.clock, opts: w.opts}
	r.other.opts.NoSync = noSync
	r.world.steps = r.step
	w.start()
	r.startOther()
	return r
}

func (r *twoStores) test() *testing.T { return r.t.(*testing.T) }

// startOther starts the one that follows, and has it adopt what it does not have.
func (r *twoStores) startOther() {
	r.other.start()
	r.other.Follow()
	body, err := r.other.System(appliedKind, appliedName)
	ok(r.test(), err)
	n, _ := binary.Uvarint(body)
	for i := int(n); i < len(r.steps); i++ {
		r.adopt(i)
	}
}

func (r *twoStores) adopt(i int) {
	if err := r.other.Adopt(&r.steps[i], appliedRow(i+1)); err != nil {
		r.t.Fatalf("step %d is not adopted: %v", i, err)
	}
}

// step is what a machine that leads does.
func (r *twoStores) step() bool {
	s := r.Engine.Plan()
	if s == nil {
		return false
	}
	r.settle(s)
	return true
}

// settle has a step that is planned applied everywhere.
func (r *twoStores) settle(s *engine.Step) {
	if len(s.Batch) == 0 {
		r.Apply()
		r.Settle()
		return
	}
	was := *s
	was.Batch = bytes.Clone(s.Batch)
	r.steps = append(r.steps, was)
	before := r.other.shown()
	r.Apply(appliedRow(len(r.steps)))
	r.Settle()
	r.adopt(len(r.steps) - 1)
	r.sameInMemory()
	if after := r.other.shown(); was.Held && after != before {
		r.t.Fatalf("commits that are held are published: %d after %d", after, before)
	}
	if len(r.steps)%8 == 0 {
		r.same()
	}
}

func (w *world) shown() engine.CommitTS { return w.Published() }

func (r *twoStores) sameInMemory() {
	r.t.Helper()
	if a, b := strings.Join(r.Derived(), "\n"), strings.Join(r.other.Derived(), "\n"); a != b {
		r.t.Fatalf("after step %d the one that follows knows something else: %s", len(r.steps), firstDifference(b, a))
	}
}

// same compares the two.
func (r *twoStores) same() {
	r.t.Helper()
	ts, hash := r.Head()
	if ts2, hash2 := r.other.Head(); ts2 != ts || hash2 != hash || r.other.Published() != r.Published() {
		r.t.Fatalf("the one that leads is at %d, %x, published %d, the other at %d, %x, %d", ts, hash, r.Published(), ts2, hash2, r.other.Published())
	}
	a, b := r.StoredRows(r.test()), r.other.StoredRows(r.test())
	if !slices.Equal(a, b) {
		r.t.Fatalf("rows differ after step %d: %s", len(r.steps), firstDifference(strings.Join(b, "\n"), strings.Join(a, "\n")))
	}
}

// sameToReaders compares what they show.
func (r *twoStores) sameToReaders() {
	r.t.Helper()
	r.other.clock = r.clock
	to := &allRun{world: r.other}
	r.check("the one that follows", to.shown(true), r.shown(true))
	for i := max(r.ids-30, 1); i <= r.ids; i++ {
		id := engine.TxnID(fmt.Sprintf("transact-%d", i))
		a, err := r.Outcome(id)
		ok(r.test(), err)
		b, err := r.other.Outcome(id)
		ok(r.test(), err)
		left := len(a.Result.Versions)+len(b.Result.Versions) > 0 // else it left nothing, and whoever answered it may remember it
		if left && fmt.Sprint(a) != fmt.Sprint(b) {
			r.t.Fatalf("the outcome of %s is %+v, to the one that follows %+v", id, a, b)
		}
	}
}

// swap makes the one that follows lead.
func (r *twoStores) swap() {
	old, next := r.world, r.other
	old.Follow()
	if next.opts.NoSync { // it is to lead without a quorum that has what it loses
		next.close()
		next.opts.NoSync = false
		next.start()
		next.Follow()
	}
	ok(r.test(), next.Lead())
	next.steps, next.clock, next.ids, old.steps = old.steps, old.clock, old.ids, nil
	r.world, r.other = next, old
	if _, err := old.transact(engine.Conditions{}, putIn("", "a", "k", 1)); !errors.Is(err, engine.ErrNotLeader) {
		r.t.Fatalf("one that follows takes a commit: %v", err)
	}
	if _, _, _, err := old.Begin(nil); !errors.Is(err, engine.ErrNotLeader) {
		r.t.Fatalf("one that follows begins a transaction: %v", err)
	}
	if err := old.PutSystem(context.Background(), engine.SystemChange{Kind: "k", Name: "n"}); !errors.Is(err, engine.ErrNotLeader) {
		r.t.Fatalf("one that follows changes system rows: %v", err)
	}
	if r.last != nil {
		ok(r.test(), r.last())
	}
}

// deposed has the leader deposed with a step in flight, which survives or does not, and elected again.
func (r *twoStores) deposed(survives bool) {
	r.n++
	open, _, _, err := r.Begin(nil)
	ok(r.test(), err)
	id, w := engine.TxnID(fmt.Sprint("deposed-", r.n)), putIn("", "a", "k", r.n)
	send := func() error {
		_, err := r.Transact(context.Background(), id, []engine.Write{w}, engine.Conditions{})
		return err
	}
	if err := r.abandon(send); !errors.Is(err, engine.ErrOutcomeUnknown) {
		r.t.Fatalf("a commit that nobody waits for: %v", err)
	}
	s := r.Engine.Plan()
	queued := r.abandon(func() error { // behind it
		_, err := r.Transact(context.Background(), id+"-queued", []engine.Write{w}, engine.Conditions{})
		return err
	})
	if s == nil || !errors.Is(queued, engine.ErrOutcomeUnknown) {
		r.t.Fatalf("planned %v, queued %v", s, queued)
	}
	before := r.Published()
	r.Follow()
	if o, err := r.Outcome(id); err != nil || o.State != engine.TxnOpen {
		r.t.Fatalf("while it is not known what became of a step, its commit is %+v, %v", o, err)
	}
	want := engine.TxnNeverSeen
	if survives {
		want = engine.TxnCommitted
		r.settle(s)
	} else {
		r.Drop()
	}
	for _, x := range []struct {
		id   engine.TxnID
		want engine.TxnState
	}{{id, want}, {id + "-queued", engine.TxnNeverSeen}, {open, engine.TxnAborted}} {
		if o, err := r.Outcome(x.id); err != nil || o.State != x.want {
			r.t.Fatalf("after a step survived: %t, %s is %+v, %v", survives, x.id, o, err)
		}
	}
	if moved := r.Published() > before; moved != survives {
		r.t.Fatalf("a step survived: %t, published: %t", survives, moved)
	}
	ok(r.test(), r.Lead())
	ok(r.test(), send()) // again, or for the first time
	r.same()
}

// more does what allRun does not.
func (r *twoStores) more() {
	ctx := context.Background()
	r.n++
	switch r.rng.IntN(8) {
	case 0:
		ok(r.test(), r.PutSystem(ctx, engine.SystemChange{Kind: "key", Name: fmt.Sprint(r.n % 3), Body: []byte{byte(r.n)}}))
	case 1:
		r.try(dueOp(r.agent(), "job", engine.PutDue{In: time.Duration(1+r.rng.IntN(20)) * time.Second}))
	case 2:
		if c, made := r.try(claimOp(r.agent(), "", 2)); made && len(c.Results[0].Claimed) > 0 && r.rng.IntN(2) == 0 {
			ok(r.test(), r.complete(c.Results[0].Claimed[0]))
		}
	case 3:
		id, _, _, err := r.Begin(nil)
		ok(r.test(), err)
		ok(r.test(), r.Stage(id, putIn("", r.agent(), "staged", r.n)))
		_, err = r.Commit(ctx, id, engine.Conditions{})
		ok(r.test(), err)
	case 4:
		r.imports()
	case 5:
		id, w := engine.TxnID(fmt.Sprint("again-", r.n)), putIn("", r.agent(), "again", r.n)
		first, err := r.Transact(ctx, id, []engine.Write{w}, engine.Conditions{})
		ok(r.test(), err)
		r.last = func() error {
			again, err := r.Transact(ctx, id, []engine.Write{w}, engine.Conditions{})
			if err == nil && (again.CommitTS != first.CommitTS || !again.CommitTime.Equal(first.CommitTime)) {
				err = fmt.Errorf("%s was commit %d and is %d", id, first.CommitTS, again.CommitTS)
			}
			if errors.Is(err, engine.ErrTxnTooOld) || r.Published() > first.CommitTS+15 { // its outcome may be forgotten
				err = nil
			}
			return err
		}
	default:
		r.deposed(r.rng.IntN(2) == 0)
	}
}

// imports makes a namespace, or begins to and gives up.
func (r *twoStores) imports() {
	ctx := context.Background()
	x, ns := engine.Import{ID: fmt.Sprint("import-", r.n)}, fmt.Sprint("made-", r.n)
	x.Targets = []engine.ImportTarget{{Namespace: ns}}
	if _, err := r.BeginImport(ctx, x); err != nil {
		r.t.Fatalf("%v", err)
	}
	var events []engine.ImportEvent
	for i := range 5 {
		n := engine.RecordName{Namespace: ns, Agent: "a", Key: "k"}
		events = append(events, engine.ImportEvent{CommitTS: engine.CommitTS(i + 1), Ops: []engine.EventOp{{Name: n, Version: engine.Version(i + 1), Value: []byte(`{}`)}}})
	}
	_, err := r.StageImport(ctx, x.ID, 0, events)
	ok(r.test(), err)
	if r.rng.IntN(3) == 0 {
		ok(r.test(), r.AbortImport(ctx, x.ID))
		return
	}
	ok(r.test(), r.FinishImport(ctx, x.ID, uint64(len(events)), func(engine.Import) error { return nil }))
}

// verifyOther closes the one that follows, or kills it, and goes on with what is there.
func (r *twoStores) verifyOther() {
	if r.rng.IntN(2) == 0 {
		r.other.crash(simdisk.CrashOptions{Mode: simdisk.DropAll, Seed: uint64(r.n)})
	} else {
		r.other.close()
	}
	r.other.verify("of the one that follows")
	r.startOther()
	r.same()
}

func TestAdopt(t *testing.T) {
	simtest.Serial(t)
	held, pruned := 0, false
	for seed := range seeds(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := newTwoStores(t, seed, seed%4 < 2)
			for range 12 {
				r.run(12)
				for range 4 {
					r.more()
				}
				r.sameToReaders()
				switch r.rng.IntN(3) {
				case 0:
					r.swap()
				case 1:
					r.verifyOther()
				}
			}
			r.until(r.clock.Add(24 * time.Hour))
			r.sameToReaders()
			for i := range r.steps {
				if r.steps[i].Held {
					held++
				}
			}
			pruned = pruned || slices.ContainsFunc(r.StoredRows(t), func(row string) bool { return strings.HasPrefix(row, `"mo"`) })
			r.close()
			r.other.close()
			if a, b := r.verify("at the end"), r.other.verify("at the end"); a.ChainHash != b.ChainHash || a.Commits != b.Commits {
				t.Errorf("the two are %+v and %+v", a, b)
			}
		})
	}
	if held == 0 || !pruned {
		t.Errorf("%d steps were held, outcomes were dropped: %t", held, pruned)
	}
}

// TestAdoptRefuses: a step that does not follow what is there, or is not what it says, halts, and changes
// nothing.
func TestAdoptRefuses(t *testing.T) {
	for what, spoil := range map[string]func(s *engine.Step){
		"an earlier step":          func(s *engine.Step) { s.First--; s.Last-- },
		"a later step":             func(s *engine.Step) { s.First++; s.Last++ },
		"of another chain":         func(s *engine.Step) { s.Before[0] ^= 1 },
		"ends elsewhere":           func(s *engine.Step) { s.After[31] ^= 1 },
		"of fewer commits":         func(s *engine.Step) { s.Last-- },
		"of another time":          func(s *engine.Step) { s.Time = s.Time.Add(1) },
		"without its rows":         func(s *engine.Step) { s.Batch = nil },
		"cut off":                  func(s *engine.Step) { s.Batch = s.Batch[:len(s.Batch)-1] },
		"of more rows than it has": func(s *engine.Step) { s.Batch[8]++ },
		"with a flipped bit":       func(s *engine.Step) { s.Batch[len(s.Batch)-1] ^= 1 },
	} {
		t.Run(what, func(t *testing.T) {
			r := newTwoStores(t, 1, false)
			r.try(putIn("", "a", "k", 1))
			if err := r.abandon(func() error { _, err := r.transact(engine.Conditions{}, putIn("", "a", "k", 2)); return err }); !errors.Is(err, engine.ErrOutcomeUnknown) {
				t.Fatal(err)
			}
			s := *r.Engine.Plan()
			s.Batch = bytes.Clone(s.Batch)
			rows := r.other.StoredRows(t)
			spoil(&s)
			if err := r.other.Adopt(&s); !errors.Is(err, engine.ErrStorage) || r.other.halts.Load() != 1 {
				t.Errorf("it is adopted: %v, halted %d times", err, r.other.halts.Load())
			}
			if !slices.Equal(rows, r.other.StoredRows(t)) {
				t.Error("it has changed something")
			}
		})
	}
}

// TestAdoptFollowsTheChain: a commit that is another than the chain says is refused, whatever of it is another
// and though its checksum fits.
func TestAdoptFollowsTheChain(t *testing.T) {
	r := newTwoStores(t, 1, false)
	r.try(putIn("", "a", "k", 1))
	if err := r.abandon(func() error { _, err := r.transact(engine.Conditions{}, putIn("", "a", "k", 2)); return err }); !errors.Is(err, engine.ErrOutcomeUnknown) {
		t.Fatal(err)
	}
	s := *r.Engine.Plan()
	was, size := bytes.Clone(s.Batch), 0
	s.Batch = engine.Respell(t, was, engine.LogTag, func(body []byte) { size += len(body) })
	ok(t, r.other.Examine(&s))
	const names = len("\x07default\x01a\x00") // of which the chain has digests
	for i := range size - names {
		s.Batch = engine.Respell(t, was, engine.LogTag, func(body []byte) { body[i] ^= 1 })
		if err := r.other.Examine(&s); !errors.Is(err, engine.ErrDataLoss) {
			t.Errorf("with byte %d of %d of the commit changed: %v", i, size, err)
		}
	}
	ok(t, r.other.Adopt(&engine.Step{First: s.First, Last: s.Last, Before: s.Before, After: s.After, Time: s.Time, Batch: was}))
	r.other.close()
}

// TestLeadKnowsWhatIsUsed: who begins to lead lists what the store uses beside what it uses
// itself, also when another has used it first.
func TestLeadKnowsWhatIsUsed(t *testing.T) {
	r := newTwoStores(t, 3, false)
	mortal := putIn("", "a", "mortal", 1)
	mortal.TTL = time.Hour
	for _, x := range []struct {
		use  engine.Write
		want string
	}{
		{mortal, "[timers]"},
		{engine.Write{Name: engine.RecordName{Agent: "fork"}, Eval: engine.Fork{Parent: "a"}}, "[acts timers]"},
		{dueOp("a", "job", engine.PutDue{In: time.Hour}), "[acts hidden timers wakeups]"},
	} {
		_, err := r.transact(engine.Conditions{}, x.use)
		ok(t, err)
		if a, b := fmt.Sprint(r.UsedFeatures(t)), fmt.Sprint(r.other.UsedFeatures(t)); a != x.want || b != x.want {
			t.Fatalf("the one that leads lists %s, the other %s, want %s", a, b, x.want)
		}
		r.swap()
	}
	r.close()
	r.other.close()
}

// TestAdoptDue: a machine that follows knows when a record is due, though none ever was when it was opened.
func TestAdoptDue(t *testing.T) {
	r := newTwoStores(t, 7, true)
	_, err := r.transact(engine.Conditions{}, dueOp("a", "job", engine.PutDue{In: time.Hour}))
	ok(t, err)
	name := engine.RecordName{Agent: "a", Key: "job"}
	want, err := r.DueAt(name)
	ok(t, err)
	if got, err := r.other.DueAt(name); err != nil || want.IsZero() || !got.Equal(want) {
		t.Errorf("it is due at %v, to the one that follows at %v, %v", want, got, err)
	}
}
