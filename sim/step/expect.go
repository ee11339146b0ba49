package step

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// This file is about what follows => in a call: what its client is expected to be told.

// Answer is what a client was told, in the form of what was expected.
func Answer(op *history.Operation, expected string) string {
	word, _, isForm := strings.Cut(expected, "=")
	form := history.Part(word)
	switch {
	case expected == string(op.Outcome):
		return expected
	case form == history.EventsPart && len(op.Batches) > 0:
		return word + "=" + events(op) // however the stream ended
	case op.Error != nil:
		return op.Error.Code
	case op.Outcome != history.OK:
		return string(op.Outcome)
	case op.Kind.Info().Commits && isValueWord(expected):
		return resultValue(op)
	case expected == "absent" || isValueWord(expected):
		if len(op.Out.Records) == 0 || !op.Out.Records[0].Exists {
			return "absent"
		}
		return op.Out.Records[0].Value
	case !isForm:
		return string(op.Outcome)
	}
	return word + "=" + answerForms[form](op)
}

// answerForms are the parts of an answer that can be expected, as text without
// white space: ts=3.
var answerForms = map[history.Part]func(op *history.Operation) string{
	history.TSPart: func(op *history.Operation) string { return fmt.Sprint(op.Out.CommitTS) },
	history.VersionPart: func(op *history.Operation) string {
		switch {
		case len(op.Out.Versions) > 0:
			return fmt.Sprint(op.Out.Versions[0].Version)
		case len(op.Out.Records) > 0:
			return fmt.Sprint(op.Out.Records[0].Version)
		}
		return "0"
	},
	history.VersionsPart: func(op *history.Operation) string {
		if op.Kind == history.RefreshExpiry {
			return joined(op.Out.Refreshed, func(r history.Refreshed) any { return r.Version })
		}
		return joined(op.Out.Records, func(r history.Record) any { return r.Version })
	},
	history.KeysPart: func(op *history.Operation) string {
		if len(op.Out.Keys) > 0 {
			return strings.Join(op.Out.Keys, ",")
		} else if op.Kind == history.Diff {
			return joined(op.Out.Diffs, func(d history.KeyDiff) any { return d.Key })
		}
		return joined(op.Out.Records, func(r history.Record) any { return r.Key })
	},
	history.AgentsPart: func(op *history.Operation) string {
		return joined(op.Out.Agents, func(a history.Agent) any { return a.Agent })
	},
	history.TokenPart: func(op *history.Operation) string {
		return joined(op.Out.Results, func(r history.Result) any { return tokens(&r) })
	},
	history.ResultPart: func(op *history.Operation) string {
		return joined(op.Out.Results, func(r history.Result) any { return r.Key })
	},
	history.LeasesPart: func(op *history.Operation) string {
		return joined(op.Out.Leases, func(l history.Lease) any { return fmt.Sprintf("%s@%d", l.Lease, l.Token) })
	},
	history.LostPart: func(op *history.Operation) string {
		return joined(op.Out.Renewed, func(r history.Renewed) any { return r.Lost })
	},
	history.FoldersPart: func(op *history.Operation) string { return strings.Join(op.Out.Folders, ",") },
	history.OriginPart: func(op *history.Operation) string {
		if o := op.Out.Origin; o != nil {
			return agentText(o.Namespace, o.Agent) + "@" + fmt.Sprint(o.CommitTS)
		}
		return ""
	},
	history.StatePart:  func(op *history.Operation) string { return op.Out.State },
	history.EventsPart: events,
}

// resultValue is the first value that an operation of a transact was answered with.
func resultValue(op *history.Operation) string {
	for i := range op.Out.Results {
		if v := op.Out.Results[i].Value; v != "" {
			return v
		}
	}
	return "absent"
}

// tokens are those of the leases that an operation acquired; of none it is 0.
func tokens(r *history.Result) string {
	switch {
	case r.Lease != nil:
		return fmt.Sprint(r.Lease.Token)
	case len(r.Claimed) > 0:
		var list []string
		for i := range r.Claimed {
			if l := r.Claimed[i].Lease; l != nil {
				list = append(list, fmt.Sprintf("%s@%d", l.Lease, l.Token))
			}
		}
		return strings.Join(list, "+")
	}
	return "0"
}

func events(op *history.Operation) string {
	var all []history.Event
	for _, b := range op.Batches {
		all = append(all, b.Events...)
	}
	return joined(all, func(ev history.Event) any { return ev.CommitTS })
}

func joined[T any](items []T, text func(T) any) string {
	var words []string
	for _, x := range items {
		words = append(words, fmt.Sprint(text(x)))
	}
	return strings.Join(words, ",")
}

// AnswerForms lists them.
func AnswerForms() []history.Part { return slices.Sorted(maps.Keys(answerForms)) }

// answerWords are what an answer can be expected to be besides: how it ended, that
// a key is not there, or the code of an error, from the daemon or from in between.
var answerWords = func() map[string]bool {
	words := map[string]bool{"ok": true, "fail": true, "unknown": true, "absent": true}
	for code := range pb.ErrorCode_value { // into a map: order cannot matter
		words[code] = true
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		words[strings.ToLower(code.String())] = true
	}
	return words
}()

// checkAnswer reports why a call of that kind can never be answered so, if it cannot.
func checkAnswer(kind history.Kind, expected string) error {
	word, _, isForm := strings.Cut(expected, "=")
	form := history.Part(word)
	switch {
	case isValueWord(expected):
		form = history.ValuePart
		if err := checkValueWord(expected); err != nil {
			return err
		}
	case expected == "absent" && !kind.Info().Commits:
		form = history.ValuePart
	case isForm && answerForms[form] == nil:
		return fmt.Errorf("no answer has a part %q, want one of %v", form, AnswerForms())
	case expected == "absent":
		form = "absent"
	case !isForm && !answerWords[expected]:
		return fmt.Errorf("no client is told %q", expected)
	case !isForm:
		return nil
	}
	// Another part could be expected to be empty for ever, and nothing would ever be held to it.
	if info := kind.Info(); !slices.Contains(info.Parts, form) {
		return fmt.Errorf("the answer to %q has no part %q, so it can never be %s", info.Word, form, expected)
	}
	return nil
}
