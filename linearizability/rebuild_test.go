package linearizability

import (
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// TestRebuiltLog: a log made of what clients saw is as good as one that was read,
// and where a commit is missing from it, that is said.
func TestRebuiltLog(t *testing.T) {
	for name, h := range goldens(t) { // independent of each other: any order
		whole := len(h.Log)
		h.Log, h.Complete = nil, false
		if missing := h.Rebuild(); len(missing) > 0 || !h.Complete || len(h.Log) != whole {
			t.Errorf("%s: of %d commits %d are found, %v are missing", name, whole, len(h.Log), missing)
		}
		if r := Check(h, Options{}); r.Verdict != verdict.OK {
			t.Errorf("%s: %s, %+v", name, r.Verdict, r.Violations)
		}
		ts := h.Log[whole/2].CommitTS
		for _, op := range h.Operations { // nobody was told of one commit
			op.Batches = nil
			if op.Out.CommitTS == ts {
				op.Outcome, op.Out, op.Return = history.Unknown, history.Output{}, 0
			}
		}
		h.Log, h.Complete = nil, false
		if missing := h.Rebuild(); h.Complete || len(missing) == 0 {
			t.Errorf("%s: commit %d is not missed", name, ts)
		}
	}
}
