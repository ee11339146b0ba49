package sim

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// recorder keeps what a run came to: its history, its steps and their digests, its
// statistics, the violations that the world itself has seen, and the trace.
type recorder struct {
	history    history.History
	events     int64 // the history's time: one an entry
	violations []verdict.Violation
	steps      []step.Step // applied
	digests    []uint64
	sum        uint64
	scratch    []byte // of digest
	stats      Stats
	trace      trace
}

func newRecorder(o Options) recorder {
	r := recorder{stats: newStats(), trace: trace{print: o.Trace}}
	r.history.Header = history.Header{Format: history.Format, Version: history.Version, Source: "sim", Unit: "step", Command: o.Command}
	return r
}

// stamp is the next moment of the history.
func (r *recorder) stamp() int64 { r.events++; return r.events }

// note writes something that happened into the history.
func (r *recorder) note(lane, kind, text string) {
	r.history.Notes = append(r.history.Notes, history.Note{Time: r.stamp(), Lane: lane, Kind: kind, Text: text})
	if text != "" {
		r.say("%s", step.Noted(lane, kind, text))
	}
}

// violate reports a broken guarantee.
func (r *recorder) violate(guarantee, check string, op int, sentence string) {
	r.violations = append(r.violations, verdict.Violation{Guarantee: guarantee, Check: check, Op: op, Time: r.events, Sentence: sentence})
}

// probe counts that the run came by a place worth coming by.
func (r *recorder) probe(name string) { r.stats.Probes[name]++ }

// say traces what came of a step.
func (r *recorder) say(format string, args ...any) { r.trace.say(format, args...) }

// digest adds a step, and what the history gained with it, to the sum by which two runs
// are compared. The history's time is not in it: of that the clients' users take some, and
// they are not there when the steps of a run are done again.
func (r *recorder) digest(s step.Step, n *network, handlers int) {
	b := append(r.scratch[:0], s.String()...)
	for _, x := range []uint64{r.sum, uint64(len(r.history.Notes)), uint64(len(n.order)), uint64(handlers)} {
		b = binary.AppendUvarint(b, x)
	}
	for _, c := range n.order[max(0, len(n.order)-8):] {
		if c.done && c.sum == 0 {
			c.sum = sumOf(c.given)
		}
		b = append(b, c.op.Outcome...)
		for _, x := range []uint64{uint64(c.op.ID), uint64(len(c.op.Batches)), c.sum} {
			b = binary.AppendUvarint(b, x)
		}
	}
	r.scratch, r.sum = b, sumOf(b)
	r.digests = append(r.digests, r.sum)
}

func sumOf(b []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(b) // never fails
	return h.Sum64()
}

// digestEnd adds the log and the violations.
func (r *recorder) digestEnd() {
	for i := range r.history.Log {
		ev := &r.history.Log[i]
		r.sum = simdisk.Derive(r.sum, fmt.Sprint(ev.CommitTS, ev.CommitTime, ev.TxnID))
		for _, o := range ev.Ops {
			if o.Lease != nil {
				r.sum = simdisk.Derive(r.sum, fmt.Sprint(*o.Lease))
			}
			if o.Act != nil {
				r.sum = simdisk.Derive(r.sum, fmt.Sprint(*o.Act))
			}
			o.Lease, o.Act = nil, nil // where they are in memory says nothing
			r.sum = simdisk.Derive(r.sum, fmt.Sprint(o))
		}
	}
	for _, v := range r.violations {
		r.sum = simdisk.Derive(r.sum, v.Check, step.FirstLine(v.Sentence))
	}
}

// trace prints every step and, under it, what came of it. A step that does not fit is not
// printed: a world that carries a call through tries some.
type trace struct {
	print   func(format string, args ...any) // nil: nowhere
	number  int                              // of the next step; 0: it has none
	pending string                           // the step that is being tried
}

// Number gives the next step a number in the trace: its place in a scenario.
func (w *World) Number(n int) { w.rec.trace.number = n }

// try holds a step back until it is known to fit, or something has come of it.
func (t *trace) try(s *step.Step) {
	if t.print == nil {
		return
	}
	number := ""
	if t.number > 0 {
		number = fmt.Sprint(t.number)
	}
	t.number, t.pending = 0, fmt.Sprintf("%5s  %s", number, s)
}

// fits prints the step that was held back.
func (t *trace) fits() {
	if t.pending != "" {
		t.print("%s", t.pending)
		t.pending = ""
	}
}

// doesNotFit forgets the step that was held back.
func (t *trace) doesNotFit() { t.pending = "" }

func (t *trace) say(format string, args ...any) {
	if t.print == nil {
		return
	}
	t.fits()
	t.print("         %s", fmt.Sprintf(format, args...))
}
