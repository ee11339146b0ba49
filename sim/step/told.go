package step

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"statehouse.dev/statehouse/history"
)

// Noted is a note of the history as a line of text.
func Noted(lane, kind, text string) string {
	return lane + " " + kind + ": " + FirstLine(text)
}

// CallTold is what the client of a call was told at its end.
func CallTold(op *history.Operation) string {
	return fmt.Sprintf("#%d of %s: %s", op.ID, op.Client, Told(op))
}

// BatchTold is what the client of a stream was told by one message.
func BatchTold(op *history.Operation, b *history.Batch) string {
	return fmt.Sprintf("#%d of %s: events=%s, up to %d", op.ID, op.Client, joined(b.Events, func(ev history.Event) any { return ev.CommitTS }), b.Cursor)
}

// toldWidth is how much of an answer is shown.
const toldWidth = 240

// Told is the answer to a call as text, in the form in which a scenario expects it where
// there is one.
func Told(op *history.Operation) string {
	text := ""
	switch out := &op.Out; {
	case op.Error != nil:
		text = strings.TrimSpace(op.Error.Code + " (" + string(op.Outcome) + "): " + FirstLine(op.Error.Message))
	case op.Outcome != history.OK:
		text = string(op.Outcome)
	case op.Kind == history.Begin:
		text = fmt.Sprintf("ok, it reads at %d", out.SnapshotTS)
	case op.Kind == history.Commit || op.Kind == history.Transact:
		text = fmt.Sprintf("ts=%d %s", out.CommitTS, joined(out.Versions, func(v history.KeyVersion) any {
			return recordText(v.Namespace, v.Agent, v.Key) + "@" + fmt.Sprint(v.Version)
		})) + toldResults(op)
	case op.Kind == history.RenewLeases || op.Kind == history.ListLeases || op.Kind == history.Diff || op.Kind == history.GetAgent || op.Kind == history.RefreshExpiry:
		text = toldMore(op)
	case op.Kind == history.GetTxn:
		text = fmt.Sprintf("state=%s ts=%d", out.State, out.CommitTS)
	case op.Kind == history.ListAgents:
		text = "agents=" + answerForms["agents"](op)
	case op.Kind == history.ListKeys || op.Kind == history.ListSpaces:
		text = "keys=" + answerForms["keys"](op)
	case op.Kind == history.Replay || op.Kind == history.Watch:
		text = "ok, events=" + events(op)
	case len(out.Records) > 0:
		text = toldRecords(op)
	case op.Kind == history.Scan || op.Kind == history.KeyHistory || op.Kind == history.BatchGet || op.Kind == history.Find:
		text = "nothing"
	default:
		text = string(op.Outcome)
	}
	if op.Out.More {
		text += " and another page"
	}
	return shortened(text)
}

// toldMore are the parts of answers to what is no base request.
func toldMore(op *history.Operation) string {
	var words []string
	for _, part := range op.Kind.Info().Parts {
		if form := answerForms[part]; form != nil {
			words = append(words, string(part)+"="+form(op))
		}
	}
	return strings.Join(words, " ")
}

// toldResults are what came of operations that the daemon evaluated.
func toldResults(op *history.Operation) string {
	var words []string
	for i := range op.Out.Results {
		r := &op.Out.Results[i]
		if text := strings.TrimSpace(r.Key + " " + r.Value); text != "" {
			words = append(words, text)
		}
		if t := tokens(r); t != "0" {
			words = append(words, "token "+t)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + strings.Join(words, ", ")
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
		if op.Kind == history.Scan || op.Kind == history.BatchGet || op.Kind == history.Find {
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

// FirstLine is what a line has room for.
func FirstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
