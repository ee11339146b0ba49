package serial

import (
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
)

// Operations that the daemon evaluates. What they did is in what their client was told: a key and what it
// holds now. That is a constraint like any other; of increments, what was there before and after must
// differ by what was added, and nothing else. Leases are keys of another kind.
//
// What an operation on many keys did only the log tells, and where that has it as one act the keys of
// that agent are left out: see leaveOut.

// leaseMark begins the names of leases, which are no keys: those have no control characters.
const leaseMark = "\x00lease:"

// dueLease begins the names of the leases of claims, which the key of the record that is due follows.
const dueLease = "due:"

func leaseOf(ns, agent, lease string) history.Name {
	return history.Name{Namespace: ns, Agent: agent, Key: leaseMark + lease}
}

func isLease(n history.Name) bool { return strings.HasPrefix(n.Key, "\x00") }

// keptAs is the name of what an operation of the log changed.
func keptAs(o *history.EventOp) history.Name {
	switch {
	case o.Lease != nil:
		return leaseOf(o.Namespace, o.Agent, o.Key)
	case o.Due:
		return leaseOf(o.Namespace, o.Agent, dueLease+o.Key) // its version is the token of a claim
	}
	return o.Name
}

// held is a lease under a token.
func held(token uint64) facts {
	return facts{known: knowsExists | knowsVersion, exists: true, version: token}
}

// overRange reports whether an operation's effect is not in its request nor in its answer.
func overRange(op *history.Operation) bool {
	return op.Outcome != history.Fail && slices.ContainsFunc(op.In.Writes, func(w history.Write) bool {
		switch w.Op {
		case history.DeletePrefix, history.DeleteAgent, history.Restore, history.Fork, history.Claim, history.Complete:
			return true
		case history.Append, history.IfAbsent:
			return len(op.Out.Results) != len(op.In.Writes)
		}
		return isDue(&w)
	})
}

// mayBeNothing reports whether a transact can change nothing, so that there is no commit.
func mayBeNothing(op *history.Operation) bool {
	for i := range op.In.Writes {
		switch op.In.Writes[i].Op {
		case history.IfAbsent, history.DeletePrefix, history.DeleteAgent, history.Restore, history.Claim:
		default:
			return false
		}
	}
	return true
}

// logKnows reports whether what requests did is better read in the log than in their answers.
func logKnows(list []*history.Operation) bool {
	return slices.ContainsFunc(list, func(op *history.Operation) bool {
		evaluates := slices.ContainsFunc(op.In.Writes, func(w history.Write) bool { return w.Evaluates() })
		return overRange(op) || evaluates && len(op.Out.Results) != len(op.In.Writes)
	})
}

// actedOn are the agents that the log has acts on, or that began as forks.
func actedOn(h *history.History) map[history.AgentName]bool {
	var list map[history.AgentName]bool
	for i := range h.Log {
		for k := range h.Log[i].Ops {
			if o := &h.Log[i].Ops[k]; o.Act != nil {
				if list == nil {
					list = make(map[history.AgentName]bool)
				}
				list[history.AgentName{Namespace: o.Namespace, Agent: o.Agent}] = true
			}
		}
	}
	return list
}

// leaveOut takes the keys of such agents out of all constraints. Their heads stay.
func (c *constraints) leaveOut() {
	if len(c.acts) == 0 {
		return
	}
	out := func(n history.Name) bool {
		return n.Key != "" && !isLease(n) && c.acts[history.AgentName{Namespace: n.Namespace, Agent: n.Agent}]
	}
	for _, list := range [][]*constraint{c.placed, c.free, c.refused} {
		for _, a := range list {
			a.sees = slices.DeleteFunc(a.sees, func(s sight) bool { return out(s.name) })
			a.does = slices.DeleteFunc(a.does, func(e effect) bool { return out(e.name) })
			a.lists = slices.DeleteFunc(a.lists, func(s stretch) bool { return c.acts[s.agent] })
		}
	}
}

// came is what an operation of a transact did, as its client was told.
func (c *constraints) came(op *history.Operation, i int) []effect {
	w, with := &op.In.Writes[i], op.In.Writes[i].Arguments()
	told := history.Result{}
	known := len(op.Out.Results) == len(op.In.Writes)
	if known {
		told = op.Out.Results[i]
	}
	switch w.Op {
	case history.Acquire:
		return []effect{{name: leaseOf(w.Namespace, w.Agent, w.Key), blur: !known, facts: facts{known: knowsExists, exists: true}}}
	case history.Release:
		return []effect{{name: leaseOf(w.Namespace, w.Agent, w.Key), blur: !known, facts: facts{known: knowsExists}}}
	case history.Increment, history.Merge:
		e := effect{name: w.Name, blur: !known}
		if known {
			e.facts = facts{known: knowsExists, exists: true}
			if told.Value != "" { // which is no bytes: of those there is no sum
				e.known, e.value = e.known|knowsValue, c.canonical(told.Value)
			}
			if !op.In.Doubles && e.known&knowsValue != 0 && !c.rounds {
				e.pointer, e.delta = with.Pointer, with.Delta
			}
		}
		return []effect{e}
	case history.Append, history.IfAbsent:
		if !known || told.Existed {
			return nil
		}
		n := w.Name
		if w.Op == history.Append {
			n.Key = told.Key
		}
		return []effect{{name: n, facts: facts{known: knowsExists | knowsValue, exists: true, value: c.canonical(w.Value)}}}
	}
	return nil
}

// wantsResults adds what must have been so for a transact to be told what it was.
func (c *constraints) wantsResults(a *constraint, op *history.Operation) {
	see := func(n history.Name, f facts) { a.sees = append(a.sees, sight{n, f}) }
	released := make(map[history.Name]bool)
	for i := range op.In.Writes {
		w, with := &op.In.Writes[i], op.In.Writes[i].Arguments()
		lease := leaseOf(w.Namespace, w.Agent, w.Key)
		switch w.Op {
		case history.Acquire:
			if !released[lease] {
				see(lease, facts{known: knowsExists})
			}
		case history.Release:
			released[lease] = true
			see(lease, heldUnder(lease, with.Token))
		case history.Complete:
			lease = leaseOf(w.Namespace, w.Agent, dueLease+w.Key)
			see(lease, heldUnder(lease, with.Token))
		case history.Claim:
			c.wantsReady(a, op)
		case history.IfAbsent:
			if len(op.Out.Results) != len(op.In.Writes) {
				continue
			}
			if r := &op.Out.Results[i]; !r.Existed {
				see(w.Name, facts{known: knowsExists})
			} else {
				f := facts{known: knowsExists | knowsVersion, exists: true, version: r.Version}
				if r.Value != "" {
					f = c.showing(f, op, r.Value)
				}
				see(w.Name, f)
			}
		case history.Append:
			if len(op.Out.Results) == len(op.In.Writes) {
				see(history.Name{Namespace: w.Namespace, Agent: w.Agent, Key: op.Out.Results[i].Key}, facts{known: knowsExists | knowsVersion})
			}
		}
	}
}

// versionsOf are the versions that a client was told, under the names of the model.
func versionsOf(op *history.Operation) []history.KeyVersion {
	if op.Kind != history.Transact || len(op.Out.Versions) != len(op.In.Writes) {
		return op.Out.Versions
	}
	list := slices.Clone(op.Out.Versions)
	for i := range list {
		switch w := &op.In.Writes[i]; w.Op {
		case history.Acquire, history.Release:
			list[i].Name = leaseOf(w.Namespace, w.Agent, w.Key)
		case history.Complete:
			list[i].Name = leaseOf(w.Namespace, w.Agent, dueLease+w.Key)
		case history.Append:
			if i < len(op.Out.Results) {
				list[i].Key = op.Out.Results[i].Key
			}
		}
	}
	return list
}

// addFound adds the records that a find showed. What it has not shown says nothing.
func (c *constraints) addFound(op *history.Operation) {
	if op.Out.ReadTS < c.base {
		return
	}
	v := &constraint{op: op, call: op.Call, ret: op.Return, placed: true, point: op.Out.ReadTS}
	switch {
	case op.In.At != nil:
		v.call, v.point = -1<<63, *op.In.At
	case op.In.MaxStale > 0:
		v.call = -1 << 63
	}
	for i := range op.Out.Records {
		v.sees = append(v.sees, c.sight(op, &op.Out.Records[i]))
	}
	c.placed = append(c.placed, v)
}

// addRenewals adds that leases were held when they were renewed. It has no place in the order.
func (c *constraints) addRenewals(op *history.Operation) {
	if c.missing.before || c.missing.requests() || len(op.Out.Renewed) != len(op.In.Renewals) {
		return
	}
	for i, r := range op.In.Renewals {
		if !op.Out.Renewed[i].Lost {
			c.refused = append(c.refused, &constraint{
				op: op, call: op.Call, ret: op.Return, firm: true,
				sees: []sight{{leaseOf(r.Namespace, r.Agent, r.Lease), heldUnder(leaseOf(r.Namespace, r.Agent, r.Lease), r.Token)}},
			})
		}
	}
}

// refusedLease is what a refusal says of a lease; not ok: it is of none, or says nothing.
func refusedLease(r *history.Refusal) (s sight, ok bool) {
	named := r.Named()
	s.name = leaseOf(named.Namespace, named.Agent, r.Details["lease"])
	if lease := r.Details["lease"]; lease == "" || strings.HasPrefix(lease, dueLease) {
		return s, false // what becomes of records as ones that are due is not judged
	}
	switch r.Code {
	case "LEASE_HELD":
		token, has := tokenOf(r.Details["token"])
		s.facts = held(token)
		return s, has
	case "LEASE_LOST":
		if token, has := tokenOf(r.Details["current_token"]); has && token > 0 {
			s.facts = held(token)
		} else {
			s.facts = facts{known: knowsExists}
		}
		return s, true
	}
	return s, false
}
