package linearizability

import (
	"fmt"
	"strings"

	"statehouse.dev/statehouse/history"
)

// Requests and answers in a few words, for a bar of a report. What they leave out is in the
// details.

func nameText(n history.Name) string {
	text := n.Agent
	if n.Namespace != "" && n.Namespace != "default" {
		text = n.Namespace + ":" + text
	}
	if n.Key != "" {
		text += "/" + n.Key
	}
	return text
}

// requestOf is a request: what is asked, of which records, and what of them.
func requestOf(op *history.Operation) string {
	in := &op.In
	words := []string{fmt.Sprintf("#%d %s", op.ID, op.Kind)}
	names := 0
	in.EachName(func(n history.Name) {
		if names++; names <= 3 {
			words = append(words, nameText(n))
		}
	})
	if names > 3 {
		words = append(words, fmt.Sprintf("and %d more", names-3))
	}
	if in.TxnID != "" {
		words = append(words, in.TxnID)
	}
	if in.AllAgents {
		words = append(words, in.Namespace+":*")
	}
	number := func(label string, p *uint64) {
		if p != nil {
			words = append(words, fmt.Sprintf("%s=%d", label, *p))
		}
	}
	number("at", in.At)
	number("from", in.From)
	number("to", in.To)
	number("expect", in.Expected)
	for _, n := range []struct {
		label string
		value uint64
	}{{"version", in.KeyVersion}, {"limit", in.Limit}, {"page of #", uint64(max(in.PageOf, 0))}} {
		if n.value != 0 {
			words = append(words, strings.TrimSuffix(n.label+"="+fmt.Sprint(n.value), "="))
		}
	}
	if in.Prefix != "" {
		words = append(words, "prefix="+in.Prefix)
	}
	if in.Value != "" {
		words = append(words, in.Value)
	}
	if len(in.Writes) == 1 {
		words = append(words, valueOf(!in.Writes[0].Delete, in.Writes[0].Value))
	}
	return strings.Join(words, " ")
}

func valueOf(exists bool, value string) string {
	if !exists {
		return "deleted"
	}
	return short(value)
}

// answerOf is what a client was told.
func answerOf(op *history.Operation) string {
	out := &op.Out
	switch {
	case op.Error != nil:
		return op.Error.Code + " (" + string(op.Outcome) + ")"
	case op.Outcome != history.OK:
		return string(op.Outcome)
	case len(out.Records) == 1:
		r := &out.Records[0]
		if r.Version == 0 {
			return "absent"
		}
		return fmt.Sprintf("version %d %s", r.Version, valueOf(r.Exists, r.Value))
	case len(out.Records) > 0:
		return fmt.Sprintf("%d records", len(out.Records))
	case len(out.Keys) > 0:
		return short(strings.Join(out.Keys, " "))
	case len(out.Agents) > 0:
		return fmt.Sprintf("%d agents", len(out.Agents))
	case len(op.Batches) > 0:
		n := 0
		for i := range op.Batches {
			n += len(op.Batches[i].Events)
		}
		return fmt.Sprintf("%d events", n)
	case out.CommitTS != 0:
		return fmt.Sprintf("commit %d", out.CommitTS)
	}
	return "ok"
}

func short(text string) string {
	if r := []rune(text); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return text
}
