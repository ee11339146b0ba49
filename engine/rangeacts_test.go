package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

// Deletes of more keys than a transaction may change are held to the model of forks: whatever is read, at
// any point, while one is carried out and after, must be what it would be had each key got a
// tombstone of the commit.

// fewOps is what a transaction may change in these tests.
const fewOps = 3

func newActRun(t *testing.T, seed uint64) *forkRun {
	r := &forkRun{t: t, disk: simdisk.NewDisk(simdisk.DiskOptions{Seed: seed}), clock: &rigClock{}, rng: rand.New(rand.NewPCG(seed, 17)), m: &forkModel{agents: map[string]*forkedAgent{}}, few: true}
	r.open()
	return r
}

// deletePrefix deletes what begins with a prefix.
func (r *forkRun) deletePrefix() {
	t := r.t
	t.Helper()
	r.n++
	agent := r.m.names[r.rng.IntN(len(r.m.names))]
	prefix := []string{"", "", "b", "b/", "c"}[r.rng.IntN(5)]
	a := r.m.agents[agent]
	var keys []string
	ever := 0 // looked at, deleted ones included
	for _, k := range r.keys() {
		if v := a.at(k, r.m.head); strings.HasPrefix(k, prefix) && v.number > 0 {
			if ever++; !v.tombstone {
				keys = append(keys, k)
			}
		}
	}
	id := fmt.Sprint("d-", r.n)
	got, err := r.p.Transact(context.Background(), engine.TxnID(id), []engine.Write{onRange(agent, prefix, engine.DeletePrefix{})}, engine.Conditions{Metadata: map[string]string{"n": fmt.Sprint(r.n)}})
	if errors.Is(err, engine.ErrOverloaded) {
		return // another one of the agent is under way
	}
	if err != nil {
		t.Fatal(err)
	}
	if many := len(got.Versions) != len(keys); got.Results[0].Keys != uint64(len(keys)) || many && (len(keys) <= fewOps && ever <= 2*fewOps || len(got.Versions) > 0) {
		t.Fatalf("a delete of %d keys was answered %+v", len(keys), got)
	}
	if got.CommitTS <= r.m.head {
		return // there was nothing, and no commit
	}
	r.m.head = got.CommitTS
	for _, k := range keys {
		vs := a.versions[k]
		a.versions[k] = append(vs, pastVersion{ts: got.CommitTS, number: vs[len(vs)-1].number + 1, tombstone: true})
	}
}

func TestDeleteVeryMany(t *testing.T) {
	simtest.Serial(t)
	for seed := range uint64(6) {
		r := newActRun(t, seed)
		r.write()
		for range 120 {
			switch r.rng.IntN(20) {
			case 0, 1, 2, 3, 4, 5, 6, 7:
				r.write()
			case 8, 9:
				if seed%2 == 0 {
					r.fork()
				} else {
					r.write()
				}
			case 10, 11:
				r.deletePrefix()
				r.check()
			case 12:
				_ = r.p.Flush()
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
	}
}

// TestDeleteVeryManyAndForget: retention takes what such a delete superseded, and nothing else.
func TestDeleteVeryManyAndForget(t *testing.T) {
	simtest.Serial(t)
	for seed := range uint64(6) {
		r := newActRun(t, 50+seed)
		r.forgets(120, func() {
			if r.rng.IntN(3) > 0 {
				r.deletePrefix()
			} else if seed%2 == 0 {
				r.fork()
			}
		})
	}
}

// TestDeleteVeryManyIsBackedUp: a backup has such a delete, carried out or not, in one stretch or several.
func TestDeleteVeryManyIsBackedUp(t *testing.T) {
	simtest.Serial(t)
	for seed := range uint64(6) {
		r := newActRun(t, 100+seed)
		r.backedUp(seed%2 == 0, func() {
			if r.rng.IntN(3) > 0 {
				r.deletePrefix()
			} else if seed%3 != 0 {
				r.fork()
			}
		})
	}
}

func openFew(t *testing.T, d *simdisk.Disk, clock *rigClock) *process {
	t.Helper()
	p := newProcess(d, clock, func(err error) { t.Errorf("halted: %v", err) })
	p.txnOps, p.pieceRows = fewOps, 2
	if err := p.open(); err != nil {
		t.Fatalf("open: %v", err)
	}
	return p
}

// fill writes keys a0, a1, … and b0, b1, …, each in a commit of its own.
func (p *process) fill(t *testing.T, agent string, n int) {
	t.Helper()
	for i := range n {
		for _, k := range []string{"a", "b"} {
			p.transact(t, fmt.Sprint("fill-", agent, k, i), nil, put(agent, fmt.Sprint(k, i), i))
		}
	}
}

func (p *process) keysOf(t *testing.T, agent string) (keys []string) {
	t.Helper()
	recs, _, err := p.at(t).Scan(engine.ScanOptions{Agent: engine.AgentName{Agent: agent}})
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range recs {
		keys = append(keys, fmt.Sprintf("%s@%d", rec.Name.Key, rec.Version))
	}
	return keys
}

// TestDeleteVeryManyInOneStep: such a delete is one of what was committed before it in its step, and what
// comes after it in that step finds the keys deleted.
func TestDeleteVeryManyInOneStep(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openFew(t, d, clock)
	p.fill(t, "a", 4)
	one, zero := engine.Version(1), engine.Version(0)
	unless := func(key string, v *engine.Version) []engine.Write {
		w := put("a", key, 9)
		w.Expected = v
		return []engine.Write{w}
	}
	errs := p.inOneStep(t, []engine.Write{put("z", "k", 1)}, []engine.Write{onRange("a", "a", engine.DeletePrefix{})},
		[]engine.Write{put("a", "a1", 7)}, unless("a2", &one), unless("a3", &zero), []engine.Write{onRange("a", "a", engine.DeletePrefix{})}, unless("b1", &one))
	for i, err := range errs {
		want := map[int]error{3: engine.ErrPrecondition}[i]
		if !errors.Is(err, want) {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if got := fmt.Sprint(p.keysOf(t, "a")); got != "[b0@1 b1@2 b2@1 b3@1]" {
		t.Errorf("there are %s", got)
	}
	for key, want := range map[string]engine.Version{"a0": 2, "a1": 4, "a2": 2, "a3": 4} {
		if rec, err := p.at(t).Get(name("a", key)); err != nil || rec.Exists || rec.Version != want {
			t.Errorf("%q is %+v, %v", key, rec, err)
		}
	}
	p.verified(t, d)
}

// TestDeleteVeryManyIsAlone: such a delete is the only operation on its agent, and the only one under way.
func TestDeleteVeryManyIsAlone(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openFew(t, d, clock)
	p.fill(t, "a", 4)
	p.fill(t, "b", 4)
	try := func(id string, ws ...engine.Write) error {
		_, err := p.Transact(context.Background(), engine.TxnID(id), ws, engine.Conditions{})
		return err
	}
	all := onRange("a", "", engine.DeletePrefix{})
	if err := try("two", all, put("a", "new", 1)); !errors.Is(err, engine.ErrLimit) {
		t.Errorf("with another operation: %v", err)
	}
	listing, _, _, err := p.Begin(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, _, err := p.Begin(nil)
	if err != nil {
		t.Fatal(err)
	}
	for id, prefix := range map[engine.TxnID]string{listing: "a1", other: "zz"} {
		if _, _, _, err := p.TxnScan(context.Background(), id, engine.ScanOptions{Agent: engine.AgentName{Agent: "b"}, Prefix: prefix}); err != nil {
			t.Fatal(err)
		}
		if err := p.Stage(id, put("c", string(id), 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := try("ok", all, onRange("b", "a", engine.DeletePrefix{}), put("c", "k", 1)); err != nil {
		t.Fatal(err)
	}
	if err := try("ok", all, onRange("b", "a", engine.DeletePrefix{}), put("c", "k", 1)); err != nil {
		t.Errorf("sent again: %v", err)
	}
	if err := try("again", all); !errors.Is(err, engine.ErrOverloaded) {
		t.Errorf("while one is under way: %v", err)
	}
	if _, err := p.Commit(context.Background(), listing, engine.Conditions{}); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("of a list of what was deleted: %v", err)
	}
	if _, err := p.Commit(context.Background(), other, engine.Conditions{}); err != nil {
		t.Errorf("of another list: %v", err)
	}
	p.chores()
	if err := try("again", all); err != nil {
		t.Errorf("when it is done: %v", err)
	}
	if got := fmt.Sprint(p.keysOf(t, "a"), p.keysOf(t, "b")); got != "[] [b0@1 b1@1 b2@1 b3@1]" {
		t.Errorf("there are %s", got)
	}
	p.verified(t, d)
}

// TestDeleteVeryManyEndsHolds: what such a delete takes expires no more, is due no more, and what is
// written in its place has a deadline of its own.
func TestDeleteVeryManyEndsHolds(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openFew(t, d, clock)
	brief := func(key string, n int, ttl time.Duration) engine.Write {
		w := put("a", key, n)
		w.TTL = ttl
		return w
	}
	for i := range 8 {
		p.transact(t, fmt.Sprint("brief-", i), nil, brief(fmt.Sprint("k", i), i, time.Minute))
	}
	for i := range 3 {
		due := put("a", fmt.Sprint("due", i), i)
		due.Eval = engine.PutDue{In: time.Duration(i) * time.Second}
		p.transact(t, fmt.Sprint("due-", i), nil, due)
	}
	clock.ms.Add(1500)
	p.chores()
	claim := func(id string) int {
		got := p.transact(t, id, nil, engine.Write{Name: engine.RecordName{Agent: "a"}, Eval: engine.Claim{Holder: "w", TTL: time.Hour, Limit: 1}})
		return len(got.Results[0].Claimed)
	}
	if claim("claim") != 1 {
		t.Fatal("nothing is due")
	}
	p.transact(t, "delete", nil, onRange("a", "", engine.DeletePrefix{}))
	if n := claim("claim-after"); n != 0 {
		t.Errorf("%d deleted records are handed out", n)
	}
	p.transact(t, "new", nil, brief("k7", 70, time.Hour), put("a", "k6", 60))
	head := p.Published()
	clock.ms.Add(90_000)
	p.chores()
	clock.ms.Add(90_000)
	p.chores()
	if p.Published() != head {
		t.Errorf("what was deleted expired by commit %d", p.Published())
	}
	if got := fmt.Sprint(p.keysOf(t, "a")); got != "[k6@3 k7@3]" {
		t.Errorf("there are %s", got)
	}
	clock.ms.Add(3_600_000)
	p.chores()
	if got := fmt.Sprint(p.keysOf(t, "a")); got != "[k6@3]" {
		t.Errorf("later there are %s", got)
	}
	p.verified(t, d)
}

// TestDeleteVeryManyAndErase: an erasure finds what was deleted, and waits for the delete to be carried out.
func TestDeleteVeryManyAndErase(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openFew(t, d, clock)
	for i := range 7 {
		p.transact(t, fmt.Sprint("s-", i), map[string]string{"who": "alice"}, secret("a", fmt.Sprint("k", i), i))
	}
	p.transact(t, "delete", map[string]string{"why": "mallory"}, onRange("a", "k", engine.DeletePrefix{}))
	p.transact(t, "new", nil, secret("a", "k1", 100))
	if did := p.erase(t, engine.Erasure{Agent: "a"}); did.Values != 8 || did.Keys != 7 {
		t.Errorf("erased %+v", did)
	}
	if rec, err := p.at(t).Get(name("a", "k1")); err != nil || rec.Exists || rec.Version != 4 {
		t.Errorf("k1 is %+v, %v", rec, err)
	}
	if err := p.CompactAll(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if files := found(t, d, "hunter-a-k", "mallory"); len(files) > 0 {
		t.Errorf("it is found: %v", files)
	}
	if _, err := verifyOn(d); err != nil {
		t.Error(err)
	}
}

// TestDeleteVeryManyCrash ends the process at every operation on the disk while such a delete is committed
// and carried out: it is there as a whole or not at all, at whatever point it is left.
func TestDeleteVeryManyCrash(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 6}), &rigClock{}
	p := openFew(t, d, clock)
	p.fill(t, "a", 6)
	p.crashes(t, d, []doing{
		{w: onRange("a", "a", engine.DeletePrefix{}), keys: "b0@1 b1@1 b2@1 b3@1 b4@1 b5@1"},
		{w: put("a", "a5", 5), keys: "a5@3 b0@1 b1@1 b2@1 b3@1 b4@1 b5@1"},
		{w: remove("a", "b2"), keys: "a5@3 b0@1 b1@1 b3@1 b4@1 b5@1"},
		{w: onRange("a", "b", engine.DeletePrefix{}), keys: "a5@3", chores: true},
	}, nil)
}
