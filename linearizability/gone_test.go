package linearizability

import (
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// eraseAll is the daemon's own commit that erases a key: it deletes it, and takes the values from
// the log and from all answers to come.
func (r *reference) eraseAll(n history.Name) {
	r.commit(&openTxn{}, &history.Input{TxnID: "erasure"}, []history.Write{{Name: n, Delete: true}})
	mark := func(ts int) {
		rec := r.at[ts][n]
		rec.Erased, rec.Value = true, ""
		r.at[ts][n] = rec
	}
	for i := range r.h.Log {
		ev := &r.h.Log[i]
		for k := range ev.Ops {
			if o := &ev.Ops[k]; o.Name == n {
				o.Erased, o.Value = true, ""
				ev.Metadata = nil
				mark(i + 1)
			}
		}
	}
}

// TestGone: what answers show as erased or dropped is so in the log, and before it was, they showed
// the value.
func TestGone(t *testing.T) {
	var before, version, list, stream *history.Operation
	for _, c := range []struct {
		about string
		spoil func(h *history.History)
		right bool
	}{
		{"all is well", func(*history.History) {}, true},
		{"a value that the log has", func(h *history.History) { h.Log[0].Ops[0].Erased, h.Log[0].Ops[0].Value = false, `{"v":"1"}` }, false},
		{"shown and said to be gone", func(*history.History) { version.Out.Records[0].Value = `{"v":"1"}` }, false},
		{"shown after it was erased, which no answer dates", func(*history.History) {
			version.Out.Records[0].Erased, version.Out.Records[0].Value = false, `{"v":"1"}`
		}, true},
		{"neither a value nor gone", func(*history.History) { version.Out.Records[0].Erased = false }, false},
		{"erased of one that is not", func(*history.History) { list.Out.Records[0].Erased = true }, false},
		{"dropped, of the current one", func(*history.History) { list.Out.Records[0].Pruned = true }, false},
		{"both", func(*history.History) { version.Out.Records[0].Pruned = true }, false},
		{"a stream that shows another's value", func(*history.History) { stream.Batches[0].Events[2].Ops[0].Value = "{}" }, false},
		{"erased before it was written", func(*history.History) { before.Out.Records[0].Erased, before.Out.Records[0].Value = true, "" }, true},
	} {
		r := newReference()
		r.transact("a", put("x", "k", "1"))
		before = r.get("b", "x", "k")
		r.do("a", history.Transact, history.Input{TxnID: "m", Writes: []history.Write{put("x", "k", "2")}, Metadata: map[string]string{"actor": "a"}})
		r.transact("a", put("x", "l", "1"))
		r.eraseAll(key("x", "k"))
		version = r.do("b", history.GetVersion, history.Input{Agent: "x", Key: "k", KeyVersion: 1})
		r.do("b", history.KeyHistory, history.Input{Agent: "x", Key: "k"})
		r.get("b", "x", "k")
		list = r.do("b", history.Scan, history.Input{Agent: "x"})
		stream = r.do("b", history.Replay, history.Input{Namespace: "ns", AllAgents: true})
		c.spoil(r.h)
		if got := Check(r.h, Options{}); (got.Verdict == verdict.OK) != c.right {
			t.Errorf("%s: %s %+v", c.about, got.Verdict, got.Violations)
		}
		if c.about != "all is well" {
			continue
		}
		if r.h.Log, r.h.Complete = nil, false; len(r.h.Rebuild()) > 0 || Check(r.h, Options{}).Verdict != verdict.OK {
			t.Errorf("a log made of the answers: %+v", Check(r.h, Options{}).Violations)
		}
	}
}
