package linearizability

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// observer is the client that looks at everything at the end of a simulated run.
const observer = "observer"

// Lanes that are no client's, in their order from the left, after the clients'.
var lastLanes = []string{observer, "writer", "disk", "network"}

func compareLanes(x, y string) int {
	return cmp.Or(cmp.Compare(slices.Index(lastLanes, x), slices.Index(lastLanes, y)), strings.Compare(x, y))
}

// requestBars are the bars of the clients' lanes.
func requestBars(h *history.History, first *verdict.Violation) (bars []*bar) {
	last := int64(0)
	for _, op := range h.Operations {
		last = max(last, op.Call, op.Return)
	}
	for _, op := range h.Operations {
		if bad := operation(h, first.Op); op.Client == observer && (bad == nil || bad.Client != observer) {
			continue // it reads everything when all is over
		}
		b := &bar{
			Kind: string(op.Outcome), Op: op.ID, Text: visible(requestOf(op)), Answer: visible(answerOf(op)),
			Bad: op.ID == first.Op && first.Op != 0, lane: visible(op.Client), calls: op.Call, ends: op.Return,
			Span: fmt.Sprintf("from %d to %d", op.Call, op.Return),
		}
		if b.Bad {
			b.Expected = first.Expected
		}
		if op.Return == 0 {
			b.ends, b.Span = max(last, op.Call), fmt.Sprintf("from %d, never answered", op.Call)
		}
		detail, err := json.MarshalIndent(struct {
			*history.Operation
			Batches []history.Batch `json:"batches,omitempty"`
		}{op, op.Batches}, "", "  ")
		if err == nil {
			b.detail = visibleLines(string(detail))
		}
		bars = append(bars, b)
	}
	return bars
}

// noteBars are the bars of the other lanes: a step of the writer from its plan to its end, the
// sync of the log that it waits for, and what befell the daemon, the disk, the clock and calls.
func noteBars(h *history.History) (bars []*bar) {
	of := make(map[string]string) // lane of a call, or client
	for _, op := range h.Operations {
		of[fmt.Sprintf("#%d", op.ID)], of[op.Client] = visible(op.Client), visible(op.Client)
	}
	var step, sync *bar
	for i := range h.Notes {
		n := &h.Notes[i]
		b := &bar{
			Kind: "note", Text: visible(strings.TrimSpace(n.Kind + " " + firstLine(n.Text))), detail: visibleLines(n.Text),
			Span: fmt.Sprintf("at %d", n.Time), lane: visible(n.Lane), calls: n.Time, ends: n.Time,
		}
		switch n.Lane {
		case "daemon":
			b.lane = "writer"
			if n.Kind == "start" || n.Kind == "died" || n.Kind == "refused" || n.Kind == "halt" {
				b.Kind = "band"
			}
		case "disk", "clock":
			b.lane, b.Kind = "disk", "band"
		case "network":
			b.lane = cmp.Or(of[n.Text], b.lane)
		}
		switch {
		case n.Lane == "daemon" && n.Kind == "plan":
			b.Kind, b.Text = "step", "plan"
			step = b
			if h.Header.Source == "sim" {
				sync = &bar{Kind: "sync", Text: "sync of the log", lane: "disk", calls: n.Time, ends: n.Time}
				bars = append(bars, sync)
			}
		case step != nil && n.Lane == "daemon" && (n.Kind == "settle" || n.Kind == "died"):
			step.ends, step.Answer = n.Time, cmp.Or(visible(firstLine(n.Text)), n.Kind)
			step.Span = fmt.Sprintf("from %d to %d", step.calls, n.Time)
			if sync != nil {
				sync.ends, sync.Answer, sync.Span = n.Time, map[string]string{"settle": "done", "died": "cut short"}[n.Kind], step.Span
			}
			step.Band = b.Kind == "band"
			step, sync = nil, nil
			continue
		}
		bars = append(bars, b)
	}
	return bars
}
