package linearizability

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// baseAt is the state at a commit: of everything, or only of what the operations of
// part speak of, as a daemon writes it that has millions of keys.
func baseAt(h *history.History, ts uint64, part *history.History) *history.Base {
	b := &history.Base{CommitTS: ts}
	last, agents := make(map[history.Name]history.Record), make(map[history.AgentName]history.Agent)
	for i := range h.Log {
		ev := &h.Log[i]
		if ev.CommitTS > ts {
			break
		}
		for _, o := range ev.Ops {
			last[o.Name] = history.Record{Name: o.Name, Exists: !o.Delete, Version: o.Version, CommitTS: ev.CommitTS, CommitTime: ev.CommitTime, Value: o.Value}
			a := history.AgentName{Namespace: o.Namespace, Agent: o.Agent}
			if _, known := agents[a]; !known {
				agents[a] = history.Agent{Namespace: a.Namespace, Agent: a.Agent, FirstTS: ev.CommitTS, HeadTS: ev.CommitTS}
			}
			agents[a] = history.Agent{Namespace: a.Namespace, Agent: a.Agent, FirstTS: agents[a].FirstTS, HeadTS: ev.CommitTS}
		}
	}
	wanted := func(history.Name) bool { return true }
	listed := true
	if part != nil {
		names := part.Spoken()
		wanted = func(n history.Name) bool {
			return names[n] || slices.ContainsFunc(part.Operations, func(op *history.Operation) bool {
				return (op.Kind == history.Scan || op.Kind == history.ListKeys) && op.In.Namespace == n.Namespace && op.In.Agent == n.Agent && strings.HasPrefix(n.Key, op.In.Prefix)
			})
		}
		listed = slices.ContainsFunc(part.Operations, func(op *history.Operation) bool {
			return op.Kind == history.ListAgents || op.Kind == history.ListSpaces || len(op.In.Heads) > 0
		})
	}
	for n, r := range last { // sorted below
		if wanted(n) {
			b.Records = append(b.Records, r)
		}
	}
	slices.SortFunc(b.Records, func(x, y history.Record) int { return history.CompareNames(x.Name, y.Name) })
	for _, a := range agents { // sorted below
		if listed {
			b.Agents = append(b.Agents, a)
		}
	}
	slices.SortFunc(b.Agents, func(x, y history.Agent) int {
		return strings.Compare(x.Namespace+"\x00"+x.Agent, y.Namespace+"\x00"+y.Agent)
	})
	return b
}

// cutAt is what a recorder has that began with a call, and found the store at ts.
func cutAt(h *history.History, from int64, ts uint64, sparse bool) *history.History {
	c := &history.History{Header: h.Header, Complete: true, Log: h.Log[ts:]}
	for _, op := range h.Operations {
		if op.Call >= from {
			c.Operations = append(c.Operations, op)
		}
	}
	c.Header.Base = baseAt(h, ts, nil)
	if sparse {
		c.Header.Base = baseAt(h, ts, c)
	}
	return c
}

// gapped is what a recorder has that missed some of what was under way in some times.
func gapped(h *history.History, rng *rand.Rand, gaps int, share float64) *history.History {
	c := *h
	c.Gaps, c.Operations = nil, slices.Clone(h.Operations)
	end := h.Operations[len(h.Operations)-1].Call
	for range gaps {
		g := history.Gap{From: rng.Int64N(end + 1), Why: "test"}
		g.To = g.From + rng.Int64N(end/10+2)
		c.Gaps = append(c.Gaps, g)
		c.Operations = slices.DeleteFunc(c.Operations, func(op *history.Operation) bool {
			return op.Call <= g.To && op.End() >= g.From && rng.Float64() < share
		})
	}
	slices.SortFunc(c.Gaps, func(a, b history.Gap) int { return int(a.From - b.From) })
	return &c
}

// parts makes a part of a good history that is good itself: cut, with gaps, or both.
func parts(h *history.History, rng *rand.Rand) (*history.History, string) {
	from := h.Operations[rng.IntN(len(h.Operations))].Call
	ts := uint64(rng.IntN(len(h.Log) + 1))
	if rng.IntN(2) == 0 { // what was known then, more or less
		ts = 0
		for _, op := range h.Operations {
			if op.Return > 0 && op.Return < from && op.Kind != history.Replay && op.Kind != history.Watch {
				ts = max(ts, op.NewestCommit())
			}
		}
		ts = min(ts+uint64(rng.IntN(3)), uint64(len(h.Log)))
	}
	c, how := h, rng.IntN(3)
	if how != 0 {
		c = cutAt(h, from, ts, rng.IntN(2) == 0)
	}
	if how != 1 && len(c.Operations) > 0 {
		c = gapped(c, rng, 1+rng.IntN(3), []float64{0.2, 0.7, 1}[rng.IntN(3)])
	}
	return c, fmt.Sprintf("how %d from %d ts %d gaps %v", how, from, ts, c.Gaps)
}

// TestPartsOfGoodHistories: a history that begins in the middle, or has gaps, is never
// refused for what is not in it.
func TestPartsOfGoodHistories(t *testing.T) {
	single(t)
	const cuts = 400
	for name, h := range goldens(t) { // independent of each other: any order
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range cuts {
			c, how := parts(h, rng)
			if r := Check(c, Options{}); r.Verdict != verdict.OK {
				t.Fatalf("%s, part %d, %s: %s: %+v", name, i, how, r.Verdict, r.Violations)
			}
		}
	}
}

// drop takes an operation out of the history, and says that there is a gap.
func (r *reference) drop(op *history.Operation) {
	r.h.Operations = slices.DeleteFunc(r.h.Operations, func(o *history.Operation) bool { return o == op })
	r.h.Gaps = append(r.h.Gaps, history.Gap{From: op.Call, To: op.Call})
}

// partTruths are parts of good histories that look odd.
var partTruths = []struct {
	about string
	tell  func(r *reference)
}{
	{"a condition was that of a write which is missing", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		t := r.begin("a")
		lost := r.stage("a", t, expecting(put("x", "k", "2"), 7))
		refuse(r.do("a", history.Commit, history.Input{TxnID: t}), "PRECONDITION_FAILED", failedOn(key("x", "k"), 7, 1)...)
		r.forget(1)
		r.drop(lost)
	}},
	{"what a transaction saw was its own write, which is missing", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		t := r.begin("a")
		lost := r.stage("a", t, del("x", "k"))
		r.do("a", history.Get, history.Input{TxnID: t, Agent: "x", Key: "k"})
		r.transact("b", put("x", "k", "2"))
		r.do("a", history.Commit, history.Input{TxnID: t})
		r.drop(lost)
	}},
	{"another request did it, on other conditions", func(r *reference) {
		first := r.transact("a", put("x", "k", "1"))
		again := *first
		again.ID, again.Call, again.Return = 2, r.now+2, r.now+3
		again.In.Keys = []history.KeyCondition{{Name: key("x", "k"), Expected: 9}}
		refuse(&again, "STORAGE_ERROR")
		again.Outcome = history.Unknown
		r.h.Operations = append(r.h.Operations, &again)
		r.drop(first)
	}},
	{"a watch begins behind a commit that is before the base", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		w := r.do("a", history.Watch, history.Input{Agent: "x"})
		r.transact("a", put("x", "k", "2"))
		w.Batches[0].Events = nil
		r.h = cutAt(r.h, w.Call, 2, false)
	}},
	{"a write is missing, of a key that nobody speaks of", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		r.transact("a", put("x", "k", "2"))
		t := r.begin("a")
		r.stage("a", t, put("x", "l", "1"))
		lost := r.stage("a", t, put("x", "k", "3"))
		commit := r.do("a", history.Commit, history.Input{TxnID: t})
		r.drop(lost)
		gaps := r.h.Gaps
		r.h = cutAt(r.h, commit.Call-6, 2, true)
		r.h.Gaps = gaps
	}},
}

func TestPartTruths(t *testing.T) {
	for _, truth := range partTruths {
		t.Run(truth.about, func(t *testing.T) {
			r := newReference()
			truth.tell(r)
			if got := Check(r.h, Options{}); got.Verdict != verdict.OK {
				t.Errorf("%s: %+v", got.Verdict, got.Violations)
			}
		})
	}
}

// certain tells whether an operation is judged in full in a part of a history: it
// neither rests on what may be missing nor is it of before the base.
func certain(c *history.History, op *history.Operation) bool {
	base := uint64(0)
	if c.Header.Base != nil {
		base = c.Header.Base.CommitTS
	}
	switch op.Kind {
	case history.Transact, history.Commit, history.GetTxn:
		return slices.ContainsFunc(c.Log, func(ev history.Event) bool { return ev.TxnID == op.In.TxnID })
	case history.Get, history.BatchGet, history.ListKeys, history.Scan:
		return op.Out.ReadTS > base && op.In.TxnID == "" && op.In.PageOf == 0 && op.In.AtTime == 0
	case history.Watch, history.Replay:
		return len(op.Batches) > 0 && len(op.Batches[0].Events) > 0 && op.Batches[0].Events[0].CommitTS > base
	}
	return false
}

// TestEditedPartsOfHistories: one answer changed is found in a part of a history, too,
// unless that it is wrong only shows in the rest.
func TestEditedPartsOfHistories(t *testing.T) {
	single(t)
	tried := 0
	for name, h := range goldens(t) { // independent of each other: any order
		rng := rand.New(rand.NewPCG(3, 4))
		for range 40 {
			c, how := parts(h, rng)
			for range min(40, len(c.Operations)) {
				op := c.Operations[rng.IntN(len(c.Operations))]
				list := editsOf(op)
				// The point that a read claims is bounded by what was asked for when, and that
				// may be missing; so may be the request that says how long a record stays.
				list = slices.DeleteFunc(list, func(e edit) bool {
					return strings.HasSuffix(e.field, "ReadTS") || strings.HasSuffix(e.field, "ExpiresAt") || strings.HasSuffix(e.field, "DueAt") || !certain(c, op)
				})
				if len(list) == 0 {
					continue
				}
				e := list[rng.IntN(len(list))]
				undo := e.apply()
				if Check(h, Options{SkipSerial: true}).Verdict == verdict.Illegal {
					tried++
					if r := Check(c, Options{}); r.Verdict != verdict.Illegal {
						t.Errorf("%s, %s: #%d %s %s is %s", name, how, op.ID, e.field, e.how, r.Verdict)
					}
				}
				undo()
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d edits", tried)
	}
}
