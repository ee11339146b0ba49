package linearizability

import (
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

const (
	logo     = "bytes:image/png;base64,AAEC"
	retyped  = "bytes:image/gif;base64,AAEC"
	asObject = `{"$bytes":"AAEC","$content_type":"image/png"}`
)

// holds writes a value, and reads it as somebody is shown it.
func (r *reference) holds(value, shown string, native bool) *history.Operation {
	op := r.transact("a", put("x", "k", "1"))
	op.In.Writes[0].Value, r.h.Log[len(r.h.Log)-1].Ops[0].Value = value, value
	read := r.get("b", "x", "k")
	read.In.Native, read.Out.Records[0].Value = native, shown
	return op
}

// family is agent x, and y that was forked from it when it had two commits; x has another one since.
func (r *reference) family() history.Input {
	r.counts()
	fork := history.EventOp{Name: history.Name{Namespace: "ns", Agent: "y"}, Act: &history.Act{Kind: "forked", Namespace: "ns", Agent: "x", CommitTS: 2}}
	r.asks(history.Input{Writes: []history.Write{{Name: fork.Name, Op: history.Fork, With: &history.Arguments{Namespace: "ns", Agent: "x", At: uptr(2)}}}}, []history.EventOp{fork}, history.Result{})
	r.asks(history.Input{Writes: []history.Write{increment("k", "1")}}, []history.EventOp{wrote("k", 3, `{"n":3.5}`)}, history.Result{Key: "k", Version: 3, Value: `{"n":3.5}`})
	own := put("y", "own", "1")
	r.asks(history.Input{Writes: []history.Write{own}}, []history.EventOp{{Name: own.Name, Version: 1, Value: own.Value}}).Out.Versions[0].Version = 1
	return history.Input{Namespace: "ns", Agent: "y", Lineage: true, AllOperations: true}
}

// shows adds a replay that showed these commits.
func (r *reference) shows(in history.Input, commits ...int) {
	op := r.told(history.Replay, in, history.Output{})
	b := history.Batch{Time: op.Return}
	for _, n := range commits {
		b.Events, b.Cursor = append(b.Events, r.h.Log[n-1]), max(b.Cursor, uint64(n))
	}
	op.Batches = []history.Batch{b}
}

func liesAboutBytes() []lie {
	return []lie{
		{"G3", "wrong-read", "bytes that one who asks for bytes is shown as an object", func(r *reference) { r.holds(logo, asObject, true) }},
		{"G3", "wrong-read", "an object that one who asks for bytes is shown as bytes", func(r *reference) { r.holds(asObject, logo, true) }},
		{"G3", "wrong-read", "bytes of another type", func(r *reference) { r.holds(logo, retyped, true) }},
		{"G3", "wrong-read", "bytes of another type, as an object", func(r *reference) { r.holds(retyped, asObject, false) }},
		{"G3", "wrong-read", "bytes as they are, for one who knows none", func(r *reference) { r.holds(logo, logo, false) }},
	}
}

func liesAboutLineage() []lie {
	return []lie{
		{"G5", "replay-gap", "a lineage without the parent's last event before the fork", func(r *reference) { r.shows(r.family(), 1, 3, 5) }},
		{"G5", "replay-gap", "a lineage that has it twice", func(r *reference) { r.shows(r.family(), 1, 2, 2, 3, 5) }},
		{"G5", "replay-gap", "a lineage in which the parent goes on", func(r *reference) { r.shows(r.family(), 1, 2, 3, 4, 5) }},
		{"G5", "replay-short", "a lineage without the fork's own events", func(r *reference) { r.shows(r.family(), 1, 2, 3) }},
		{"G5", "replay-gap", "a fork that is shown without its lineage", func(r *reference) { r.shows(r.family(), 3, 5) }},
		{"G5", "replay-gap", "a lineage that nobody asked for", func(r *reference) {
			in := r.family()
			in.Lineage = false
			r.shows(in, 1, 2, 3, 5)
		}},
	}
}

// TestBytesAndLineage: what is so is no lie, to neither judge.
func TestBytesAndLineage(t *testing.T) {
	for name, tell := range map[string]func(r *reference){ // each by itself
		"bytes":                       func(r *reference) { r.holds(logo, logo, true) },
		"bytes as an object":          func(r *reference) { r.holds(logo, asObject, false) },
		"an object that is one":       func(r *reference) { r.holds(asObject, asObject, true) },
		"an object, to one who knows": func(r *reference) { r.holds(asObject, asObject, false) },
		"now this, now that": func(r *reference) {
			r.holds(logo, asObject, false)
			r.holds(asObject, asObject, false)
			r.holds(retyped, retyped, true)
		},
		"a lineage": func(r *reference) { r.shows(r.family(), 1, 2, 3, 5) },
		"a part of a lineage": func(r *reference) {
			in := r.family()
			in.From, in.To = uptr(2), uptr(4)
			r.shows(in, 2, 3)
		},
		"the parent's own": func(r *reference) {
			in := r.family()
			in.Agent = "x"
			r.shows(in, 1, 2, 4)
		},
	} {
		for _, o := range []Options{{SkipSerial: true}, {SkipOracle: true}, {}} {
			r := newReference()
			tell(r)
			if got := Check(r.h, o); got.Verdict != verdict.OK {
				t.Errorf("%s: %s: %+v", name, got.Verdict, got.Violations)
			}
		}
	}
}
