package linearizability

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"io"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

//go:embed report.html
var reportHTML string

var reportPage = template.Must(template.New("report").Parse(reportHTML))

// reportMargin is how much of a history a report holds on each side of the first
// violation.
const reportMargin = 400

// mark is one thing on a lane of the report.
type reportMark struct {
	Time   int64  `json:"t"`
	Lane   string `json:"lane"`
	Text   string `json:"text"`
	Op     int    `json:"op,omitempty"`
	Back   bool   `json:"back,omitempty"`
	Open   bool   `json:"open,omitempty"` // its outcome is unknown
	Bad    bool   `json:"bad,omitempty"`
	Band   bool   `json:"band,omitempty"` // a crash, a fault: across all lanes
	Detail string `json:"detail,omitempty"`
}

// Report writes a page of HTML that needs nothing else: the verdict, and what
// happened around the first violation, a lane for each client and for the daemon,
// its disk and the network.
func Report(w io.Writer, h *history.History, r Result) error {
	lines := moments(h)
	var first verdict.Violation
	if len(r.Violations) > 0 {
		first = visibleViolation(r.Violations[0])
	}
	at := len(lines) - 1
	for i := range lines {
		if lines[i].time >= first.Time && first.Time > 0 {
			at = i
			break
		}
	}
	from, to := max(0, at-reportMargin), min(len(lines), at+reportMargin+1)
	marks := make([]reportMark, 0, to-from)
	for i := from; i < to; i++ {
		marks = append(marks, markOf(&lines[i], &first, i == at && first.Time > 0))
	}
	data, err := json.Marshal(marks) // escapes <, > and &
	if err != nil {
		return err
	}
	return reportPage.Execute(w, map[string]any{
		"Source": visible(h.Header.Source), "Build": visible(h.Header.Build), "Command": visible(h.Header.Command),
		"Verdict": string(r.Verdict), "First": first, "Violations": visibleOnes(r.Violations),
		"Marks": template.JS(data), "Total": len(lines), "Shown": to - from, "Operations": len(h.Operations), "Commits": len(h.Log),
	})
}

func markOf(l *line, first *verdict.Violation, here bool) reportMark {
	m := reportMark{Time: l.time, Lane: l.lane, Text: l.text, Back: l.back, Bad: here}
	if l.op == nil {
		switch l.lane {
		case "disk", "clock":
			m.Band = true
		case "daemon":
			m.Band = l.text != "plan" && l.text != "settle" && l.text != "tick"
		}
		return m
	}
	m.Op = l.op.ID
	m.Open = l.op.Outcome == history.Unknown
	m.Bad = m.Bad || l.op.ID == first.Op && first.Op != 0
	detail, err := json.MarshalIndent(struct {
		*history.Operation
		Batches []history.Batch `json:"batches,omitempty"`
	}{l.op, l.op.Batches}, "", "  ")
	if err == nil {
		m.Detail = visibleLines(string(detail))
	}
	return m
}
