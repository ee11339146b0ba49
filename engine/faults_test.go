package engine_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// An ending is how a run of the script ends under a fault.
type ending string

const (
	halted   ending = "halted"   // Halt was called
	failed   ending = "failed"   // something answered an error, Open mostly
	survived ending = "survived" // nobody noticed
	hung     ending = "hung"
)

// A faultRun is a run of the script on a disk with a fault. As in production,
// Halt does not return: who halts stands still, and those who wait for it.
type faultRun struct {
	s      script
	disk   *simdisk.Disk
	clock  rigClock
	p      *process
	ending ending
	err    error
	image  *simdisk.Disk // the disk as the process leaves it
	acked  int
	tried  int
}

// patience is how long a run may take that usually takes a hundredth of it.
const patience = 60 * time.Second

func runWithFault(fault simdisk.Fault) (*faultRun, error) {
	r := &faultRun{disk: simdisk.NewDisk(simdisk.DiskOptions{Seed: 1, Trace: true})}
	if err := r.disk.Arm(fault); err != nil {
		return nil, err
	}
	stopped, done := make(chan error), make(chan error)
	r.p = newProcess(r.disk, &r.clock, func(err error) {
		stopped <- err
		select {}
	})
	go func() { done <- r.s.script(r.p) }()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case r.err = <-stopped:
		r.ending = halted
	case r.err = <-done:
		r.ending = survived
		if r.err != nil {
			r.ending = failed
		}
	case <-timeout.C:
		r.ending = hung
		r.disk.Heal() // or what hangs would be trying again for as long as the test runs
	}
	r.acked = int(r.s.acked.Load())
	r.image = r.disk.Clone()
	r.tried = int(r.s.tried.Load())
	return r, nil
}

// noRetry finds a sync of what an earlier sync has failed on.
func (r *faultRun) noRetry() error {
	for _, in := range r.disk.Injected() {
		if in.Op.Kind != simdisk.OpSync && in.Op.Kind != simdisk.OpDirSync {
			continue
		}
		for _, op := range r.disk.Trace() {
			if op.Path == in.Op.Path && op.Kind == in.Op.Kind && op.Count > in.Op.Count {
				return fmt.Errorf("%v after %v", op, in)
			}
		}
	}
	return nil
}

// faultsFor lists what can go wrong with an operation.
func faultsFor(op simdisk.Op) (kinds []simdisk.FaultKind) {
	switch op.Kind {
	case simdisk.OpWrite:
		return []simdisk.FaultKind{simdisk.WriteError, simdisk.NoSpace}
	case simdisk.OpSync:
		return []simdisk.FaultKind{simdisk.SyncError, simdisk.SyncErrorAfter}
	case simdisk.OpDirSync:
		return []simdisk.FaultKind{simdisk.DirSyncError}
	case simdisk.OpCreate:
		return []simdisk.FaultKind{simdisk.CreateError}
	case simdisk.OpRename:
		return []simdisk.FaultKind{simdisk.RenameError}
	case simdisk.OpRemove:
		return []simdisk.FaultKind{simdisk.RemoveError}
	}
	return nil
}

// operations is what a run of the script without faults does to its disk.
func operations(t *testing.T) []simdisk.Op {
	t.Helper()
	var s script
	d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1, Trace: true})
	if err := s.script(newProcess(d, &rigClock{}, nil)); err != nil {
		t.Fatal(err)
	}
	return d.Trace()
}

// A faultCase is a fault and the operation that it is meant for.
type faultCase struct {
	fault      simdisk.Fault
	op         simdisk.Op
	wholeClass bool
}

// allowed says which endings a fault may have. Of what cannot be taken back the
// process halts (G7); what Pebble does over again, it survives.
func (c faultCase) allowed() []ending {
	switch op := c.op; {
	case c.fault.Kind == simdisk.RemoveError && op.Class == simdisk.ClassMarker:
		return []ending{survived, failed} // an old marker is in the way of an open
	case c.fault.Kind == simdisk.RemoveError:
		return []ending{survived} // a file leaks until the next open
	case op.Class == simdisk.ClassSSTable && !c.wholeClass:
		// A compaction that was asked for is answered, and after ENOSPC writes are
		// refused until the next look at the disk.
		return []ending{survived, failed}
	case op.Class == simdisk.ClassWAL, op.Class == simdisk.ClassManifest, op.Class == simdisk.ClassMarker, op.Path == rigDir+"/store":
		return []ending{halted}
	case op.Path == rigDir+"/ballast":
		return []ending{survived}
	}
	return []ending{halted, failed}
}

// faultCases are every operation of the script failing once, failing and not
// ceasing to on that file, and whole classes of files failing for good.
func faultCases(t *testing.T) (cases []faultCase) {
	t.Helper()
	byClass := make(map[simdisk.Fault]bool)
	for _, op := range operations(t) {
		for _, kind := range faultsFor(op) {
			for _, count := range []int{1, simdisk.Forever} {
				cases = append(cases, faultCase{simdisk.Fault{Kind: kind, File: base(op), Nth: op.Count, Count: count}, op, false})
			}
			all := simdisk.Fault{Kind: kind, File: string(op.Class), Nth: 1, Count: simdisk.Forever}
			if !byClass[all] {
				byClass[all] = true
				cases = append(cases, faultCase{all, op, true})
			}
		}
	}
	return cases
}

// TestFaultAnywhere fails every operation of the script that changes the disk.
// Nothing is acknowledged after it unless Pebble has done it over (G7), nothing
// acknowledged is lost, and a failed sync is not tried again.
func TestFaultAnywhere(t *testing.T) {
	start, runs, missed := time.Now(), 0, 0
	endings := make(map[ending]int)
	for i, c := range faultCases(t) {
		if i%stride(29) != 0 && !c.wholeClass {
			continue
		}
		r, err := runWithFault(c.fault)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.disk.Injected()) == 0 {
			missed++ // a file of another name this time
			continue
		}
		runs++
		endings[r.ending]++
		modes := []simdisk.CrashMode{kill, simdisk.DropAll, simdisk.Random}
		if !fullSweep() {
			modes = modes[i%len(modes):][:1]
		}
		r.check(t, c, modes)
	}
	t.Logf("%d faults (%v; %d did not strike) in %v", runs, endings, missed, time.Since(start).Round(time.Millisecond))
}

// base is how a fault names the file of an operation.
func base(op simdisk.Op) string {
	if op.Path == "/" {
		return string(simdisk.ClassDir) // a root has no name
	}
	return path.Base(op.Path)
}

// check holds the end of a run, and what it leaves, to what was acknowledged.
func (r *faultRun) check(t *testing.T, c faultCase, modes []simdisk.CrashMode) {
	t.Helper()
	if want := c.allowed(); !slices.Contains(want, r.ending) {
		t.Errorf("%v at %v: the run %s (%v), want %v", c.fault, c.op, r.ending, r.err, want)
	}
	if n := r.p.halts.Load(); n > 1 {
		t.Errorf("%v at %v: Halt was called %d times", c.fault, c.op, n)
	}
	if r.ending == hung {
		return // there is too much to look at
	}
	if err := r.noRetry(); err != nil {
		t.Errorf("%v at %v: a failed sync is tried again: %v", c.fault, c.op, err)
	}
	for _, mode := range modes {
		if err := r.s.survives(crashed(r.image, mode, uint64(c.op.Count)), &r.clock, r.acked, r.tried); err != nil {
			t.Errorf("%v at %v: the run %s after %d acknowledgements; then, after a crash (%s): %v",
				c.fault, c.op, r.ending, r.acked, mode, err)
		}
	}
}

// TestHaltThatReturns is about a simulated process, whose Halt returns: of a step
// whose log or witness fails every answer is "unknown", and from then on nothing
// is acknowledged, read or begun, even when the disk heals.
func TestHaltThatReturns(t *testing.T) {
	for _, fault := range []string{
		"sync-error file=wal", "sync-error-after file=wal", "write-error file=wal", "enospc file=wal",
		"sync-error file=wal count=forever", "write-error file=witness",
	} {
		t.Run(fault, func(t *testing.T) {
			d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
			clock := &rigClock{}
			var s script
			p := newProcess(d, clock, nil)
			ok(t, p.open())
			ok(t, s.commits(p, 3))
			arm(t, d, fault)
			watching, err := p.Watch(engine.Filter{Agent: "ann"})
			ok(t, err)
			watching.Published()
			err = s.group(p, []engine.Write{put("ann", "a", 1)}, []engine.Write{put("ann", "b", 2)})
			joined, isJoined := err.(interface{ Unwrap() []error })
			if !isJoined || len(joined.Unwrap()) != 2 {
				t.Fatalf("the step's two commits answered: %v", err)
			}
			for _, err := range joined.Unwrap() {
				wantKind(t, "a commit of the step", err, engine.ErrOutcomeUnknown)
			}
			d.Heal()
			image := d.Clone()
			wantKind(t, "the next commit", s.fork(5).commit(p, put("ann", "c", 3)), engine.ErrStorage)
			_, _, _, err = p.Begin(nil)
			wantKind(t, "begin", err, engine.ErrStorage)
			_, err = p.Snapshot(engine.At{})
			wantKind(t, "snapshot", err, engine.ErrStorage)
			_, err = p.GetVersion(name("ann", "seen"), 1)
			wantKind(t, "get version", err, engine.ErrStorage)
			_, _, err = p.Replay(engine.Filter{Agent: "ann"}, 0, 3, 0)
			wantKind(t, "replay", err, engine.ErrStorage)
			wantKind(t, "health", p.Healthy(), engine.ErrStorage)
			wantKind(t, "watch", watching.Wait(t.Context()), engine.ErrStorage)
			if p.Published() != 3 || p.halts.Load() != 1 {
				t.Errorf("%d commits are published, Halt was called %d times", p.Published(), p.halts.Load())
			}
			within(t, "close", func() { _ = p.Close() })
			for _, mode := range crashModes {
				if err := s.survives(crashed(image, mode, 1), clock, 3, 5); err != nil {
					t.Errorf("after a crash (%s): %v", mode, err)
				}
			}
		})
	}
}

// TestHaltHasBegun: Halt may take a while until the process is gone. In the meantime
// nothing is acknowledged or shown, not even a commit whose own sync went well, nor
// anything that stands on such a commit (G4, G7).
func TestHaltHasBegun(t *testing.T) {
	halting := make(chan struct{})
	p := newProcess(simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}, func(error) {
		close(halting)
		select {} // as in production
	})
	ok(t, p.open())
	transact := func(id engine.TxnID, w []engine.Write, c engine.Conditions) error {
		_, err := p.Transact(context.Background(), id, w, c)
		return err
	}
	ok(t, transact("before", []engine.Write{put("ann", "k", 1)}, engine.Conditions{}))
	arm(t, p.disk, "sync-error file=manifest")
	go func() { _ = p.Flush() }()
	<-halting
	at := func(v engine.Version) engine.Conditions {
		return engine.Conditions{Keys: []engine.KeyPrecondition{{Name: engine.RecordName{Agent: "ann", Key: "k"}, Expected: v}}}
	}
	for range 2 { // the second time as a copy
		wantKind(t, "a commit", transact("mine", []engine.Write{put("ann", "k", 2)}, engine.Conditions{}), engine.ErrOutcomeUnknown)
	}
	wantKind(t, "what holds after that commit", transact("holds", nil, at(2)), engine.ErrOutcomeUnknown)
	wantKind(t, "what does not hold after it", transact("fails", nil, at(1)), engine.ErrOutcomeUnknown)
	if p.Published() != 1 {
		t.Errorf("G4: commit %d is published while the engine halts", p.Published())
	}
}

// wantKind holds an error to one of the engine's kinds.
func wantKind(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s answered %q, want %q", what, fmt.Sprint(err), kind)
	}
}

// within fails the test when do hangs.
func within(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-done:
	case <-timeout.C:
		t.Fatalf("%s hangs", what)
	}
}
