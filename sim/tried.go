package sim

import (
	"fmt"

	"statehouse.dev/statehouse/history"
)

// Tried says what of a run put a promise to the test; Text is empty when nothing did,
// and then that the promise was kept says nothing.
type Tried struct {
	Guarantee string
	Text      string
}

// tally counts what a history has that promises are tried by.
type tally struct {
	acked, reads, streams, refused, asOf, conditional int
	several, agents, spaces                           int // commits of several operations; agents and namespaces
	again                                             int // transactions asked for more than once, or asked after
	inTxns                                            int
}

func tallyOf(h *history.History) (t tally) {
	ids, owners, spaces := make(map[string]int), make(map[[2]string]bool), make(map[string]bool)
	for _, op := range h.Operations {
		if op.Client == observer {
			continue // it looks at everything in every run
		}
		switch op.Kind {
		case history.Commit, history.Transact:
			ids[op.In.TxnID]++
			if op.Outcome == history.OK {
				t.acked++
			}
			if len(op.In.Keys)+len(op.In.Heads) > 0 {
				t.conditional++
			}
		case history.GetTxn:
			ids[op.In.TxnID]++
		case history.Replay, history.Watch:
			if len(op.Batches) > 0 {
				t.streams++
			}
		case history.Get, history.GetVersion, history.BatchGet, history.ListKeys, history.Scan, history.KeyHistory, history.ListAgents, history.ListSpaces:
			if op.Outcome == history.OK {
				t.reads++
			}
			if op.In.At != nil || op.In.AtTime != 0 {
				t.asOf++
			}
			if op.In.TxnID != "" {
				t.inTxns++
			}
		}
		if op.Outcome == history.Fail {
			t.refused++
		}
	}
	for _, n := range ids { // a count: order cannot matter
		if n > 1 {
			t.again++
		}
	}
	for i := range h.Log {
		if len(h.Log[i].Ops) > 1 {
			t.several++
		}
		for _, op := range h.Log[i].Ops {
			owners[[2]string{op.Namespace, op.Agent}], spaces[op.Namespace] = true, true
		}
	}
	t.agents, t.spaces = len(owners), len(spaces)
	return t
}

// Tried lists, promise by promise, what of the run put it to the test.
func (r *Result) Tried() []Tried {
	t, probes := tallyOf(r.History), r.Stats.Probes
	deaths := 0
	for _, n := range r.Stats.Deaths { // a sum
		deaths += n
	}
	harm := probes["harm found at start"] + probes["harm found by a read"] + probes["wrong read found at start"] + probes["started in spite of harm"]
	inFlight := probes["request while a sync is in flight"]
	text := func(tried bool, format string, args ...any) string {
		if !tried {
			return ""
		}
		return fmt.Sprintf(format, args...)
	}
	return []Tried{
		{"G1", text(t.acked > 0, "acknowledged commits looked for in the end: %d, after %d deaths of the daemon", t.acked, deaths)},
		{"G2", text(t.several > 0, "commits of several operations: %d", t.several)},
		{"G3", text(t.acked > 0 && t.reads+t.refused > 0, "answers held to the order of commits: %d reads (in transactions: %d, of the past: %d), %d refusals; commits with conditions: %d",
			t.reads, t.inTxns, t.asOf, t.refused, t.conditional)},
		{"G4", text(inFlight > 0, "requests that arrived while a sync was in flight: %d", inFlight)},
		{"G5", text(len(r.History.Log) > 0, "commits in the log, which every answer agrees with: %d; replays and watches: %d", len(r.History.Log), t.streams)},
		{"G6", text(t.again > 0, "transactions sent again, or asked after: %d", t.again)},
		{"G7", text(r.Stats.Deaths["halt"] > 0, "halts of the daemon: %d", r.Stats.Deaths["halt"])},
		{"G8", text(harm > 0, "times that harm was met: %d", harm)},
		{"G9", text(len(r.History.Operations) > 0, "requests none of which waited for nothing: %d", len(r.History.Operations))},
		{"G10", text(t.agents > 1, "agents: %d, namespaces: %d", t.agents, t.spaces)},
	}
}
