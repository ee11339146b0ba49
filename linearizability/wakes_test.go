package linearizability

import (
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

func onWake(version uint64, deleted bool) history.EventOp {
	return history.EventOp{Name: key("x", "k"), Version: version, Delete: deleted, Due: true}
}

// due makes a record that is due after a millisecond, and which the daemon makes ready then.
func (r *reference) due() {
	in := uint64(1)
	w := history.Write{Name: key("x", "k"), Value: `{}`, With: &history.Arguments{DueIn: &in}}
	op := r.asks(history.Input{Writes: []history.Write{w}}, []history.EventOp{wrote("k", 1, `{}`), onWake(1, false)}, history.Result{Key: "k", Version: 1})
	r.passes("due", op.Out.CommitTime+1_000_000, onWake(2, false))
	r.now = op.Out.CommitTime/1000 + 1001
}

// claims hands out the record, as a version of what it is due as.
func (r *reference) claims(token uint64) *history.Operation {
	w := history.Write{Name: key("x", ""), Op: history.Claim, With: &history.Arguments{Holder: "a", TTL: 1000, Limit: 2}}
	op := r.asks(history.Input{Writes: []history.Write{w}}, []history.EventOp{onWake(token, false)}, history.Result{Version: token})
	op.Out.Results[0].Claimed = []history.DueRecord{{
		Record: &history.Record{Name: history.Name{Key: "k"}, Exists: true, Version: 1, Value: `{}`},
		Lease:  &history.Lease{Namespace: "ns", Agent: "x", Lease: "due:k", Token: token, Holder: "a", TTL: 1000, Deadline: op.Out.CommitTime + 1_000_000_000},
	}}
	return op
}

// under does something under the token of a claim.
func (r *reference) under(w history.Write, token uint64, came ...history.EventOp) *history.Operation {
	w.With = &history.Arguments{Token: token}
	return r.asks(history.Input{Writes: []history.Write{w}}, came, history.Result{Key: "k", Version: token + 1})
}

var (
	completes = history.Write{Name: key("x", "k"), Op: history.Complete}
	gives     = history.Write{Name: key("x", "due:k"), Op: history.Release}
)

func liesAboutWakes() []lie {
	return []lie{
		{"G3", "claimed-not-ready", "a record that is handed out twice", func(r *reference) { r.due(); r.claims(3); r.claims(4) }},
		{"G3", "claimed-not-ready", "a record that is handed out before its time", func(r *reference) {
			r.due()
			r.forget(1)
			r.claims(2)
		}},
		{"G3", "claim-not-held", "a record that is completed after the claim was given back", func(r *reference) {
			r.due()
			r.claims(3)
			r.under(gives, 3, onWake(4, false))
			r.under(completes, 3, onWake(5, true))
		}},
		{"G3", "claim-not-held", "a record that is completed under the version of what is ready", func(r *reference) { r.due(); r.under(completes, 2, onWake(3, true)) }},
		{"G3", "wake-not-changed", "a record that is completed, and stays due", func(r *reference) {
			r.due()
			r.claims(3)
			r.under(completes, 3, wrote("j", 1, `{}`))
		}},
		{"G3", "woken-wrongly", "a record that becomes due twice", func(r *reference) { r.due(); r.passes("due", 1000*r.now, onWake(3, false)) }},
		{"G3", "wake-changed-unasked", "a write that ends it", func(r *reference) {
			r.due()
			r.asks(history.Input{Writes: []history.Write{put("x", "k", "2")}}, []history.EventOp{wrote("k", 2, put("x", "k", "2").Value), onWake(3, true)}, history.Result{Key: "k", Version: 2})
		}},
		{"G3", "wake-outlives-record", "a delete that leaves it", func(r *reference) {
			r.due()
			r.asks(history.Input{Writes: []history.Write{{Name: key("x", "k"), Delete: true}}}, []history.EventOp{{Name: key("x", "k"), Version: 2, Delete: true}}, history.Result{Key: "k", Version: 2})
		}},
		{"G1", "claim-misses", "nothing is due, it is said", func(r *reference) {
			r.due()
			r.asks(history.Input{Writes: []history.Write{increment("j", "1")}}, []history.EventOp{wrote("j", 1, `{"n":1}`)}, history.Result{Key: "j", Version: 1, Value: `{"n":1}`})
			w := history.Write{Name: key("x", ""), Op: history.Claim, With: &history.Arguments{TTL: 1000}}
			r.asks(history.Input{Writes: []history.Write{w}}, nil, history.Result{})
		}},
		{"G3", "claim-differs", "another token", func(r *reference) { r.due(); r.claims(3).Out.Results[0].Claimed[0].Lease.Token = 4 }},
		{"G3", "claim-differs", "another version of the record", func(r *reference) { r.due(); r.claims(3).Out.Results[0].Claimed[0].Record.Version = 2 }},
		{"G3", "claim-differs", "a record that nobody is told of", func(r *reference) { r.due(); r.claims(3).Out.Results[0].Claimed = nil }},
		{"G3", "unjustified-refusal", "a claim that is held, and called lost", func(r *reference) {
			r.due()
			r.claims(3)
			refuse(r.under(completes, 3), "LEASE_LOST", "namespace", "ns", "agent_id", "x", "lease", "due:k", "token", "3")
		}},
	}
}

// TestWakes: what is so is no lie, to neither judge; and the second one, too, sees what is handed out twice, and what
// is completed under a claim that is not held.
func TestWakes(t *testing.T) {
	for name, tell := range map[string]func(r *reference){
		"handed out and completed": func(r *reference) { r.due(); r.claims(3); r.under(completes, 3, onWake(4, true)) },
		"given back and handed out": func(r *reference) {
			r.due()
			r.claims(3)
			r.under(gives, 3, onWake(4, false))
			r.claims(5)
		},
	} {
		r := newReference()
		if tell(r); Check(r.h, Options{}).Verdict != verdict.OK {
			t.Errorf("%s: %+v", name, Check(r.h, Options{}).Violations)
		}
	}
	for _, l := range liesAboutWakes() {
		if l.check != "claimed-not-ready" && l.check != "claim-not-held" {
			continue
		}
		r := newReference()
		if l.tell(r); Check(r.h, Options{SkipOracle: true}).Verdict != verdict.Illegal {
			t.Errorf("%s: the second judge does not see it", l.about)
		}
	}
}
