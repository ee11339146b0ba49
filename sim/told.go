package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"statehouse.dev/statehouse/history"
)

// This file is about what a person is shown of a run: every step, and under it what
// came of it.

// Did is a step of a scenario that was done.
type Did struct {
	Step   Step
	Until  int64 // what happened after the step before it, up to this time, came of it
	Struck int   // of a fault: how often it struck, then or later
	armed  int   // how many faults had been armed by then
}

// sayStep traces a step, once it is known to fit or something has come of it. What
// the world only tries, to see whether it fits, is not shown.
func (w *World) sayStep() {
	if w.pending != "" {
		w.trace("%s", w.pending)
		w.pending = ""
	}
}

// trying notes that a step is being tried.
func (w *World) trying(s *Step) {
	if w.trace == nil {
		return
	}
	number := ""
	if w.number > 0 {
		number = fmt.Sprint(w.number)
	}
	w.number, w.pending = 0, fmt.Sprintf("%5s  %s", number, s)
}

// say traces what came of a step.
func (w *World) say(format string, args ...any) {
	if w.trace == nil {
		return
	}
	w.sayStep()
	w.trace("         %s", fmt.Sprintf(format, args...))
}

// sayNotRun traces the steps of a scenario that were not run, the first of which did
// not fit.
func (w *World) sayNotRun(steps []Step, err error) {
	for i := range steps {
		if w.trace == nil {
			return
		}
		w.trace("       %s", steps[i])
		if i == 0 {
			w.trace("         %v", err)
		} else {
			w.trace("         not run")
		}
	}
}

// Happening is something that came of a step.
type Happening struct {
	Time int64
	Text string
}

// Happenings lists what came of the steps of a run, in the order of time: what clients
// were told, and what else the world has noted. What is only looked at in the end, to
// judge the run, is left out.
func (r *Result) Happenings() []Happening {
	var list []Happening
	add := func(time int64, text string) { list = append(list, Happening{time, text}) }
	for _, op := range r.History.Operations {
		if op.Client == observer {
			continue
		}
		for i := range op.Batches {
			add(op.Batches[i].Time, toldBatch(op, &op.Batches[i]))
		}
		if op.Return != 0 {
			add(op.Return, toldCall(op))
		}
	}
	for i := range r.History.Notes {
		if n := &r.History.Notes[i]; n.Text != "" {
			add(n.Time, noted(n.Lane, n.Kind, n.Text))
		}
	}
	slices.SortStableFunc(list, func(a, b Happening) int { return cmp.Compare(a.Time, b.Time) })
	return list
}

func noted(lane, kind, text string) string {
	return lane + " " + kind + ": " + firstLine(text)
}

// toldCall is what the client of a call was told at its end.
func toldCall(op *history.Operation) string {
	return fmt.Sprintf("#%d of %s: %s", op.ID, op.Client, Told(op))
}

// toldBatch is what the client of a stream was told by one message.
func toldBatch(op *history.Operation, b *history.Batch) string {
	return fmt.Sprintf("#%d of %s: events=%s, up to %d", op.ID, op.Client, joined(b.Events, func(ev history.Event) any { return ev.CommitTS }), b.Cursor)
}

// toldWidth is how much of an answer is shown.
const toldWidth = 240

// Told is what the client of a call was told, where it can be in the words that a
// scenario expects it in.
func Told(op *history.Operation) string {
	text := ""
	switch out := &op.Out; {
	case op.Error != nil:
		text = strings.TrimSpace(op.Error.Code + " (" + string(op.Outcome) + "): " + firstLine(op.Error.Message))
	case op.Outcome != history.OK:
		text = string(op.Outcome)
	case op.Kind == history.Begin:
		text = fmt.Sprintf("ok, it reads at %d", out.SnapshotTS)
	case op.Kind == history.Commit || op.Kind == history.Transact:
		text = fmt.Sprintf("ts=%d %s", out.CommitTS, joined(out.Versions, func(v history.KeyVersion) any {
			return recordText(v.Namespace, v.Agent, v.Key) + "@" + fmt.Sprint(v.Version)
		}))
	case op.Kind == history.GetTxn:
		text = fmt.Sprintf("state=%s ts=%d", out.State, out.CommitTS)
	case op.Kind == history.ListAgents:
		text = "agents=" + answerForms[history.AgentsPart](op)
	case op.Kind == history.ListKeys || op.Kind == history.ListSpaces:
		text = "keys=" + answerForms[history.KeysPart](op)
	case op.Kind == history.Replay || op.Kind == history.Watch:
		text = "ok, events=" + events(op)
	case len(out.Records) > 0:
		text = toldRecords(op)
	case op.Kind == history.Scan || op.Kind == history.KeyHistory || op.Kind == history.BatchGet:
		text = "nothing"
	default:
		text = string(op.Outcome)
	}
	if op.Out.More {
		text += " and another page"
	}
	return shortened(text)
}

// toldRecords are records that a client was shown, with versions and commits.
func toldRecords(op *history.Operation) string {
	var words []string
	for i := range op.Out.Records {
		r := &op.Out.Records[i]
		text := r.Value
		if !r.Exists {
			text = "absent"
		}
		if r.Version > 0 {
			text += fmt.Sprintf(" v=%d at ts %d", r.Version, r.CommitTS)
		}
		if op.Kind == history.Scan || op.Kind == history.BatchGet {
			text = recordText(r.Namespace, r.Agent, r.Key) + " " + text
		}
		words = append(words, text)
	}
	return strings.Join(words, ", ")
}

// shortened is text of which no more is shown than a person reads.
func shortened(text string) string {
	if len(text) <= toldWidth {
		return text
	}
	cut := toldWidth
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
