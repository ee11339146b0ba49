package linearizability

import (
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// Fact is a line on how a violation came about.
type Fact struct {
	Label string `json:"label"` // request, commit, writer
	Text  string `json:"text"`
	Op    int    `json:"op,omitempty"` // the request that it is about
}

// Culprit names what a violation is about: the request, the commit that its answer is held to
// with the record, and the step of the writer, or the start, that published that commit. when
// says a time of the history in words; nil: "at 7".
func Culprit(h *history.History, v *verdict.Violation, when func(time int64) string) []Fact {
	if when == nil {
		when = func(time int64) string { return fmt.Sprintf("at %d", time) }
	}
	var facts []Fact
	op := operation(h, v.Op)
	if op != nil {
		end := "never answered"
		if op.Return != 0 {
			end = fmt.Sprintf("answered %s: %s", when(op.Return), answerOf(op))
		}
		facts = append(facts, Fact{"request", fmt.Sprintf("%s of %s, sent %s, %s", requestOf(op), op.Client, when(op.Call), end), op.ID})
	}
	ev := commitMeant(h, v, op)
	if ev == nil {
		return visibleFacts(facts)
	}
	by := slices.IndexFunc(h.Operations, func(o *history.Operation) bool { return o.Kind.Info().Commits && o.In.TxnID == ev.TxnID })
	commit := Fact{Label: "commit", Text: fmt.Sprintf("%d", ev.CommitTS)}
	if by >= 0 {
		commit.Op = h.Operations[by].ID
		commit.Text += fmt.Sprintf(" by %s of %s", requestOf(h.Operations[by]), h.Operations[by].Client)
	}
	for i := range ev.Ops {
		if o := &ev.Ops[i]; op == nil || speaksOf(op, o.Name) {
			commit.Text += fmt.Sprintf(": %s is version %d, %s", nameText(o.Name), o.Version, valueOf(!o.Delete, o.Value))
			break
		}
	}
	facts = append(facts, commit)
	if text := writerOf(h, ev.CommitTS, when); text != "" {
		facts = append(facts, Fact{"writer", text, 0})
	}
	return visibleFacts(facts)
}

func visibleFacts(facts []Fact) []Fact {
	for i := range facts {
		facts[i].Text = visible(facts[i].Text)
	}
	return facts
}

func operation(h *history.History, id int) *history.Operation {
	i := slices.IndexFunc(h.Operations, func(op *history.Operation) bool { return id != 0 && op.ID == id })
	if i < 0 {
		return nil
	}
	return h.Operations[i]
}

// commitMeant is the commit that a violation is about: the one that it names, else the last
// of the record that had been published when the request was answered.
func commitMeant(h *history.History, v *verdict.Violation, op *history.Operation) (found *history.Event) {
	for i := range h.Log {
		ev := &h.Log[i]
		switch {
		case v.CommitTS != 0 && (op == nil || op.Kind.Info().Commits):
			if ev.CommitTS == v.CommitTS {
				return ev
			}
		case op == nil, op.In.At != nil && ev.CommitTS > *op.In.At:
		default:
			_, at := publishedBy(h, ev.CommitTS)
			if at <= op.End() && slices.ContainsFunc(ev.Ops, func(o history.EventOp) bool { return speaksOf(op, o.Name) }) {
				found = ev
			}
		}
	}
	return found
}

// speaksOf reports whether a request is about a record.
func speaksOf(op *history.Operation, n history.Name) bool {
	in, found := &op.In, false
	in.EachName(func(x history.Name) {
		found = found || x == n || x.Key == "" && x.Namespace == n.Namespace && x.Agent == n.Agent && strings.HasPrefix(n.Key, in.Prefix)
	})
	return found || in.AllAgents && in.Namespace == n.Namespace
}

// publishedBy is the step of the writer, or the start of the daemon, that published a commit.
func publishedBy(h *history.History, ts uint64) (kind string, at int64) {
	for _, n := range h.Notes {
		var upTo uint64
		if _, err := fmt.Sscanf(n.Text, "published %d", &upTo); err == nil && n.Lane == "daemon" && upTo >= ts {
			return n.Kind, n.Time
		}
	}
	return "", 0
}

func writerOf(h *history.History, ts uint64, when func(int64) string) string {
	kind, at := publishedBy(h, ts)
	if kind != "settle" && kind != "start" {
		return ""
	}
	planned, died := int64(0), int64(0)
	for _, n := range h.Notes {
		switch {
		case n.Time >= at || n.Lane != "daemon":
		case n.Kind == "plan":
			planned = n.Time
		case n.Kind == "died":
			died = n.Time
		}
	}
	switch {
	case kind == "start" && died > planned:
		return fmt.Sprintf("planned %s; the daemon died %s, and its start %s recovered commit %d", when(planned), when(died), when(at), ts)
	case kind == "start":
		return fmt.Sprintf("the start of the daemon %s recovered commit %d", when(at), ts)
	}
	return fmt.Sprintf("planned commit %d %s, and published it by the settle %s", ts, when(planned), when(at))
}
