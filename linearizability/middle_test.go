package linearizability

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// baseAt is the state at a commit: of everything, or only of what the operations of
// part speak of, as a daemon writes it that has millions of keys.
func baseAt(h *History, ts uint64, part *History) *Base {
	b := &Base{CommitTS: ts}
	last, agents := make(map[Name]Record), make(map[agentName]Agent)
	for i := range h.Log {
		ev := &h.Log[i]
		if ev.CommitTS > ts {
			break
		}
		for _, o := range ev.Ops {
			last[o.Name] = Record{Name: o.Name, Exists: !o.Delete, Version: o.Version, CommitTS: ev.CommitTS, CommitTime: ev.CommitTime, Value: o.Value}
			a := agentName{o.Namespace, o.Agent}
			if _, known := agents[a]; !known {
				agents[a] = Agent{a.ns, a.agent, ev.CommitTS, ev.CommitTS}
			}
			agents[a] = Agent{a.ns, a.agent, agents[a].FirstTS, ev.CommitTS}
		}
	}
	wanted := func(Name) bool { return true }
	listed := true
	if part != nil {
		names := spoken(part)
		wanted = func(n Name) bool {
			return names[n] || slices.ContainsFunc(part.Operations, func(op *Operation) bool {
				return (op.Kind == Scan || op.Kind == ListKeys) && op.In.Namespace == n.Namespace && op.In.Agent == n.Agent && strings.HasPrefix(n.Key, op.In.Prefix)
			})
		}
		listed = slices.ContainsFunc(part.Operations, func(op *Operation) bool {
			return op.Kind == ListAgents || op.Kind == ListSpaces || len(op.In.Heads) > 0
		})
	}
	for n, r := range last { // sorted below
		if wanted(n) {
			b.Records = append(b.Records, r)
		}
	}
	slices.SortFunc(b.Records, func(x, y Record) int { return compareNames(x.Name, y.Name) })
	for _, a := range agents { // sorted below
		if listed {
			b.Agents = append(b.Agents, a)
		}
	}
	slices.SortFunc(b.Agents, func(x, y Agent) int { return strings.Compare(x.Namespace+"\x00"+x.Agent, y.Namespace+"\x00"+y.Agent) })
	return b
}

// cutAt is what a recorder has that began with a call, and found the store at ts.
func cutAt(h *History, from int64, ts uint64, sparse bool) *History {
	c := &History{Header: h.Header, Complete: true, Log: h.Log[ts:]}
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
func gapped(h *History, rng *rand.Rand, gaps int, share float64) *History {
	c := *h
	c.Gaps, c.Operations = nil, slices.Clone(h.Operations)
	end := h.Operations[len(h.Operations)-1].Call
	for range gaps {
		g := Gap{From: rng.Int64N(end + 1), Why: "test"}
		g.To = g.From + rng.Int64N(end/10+2)
		c.Gaps = append(c.Gaps, g)
		c.Operations = slices.DeleteFunc(c.Operations, func(op *Operation) bool {
			return op.Call <= g.To && op.end() >= g.From && rng.Float64() < share
		})
	}
	slices.SortFunc(c.Gaps, func(a, b Gap) int { return int(a.From - b.From) })
	return &c
}

// parts makes a part of a good history that is good itself: cut, with gaps, or both.
func parts(h *History, rng *rand.Rand) (*History, string) {
	from := h.Operations[rng.IntN(len(h.Operations))].Call
	ts := uint64(rng.IntN(len(h.Log) + 1))
	if rng.IntN(2) == 0 { // what was known then, more or less
		ts = 0
		for _, op := range h.Operations {
			if op.Return > 0 && op.Return < from && op.Kind != Replay && op.Kind != Watch {
				ts = max(ts, op.saw())
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
	const cuts = 400
	for name, h := range goldens(t) { // independent of each other: any order
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range cuts {
			c, how := parts(h, rng)
			if r := Check(c, Options{}); r.Verdict != VerdictOK {
				t.Fatalf("%s, part %d, %s: %s: %+v", name, i, how, r.Verdict, r.Violations)
			}
		}
	}
}

// drop takes an operation out of the history, and says that there is a gap.
func (r *reference) drop(op *Operation) {
	r.h.Operations = slices.DeleteFunc(r.h.Operations, func(o *Operation) bool { return o == op })
	r.h.Gaps = append(r.h.Gaps, Gap{From: op.Call, To: op.Call})
}

// partTruths are parts of good histories that look odd.
var partTruths = []struct {
	about string
	tell  func(r *reference)
}{
	{"a condition was that of a write which is missing", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		t := r.begin("a")
		lost := r.stage("a", t, put("x", "k", "2").expecting(7))
		r.do("a", Commit, Input{TxnID: t}).refuse("PRECONDITION_FAILED", failedOn(key("x", "k"), 7, 1)...)
		r.forget(1)
		r.drop(lost)
	}},
	{"what a transaction saw was its own write, which is missing", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		t := r.begin("a")
		lost := r.stage("a", t, del("x", "k"))
		r.do("a", Get, Input{TxnID: t, Agent: "x", Key: "k"})
		r.transact("b", put("x", "k", "2"))
		r.do("a", Commit, Input{TxnID: t})
		r.drop(lost)
	}},
	{"another request did it, on other conditions", func(r *reference) {
		first := r.transact("a", put("x", "k", "1"))
		again := *first
		again.ID, again.Call, again.Return = 2, r.now+2, r.now+3
		again.In.Keys = []KeyCondition{{key("x", "k"), 9}}
		again.refuse("STORAGE_ERROR")
		again.Outcome = Unknown
		r.h.Operations = append(r.h.Operations, &again)
		r.drop(first)
	}},
	{"a watch begins behind a commit that is before the base", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		w := r.do("a", Watch, Input{Agent: "x"})
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
		commit := r.do("a", Commit, Input{TxnID: t})
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
			if got := Check(r.h, Options{}); got.Verdict != VerdictOK {
				t.Errorf("%s: %+v", got.Verdict, got.Violations)
			}
		})
	}
}

// certain tells whether an operation is judged in full in a part of a history: it
// neither rests on what may be missing nor is it of before the base.
func (c *History) certain(op *Operation) bool {
	base := uint64(0)
	if c.Header.Base != nil {
		base = c.Header.Base.CommitTS
	}
	switch op.Kind {
	case Transact, Commit, GetTxn:
		return slices.ContainsFunc(c.Log, func(ev Event) bool { return ev.TxnID == op.In.TxnID })
	case Get, BatchGet, ListKeys, Scan:
		return op.Out.ReadTS > base && op.In.TxnID == "" && op.In.PageOf == 0 && op.In.AtTime == 0
	case Watch, Replay:
		return len(op.Batches) > 0 && len(op.Batches[0].Events) > 0 && op.Batches[0].Events[0].CommitTS > base
	}
	return false
}

// TestEditedPartsOfHistories: one answer changed is found in a part of a history, too,
// unless that it is wrong only shows in the rest.
func TestEditedPartsOfHistories(t *testing.T) {
	tried := 0
	for name, h := range goldens(t) { // independent of each other: any order
		rng := rand.New(rand.NewPCG(3, 4))
		for range 40 {
			c, how := parts(h, rng)
			for range min(40, len(c.Operations)) {
				op := c.Operations[rng.IntN(len(c.Operations))]
				list := editsOf(op)
				// The point that a read claims is bounded by what was asked for when, and that
				// may be missing.
				list = slices.DeleteFunc(list, func(e edit) bool { return strings.HasSuffix(e.field, "ReadTS") || !c.certain(op) })
				if len(list) == 0 {
					continue
				}
				e := list[rng.IntN(len(list))]
				undo := e.apply()
				if Check(h, Options{SkipPorcupine: true}).Verdict == VerdictIllegal {
					tried++
					if r := Check(c, Options{}); r.Verdict != VerdictIllegal {
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
