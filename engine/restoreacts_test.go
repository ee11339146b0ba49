package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

// Restores of more keys than a transaction may change are held to the model of forks, as such deletes are:
// whatever is read, at any point, must be what it would be had each key that was not as it was then
// got the value of then, or a tombstone.

// restorePrefix restores what begins with a prefix.
func (r *forkRun) restorePrefix() {
	t := r.t
	t.Helper()
	r.n++
	agent := r.m.names[r.rng.IntN(len(r.m.names))]
	prefix := []string{"", "", "b", "b/", "c"}[r.rng.IntN(5)]
	to := max(r.floor, engine.CommitTS(r.rng.IntN(int(r.m.head)+1)))
	a := r.m.agents[agent]
	become := map[string]pastVersion{}
	for _, k := range r.keys() {
		then, now := a.at(k, to), a.at(k, r.m.head)
		if exists, existed := now.number > 0 && !now.tombstone, then.number > 0 && !then.tombstone; strings.HasPrefix(k, prefix) && (exists || existed) && (exists != existed || now.value != then.value) {
			become[k] = pastVersion{number: now.number + 1, value: then.value, tombstone: !existed, by: r.n}
		}
	}
	id := fmt.Sprint("r-", r.n)
	got, err := r.p.Transact(context.Background(), engine.TxnID(id), []engine.Write{onRange(agent, prefix, engine.RestoreTo{At: atTS(to)})}, engine.Conditions{Metadata: map[string]string{"n": fmt.Sprint(r.n)}})
	if errors.Is(err, engine.ErrOverloaded) {
		return // another one of the agent is under way
	}
	if err != nil {
		t.Fatalf("restore of %q of %q to %d: %v", prefix, agent, to, err)
	}
	if got.Results[0].Keys != uint64(len(become)) || len(got.Versions) != 0 && len(got.Versions) != len(become) || len(become) > fewOps && len(got.Versions) > 0 {
		t.Fatalf("a restore of %d keys was answered %+v", len(become), got)
	}
	if len(got.Versions) == 0 && len(become) > 0 {
		r.acts++
	}
	if got.CommitTS <= r.m.head {
		return // there was nothing, and no commit
	}
	r.m.head = got.CommitTS
	for _, k := range r.keys() {
		if v, changed := become[k]; changed {
			v.ts = got.CommitTS
			a.versions[k] = append(a.versions[k], v)
		}
	}
}

func TestRestoreVeryMany(t *testing.T) {
	simtest.Serial(t)
	acts := 0
	for seed := range uint64(8) {
		r := newActRun(t, 200+seed)
		r.write()
		for range 140 {
			switch r.rng.IntN(20) {
			case 0, 1, 2, 3, 4, 5, 6:
				r.write()
			case 7, 8:
				if seed%2 == 0 {
					r.fork()
				} else {
					r.write()
				}
			case 9, 10, 11:
				r.restorePrefix()
				r.check()
			case 12:
				if seed%4 < 2 {
					r.deletePrefix()
				} else {
					_ = r.p.Flush()
				}
			case 13:
				r.reopen(r.rng.IntN(2) == 0)
			case 14:
				r.checkReplay()
			case 15:
				if r.rng.IntN(4) == 0 {
					r.p.chores()
				}
			default:
				r.check()
			}
		}
		r.reopen(false)
		r.check()
		if err := r.p.Close(); err != nil {
			t.Fatal(err)
		}
		acts += r.acts
	}
	if acts < 20 {
		t.Errorf("only %d restores were of very many keys", acts)
	}
}

// TestRestoreVeryManyAndForget: retention waits until such a restore is carried out, and then takes what it
// superseded, and nothing else.
func TestRestoreVeryManyAndForget(t *testing.T) {
	simtest.Serial(t)
	for seed := range uint64(6) {
		r := newActRun(t, 250+seed)
		r.forgets(140, func() {
			if r.rng.IntN(4) > 0 {
				r.restorePrefix()
			} else if seed%2 == 0 {
				r.fork()
			}
		})
	}
}

// TestRestoreVeryManyHoldsUpRetention: what such a restore brings back may be past its time in the step of its commit.
func TestRestoreVeryManyHoldsUpRetention(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := newProcess(d, clock, func(err error) { t.Errorf("halted: %v", err) })
	p.txnOps = fewOps
	if err := p.open(); err != nil {
		t.Fatal(err)
	}
	p.fill(t, "a", 4)
	then := p.Published()
	p.transact(t, "gone", nil, remove("a", "a0"), remove("a", "b0"), put("a", "c", 1))
	p.transact(t, "new", nil, put("a", "a1", 9), put("a", "a2", 9), put("a", "a3", 9))
	if _, err := p.SetRetention(context.Background(), engine.Retention{MaxAge: time.Minute}); err != nil {
		t.Fatal(err)
	}
	p.chores()
	clock.ms.Add(90_000)
	p.transact(t, "restore", nil, onRange("a", "", engine.RestoreTo{At: atTS(then)}))
	for range 2 {
		if got := fmt.Sprint(p.keysOf(t, "a")); got != "[a0@3 a1@3 a2@3 a3@3 b0@3 b1@1 b2@1 b3@1]" {
			t.Errorf("there are %s", got)
		}
		if rec, err := p.at(t).Get(name("a", "a1")); err != nil || string(rec.Value) != string(put("a", "a1", 1).Value) {
			t.Errorf("a1 is %s, %v", rec.Value, err)
		}
		p.Tick()
		p.chores()
	}
	var f *engine.Failure
	if _, err := p.Transact(context.Background(), "again", []engine.Write{onRange("a", "", engine.RestoreTo{At: atTS(then)})}, engine.Conditions{}); !errors.As(err, &f) || f.Kind != engine.ErrOutOfRange {
		t.Errorf("restored to what is below the floor: %v", err)
	}
	p.verified(t, d)
}

// TestRestoreVeryManyIsBackedUp: a backup has such a restore, carried out or not, in one stretch or several.
func TestRestoreVeryManyIsBackedUp(t *testing.T) {
	simtest.Serial(t)
	for seed := range uint64(6) {
		r := newActRun(t, 300+seed)
		r.backedUp(seed%2 == 0, func() {
			switch r.rng.IntN(4) {
			case 0:
				if seed%3 != 0 {
					r.fork()
				}
			case 1:
				r.deletePrefix()
			default:
				r.restorePrefix()
			}
		})
	}
}

// TestRestoreVeryManyInOneStep: such a restore is one of what was committed before it in its step, and what comes
// after it in that step finds the keys restored.
func TestRestoreVeryManyInOneStep(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openFew(t, d, clock)
	p.fill(t, "a", 4)
	then := p.Published()
	for i := range 4 {
		p.transact(t, fmt.Sprint("new-", i), nil, put("a", fmt.Sprint("a", i), 10+i), put("a", fmt.Sprint("c", i), i))
	}
	two, zero := engine.Version(2), engine.Version(0)
	unless := func(key string, v *engine.Version) []engine.Write {
		w := put("a", key, 9)
		w.Expected = v
		return []engine.Write{w}
	}
	errs := p.inOneStep(t, []engine.Write{put("z", "k", 1)}, []engine.Write{onRange("a", "", engine.RestoreTo{At: atTS(then)})},
		[]engine.Write{put("a", "a1", 7)}, unless("a2", &two), unless("c3", &zero), []engine.Write{onRange("a", "b", engine.DeletePrefix{})})
	for i, err := range errs {
		want := map[int]error{3: engine.ErrPrecondition, 5: engine.ErrOverloaded}[i]
		if !errors.Is(err, want) {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if got := fmt.Sprint(p.keysOf(t, "a")); got != "[a0@3 a1@4 a2@3 a3@3 b0@1 b1@1 b2@1 b3@1 c3@3]" {
		t.Errorf("there are %s", got)
	}
	for key, value := range map[string]int{"a0": 0, "a1": 7, "a2": 2, "c3": 9} {
		if rec, err := p.at(t).Get(name("a", key)); err != nil || string(rec.Value) != string(put("a", key, value).Value) {
			t.Errorf("%q is %s, %v", key, rec.Value, err)
		}
	}
	p.verified(t, d)
}

// TestRestoreVeryManyEndsHolds: what such a restore changes has no deadline any more, as after a small one;
// what it leaves has the one that it had; and what it deletes is due no more.
func TestRestoreVeryManyEndsHolds(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openFew(t, d, clock)
	brief := func(key string, n int, ttl time.Duration) engine.Write {
		w := put("a", key, n)
		w.TTL = ttl
		return w
	}
	due := func(key string, n int) engine.Write {
		w := put("a", key, n)
		w.Eval = engine.PutDue{In: time.Second}
		return w
	}
	for i := range 6 {
		p.transact(t, fmt.Sprint("old-", i), nil, brief(fmt.Sprint("k", i), i, time.Minute))
	}
	p.transact(t, "due-old", nil, due("due0", 0))
	then := p.Published()
	for i := range 5 { // k5 is left
		p.transact(t, fmt.Sprint("new-", i), nil, brief(fmt.Sprint("k", i), 10+i, 2*time.Minute))
	}
	p.transact(t, "due-new", nil, put("a", "due0", 1))
	p.transact(t, "due-new1", nil, due("due1", 0))
	p.transact(t, "restore", nil, onRange("a", "", engine.RestoreTo{At: atTS(then)}))
	clock.ms.Add(1500)
	p.chores()
	claimed := p.transact(t, "claim", nil, engine.Write{Name: engine.RecordName{Agent: "a"}, Eval: engine.Claim{Holder: "w", TTL: time.Hour, Limit: 5}})
	if c := claimed.Results[0].Claimed; len(c) != 1 || c[0].Record.Name.Key != "due0" {
		t.Errorf("handed out are %+v", c)
	}
	clock.ms.Add(300_000)
	p.chores()
	if got := fmt.Sprint(p.keysOf(t, "a")); got != "[due0@3 k0@3 k1@3 k2@3 k3@3 k4@3]" {
		t.Errorf("later there are %s", got)
	}
	p.verified(t, d)
}

// TestRestoreVeryManyAndErase: an erasure reaches what such a restore brought back, and what was erased is not
// brought back.
func TestRestoreVeryManyAndErase(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openFew(t, d, clock)
	for i := range 6 {
		p.transact(t, fmt.Sprint("s-", i), nil, secret("a", fmt.Sprint("k", i), i))
	}
	then := p.Published()
	for i := range 6 {
		p.transact(t, fmt.Sprint("t-", i), nil, put("a", fmt.Sprint("k", i), i))
	}
	restore := onRange("a", "", engine.RestoreTo{At: atTS(then)})
	p.transact(t, "restore", nil, restore)
	p.fork(t, "f", "f", "a", engine.At{})
	if did := p.erase(t, engine.Erasure{Agent: "a", Key: "k1", Forks: true}); did.Values != 6 || did.Keys != 2 {
		t.Errorf("erased %+v", did)
	}
	for i, want := range []error{engine.ErrEvaluation, nil} { // k1 cannot be brought back, and the others can
		p.transact(t, fmt.Sprint("u-", i), nil, put("a", "k0", 20), put("a", "k2", 20), put("a", "k3", 20))
		p.transact(t, fmt.Sprint("v-", i), nil, put("a", "k4", 20), put("a", "k5", 20), put("a", fmt.Sprint("l", i), 1))
		at := []engine.CommitTS{then, p.Published() - 2}[i]
		if _, err := p.Transact(context.Background(), engine.TxnID(fmt.Sprint("again-", i)), []engine.Write{onRange("a", "", engine.RestoreTo{At: atTS(at)})}, engine.Conditions{}); !errors.Is(err, want) {
			t.Errorf("restored to %d, after an erasure: %v", at, err)
		}
		p.chores()
	}
	if err := p.CompactAll(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if files := found(t, d, "hunter-a-k1"); len(files) > 0 {
		t.Errorf("it is found: %v", files)
	}
	if _, err := verifyOn(d); err != nil {
		t.Error(err)
	}
}

// TestRestoreVeryManyOfPruned: what was pruned is not brought back, and nothing is pruned between the look and the
// act.
func TestRestoreVeryManyOfPruned(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openFew(t, d, clock)
	if _, err := p.SetRetention(context.Background(), engine.Retention{MaxVersions: 2}); err != nil {
		t.Fatal(err)
	}
	p.fill(t, "a", 6)
	first := p.Published()
	for n := range 2 {
		for i := range 6 {
			p.transact(t, fmt.Sprintf("new-%d-%d", n, i), nil, put("a", fmt.Sprint("a", i), 10*n+i+10))
		}
	}
	second := p.Published()
	restore := func(to engine.CommitTS) error {
		_, err := p.Transact(context.Background(), engine.TxnID(fmt.Sprint("to-", to)), []engine.Write{onRange("a", "", engine.RestoreTo{At: atTS(to)})}, engine.Conditions{})
		return err
	}
	p.chores()
	if err := restore(first); !errors.Is(err, engine.ErrEvaluation) {
		t.Errorf("restored to what was pruned: %v", err)
	}
	for i := range 6 {
		p.transact(t, fmt.Sprint("newest-", i), nil, put("a", fmt.Sprint("a", i), 50+i))
	}
	if err := restore(second); err != nil {
		t.Errorf("restored to what is there: %v", err)
	}
	if got := fmt.Sprint(p.keysOf(t, "a")); got != "[a0@5 a1@5 a2@5 a3@5 a4@5 a5@5 b0@1 b1@1 b2@1 b3@1 b4@1 b5@1]" {
		t.Errorf("there are %s", got)
	}
	p.chores()
	for i := range 6 {
		if rec, err := p.at(t).Get(name("a", fmt.Sprint("a", i))); err != nil || string(rec.Value) != string(put("a", fmt.Sprint("a", i), 20+i).Value) {
			t.Errorf("a%d is %s, %v", i, rec.Value, err)
		}
	}
	p.verified(t, d)
}

// TestRestoreVeryManyCrash ends the process at every operation on the disk while such a restore is committed
// and carried out: it is there as a whole or not at all, at whatever point it is left.
func TestRestoreVeryManyCrash(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 6}), &rigClock{}
	p := openFew(t, d, clock)
	p.fill(t, "a", 4)
	then := p.Published()
	p.transact(t, "gone", nil, remove("a", "a0"), remove("a", "b0"), put("a", "c", 1))
	for i := range 4 {
		p.transact(t, fmt.Sprint("new-", i), nil, put("a", fmt.Sprint("a", i), 9))
	}
	p.crashes(t, d, []doing{
		{w: onRange("a", "", engine.RestoreTo{At: atTS(then)}), keys: "a0@4 a1@3 a2@3 a3@3 b0@3 b1@1 b2@1 b3@1"},
		{w: put("a", "a2", 5), keys: "a0@4 a1@3 a2@4 a3@3 b0@3 b1@1 b2@1 b3@1"},
	}, func(p *process, done int, when string) {
		if rec, err := p.at(t).Get(name("a", "a1")); err != nil || done > 0 && string(rec.Value) != string(put("a", "a1", 1).Value) {
			t.Fatalf("%s, and went on: a1 is %s, %v", when, rec.Value, err)
		}
	})
}
