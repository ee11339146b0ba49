package sim

import (
	"errors"
	"fmt"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
	"statehouse.dev/statehouse/sim/tamper"
)

// told is what the witness has been told by the process that ran last: the last commit that
// was published, and the one before it. A power cut may take both from it, and of what was
// there at the start, which a step without commits publishes again, it is told nothing.
type told struct{ start, last, before uint64 }

func (t *told) publish(ts uint64) {
	if ts > max(t.start, t.last) {
		t.last, t.before = ts, t.last
	}
}

// tamper changes rows of the store past the engine. Verify must find every such change, and a
// start those of the log's end. Only when reads must, too, is the changed store what the daemon
// starts on: one that is lied to with checksums that are right may believe it, and what it says
// then proves nothing.
func (w *World) tamper(s *step.Step) error {
	m := &w.machine
	switch {
	case w.process != nil:
		return misfit("the daemon runs")
	case m.powerLost:
		return misfit("the power failed: the witness may be older than the log")
	case m.pristine != nil:
		return misfit("a file is corrupt already: what was found would tell nothing")
	case w.config.Unsynced:
		return misfit("the log of a daemon that does not sync may end anywhere")
	}
	disk := m.disk.Clone()
	disk.SetCapacity(0)
	c := tamper.Change{Row: s.File, How: s.How, Nth: s.Nth, Where: s.Where, Bit: s.Bit, Known: m.told.last, Before: m.told.before}
	what, err := tamper.Apply(disk, dataDir, c)
	if err != nil {
		return misfit("%v", err)
	}
	w.rec.stats.Faults["tamper "+s.File+" "+s.How]++
	w.rec.note(w.lane("disk"), "tamper", s.How+": "+what)
	w.verifyFinds(disk.Clone(), s, what)
	switch c.Finder() {
	case tamper.Start:
		w.openFinds(disk, s, what)
	case tamper.Reads:
		m.pristine, m.capacity = m.disk.Clone(), 0
		w.use(disk)
	}
	return nil
}

// verifyFinds holds verify to a change that it has to find.
func (w *World) verifyFinds(disk *simdisk.Disk, s *step.Step, what string) {
	_, err := engine.Verify(w.offline(disk), dataDir, nil)
	// A row of meta that names a feature which this build does not know keeps it from reading on.
	if errors.Is(err, engine.ErrDataLoss) || s.File == "meta" && errors.Is(err, engine.ErrFormat) {
		w.rec.probe("tampering found by verify")
		return
	}
	w.rec.violate("G8", "tampering-unseen", 0, fmt.Sprintf("verify does not find what was done to the store (%s %s: %s): %v", s.File, s.How, what, err))
}

// openFinds holds a start to a change that it has to find.
func (w *World) openFinds(disk *simdisk.Disk, s *step.Step, what string) {
	e, err := engine.Open(w.offline(disk), engine.Options{
		Dir: dataDir, MustExist: true, Tuning: engine.Tuning{MemTableBytes: 256 << 10, CacheBytes: 1 << 20, ManualCompaction: true},
	})
	switch {
	case err == nil:
		_ = e.Close()
		fallthrough
	case !errors.Is(err, engine.ErrDataLoss):
		w.rec.violate("G8", "tampering-opened", 0, fmt.Sprintf("a daemon would start on a log that contradicts its witness (%s %s: %s): %v", s.File, s.How, what, err))
	default:
		w.rec.probe("tampering found by a start")
	}
}

// offline is the outside of a program that looks at a disk while no daemon runs.
func (w *World) offline(disk *simdisk.Disk) engine.Env {
	return engine.Env{
		FS: disk, Now: w.now, Rand: func([]byte) {}, Await: w.tasks.Await,
		Halt: func(err error) { w.rec.violate("G7", "verify", 0, "verify halted: "+err.Error()) },
	}
}

// auditPoints reads, of a store with a corrupt row, every version that was acknowledged, and
// what has become of its transaction: by point reads, which meet rows that no list comes by.
func (w *World) auditPoints() {
	for _, c := range w.network.order {
		if in := &c.op.In; c.op.Outcome == history.OK && len(c.op.Out.Versions) > 0 {
			for _, v := range c.op.Out.Versions {
				w.ask(history.GetVersion, history.Input{Namespace: v.Namespace, Agent: v.Agent, Key: v.Key, KeyVersion: v.Version})
			}
			w.ask(history.GetTxn, history.Input{TxnID: in.TxnID})
		}
	}
}
