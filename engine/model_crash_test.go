package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// How the machine looks between Plan and Settle, and ends the process.

// crowd queues a few commits whose clients have given up.
func (m *machine) crowd(t *rapid.T) {
	for range rapid.IntRange(1, 4).Draw(t, "queued") {
		m.send(t, m.drawTransact(t), false)
	}
}

// peek plans a step, looks at everything while Pebble shows what no sync has
// covered yet, and then settles, or loses power.
func (m *machine) peek(t *rapid.T) {
	m.crowd(t)
	m.w.Plan()
	m.s.plan(m.w.clock)
	m.audit(t, "between Plan and Settle")
	m.begin(t)
	m.get(t)
	m.scan(t)
	if rapid.Bool().Draw(t, "one more") {
		m.send(t, m.drawTransact(t), false)
	}
	if rapid.IntRange(0, 2).Draw(t, "crash") == 0 {
		m.w.crash(drawCrash.Draw(t, "crash"))
		m.recover(t)
		return
	}
	m.w.Settle()
	m.s.settle()
	m.audit(t, "after Settle")
}

// crash cuts the power with nothing under way but what waits in the queue, which
// is lost: it was never planned.
func (m *machine) crash(t *rapid.T) {
	m.w.crash(drawCrash.Draw(t, "crash"))
	m.recover(t)
}

// powerCut cuts the power inside an operation on the disk: of a step, or of a
// flush or compaction. Nothing that the step answers after that counts.
func (m *machine) powerCut(t *rapid.T) {
	tidies := rapid.IntRange(0, 2).Draw(t, "tidies") == 0
	if !tidies {
		m.crowd(t)
	}
	cut := m.armPowerCut(t, tidies)
	if tidies {
		_ = m.w.Compact()
	} else {
		m.w.Plan()
		m.s.plan(m.w.clock)
		m.w.Settle()
	}
	if image := cut(); image != nil {
		_ = m.w.Close()
		m.w.disk = image
		m.recover(t)
		return
	}
	if !tidies { // there was nothing to strike
		m.s.settle()
	}
}

// armPowerCut makes the disk crash in an operation to come, see cutPowerIn.
func (m *machine) armPowerCut(t *rapid.T, anywhere bool) func() *simdisk.Disk {
	f := simdisk.Fault{Kind: simdisk.PowerCut, Op: simdisk.OpSync, File: string(simdisk.ClassWAL), Nth: 1, Count: 1,
		When: rapid.SampledFrom([]simdisk.When{simdisk.Before, simdisk.After}).Draw(t, "when")}
	if rapid.Bool().Draw(t, "write") {
		f.Op = simdisk.OpWrite
	}
	if anywhere {
		f.File = ""
		f.Op = rapid.SampledFrom([]simdisk.OpKind{simdisk.OpWrite, simdisk.OpSync, simdisk.OpCreate, simdisk.OpDirSync, simdisk.OpRename, simdisk.OpRemove}).Draw(t, "op")
		f.Nth = rapid.IntRange(1, 3).Draw(t, "nth")
	}
	return cutPowerIn(t, m.w.disk, f, drawCrash.Draw(t, "crash"))
}

// cutPowerIn arms a power cut that strikes at most once. The function it returns
// disarms it and tells what the crash left; nil: nothing was struck, and nothing will
// be. Pebble removes files on a goroutine of its own, which may be struck and not have
// come to the crash: that is waited for, or the disk would die while the test goes on
// as if it had not.
func cutPowerIn(t tester, d *simdisk.Disk, f simdisk.Fault, o simdisk.CrashOptions) func() *simdisk.Disk {
	before, left := len(d.Injected()), make(chan *simdisk.Disk, 1)
	d.OnCrash(func() { left <- d.Crash(o) })
	if err := d.Arm(f); err != nil {
		t.Fatalf("%v", err)
	}
	return func() *simdisk.Disk {
		d.Heal()
		if len(d.Injected()) == before {
			return nil
		}
		return <-left
	}
}

// TestPowerCutUnderWay: a power cut that has struck, and is still on its way to the
// crash on another goroutine, is not taken for one that did not come.
func TestPowerCutUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
		ok(t, writeFile(d, "/obsolete", nil))
		cut := cutPowerIn(t, d, mustFault("crash op=remove"), simdisk.CrashOptions{})
		goOn := make(chan struct{})
		d.OnInject(func(simdisk.Injection) { <-goOn })
		go func() { _ = d.Remove("/obsolete") }()
		synctest.Wait() // until it is struck
		images := make(chan *simdisk.Disk, 1)
		go func() { images <- cut() }()
		synctest.Wait() // until that waits, or has answered
		close(goOn)
		if image := <-images; image == nil {
			t.Error("a power cut is under way, and the test is told that there is none")
		}
	})
}

// syncError fails a sync of the log under a step: the engine must stop, without a
// single answer but that the outcome is unknown (G7).
func (m *machine) syncError(t *rapid.T) {
	m.crowd(t)
	fault := rapid.SampledFrom([]string{"sync-error file=wal", "sync-error-after file=wal", "write-error file=wal", "enospc file=wal"}).Draw(t, "fault")
	f, err := simdisk.ParseFault(fault)
	if err == nil {
		err = m.w.disk.Arm(f)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	x := m.drawTransact(t)
	x.writes = append(x.writes, engine.Write{Name: engine.RecordName{Agent: "a", Key: "k"}, Value: []byte(`{"n":0}`)})
	p := len(m.s.log)
	_, err = m.w.Transact(context.Background(), x.id, x.writes, x.cond)
	m.sent = append(m.sent, x)
	m.planLost(x)
	if len(m.s.log) == p { // all were refused: nothing was written, nothing failed
		m.s.settle()
		m.w.disk.Heal()
		return
	}
	if !errors.Is(err, engine.ErrOutcomeUnknown) {
		t.Fatalf("G7: after a failed %s a commit answered %v, not that its outcome is unknown", fault, err)
	}
	if m.w.halts.Load() != 1 || m.w.Healthy() == nil {
		t.Fatalf("G7: after a failed %s the engine halted %d times and says it is %v", fault, m.w.halts.Load(), m.w.Healthy())
	}
	m.nothingMore(t, x)
	m.w.disk.Heal()
	m.w.crash(drawCrash.Draw(t, "crash"))
	m.recover(t)
}

// planLost plans the queue and x, whose answers are all lost.
func (m *machine) planLost(x sentTxn) {
	var ops []specOp
	var expected []engine.KeyPrecondition
	for _, w := range x.writes {
		ops = stage(ops, w)
		if w.Expected != nil {
			expected = append(expected, engine.KeyPrecondition{Name: w.Name, Expected: *w.Expected})
		}
	}
	p := newSpecProposal(x.id, ops, expected, x.cond)
	p.says = says(&x.cond, m.w.clock)
	m.s.queue = append(m.s.queue, p)
	m.s.plan(m.w.clock)
}

// nothingMore holds a halted engine to acknowledge and show nothing.
func (m *machine) nothingMore(t *rapid.T, x sentTxn) {
	x.id = m.freshID(t)
	if r, err := m.w.Transact(context.Background(), x.id, x.writes, x.cond); err == nil {
		t.Fatalf("G7: a halted engine acknowledged %s", resultText(r))
	}
	if s, err := m.w.Snapshot(engine.At{}); err == nil {
		t.Fatalf("G7: a halted engine reads at %d", s.TS())
	}
	if _, _, err := m.w.Replay(engine.Filter{AllAgents: true}, 0, 1, 0); err == nil {
		t.Fatalf("G7: a halted engine replays")
	}
	if _, _, _, err := m.w.Begin(nil); err == nil {
		t.Fatalf("G7: a halted engine begins a transaction")
	}
}

// recover starts the next process, perhaps with crashes on the way, and lets the
// spec adopt what the log has of the commits that were under way.
func (m *machine) recover(t *rapid.T) {
	acked, planned := m.s.published, len(m.s.log)
	if r := m.w.verify("after a crash"); int(r.Commits) < acked || int(r.Commits) > planned {
		t.Fatalf("G1: %d commits are there after a crash, %d were acknowledged and %d planned; %+v", r.Commits, acked, planned, m.w.disk.Aftermath())
	}
	for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "crashes in recovery") {
		cut := m.armPowerCut(t, true)
		err := m.w.tryStart()
		if err == nil {
			_ = m.w.Close() // it may strike there
		}
		next := cut()
		if next == nil && err != nil {
			t.Fatalf("G1: the store does not open: %v; %+v", err, m.w.disk.Aftermath())
		}
		if next == nil {
			next = m.w.disk.Crash(simdisk.CrashOptions{})
		}
		m.w.disk = next
	}
	m.w.start()
	n := int(m.w.Published())
	if n < acked || n > planned {
		t.Fatalf("G1: %d commits are there after recovery, %d were acknowledged and %d planned; %+v", n, acked, planned, m.w.disk.Aftermath())
	}
	m.s.survive(n)
	m.audit(t, fmt.Sprintf("after a crash (%d acknowledged, %d planned, %d there)", acked, planned, n))
}
