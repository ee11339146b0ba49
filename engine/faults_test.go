package engine_test

import (
	"fmt"
	"path"
	"slices"
	"testing"
	"time"

	"statehouse.dev/statehouse/sim"
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
	s      story
	disk   *sim.Disk
	clock  rigClock
	p      *process
	ending ending
	err    error
	image  *sim.Disk // the disk as the process leaves it
	acked  int
	tried  int
}

// patience is how long a run may take that usually takes a hundredth of it.
const patience = 20 * time.Second

func runWithFault(fault sim.Fault) (*faultRun, error) {
	r := &faultRun{disk: sim.NewDisk(sim.DiskOptions{Seed: 1, Trace: true})}
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
	}
	r.acked = int(r.s.acked.Load())
	r.image = r.disk.Clone()
	r.tried = int(r.s.tried.Load())
	return r, nil
}

// noRetry finds a sync of what an earlier sync has failed on.
func (r *faultRun) noRetry() error {
	for _, in := range r.disk.Injected() {
		if in.Op.Kind != sim.OpSync && in.Op.Kind != sim.OpDirSync {
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

// allowed says which endings a fault may have. Of everything that cannot be taken
// back the process halts (G7); what Pebble does over again, it does.
func allowed(f sim.Fault, op sim.Op) []ending {
	switch {
	case f.Kind == sim.RemoveError:
		return []ending{survived}
	case op.Class == sim.ClassSSTable && f.Count != sim.Forever:
		return []ending{survived}
	case op.Class == sim.ClassWAL, op.Class == sim.ClassManifest, op.Class == sim.ClassMarker, op.Path == rigDir+"/store":
		return []ending{halted}
	case op.Path == rigDir+"/ballast":
		return []ending{survived}
	}
	return []ending{halted, failed}
}

// faultsFor lists what can go wrong with an operation.
func faultsFor(op sim.Op) (kinds []sim.FaultKind) {
	switch op.Kind {
	case sim.OpWrite:
		return []sim.FaultKind{sim.WriteError, sim.NoSpace}
	case sim.OpSync:
		return []sim.FaultKind{sim.SyncError, sim.SyncErrorAfter}
	case sim.OpDirSync:
		return []sim.FaultKind{sim.DirSyncError}
	case sim.OpCreate:
		return []sim.FaultKind{sim.CreateError}
	case sim.OpRename:
		return []sim.FaultKind{sim.RenameError}
	case sim.OpRemove:
		return []sim.FaultKind{sim.RemoveError}
	}
	return nil
}

// operations is what a run of the script without faults does to its disk.
func operations(t *testing.T) []sim.Op {
	t.Helper()
	var s story
	d := sim.NewDisk(sim.DiskOptions{Seed: 1, Trace: true})
	if err := s.script(newProcess(d, &rigClock{}, nil)); err != nil {
		t.Fatal(err)
	}
	return d.Trace()
}

func TestFaultAnywhere(t *testing.T) {
	start, runs, missed, i := time.Now(), 0, 0, 0
	endings := make(map[ending]int)
	for _, op := range operations(t) {
		for _, kind := range faultsFor(op) {
			for _, count := range []int{1, sim.Forever} {
				i++
				if !fullSweep() && i%17 != 0 {
					continue
				}
				f := sim.Fault{Kind: kind, File: base(op), Nth: op.Count, Count: count}
				r, err := runWithFault(f)
				if err != nil {
					t.Fatal(err)
				}
				if len(r.disk.Injected()) == 0 {
					missed++ // a file of another name this time
					continue
				}
				runs++
				endings[r.ending]++
				r.check(t, f, op)
			}
		}
	}
	t.Logf("%d faults (%v; %d did not strike) in %v", runs, endings, missed, time.Since(start).Round(time.Millisecond))
}

// base is how a fault names the file of an operation.
func base(op sim.Op) string {
	if op.Path == "/" {
		return string(sim.ClassDir) // a root has no name
	}
	return path.Base(op.Path)
}

// check holds the end of a run, and what it leaves, to what was acknowledged.
func (r *faultRun) check(t *testing.T, f sim.Fault, op sim.Op) {
	t.Helper()
	if !slices.Contains(allowed(f, op), r.ending) {
		t.Errorf("%v at %v: the run %s (%v), want %v", f, op, r.ending, r.err, allowed(f, op))
	}
	if n := r.p.halts.Load(); n > 1 {
		t.Errorf("%v at %v: Halt was called %d times", f, op, n)
	}
	if err := r.noRetry(); err != nil {
		t.Errorf("%v at %v: a failed sync is tried again: %v", f, op, err)
	}
	for _, mode := range []sim.CrashMode{kill, sim.DropAll, sim.Random} {
		if err := r.s.survives(crashed(r.image, mode, uint64(op.Count)), &r.clock, r.acked, r.tried); err != nil {
			t.Errorf("%v at %v: the run %s after %d acknowledgements; then, after a crash (%s): %v", f, op, r.ending, r.acked, mode, err)
		}
	}
}
