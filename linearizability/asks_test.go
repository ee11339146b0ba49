package linearizability

import (
	"fmt"
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// asks makes a transact and the commit that came of it: what the log has, and what its client was told.
func (r *reference) asks(in history.Input, ops []history.EventOp, results ...history.Result) *history.Operation {
	r.now += 2
	id := len(r.h.Operations) + 1
	if in.TxnID == "" {
		in.TxnID = fmt.Sprintf("asks%d", id)
	}
	op := &history.Operation{ID: id, Client: "a", Kind: history.Transact, Call: r.now, Return: r.now + 1, In: in, Outcome: history.OK}
	r.h.Operations = append(r.h.Operations, op)
	op.Out = history.Output{CommitTS: r.head(), Results: results}
	if len(ops) > 0 {
		op.Out = history.Output{CommitTS: r.head() + 1, CommitTime: 1000 * r.now, Results: results}
		for i := range in.Writes {
			v := history.KeyVersion{Name: in.Writes[i].Name}
			if i < len(results) {
				v.Version = results[i].Version
			}
			op.Out.Versions = append(op.Out.Versions, v)
		}
		r.h.Log = append(r.h.Log, history.Event{CommitTS: op.Out.CommitTS, CommitTime: op.Out.CommitTime, TxnID: in.TxnID, Ops: ops})
	} else if n := len(r.h.Log); n > 0 {
		op.Out.CommitTime = r.h.Log[n-1].CommitTime
	}
	return op
}

// passes makes a commit of the daemon's own, at a time.
func (r *reference) passes(cause string, at int64, ops ...history.EventOp) {
	r.h.Log = append(r.h.Log, history.Event{CommitTS: r.head() + 1, CommitTime: at, TxnID: fmt.Sprint("own", r.head()), Principal: "statehouse", Cause: cause, Ops: ops})
}

// told adds an answer to something else.
func (r *reference) told(kind history.Kind, in history.Input, out history.Output) *history.Operation {
	r.now += 2
	op := &history.Operation{ID: len(r.h.Operations) + 1, Client: "b", Kind: kind, Call: r.now, Return: r.now + 1, In: in, Outcome: history.OK, Out: out}
	r.h.Operations = append(r.h.Operations, op)
	return op
}

func increment(key, delta string) history.Write {
	return history.Write{Name: history.Name{Namespace: "ns", Agent: "x", Key: key}, Op: history.Increment, With: &history.Arguments{Pointer: "/n", Delta: delta}}
}

func wrote(key string, version uint64, value string) history.EventOp {
	return history.EventOp{Name: history.Name{Namespace: "ns", Agent: "x", Key: key}, Version: version, Value: value}
}

func onLease(version uint64, deleted bool) history.EventOp {
	o := history.EventOp{Name: history.Name{Namespace: "ns", Agent: "x", Key: "l"}, Version: version, Delete: deleted, Lease: &history.LeaseChange{}}
	if !deleted {
		o.Lease = &history.LeaseChange{Holder: "a", TTL: 1}
	}
	return o
}

// counts increments twice, of which the second is in doubt.
func (r *reference) counts() *history.Operation {
	r.asks(history.Input{Writes: []history.Write{increment("k", "2")}}, []history.EventOp{wrote("k", 1, `{"n":2}`)}, history.Result{Key: "k", Version: 1, Value: `{"n":2}`})
	return r.asks(history.Input{Writes: []history.Write{increment("k", "0.5")}}, []history.EventOp{wrote("k", 2, `{"n":2.5}`)}, history.Result{Key: "k", Version: 2, Value: `{"n":2.5}`})
}

// leases acquires one for a millisecond.
func (r *reference) leases() *history.Operation {
	w := history.Write{Name: history.Name{Namespace: "ns", Agent: "x", Key: "l"}, Op: history.Acquire, With: &history.Arguments{Holder: "a", TTL: 1}}
	op := r.asks(history.Input{Writes: []history.Write{w}}, []history.EventOp{onLease(1, false)}, history.Result{Key: "l", Version: 1})
	op.Out.Results[0].Lease = &history.Lease{Namespace: "ns", Agent: "x", Lease: "l", Token: 1, Holder: "a", TTL: 1, Deadline: op.Out.CommitTime + 1_000_000, AcquiredTS: 1, AcquiredAt: op.Out.CommitTime}
	return op
}

var renewal = history.Input{Renewals: []history.Renewal{{Namespace: "ns", Agent: "x", Lease: "l", Token: 1, TTL: 1}}}

func liesAboutAsks() []lie {
	under := func(token uint64) history.Input {
		return history.Input{Writes: []history.Write{increment("k", "1")}, Keys: []history.KeyCondition{{Name: history.Name{Namespace: "ns", Agent: "x"}, Lease: "l", Expected: token}}}
	}
	one := []history.EventOp{wrote("k", 1, `{"n":1}`)}
	expiring := func(r *reference) *history.Operation {
		w := history.Write{Name: history.Name{Namespace: "ns", Agent: "x", Key: "k"}, Value: `{}`, With: &history.Arguments{TTL: 1}}
		return r.asks(history.Input{Writes: []history.Write{w}}, []history.EventOp{wrote("k", 1, `{}`)}, history.Result{})
	}
	return []lie{
		{"G2", "commit-differs", "an increment that is lost", func(r *reference) {
			r.counts()
			r.h.Log[1].Ops[0].Value, r.h.Operations[1].Out.Results[0].Value = `{"n":0.5}`, `{"n":0.5}`
		}},
		{"G2", "commit-differs", "an increment that is not exact", func(r *reference) {
			r.counts()
			r.h.Log[1].Ops[0].Value, r.h.Operations[1].Out.Results[0].Value = `{"n":2.5000001}`, `{"n":2.5000001}`
		}},
		{"G2", "commit-differs", "a number of a sequence that is given twice", func(r *reference) {
			w := history.Write{Name: history.Name{Namespace: "ns", Agent: "x", Key: "m-"}, Op: history.Append, Value: `{}`}
			for version := range uint64(2) {
				r.asks(history.Input{Writes: []history.Write{w}}, []history.EventOp{wrote("m-0000000000000001", version+1, `{}`)}, history.Result{Key: "m-0000000000000001", Version: version + 1})
			}
		}},
		{"G2", "commit-differs", "a lease that two hold", func(r *reference) {
			r.leases()
			op := r.leases()
			r.h.Log[1].Ops[0].Version, op.Out.Results[0].Version = 2, 2
		}},
		{"G6", "result-differs", "the value before an increment", func(r *reference) { r.counts().Out.Results[0].Value = `{"n":2}` }},
		{"G6", "results-differ", "no result", func(r *reference) { r.counts().Out.Results = nil }},
		{"G6", "version-differs", "another version", func(r *reference) { r.counts().Out.Versions[0].Version = 1 }},
		{"G6", "result-differs", "an acquisition without a lease", func(r *reference) { r.leases().Out.Results[0].Lease = nil }},
		{"G6", "token-differs", "another token", func(r *reference) { r.leases().Out.Results[0].Lease.Token = 7 }},
		{"G6", "deadline-differs", "a deadline before the time to live", func(r *reference) { r.leases().Out.Results[0].Lease.Deadline-- }},
		{"G3", "lease-not-held", "a commit under a lease that nobody holds", func(r *reference) {
			r.asks(under(1), one, history.Result{Key: "k", Version: 1, Value: `{"n":1}`})
		}},
		{"G3", "lease-not-held", "a commit under a lease that has lapsed", func(r *reference) {
			at := r.leases().Out.CommitTime
			r.passes("lapsed", at+1_000_000, onLease(2, true))
			r.now = at/1000 + 1001
			r.asks(under(1), one, history.Result{Key: "k", Version: 1, Value: `{"n":1}`})
		}},
		{"G3", "passed-early", "a lease that lapses before its deadline", func(r *reference) {
			r.passes("lapsed", r.leases().Out.CommitTime+999_999, onLease(2, true))
		}},
		{"G3", "passed-early", "a lease that lapses before the deadline that a renewal was answered", func(r *reference) {
			at := r.leases().Out.CommitTime
			r.told(history.RenewLeases, renewal, history.Output{Renewed: []history.Renewed{{Deadline: at + 2_000_000}}})
			r.passes("lapsed", at+1_000_000, onLease(2, true))
		}},
		{"G3", "passed-late", "a record that a later commit meets", func(r *reference) {
			r.now = expiring(r).Out.CommitTime/1000 + 1001
			r.asks(history.Input{Writes: []history.Write{increment("j", "1")}}, []history.EventOp{wrote("j", 1, `{"n":1}`)}, history.Result{Key: "j", Version: 1, Value: `{"n":1}`})
		}},
		{"G3", "passed-unasked", "a record that expires, and had no time to live", func(r *reference) {
			r.counts()
			r.passes("expired", 1000*r.now+5, history.EventOp{Name: history.Name{Namespace: "ns", Agent: "x", Key: "k"}, Version: 3, Delete: true})
		}},
		{"G3", "cause-differs", "a write in the daemon's name", func(r *reference) {
			r.counts()
			r.passes("expired", 1000*r.now+5, wrote("k", 3, `{"n":3}`))
		}},
		{"G3", "renewed-after-lost", "a renewal of a lease that was never acquired", func(r *reference) {
			r.counts()
			r.told(history.RenewLeases, renewal, history.Output{Renewed: []history.Renewed{{Deadline: 1 << 60}}})
		}},
		{"G3", "renewed-after-lost", "a lease that is held, and called lost", func(r *reference) {
			r.leases()
			r.told(history.RenewLeases, renewal, history.Output{Renewed: []history.Renewed{{Lost: true}}})
		}},
		{"G3", "deadline-differs", "a renewal for shorter than was asked", func(r *reference) {
			at := r.leases().Out.CommitTime
			r.told(history.RenewLeases, renewal, history.Output{Renewed: []history.Renewed{{Deadline: at + 999_999}}})
		}},
		{"G3", "moves-differ", "a renewal without an answer", func(r *reference) {
			r.leases()
			r.told(history.RenewLeases, renewal, history.Output{})
		}},
		{"G3", "refresh-differs", "a refresh of a record that does not expire", func(r *reference) {
			r.counts()
			r.told(history.RefreshExpiry, history.Input{Names: []history.Name{{Namespace: "ns", Agent: "x", Key: "k"}}}, history.Output{Refreshed: []history.Refreshed{{Version: 2, ExpiresAt: 7}}})
		}},
		{"G5", "fork-of-what-was", "a fork of an agent that had commits", func(r *reference) {
			r.counts()
			act := history.EventOp{Name: history.Name{Namespace: "ns", Agent: "x"}, Act: &history.Act{Kind: "forked", Agent: "y", CommitTS: 1}}
			r.asks(history.Input{Writes: []history.Write{{Name: act.Name, Op: history.Fork, With: &history.Arguments{Namespace: "ns", Agent: "y"}}}}, []history.EventOp{act}, history.Result{})
		}},
		{"G3", "unjustified-refusal", "a lease that nobody holds", func(r *reference) {
			r.counts()
			w := history.Write{Name: history.Name{Namespace: "ns", Agent: "x", Key: "l"}, Op: history.Acquire, With: &history.Arguments{TTL: 1}}
			refuse(r.asks(history.Input{Writes: []history.Write{w}}, nil), "LEASE_HELD", "namespace", "ns", "agent_id", "x", "lease", "l", "token", "1")
		}},
	}
}

// TestTruthsAboutAsks: what the lies are made of is right as it is.
func TestTruthsAboutAsks(t *testing.T) {
	for about, tell := range map[string]func(r *reference){ // each by itself
		"increments": func(r *reference) { r.counts() },
		"a lease that is renewed, and lapses": func(r *reference) {
			at := r.leases().Out.CommitTime
			r.told(history.RenewLeases, renewal, history.Output{Renewed: []history.Renewed{{Deadline: at + 2_000_000}}})
			r.passes("lapsed", at+2_000_000, onLease(2, true))
			r.told(history.RenewLeases, renewal, history.Output{Renewed: []history.Renewed{{Lost: true}}})
		},
		"a fork of which the parent goes on": func(r *reference) {
			r.counts()
			act := history.EventOp{Name: history.Name{Namespace: "ns", Agent: "z"}, Act: &history.Act{Kind: "forked", Namespace: "ns", Agent: "x", CommitTS: 1}}
			r.asks(history.Input{Writes: []history.Write{{Name: act.Name, Op: history.Fork, With: &history.Arguments{Namespace: "ns", Agent: "x", At: uptr(1)}}}}, []history.EventOp{act}, history.Result{})
			w := increment("k", "1")
			w.Agent = "z"
			o := wrote("k", 2, `{"n":3}`)
			o.Agent = "z"
			r.asks(history.Input{Writes: []history.Write{w}}, []history.EventOp{o}, history.Result{Key: "k", Version: 2, Value: `{"n":3}`})
		},
	} {
		r := newReference()
		if tell(r); true {
			for _, o := range []Options{{SkipSerial: true}, {SkipOracle: true}, {}} {
				if got := Check(r.h, o); got.Verdict != verdict.OK {
					t.Errorf("%s: %s: %+v", about, got.Verdict, got.Violations)
				}
			}
		}
	}
}
