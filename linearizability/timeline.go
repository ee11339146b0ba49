package linearizability

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"

	"statehouse.dev/statehouse/history"
)

// Timeline writes what happened around the first violation, one thing a line, for a terminal.
// around is how many things to show before and after.
func Timeline(w io.Writer, h *history.History, r Result, around int) error {
	lines := moments(h)
	at := len(lines)
	if len(r.Violations) > 0 {
		v := &r.Violations[0]
		at = sort.Search(len(lines), func(i int) bool { return lines[i].time >= v.Time })
	}
	var b strings.Builder
	from, to := max(0, at-around), min(len(lines), at+around+1)
	if from > 0 {
		fmt.Fprintf(&b, "… %d things before\n", from)
	}
	for i := from; i < to; i++ {
		mark := "  "
		if i == at {
			mark = "> "
		}
		l := &lines[i]
		fmt.Fprintf(&b, "%s%6d  %-9s %s\n", mark, l.time, l.lane, l.text)
	}
	if to < len(lines) {
		fmt.Fprintf(&b, "… %d things after\n", len(lines)-to)
	}
	for i := range r.Violations {
		if i == 5 {
			fmt.Fprintf(&b, "and %d more\n", len(r.Violations)-i)
			break
		}
		v := visibleViolation(r.Violations[i])
		fmt.Fprintf(&b, "\n%s is broken (%s): %s\n", v.Guarantee, v.Check, v.Sentence)
		if v.Expected != "" || v.Got != "" {
			fmt.Fprintf(&b, "  expected  %s\n  got       %s\n", v.Expected, v.Got)
		}
		if i > 0 {
			continue
		}
		for _, f := range Culprit(h, &r.Violations[i], nil) {
			fmt.Fprintf(&b, "  %-9s %s\n", f.Label, f.Text)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// line is one thing that happened.
type line struct {
	time int64
	lane string
	text string
	op   *history.Operation // of a call or return
	back bool               // it is the return
}

// moments lists everything in a history in order of time.
func moments(h *history.History) []line {
	var lines []line
	for _, op := range h.Operations {
		lines = append(lines, line{op.Call, op.Client, fmt.Sprintf("#%d %s %s", op.ID, op.Kind, brief(op.In)), op, false})
		for i := range op.Batches {
			b := &op.Batches[i]
			lines = append(lines, line{b.Time, op.Client, fmt.Sprintf("#%d is sent %d events up to %d", op.ID, len(b.Events), b.Cursor), op, true})
		}
		if op.Return == 0 {
			continue
		}
		lines = append(lines, line{op.Return, op.Client, fmt.Sprintf("#%d %s", op.ID, told(op)), op, true})
	}
	for _, n := range h.Notes {
		lines = append(lines, line{time: n.Time, lane: n.Lane, text: strings.TrimSpace(n.Kind + " " + firstLine(n.Text))})
	}
	for i := range lines {
		lines[i].lane, lines[i].text = visible(lines[i].lane), visible(lines[i].text)
	}
	sort.SliceStable(lines, func(i, j int) bool { return lines[i].time < lines[j].time })
	return lines
}

func firstLine(s string) string {
	first, _, _ := strings.Cut(s, "\n")
	return first
}

// told is what an operation's client was told, in a few words.
func told(op *history.Operation) string {
	switch {
	case op.Outcome == history.OK:
		return "ok " + brief(op.Out)
	case op.Error != nil:
		return fmt.Sprintf("%s (%s: %s)", op.Outcome, op.Error.Code, firstLine(op.Error.Message))
	}
	return string(op.Outcome)
}

// brief is a value as JSON, cut where it gets long.
func brief(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	if len(b) > 300 {
		return string(b[:300]) + "…"
	}
	return string(b)
}
