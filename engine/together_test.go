package engine_test

import (
	"context"
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

// All kinds of operations together, on agents that are forks of each other, with records that expire and
// leases, while retention and erasures take from the past, the daemon is killed, and backups are made
// of all that. A backup that is restored, whole or to an earlier moment, shows what the store showed
// then, and goes on as the store does.

type allRun struct {
	*world
	rng    *rand.Rand
	names  []string
	n      int
	held   map[string]engine.Version // lease of agent -> token
	cuts   []forkStretch
	seen   map[engine.CommitTS][]string // what was shown at some heads
	erases bool
	also   error // by which it may be refused, too
}

var refusals = []error{
	engine.ErrPrecondition, engine.ErrEvaluation, engine.ErrLeaseHeld, engine.ErrLeaseLost, engine.ErrOutOfRange, engine.ErrLimit, engine.ErrInvalid,
}

func (r *allRun) agent() string { return r.names[r.rng.IntN(len(r.names))] }

// draw makes an operation on an agent.
func (r *allRun) draw(agent string) engine.Write {
	r.n++
	key := []string{"a", "a/1", "b", "n", "log/x"}[r.rng.IntN(5)]
	value := fmt.Sprintf(`{"n":%d}`, r.n)
	w := engine.Write{Name: engine.RecordName{Agent: agent, Key: key}, Value: []byte(value)}
	switch r.rng.IntN(14) {
	case 0, 1, 2:
		w.TTL = time.Duration(1+r.rng.IntN(100)) * time.Second
	case 3:
		w.Value, w.Bytes, w.ContentType = []byte{0, 1, 2, byte(r.n)}, true, "image/png"
	case 4:
		w.Eval, w.Value = engine.Increment{Pointer: "/n", Delta: "1"}, nil
	case 5, 6:
		w.Name.Key, w.Eval = "log/", engine.Append{}
		if r.rng.IntN(2) == 0 {
			w.TTL = time.Minute
		}
	case 7:
		w.Eval = engine.Merge{}
	case 8:
		w.Eval = engine.IfAbsent{}
	case 9:
		w.Name.Key, w.Value, w.Eval = []string{"", "a", "log/"}[r.rng.IntN(3)], nil, engine.DeletePrefix{}
	case 10:
		at := engine.CommitTS(1 + r.rng.IntN(int(max(r.Published(), 1))))
		w.Name.Key, w.Value, w.Eval = "", nil, engine.RestoreTo{At: atTS(at)}
	case 11:
		w.Value, w.Tombstone = nil, true
	}
	return w
}

func (r *allRun) write() {
	agent := r.agent()
	writes := []engine.Write{r.draw(agent)}
	for r.rng.IntN(3) == 0 {
		writes = append(writes, r.draw(agent))
	}
	r.try(writes...)
}

func (r *allRun) try(writes ...engine.Write) (engine.CommitResult, bool) {
	c, err := r.transact(engine.Conditions{}, writes...)
	if err != nil && !slices.ContainsFunc(refusals, func(kind error) bool { return errors.Is(err, kind) }) && (r.also == nil || !errors.Is(err, r.also)) {
		r.t.Fatalf("%+v: %v", writes, err)
	}
	return c, err == nil
}

func (r *allRun) fork() {
	r.n++
	name, at := fmt.Sprint("fork-", r.n), engine.At{}
	if r.rng.IntN(2) == 0 && r.Published() > 0 {
		at = atTS(engine.CommitTS(1 + r.rng.IntN(int(r.Published()))))
	}
	if _, made := r.try(forkOf(name, r.agent(), at)); made {
		r.names = append(r.names, name)
	}
}

func (r *allRun) lease() {
	agent := r.agent()
	token := r.held[agent]
	switch r.rng.IntN(4) {
	case 0, 1:
		if c, made := r.try(leaseOp(agent, "main", engine.Acquire{Holder: "me", TTL: time.Duration(1+r.rng.IntN(60)) * time.Second})); made {
			r.held[agent] = c.Results[0].Version
		}
	case 2:
		if token > 0 {
			_ = r.renew(agent, "main", token, time.Duration(r.rng.IntN(3))*time.Minute)
		}
	case 3:
		if token > 0 {
			r.try(leaseOp(agent, "main", engine.Release{Token: token}))
		}
	}
}

func (r *allRun) refresh() {
	n := engine.RecordName{Agent: r.agent(), Key: []string{"a", "a/1", "b", "n"}[r.rng.IntN(4)]}
	if _, err := r.RefreshExpiry(context.Background(), []engine.RecordName{n}, time.Duration(r.rng.IntN(3))*time.Minute, nil); err != nil {
		r.t.Fatalf("%v", err)
	}
}

// shown is what readers see of the last commit, and moments whether the deadlines are in it.
func (r *allRun) shown(moments bool) (lines []string) {
	at := r.now()
	agents, _, err := at.Agents("", "", "", engine.Page{})
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	for _, a := range agents {
		lines = append(lines, fmt.Sprint("agent ", a.Name.Agent, " ", a.First, "-", a.Head))
		records, _, err := at.Scan(engine.ScanOptions{Agent: a.Name})
		if err != nil {
			r.t.Fatalf("%v", err)
		}
		for _, rec := range records {
			line := fmt.Sprintf("%s %s@%d at %d %q gone %v %v", a.Name.Agent, rec.Name.Key, rec.Version, rec.CommitTS, rec.Value, rec.Erased, rec.Pruned)
			if moments {
				line += fmt.Sprint(" until ", rec.ExpiresAt)
			} else if !rec.ExpiresAt.IsZero() {
				line += " for a while"
			}
			lines = append(lines, line)
		}
		for _, l := range r.leases(engine.LeaseList{Agent: a.Name.Agent}) {
			line := fmt.Sprintf("lease %s of %s: %s@%d", l.Name, l.Agent.Agent, l.Holder, l.Token)
			if moments {
				line += fmt.Sprint(" until ", l.Deadline)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

func (r *allRun) check(what string, got, want []string) {
	r.t.Helper()
	got, want = slices.Clone(got), slices.Clone(want)
	for i, line := range want { // a value that was pruned may be back: the next pruning takes it
		if head, _, pruned := strings.Cut(line, ` "" gone false true`); pruned {
			if want[i] = head; i < len(got) && strings.HasPrefix(got[i], head+" ") {
				got[i] = head
			}
		}
	}
	if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
		r.t.Fatalf("%s: %s", what, firstDifference(a, b))
	}
}

// cut adds a stretch to the backup.
func (r *allRun) cut() {
	after := engine.CommitTS(0)
	if n := len(r.cuts); n > 0 {
		after = r.cuts[n-1].of.To
	}
	x, err := r.Export(after)
	if err != nil {
		return // there is nothing new, or what was before has gone
	}
	_ = x.Close()
	r.cuts = append(r.cuts, exportOf(r.t, r.Engine, after))
}

// restored is another store, made of stretches up to a commit; 0: of all.
func (r *allRun) restored(until engine.CommitTS, list ...forkStretch) *allRun {
	r.t.Helper()
	to := &allRun{rng: rand.New(rand.NewPCG(3, 4)), held: map[string]engine.Version{}}
	to.world = &world{t: r.t, disk: simdisk.NewDisk(simdisk.DiskOptions{Seed: 77}), clock: r.clock, rand: rand.NewChaCha8([32]byte{7}), opts: r.opts, ids: 1_000_000}
	restoreOn(r.t, to.env(), r.opts.Dir, until, list...)
	to.verify("of what was restored")
	to.start()
	return to
}

// goOn does the same to both, and lets all deadlines pass.
func (r *allRun) goOn(to *allRun) {
	for _, agent := range slices.Clone(r.names) {
		for _, w := range []engine.Write{
			{Name: engine.RecordName{Agent: agent, Key: "log/"}, Value: []byte(`{}`), Eval: engine.Append{}},
			{Name: engine.RecordName{Agent: agent, Key: "count"}, Eval: engine.Increment{Pointer: "/n", Delta: "1"}},
			leaseOp(agent, "main", engine.Acquire{Holder: "next", TTL: time.Minute}),
		} {
			one, made := r.try(w)
			other, made2 := to.try(w)
			if made != made2 || told(one) != told(other) {
				r.t.Fatalf("%+v comes to %s (%t), and in what was restored to %s (%t)", w, told(one), made, told(other), made2)
			}
		}
	}
	r.until(r.clock.Add(24 * time.Hour))
	to.until(r.clock)
	r.check("a day later, what was restored", to.shown(true), r.shown(true))
}

func (r *allRun) run(steps int) {
	for range steps {
		switch r.rng.IntN(24) {
		case 0, 1:
			r.fork()
		case 2, 3, 4:
			r.lease()
		case 5:
			r.refresh()
		case 6, 7:
			r.until(r.clock.Add(time.Duration(r.rng.IntN(30)) * time.Second))
		case 8:
			r.cut()
		case 9:
			r.restart()
		case 10:
			r.crash(simdisk.CrashOptions{Mode: simdisk.DropAll, Seed: uint64(r.n)})
			r.verify("after a crash")
			r.start()
		case 11:
			if r.erases && r.rng.IntN(3) == 0 {
				x := engine.Erasure{Agent: r.agent(), Forks: true}
				if r.rng.IntN(2) == 0 {
					x.Key = "a"
				}
				if err := r.Erase(context.Background(), x, func(engine.ErasureProgress) error { return nil }); err != nil {
					r.t.Fatalf("%v", err)
				}
			}
		case 12:
			if r.erases && r.rng.IntN(3) == 0 {
				if _, err := r.SetRetention(context.Background(), engine.Retention{MaxAge: time.Minute, MaxVersions: 2}); err != nil {
					r.t.Fatalf("%v", err)
				}
				r.Tick()
				for r.Step() {
				}
			}
		case 13:
			r.seen[r.Published()] = r.shown(false)
		case 14:
			_ = r.Flush()
		default:
			r.write()
		}
	}
}

func TestTogether(t *testing.T) {
	simtest.Serial(t)
	for seed := range seeds(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := &allRun{
				world: newWorld(t, seed, engine.Limits{}), rng: rand.New(rand.NewPCG(seed, 16)), names: []string{"a", "b"},
				held: map[string]engine.Version{}, seen: map[engine.CommitTS][]string{}, erases: seed%2 == 1,
			}
			r.run(150)
			r.cut()
			now := r.shown(true)
			whole := r.restored(0, exportOf(t, r.Engine, 0))
			r.check("what was restored of one stretch", whole.shown(true), now)
			whole.close()
			for ts := engine.CommitTS(1); ts < r.Published(); ts++ {
				lines, is := r.seen[ts]
				if !is || len(r.cuts) == 0 || r.erases { // what was erased since does not come back
					continue
				}
				then := r.restored(ts, r.cuts...)
				r.check(fmt.Sprint("what was restored of commit ", ts), then.shown(false), lines)
				then.until(then.clock.Add(24 * time.Hour))
				then.close()
				then.verify("a day later")
			}
			if n := len(r.cuts); n > 0 && r.cuts[n-1].of.To == r.Published() {
				parts := r.restored(0, r.cuts...)
				r.check(fmt.Sprint("what was restored of ", n, " stretches"), parts.shown(true), now)
				r.goOn(parts)
				parts.close()
				parts.verify("at the end")
			}
			r.close()
			r.verify("at the end")
		})
	}
}

// TestTogetherAfterMigration: a store of the format before does all of it, too.
func TestTogetherAfterMigration(t *testing.T) {
	simtest.Serial(t)
	for seed := range seeds(4) {
		w := newWorld(t, seed, engine.Limits{})
		w.close()
		w.disk, w.opts.Dir = oldDisk(t), rigDir
		if _, err := migrateOn(w.disk); err != nil {
			t.Fatal(err)
		}
		w.start()
		w.clock = w.Status().LastCommitTime.Add(time.Second)
		r := &allRun{world: w, rng: rand.New(rand.NewPCG(seed, 17)), held: map[string]engine.Version{}, seen: map[engine.CommitTS][]string{}, erases: seed%2 == 1}
		agents, _, err := w.now().Agents("", "", "", engine.Page{})
		if err != nil || len(agents) == 0 {
			t.Fatalf("%d agents, %v", len(agents), err)
		}
		for _, a := range agents {
			r.names = append(r.names, a.Name.Agent)
		}
		r.run(80)
		whole := r.restored(0, exportOf(t, r.Engine, 0))
		r.check("what was restored", whole.shown(true), r.shown(true))
		r.goOn(whole)
		whole.close()
		whole.verify("at the end")
		w.close()
		if got := w.verify("at the end"); got.Commits == 0 {
			t.Errorf("%+v", got)
		}
	}
}
