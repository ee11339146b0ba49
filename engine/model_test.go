package engine_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// TestModel runs the whole engine against the spec (model_spec_test.go): random
// requests, clocks, closes and crashes, and every answer compared. The engine is
// stepped by hand, so a failure shrinks, and what rapid prints reproduces it.
//
// Where to find what: model_ops_test.go writes, model_txns_test.go transactions,
// model_reads_test.go reads, model_crash_test.go ends the process in every way.
// A failure names the guarantee that is broken (docs/GUARANTEES.md).
func TestModel(t *testing.T) {
	if raceBuild() {
		setDefault(t, "rapid.checks", "100", "10")
	} else {
		setDefault(t, "rapid.steps", "30", "60")
	}
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		t.Repeat(m.actions())
		m.settleQueue()
		m.audit(t, "at the end")
		m.w.close()
		m.w.verify("at the end")
	})
}

// setDefault gives a flag of rapid's another default for one test.
func setDefault(t *testing.T, name, was, to string) {
	if f := flag.Lookup(name); f.Value.String() == was {
		_ = flag.Set(name, to)
		t.Cleanup(func() { _ = flag.Set(name, was) })
	}
}

// A machine is the engine in its world, the spec, and what was asked so far.
type machine struct {
	t *rapid.T
	w *world
	s *spec
	n int // makes values and ids that were never used
	// sent are the Transacts so far, to be sent again; begun the ids of Begin.
	sent  []sentTxn
	begun []engine.TxnID
	// pages are continued while writes go on.
	pages    []*openScan
	lastTime time.Time // of the last commit that was seen; commit_time never falls
}

func newMachine(t *rapid.T) *machine {
	return &machine{t: t, s: newSpec(), w: newWorld(t, rapid.Uint64().Draw(t, "seed"), engine.Limits{})}
}

func (m *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"":              m.check,
		"transact":      m.transact,
		"transact more": m.transact, // what is listed twice happens twice as often
		"burst":         m.burst,
		"retry":         m.retry,
		"begin":         m.begin,
		"stage":         m.stage,
		"stage more":    m.stage,
		"txn get":       m.txnGet,
		"txn scan":      m.txnScan,
		"commit":        m.commit,
		"contend":       m.contend,
		"contend more":  m.contend,
		"abort":         m.abort,
		"step":          m.step,
		"peek":          m.peek,
		"clock":         m.moveClock,
		"get":           m.get,
		"scan":          m.scan,
		"scan in pages": m.scanInPages,
		"history":       m.history,
		"find":          m.find,
		"folders":       m.folders,
		"diff":          m.diff,
		"replay":        m.replay,
		"lists":         m.lists,
		"outcome":       m.outcome,
		"tidy":          m.tidy,
		"reopen":        m.reopen,
		"crash":         m.crash,
		"power cut":     m.powerCut,
		"sync error":    m.syncError,
	}
}

// check holds what must be true at every moment.
func (m *machine) check(t *rapid.T) {
	m.t = t
	st := m.w.Status()
	if int(st.Published) != m.s.published {
		t.Fatalf("G4: commit %d is published, the spec has published %d", st.Published, m.s.published)
	}
	if st.LastCommitTime.Before(m.lastTime) {
		t.Fatalf("G3: commit_time fell from %s to %s", timeText(m.lastTime), timeText(st.LastCommitTime))
	}
	m.lastTime = st.LastCommitTime
	if st.OpenTxns != len(m.s.open) {
		t.Fatalf("G9: %d transactions are open, the spec has %d", st.OpenTxns, len(m.s.open))
	}
	if err := m.w.Healthy(); err != nil {
		t.Fatalf("G8: unhealthy: %v", err)
	}
}

// step lets the writer do what is queued.
func (m *machine) step(*rapid.T) {
	m.w.Step()
	m.stepped()
}

// stepped moves the spec as far as the engine went when it stepped.
func (m *machine) stepped() {
	m.s.plan(m.w.clock)
	m.s.settle()
}

func (m *machine) settleQueue() { m.step(nil) }

// moveClock jumps, also back and by years. The tick lets engine and spec agree on
// which transactions have seen the new time.
func (m *machine) moveClock(t *rapid.T) {
	by := rapid.SampledFrom([]time.Duration{
		time.Nanosecond, time.Millisecond, time.Second, 29 * time.Second, time.Minute, 2 * time.Hour,
		-time.Millisecond, -time.Minute, -time.Hour, 10 * 365 * 24 * time.Hour, -10 * 365 * 24 * time.Hour,
	}).Draw(t, "by")
	m.w.clock = m.w.clock.Add(by)
	m.w.Tick()
	m.s.expire(m.w.clock)
}

// tidy moves rows from memory to tables, and older ones together.
func (m *machine) tidy(t *rapid.T) {
	do := m.w.Flush
	if rapid.Bool().Draw(t, "compact") {
		do = m.w.Compact
	}
	if err := do(); err != nil {
		t.Fatalf("G8: tidying: %v", err)
	}
}

func (m *machine) reopen(*rapid.T) {
	m.w.close()
	m.stepped() // Close takes what is queued
	m.s.survive(m.s.published)
	if r := m.w.verify("after a clean close"); int(r.Commits) != m.s.published || int(r.Witnessed) != m.s.published {
		m.t.Fatalf("G1: after a clean close %d commits are there and %d are witnessed, of %d", r.Commits, r.Witnessed, m.s.published)
	}
	m.w.start()
	m.audit(m.t, "after a clean close")
}

// Names that are easily taken for each other. Commits go to the first record
// most, so that it has more versions than a read steps over.
var (
	modelNamespaces = []string{"", "team"}
	modelAgents     = []string{"a", "a:b"}
	modelKeys       = []string{"k", "k/1", "k/10", "k/2", "kk", "é", "\U0010ffff"}
	modelPrefixes   = []string{"", "k", "k/", "k/1", "kk", "\xc3", "\xf4", "\xff", "x"}
)

var drawName = rapid.Custom(func(t *rapid.T) engine.RecordName {
	if rapid.IntRange(0, 9).Draw(t, "hot") < 4 {
		return engine.RecordName{Agent: "a", Key: "k"}
	}
	return engine.RecordName{
		Namespace: rapid.SampledFrom(modelNamespaces).Draw(t, "namespace"),
		Agent:     rapid.SampledFrom(modelAgents).Draw(t, "agent"),
		Key:       rapid.SampledFrom(modelKeys).Draw(t, "key"),
	}
})

var drawAgent = rapid.Custom(func(t *rapid.T) engine.AgentName { return drawName.Draw(t, "name").AgentName() })

var drawCrash = rapid.Custom(func(t *rapid.T) simdisk.CrashOptions {
	return simdisk.CrashOptions{
		Mode: rapid.SampledFrom(simdisk.CrashModes()).Draw(t, "mode"),
		Seed: rapid.Uint64().Draw(t, "crash seed"),
	}
})

// freshID makes an id that nobody used: of Begin's form, or a client's own.
func (m *machine) freshID(t *rapid.T) engine.TxnID {
	m.n++
	if rapid.Bool().Draw(t, "uuid") {
		return engine.TxnID(fmt.Sprintf("01a206db-a9ff-7ce8-9a58-%012d", m.n))
	}
	return engine.TxnID(fmt.Sprintf("client:txn/%d", m.n))
}
