package oracle

import (
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/evaluate"
	"statehouse.dev/statehouse/linearizability/oracle/model"
)

// Operations that the daemon evaluates when their turn comes. What they must come to follows from the
// state before their commit (package evaluate): the log must hold exactly that, and the client be told it.

// evaluates reports whether the daemon decides what some operation of a transact writes.
func evaluates(op *history.Operation) bool {
	return op.Kind == history.Transact && slices.ContainsFunc(op.In.Writes, func(w history.Write) bool { return w.Evaluates() })
}

// before is the commit that a request was decided after: the one before its event or, of one without,
// that at which it was answered.
func before(ev *history.Event, answered uint64) uint64 {
	if ev != nil {
		return ev.CommitTS - 1
	}
	return answered
}

// conditionsOf are the conditions of a transact on keys and leases.
func conditionsOf(op *history.Operation) []history.KeyCondition {
	list := slices.Clone(op.In.Keys)
	for i := range op.In.Writes {
		if w := &op.In.Writes[i]; w.Expected != nil {
			list = append(list, history.KeyCondition{Name: w.Name, Expected: *w.Expected})
		}
	}
	return list
}

// headsOf are its conditions on heads: an agent that begins as a fork has none.
func headsOf(op *history.Operation) []history.HeadCondition {
	list := slices.Clone(op.In.Heads)
	for i := range op.In.Writes {
		if w := &op.In.Writes[i]; w.Op == history.Fork {
			list = append(list, history.HeadCondition{Namespace: w.Namespace, Agent: w.Agent})
		}
	}
	return list
}

// mayBeNothing reports whether a transact can come to nothing, so that there is no commit.
func mayBeNothing(op *history.Operation) bool {
	return !slices.ContainsFunc(op.In.Writes, func(w history.Write) bool {
		switch w.Op {
		case history.IfAbsent, history.DeletePrefix, history.DeleteAgent, history.Restore, history.Claim:
			return false
		}
		return true
	})
}

// requiredOf is how many keys and agents a commit must change.
func requiredOf(c *evaluate.Changes) int {
	n := len(c.Forks)
	for _, x := range c.Keys { // counted: order cannot matter
		if !x.Optional {
			n++
		}
	}
	return n
}

func showChanges(c *evaluate.Changes) string {
	if c.Refused != "" {
		return fmt.Sprintf("%s because of %q of agent %q", c.Refused, c.Because.Key, c.Because.Agent)
	}
	var list []string
	for n, x := range c.Keys { // sorted below
		text := fmt.Sprintf("%q of agent %q: %s", n.Key, n.Agent, x.Value)
		if x.Delete {
			text = fmt.Sprintf("delete %q of agent %q", n.Key, n.Agent)
		}
		list = append(list, text)
	}
	for a, act := range c.Forks { // sorted below
		list = append(list, fmt.Sprintf("agent %q begins as %q at %d", a.Agent, act.Agent, act.CommitTS))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// matchEvaluated reports whether an event is what had to come out.
func (j *judge) matchEvaluated(c *evaluate.Changes, ev *history.Event) bool {
	if c.Unjudged {
		return true
	}
	if c.Refused != "" {
		return false
	}
	required := 0
	for _, o := range j.model.Changes(ev) {
		if o.Due {
			continue // what becomes of records as ones that are due is not judged
		}
		if o.Act != nil {
			want, forks := c.Forks[history.AgentName{Namespace: o.Namespace, Agent: o.Agent}]
			got := *o.Act
			if got.Namespace == "" {
				got.Namespace = o.Namespace
			}
			if !forks || got != want {
				return false
			}
			required++
			continue
		}
		x, wanted := c.Keys[o.Name]
		if !wanted || x.Delete != o.Delete || !sameChange(&x, &o) {
			return false
		}
		if !x.Optional {
			required++
		}
	}
	return required == requiredOf(c)
}

// sameChange compares what a key must become with what the log says that it became.
func sameChange(x *evaluate.Change, o *history.EventOp) bool {
	switch {
	case model.Hidden(o.Name) && o.Lease != nil:
		return x.Lease != nil && (o.Delete || *x.Lease == *o.Lease)
	case o.Delete || o.Erased || o.Pruned:
		return true
	}
	return history.SameValue(x.Value, o.Value)
}

// checkResults compares what a client was told of its operations with what came of them. ev is nil when
// all came to nothing.
func (j *judge) checkResults(op *history.Operation, c *evaluate.Changes, ev *history.Event) {
	if c.Unjudged || c.Refused != "" {
		return // reported
	}
	out := op.Out.Results
	if len(out) != len(c.Results) || ev != nil && len(op.Out.Versions) != len(out) && len(j.model.Changes(ev)) > 0 {
		j.breaks(op, "G6", "results-differ", fmt.Sprint(len(c.Results)), fmt.Sprint(len(out)), "it was told the results of another number of operations than it has")
		return
	}
	versions := make(map[history.Name]history.EventOp)
	if ev != nil {
		for _, o := range j.model.Changes(ev) {
			versions[o.Name] = o
		}
	}
	for i := range out {
		r, want := &out[i], &c.Results[i]
		made := versions[want.Name]
		if why := j.sameResult(op, r, want, made); why != "" {
			j.breaks(op, "G6", "result-differs", fmt.Sprintf("%+v", *want), fmt.Sprintf("%+v", *r), "it was told otherwise what came of operation %d: %s", i+1, why)
			return
		}
		if ev != nil && want.Changes && i < len(op.Out.Versions) && op.Out.Versions[i].Version != made.Version {
			j.breaks(op, "G6", "version-differs", fmt.Sprint(made.Version), fmt.Sprint(op.Out.Versions[i].Version), "it was told another version of key %q than commit %d made", want.Name.Key, ev.CommitTS)
			return
		}
		if want.Acquire != nil && ev != nil {
			j.checkAcquired(op, want, r.Lease, ev, made.Version)
		}
	}
}

func (j *judge) sameResult(op *history.Operation, r *history.Result, want *evaluate.Expected, made history.EventOp) string {
	version := want.Version
	if want.Changes {
		version = made.Version
	}
	plain := !model.Hidden(want.Name)
	switch {
	case plain && want.Changes && r.Key != want.Name.Key:
		return "another key"
	case (want.Changes || want.Existed) && r.Version != version:
		return "another version"
	case r.Existed != want.Existed:
		return "whether it existed"
	case op.In.NoValues || r.Value == "" && made.Erased:
		return ""
	case !shownAs(&op.In, r.Value, r.Inexact, want.Value):
		return "another value"
	}
	return ""
}

// checkAcquired: whoever acquired a lease is told its token and when it lapses.
func (j *judge) checkAcquired(op *history.Operation, want *evaluate.Expected, l *history.Lease, ev *history.Event, token uint64) {
	w, with := want.Acquire, want.Acquire.Arguments()
	deadline := ev.CommitTime + int64(with.TTL)*1e6
	switch {
	case l == nil:
		j.breaks(op, "G6", "result-differs", "a lease", "none", "it was not told of the lease that it acquired")
	case l.Token != token || l.Agent != w.Agent || l.Lease != w.Key || l.Namespace != w.Namespace:
		j.breaks(op, "G6", "token-differs", fmt.Sprint(token), fmt.Sprintf("%+v", *l), "it was told another token than that of lease %q", w.Key)
	case l.Deadline < deadline:
		j.breaks(op, "G6", "deadline-differs", fmt.Sprint(deadline), fmt.Sprint(l.Deadline), "it was told that lease %q lapses before its time to live", w.Key)
	}
}

// checkNotEvaluated: what a refusal says was so at some point at which it can have been decided.
func (j *judge) checkNotEvaluated(t *txn, op *history.Operation) {
	first := j.firstCall(t)
	low, _ := j.bounds.low(first)
	high := j.bounds.high(op.Return, j.model.Head)
	if slices.ContainsFunc(op.In.Writes, func(w history.Write) bool {
		return w.Op == history.Claim || w.Op == history.Acquire && op.Error.Code == "EVALUATION_FAILED"
	}) {
		return // of how much is claimed, and of how many leases an agent may have
	}
	if asks, _ := asksOfWakes(op); slices.ContainsFunc(op.In.Writes, underClaim) {
		if op.Error.Code != "LEASE_LOST" || len(op.In.Writes) > 1 || len(op.In.Keys) > 0 || j.lostClaim(asks, low, high) {
			return
		}
	} else if j.refusedBetween(op, low, high) {
		return
	}
	if j.early(first) {
		j.count(op, &j.stats.BeforeBase)
		return
	}
	j.breaks(op, "G3", "unjustified-refusal", "", op.Error.Message, "at no point at which it can have been decided was it so")
}

// refusedBetween reports whether a request must be refused as it was at some point.
func (j *judge) refusedBetween(op *history.Operation, low, high uint64) bool {
	for ts := max(low, j.model.Base); ts <= high; ts++ {
		if j.refusedAt(op, ts) {
			return true
		}
	}
	return false
}

// refusedAt reports whether a request must be refused as it was, if it was decided after a commit.
func (j *judge) refusedAt(op *history.Operation, ts uint64) bool {
	r := op.Error
	if r.Code == "LEASE_LOST" {
		for i := range op.In.Keys {
			if k := &op.In.Keys[i]; k.Lease != "" && !j.met(k, ts) && j.saysLost(r, k.Lease, k.Expected, model.Key(k), ts) {
				return true
			}
		}
	}
	if !evaluates(op) {
		return false
	}
	c := evaluate.Of(j.model, op, ts)
	switch {
	case c.Unjudged:
		return true
	case c.Refused != r.Code:
		return false
	case r.Code == "LEASE_HELD":
		v := j.model.At(c.Because, ts)
		return v == nil || r.Says("token", v.Num())
	case r.Code == "LEASE_LOST":
		return true
	}
	return r.Named().Key == c.Because.Key
}

// saysLost compares what a refusal says of a lease with how it was.
func (j *judge) saysLost(r *history.Refusal, lease string, token uint64, n history.Name, ts uint64) bool {
	if r.Details["lease"] != lease || !r.Says("token", token) {
		return false
	}
	v := j.model.At(n, ts)
	if current := r.Details["current_token"]; v.Exists() && current != "" {
		return r.Says("current_token", v.Num())
	}
	return r.Details["current_token"] == "" || r.Details["current_token"] == "0"
}
