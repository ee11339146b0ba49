package engine_test

import (
	"context"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

// A backup of forks, whole or not, in one stretch or several, is the same store again.

type forkStretch struct {
	of     engine.Stretch
	rows   []engine.Row
	system []engine.SystemChange
}

func (r *forkRun) export(after engine.CommitTS) forkStretch {
	r.t.Helper()
	return exportOf(r.t, r.p.Engine, after)
}

// exportOf is a stretch of a backup.
func exportOf(t tester, e *engine.Engine, after engine.CommitTS) (s forkStretch) {
	t.Helper()
	x, err := e.Export(after)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer x.Close()
	s.of = x.Of()
	for {
		rows, err := x.Next(context.Background())
		if err != nil {
			t.Fatalf("%v", err)
		}
		if len(rows) == 0 {
			break
		}
		s.rows = append(s.rows, rows...)
	}
	for {
		rows, err := x.System()
		if err != nil {
			t.Fatalf("%v", err)
		}
		if len(rows) == 0 {
			return s
		}
		for _, row := range rows {
			c, err := row.System()
			if err != nil {
				t.Fatalf("%v", err)
			}
			s.system = append(s.system, c)
		}
	}
}

// restored is the run on the store that is made of stretches.
func (r *forkRun) restored(list ...forkStretch) *forkRun {
	t := r.t
	t.Helper()
	to := *r
	to.disk = simdisk.NewDisk(simdisk.DiskOptions{Seed: 77})
	env := newProcess(to.disk, r.clock, func(err error) { t.Errorf("halted: %v", err) }).env
	restoreOn(t, env, rigDir, 0, list...)
	if _, err := verifyOn(to.disk); err != nil {
		t.Fatalf("verify of what was restored: %v", err)
	}
	to.open()
	return &to
}

// restoreOn makes a store of stretches, up to a commit; 0: of all.
func restoreOn(t tester, env engine.Env, dir string, until engine.CommitTS, list ...forkStretch) {
	t.Helper()
	b, err := engine.BeginRestore(env, engine.RestoreOptions{Dir: dir, First: list[0].of, OutcomesAfter: list[len(list)-1].of.OutcomesAfter, Until: until})
	if err != nil {
		t.Fatalf("%v", err)
	}
	for i, s := range list {
		if i > 0 {
			if err := b.Continue(s.of); err != nil {
				t.Fatalf("%v", err)
			}
		}
		if err := b.AddSystem(s.system...); err != nil {
			t.Fatalf("%v", err)
		}
		if err := b.Commits(s.rows); err != nil {
			t.Fatalf("stretch %d: %v", i, err)
		}
		if b.Stopped() {
			break
		}
	}
	if _, _, err := b.Finish(); err != nil {
		t.Fatalf("%v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatalf("%v", err)
	}
}

func TestForksAreBackedUp(t *testing.T) {
	simtest.Serial(t)
	for seed := range seeds(8) {
		r := newForkRun(t, 100+seed)
		r.write()
		var cuts []forkStretch
		ctx := context.Background()
		for i := range 90 {
			r.see()
			switch r.rng.IntN(12) {
			case 0, 1, 2:
				r.fork()
			case 3:
				r.clock.ms.Add(25_000)
				if i > 40 && seed%2 == 0 {
					if _, err := r.p.SetRetention(ctx, engine.Retention{MaxAge: time.Minute}); err != nil {
						t.Fatal(err)
					}
				}
			case 4:
				r.p.chores()
			case 5:
				if len(cuts) == 0 {
					cuts = append(cuts, r.export(0))
				} else if x, err := r.p.Export(cuts[len(cuts)-1].of.To); err == nil {
					_ = x.Close()
					cuts = append(cuts, r.export(cuts[len(cuts)-1].of.To))
				}
			default:
				r.write()
			}
		}
		r.p.chores()
		r.see()
		r.reopen(false)
		whole := r.restored(r.export(0))
		for range 5 {
			whole.check()
		}
		_ = whole.p.Close()
		if len(cuts) > 0 {
			if x, err := r.p.Export(cuts[len(cuts)-1].of.To); err == nil {
				_ = x.Close()
				parts := r.restored(append(cuts, r.export(cuts[len(cuts)-1].of.To))...)
				for range 5 {
					parts.check()
				}
				_ = parts.p.Close()
			}
		}
		if err := r.p.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
