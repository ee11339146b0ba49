package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// What forks, deletes and restores of very many keys are put through alike.

// verified closes the process. What it leaves is in order.
func (p *process) verified(t *testing.T, d *simdisk.Disk) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := verifyOn(d); err != nil {
		t.Error(err)
	}
}

// forgets has a namespace forget while it is written and something is done to it again and again.
func (r *forkRun) forgets(steps int, act func()) {
	t := r.t
	t.Helper()
	r.write()
	for range steps {
		switch r.rng.IntN(20) {
		case 0, 1, 2, 3, 4, 5, 6, 7, 8:
			r.write()
		case 9, 10, 11:
			act()
		case 12:
			_ = r.p.Flush()
		case 13:
			r.reopen(r.rng.IntN(2) == 0)
		case 14:
			r.clock.ms.Add(30_000)
			if _, err := r.p.SetRetention(context.Background(), engine.Retention{MaxAge: time.Minute}); err != nil {
				t.Fatal(err)
			}
		case 15:
			r.p.Tick()
			r.p.Step()
		case 16:
			r.p.chores()
		default:
			r.check()
		}
		r.see()
	}
	r.p.chores()
	r.reopen(false)
	r.check()
	if err := r.p.Close(); err != nil {
		t.Fatal(err)
	}
}

// backedUp makes a backup in the end, in one stretch and in several that were made on the way, while something
// is done again and again, and holds the restored stores to the model. settled: the namespace forgets, and nothing
// is left to be carried out.
func (r *forkRun) backedUp(settled bool, act func()) {
	t := r.t
	t.Helper()
	r.write()
	var cuts []forkStretch
	cut := func() {
		after := engine.CommitTS(0)
		if len(cuts) > 0 {
			after = cuts[len(cuts)-1].of.To
		}
		if x, err := r.p.Export(after); err == nil {
			_ = x.Close()
			cuts = append(cuts, r.export(after))
		}
	}
	for i := range 120 {
		r.see()
		switch r.rng.IntN(12) {
		case 0, 1, 2:
			act()
		case 3:
			r.clock.ms.Add(25_000)
			if i > 40 && settled {
				if _, err := r.p.SetRetention(context.Background(), engine.Retention{MaxAge: time.Minute}); err != nil {
					t.Fatal(err)
				}
			}
		case 4:
			if r.rng.IntN(3) == 0 {
				r.p.chores()
			}
		case 5:
			cut()
		default:
			r.write()
		}
	}
	if settled {
		r.p.chores()
	}
	r.see()
	whole := r.restored(r.export(0))
	for range 5 {
		whole.check()
		whole.p.Step()
	}
	whole.p.chores()
	whole.check()
	_ = whole.p.Close()
	if cut(); len(cuts) > 1 && cuts[len(cuts)-1].of.To == r.m.head {
		parts := r.restored(cuts...)
		for range 5 {
			parts.check()
		}
		parts.p.chores()
		parts.reopen(false)
		parts.check()
		_ = parts.p.Close()
	}
	if err := r.p.Close(); err != nil {
		t.Fatal(err)
	}
}

// A doing is what is done to agent "a", and the keys that it then has.
type doing struct {
	w      engine.Write
	keys   string
	chores bool // before it
}

// crashes ends the process at every operation on the disk while things are done and carried out: each is
// there as a whole or not at all, at whatever point it is left. also, if given, looks at what came of it: so many
// were done.
func (p *process) crashes(t *testing.T, d *simdisk.Disk, list []doing, also func(p *process, done int, when string)) {
	t.Helper()
	type shot struct {
		disk  *simdisk.Disk
		acked int // what was told the clients by then
	}
	var mu sync.Mutex
	var shots []shot
	var acked atomic.Int64
	states := []string{strings.Join(p.keysOf(t, "a"), " ")}
	d.OnOp(func(op simdisk.Op) {
		if changes(op) {
			mu.Lock()
			defer mu.Unlock()
			shots = append(shots, shot{d.Clone(), int(acked.Load())})
		}
	})
	for i, x := range list {
		if x.chores {
			p.chores()
		}
		p.transact(t, fmt.Sprint("do-", i), nil, x.w)
		acked.Store(int64(i + 1))
		if got := strings.Join(p.keysOf(t, "a"), " "); got != x.keys {
			t.Fatalf("after %d there are %s", i, got)
		}
		states = append(states, x.keys)
	}
	p.chores()
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	d.OnOp(nil)
	shots = append(shots, shot{d.Clone(), len(list)})
	for i, x := range shots {
		if i%stride(3) != 0 && i != len(shots)-1 {
			continue
		}
		for _, mode := range []simdisk.CrashMode{simdisk.DropAll, simdisk.Torn, simdisk.KeepAll} {
			left := x.disk.Clone().Crash(simdisk.CrashOptions{Mode: mode, Seed: uint64(i)})
			when := fmt.Sprintf("operation %d, %s", i, mode)
			if _, err := verifyOn(left.Clone()); err != nil {
				t.Fatalf("%s: verify: %v", when, err)
			}
			p := openFew(t, left, &rigClock{})
			is := slices.Index(states, strings.Join(p.keysOf(t, "a"), " "))
			if is < x.acked || is > x.acked+1 {
				t.Fatalf("%s: there are %v, which is state %d, of %d", when, p.keysOf(t, "a"), is, x.acked)
			}
			p.chores()
			if got := strings.Join(p.keysOf(t, "a"), " "); got != states[is] {
				t.Fatalf("%s, and went on: there are %s", when, got)
			}
			if also != nil {
				also(p, is, when)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := verifyOn(left); err != nil {
				t.Fatalf("%s, and went on: verify: %v", when, err)
			}
		}
	}
	t.Logf("%d operations", len(shots))
}
