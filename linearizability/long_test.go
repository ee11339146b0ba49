package linearizability

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// inSections judges a history as a file that is longer than memory.
func inSections(t testing.TB, h *history.History, size int) Result {
	t.Helper()
	var b bytes.Buffer
	if err := h.Write(&b); err != nil {
		t.Fatal(err)
	}
	s, err := history.ReadIndex(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	_, r, err := CheckLong(s, Options{SectionSize: size})
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Operations) != s.Operations || len(h.Log) != s.Events {
		t.Errorf("%+v", s)
	}
	return r
}

// TestSectionsOfGoodHistories: cut into sections of any length, good histories are good,
// whole ones and parts.
func TestSectionsOfGoodHistories(t *testing.T) {
	single(t)
	for name, h := range goldens(t) { // independent of each other: any order
		rng := rand.New(rand.NewPCG(5, 5))
		for i := range 60 {
			c, how, size := h, "whole", 3+rng.IntN(40)
			if i%3 == 0 {
				c, how = parts(h, rng)
			}
			if r := inSections(t, c, size); r.Verdict != verdict.OK {
				t.Fatalf("%s, %s, in sections of %d: %s: %+v", name, how, size, r.Verdict, r.Violations)
			}
		}
	}
}

// TestSectionsOfEditedHistories: in sections as long as what rests on each other is
// apart, what the whole shows, the sections show.
func TestSectionsOfEditedHistories(t *testing.T) {
	single(t)
	h := longHistory(3000, 10)
	if r := inSections(t, h, 300); r.Verdict != verdict.OK || r.Stats.Resolved != 10 || r.Stats.BeforeBase+r.Stats.Dangling+r.Stats.Unexplained > 0 {
		t.Fatalf("%+v", r)
	}
	rng := rand.New(rand.NewPCG(6, 6))
	tried, missed := 0, make(map[string]int)
	for range 150 {
		op := h.Operations[rng.IntN(len(h.Operations))]
		list := editsOf(op)
		if len(list) == 0 {
			continue
		}
		e := list[rng.IntN(len(list))]
		undo := e.apply()
		if Check(h, Options{SkipSerial: true}).Verdict == verdict.Illegal {
			tried++
			if r := inSections(t, h, 300); r.Verdict != verdict.Illegal {
				missed[fmt.Sprintf("%s %s #%d", e.field, e.how, op.ID)]++
			}
		}
		undo()
	}
	if len(missed) > 0 || tried < 80 {
		t.Errorf("of %d edits the sections do not show %v", tried, missed)
	}
	for i := range 40 { // the log, and what was asked
		k := rng.IntN(len(h.Log) - 1)
		lie := *h
		lie.Log = slices.Clone(h.Log)
		switch i % 4 {
		case 0:
			lie.Log[k].TxnID = "nobody's"
		case 1:
			lie.Log[k+1].TxnID = lie.Log[rng.IntN(k+1)].TxnID
		case 2:
			lie.Log[k].Ops = slices.Clone(lie.Log[k].Ops)
			lie.Log[k].Ops[0].Value += " "
			lie.Log[k].Ops[0].Version++
		case 3:
			lie.Log = lie.Log[:k+1]
		}
		whole, sections := Check(&lie, Options{SkipSerial: true}), inSections(t, &lie, 300)
		if whole.Verdict != verdict.Illegal || sections.Verdict != verdict.Illegal {
			t.Errorf("log edit %d: whole %s, in sections %s", i, whole.Verdict, sections.Verdict)
		}
	}
}

// copyOf is a history again, behind itself: later, of other agents and transactions.
func copyOf(h *history.History, n int) *history.History {
	c := &history.History{}
	ts, time := uint64(n*len(h.Log)), int64(n)*(h.Operations[len(h.Operations)-1].Call+1000)
	agent := func(s string) string { return fmt.Sprint(s, ".", n) }
	place := func(at uint64) uint64 { return at + ts }
	for _, op := range h.Operations {
		o := *op
		o.ID, o.Call = o.ID+n*len(h.Operations), o.Call+time
		if o.Return != 0 {
			o.Return += time
		}
		if o.In.TxnID != "" {
			o.In.TxnID = fmt.Sprint(n, ".", o.In.TxnID)
		}
		if o.Out.TxnID != "" {
			o.Out.TxnID = fmt.Sprint(n, ".", o.Out.TxnID)
		}
		if o.Outcome == history.OK && op.HasReadTS() {
			o.Out.ReadTS = place(o.Out.ReadTS)
		}
		if o.Outcome == history.OK && o.Kind == history.Begin {
			o.Out.SnapshotTS = place(o.Out.SnapshotTS)
		}
		if o.Out.CommitTS != 0 {
			o.Out.CommitTS, o.Out.CommitTime = place(o.Out.CommitTS), o.Out.CommitTime+1000*time
		}
		o.In.Agent = agent(o.In.Agent)
		o.In.Names, o.In.Writes = slices.Clone(o.In.Names), slices.Clone(o.In.Writes)
		o.Out.Records, o.Out.Versions = slices.Clone(o.Out.Records), slices.Clone(o.Out.Versions)
		for i := range o.In.Names {
			o.In.Names[i].Agent = agent(o.In.Names[i].Agent)
		}
		for i := range o.In.Writes {
			o.In.Writes[i].Agent = agent(o.In.Writes[i].Agent)
		}
		for i := range o.Out.Versions {
			o.Out.Versions[i].Agent = agent(o.Out.Versions[i].Agent)
		}
		for i := range o.Out.Records {
			r := &o.Out.Records[i]
			if r.Agent = agent(r.Agent); r.CommitTS != 0 {
				r.CommitTS, r.CommitTime = place(r.CommitTS), r.CommitTime+1000*time
			}
		}
		c.Operations = append(c.Operations, &o)
	}
	for _, ev := range h.Log {
		ev.CommitTS, ev.CommitTime, ev.TxnID = place(ev.CommitTS), ev.CommitTime+1000*time, fmt.Sprint(n, ".", ev.TxnID)
		ev.Ops = slices.Clone(ev.Ops)
		for i := range ev.Ops {
			ev.Ops[i].Agent = agent(ev.Ops[i].Agent)
		}
		c.Log = append(c.Log, ev)
	}
	return c
}

// writeLong writes a history of copies of one, with the log behind all operations or,
// as a daemon writes it, between them.
func writeLong(t testing.TB, out io.Writer, h *history.History, copies int, between bool) {
	t.Helper()
	w, err := history.NewWriter(out, h.Header)
	if err != nil {
		t.Fatal(err)
	}
	log := func(c *history.History) {
		for i := range c.Log {
			_ = w.Write(history.Line{Event: &c.Log[i]})
		}
	}
	for n := range copies {
		c := copyOf(h, n)
		for _, op := range c.Operations {
			_ = w.Write(history.Line{Op: op})
		}
		if between {
			log(c)
		}
	}
	for n := range copies {
		if !between {
			log(copyOf(h, n))
		}
	}
	if err := w.End(true); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkCheckLong(b *testing.B) {
	f, err := os.CreateTemp(b.TempDir(), "")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	const copies = 20
	h := longHistory(20_000, 20)
	out := bufio.NewWriter(f)
	writeLong(b, out, h, copies, false)
	if err := out.Flush(); err != nil {
		b.Fatal(err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	n := copies * len(h.Operations)
	b.Run("sections", func(b *testing.B) {
		for b.Loop() {
			s, err := history.ReadIndex(f, size)
			if err != nil {
				b.Fatal(err)
			}
			if _, r, err := CheckLong(s, Options{}); err != nil || r.Verdict != verdict.OK {
				b.Fatal(err, r)
			}
		}
		b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "operations/s")
	})
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			h, err := history.ReadHistory(io.NewSectionReader(f, 0, size))
			if err != nil {
				b.Fatal(err)
			}
			if r := Check(h, Options{}); r.Verdict != verdict.OK {
				b.Fatal(r)
			}
		}
		b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "operations/s")
	})
}

// TestSectionsOfSlowStreams: a stream may pause for many sections. One that returned
// without its end is a finding, or, when it took many sections, said to be unjudged.
func TestSectionsOfSlowStreams(t *testing.T) {
	name := history.Name{Namespace: "n", Agent: "a", Key: "k"}
	write := func(version uint64) (*history.Operation, history.Event) {
		id := fmt.Sprint("t", version)
		call := int64(10 * version)
		return &history.Operation{ID: int(version), Client: "w", Kind: history.Transact, Call: call, Return: call + 5, In: history.Input{TxnID: id, Writes: []history.Write{{Name: name, Value: `{}`}}},
				Outcome: history.OK, Out: history.Output{CommitTS: version, CommitTime: 1, Versions: []history.KeyVersion{{Name: name, Version: version}}}},
			history.Event{CommitTS: version, CommitTime: 1, TxnID: id, Ops: []history.EventOp{{Name: name, Version: version, Value: `{}`}}}
	}
	for _, missing := range []int{0, 1} {
		var b bytes.Buffer
		w, err := history.NewWriter(&b, history.Header{Unit: "ns"})
		if err != nil {
			t.Fatal(err)
		}
		var log []history.Event
		op := func(o *history.Operation, ev history.Event) {
			_ = w.Write(history.Line{Op: o})
			log = append(log, ev)
		}
		op(write(1))
		op(write(2))
		_ = w.Write(history.Line{Op: &history.Operation{ID: 1000, Client: "r", Kind: history.Replay, Call: 30, Return: 2000, In: history.Input{Namespace: "n", Agent: "a"}, Outcome: history.OK}})
		_ = w.Write(history.Line{Batch: &history.BatchOf{Op: 1000, Batch: history.Batch{Time: 31, Events: log[:1], Cursor: 1}}})
		for version := uint64(4); version < 400; version++ {
			if version == 199 && missing == 0 {
				_ = w.Write(history.Line{Batch: &history.BatchOf{Op: 1000, Batch: history.Batch{Time: 1990, Events: log[1:2], Cursor: 2}}})
			}
			op(write(version - 1))
		}
		for i := range log {
			_ = w.Write(history.Line{Event: &log[i]})
		}
		if err := w.End(true); err != nil {
			t.Fatal(err)
		}
		s, err := history.ReadIndex(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{10, 50, 1000} {
			_, r, err := CheckLong(s, Options{SectionSize: size})
			if err != nil {
				t.Fatal(err)
			}
			short := len(r.Violations) > 0 && r.Violations[0].Check == "replay-short"
			if inOne := size == 1000; missing == 1 && short != inOne || missing == 0 && r.Verdict != verdict.OK || missing == 1 && !inOne && r.Stats.BeforeBase == 0 {
				t.Errorf("%d missing, in sections of %d: %s %+v %v", missing, size, r.Verdict, r.Violations, r.Stats.BeforeBase)
			}
		}
	}
}
