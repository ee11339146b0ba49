package model

import (
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
)

// An act on a range is one operation in the log. What it did to each key follows from the state
// before it, and of a restore or a fork from that of then.

// acts adds what the acts of a commit did to keys, and remembers it: see Changes.
func (f *folding) acts(ev *history.Event) {
	if !slices.ContainsFunc(ev.Ops, func(o history.EventOp) bool { return o.Act != nil }) {
		return
	}
	m := f.model
	var all []history.EventOp
	for i := range ev.Ops {
		o := &ev.Ops[i]
		if o.Act == nil {
			all = append(all, Plain(*o))
			continue
		}
		if o.Act.Kind == "forked" {
			all = append(all, *o)
			f.fork(ev, o)
			continue
		}
		for _, n := range m.under(o.Name) {
			if did, any := m.did(o, n, ev.CommitTS); any {
				m.add(n, Version{TS: ev.CommitTS, Number: did.Version, Deleted: did.Delete, Value: did.Value, Event: ev})
				all = append(all, did)
			}
		}
	}
	m.expanded[ev.CommitTS] = all
}

// did is what an act did to a key; not any: nothing, or the commit changed it by itself.
func (m *Model) did(o *history.EventOp, n history.Name, ts uint64) (did history.EventOp, any bool) {
	now := m.At(n, ts)
	if now != nil && now.TS == ts {
		return did, false
	}
	did = history.EventOp{Name: n, Version: now.Num() + 1, Delete: true}
	if o.Act.Kind == "deleted" {
		return did, now.Exists()
	}
	then := m.At(history.Name{Namespace: n.Namespace, Agent: n.Agent, Key: n.Key}, o.Act.CommitTS)
	if then.Exists() {
		did.Delete, did.Value = false, then.Value
	}
	return did, Differs(then, now) && !(then.Exists() && now.Exists() && then.Value == now.Value)
}

// Differs reports whether the state of a key is another one than that of then.
func Differs(then, now *Version) bool {
	return then.Num() != now.Num() && (then.Exists() || now.Exists())
}

// under are the keys of an agent that begin with a prefix and were ever written, in order.
func (m *Model) under(prefix history.Name) []history.Name {
	return m.Under(history.AgentName{Namespace: prefix.Namespace, Agent: prefix.Agent}, prefix.Key)
}

// Under are the keys of an agent that begin with a prefix and were ever written, in order.
func (m *Model) Under(a history.AgentName, prefix string) []history.Name {
	var list []history.Name
	for _, k := range m.Sorted[a] {
		if strings.HasPrefix(k, prefix) {
			list = append(list, history.Name{Namespace: a.Namespace, Agent: a.Agent, Key: k})
		}
	}
	slices.SortFunc(list, history.CompareNames)
	return list
}

// fork gives an agent the past of its parent.
func (f *folding) fork(ev *history.Event, o *history.EventOp) {
	m := f.model
	child := history.AgentName{Namespace: o.Namespace, Agent: o.Agent}
	parent := history.AgentName{Namespace: o.Act.Namespace, Agent: o.Act.Agent}
	if parent.Namespace == "" {
		parent.Namespace = child.Namespace
	}
	if list := m.Agents[child]; len(list) > 0 && list[0] < ev.CommitTS {
		f.badLog(ev, "fork-of-what-was", "commit %d makes agent %q a fork, which had commits before", ev.CommitTS, child.Agent)
		return
	}
	m.Forks[child] = &Fork{TS: ev.CommitTS, Parent: parent, At: o.Act.CommitTS}
	for _, n := range m.Under(parent, "") {
		own := history.Name{Namespace: child.Namespace, Agent: child.Agent, Key: n.Key}
		for _, v := range m.Keys[n] {
			if v.TS > o.Act.CommitTS {
				break
			}
			v.Inherited = v.CommitTS()
			v.TS = ev.CommitTS
			m.add(own, v)
		}
	}
}

// Changes is what a commit did, key by key, leases and due records under their names here. That an
// agent began as a fork stays one operation.
func (m *Model) Changes(ev *history.Event) []history.EventOp {
	if all, expanded := m.expanded[ev.CommitTS]; expanded {
		return all
	}
	if !slices.ContainsFunc(ev.Ops, func(o history.EventOp) bool { return o.Lease != nil || o.Due }) {
		return ev.Ops
	}
	all := make([]history.EventOp, len(ev.Ops))
	for i := range ev.Ops {
		all[i] = Plain(ev.Ops[i])
	}
	return all
}

// Inherits are the records that an agent which was forked began with, in order, as a reader is shown
// them who knows of no forks.
func (m *Model) Inherits(a history.AgentName) []history.EventOp {
	fork := m.Forks[a]
	if fork == nil {
		return nil
	}
	var list []history.EventOp
	for _, n := range m.Under(a, "") {
		if v := m.inherited(n, fork.TS); v.Exists() {
			list = append(list, history.EventOp{Name: n, Version: v.Number, Value: v.Value, Erased: v.Lost})
		}
	}
	return list
}

// inherited is the state of a key that a fork began with.
func (m *Model) inherited(n history.Name, ts uint64) *Version {
	vs := m.Keys[n]
	for i := len(vs) - 1; i >= 0; i-- {
		if vs[i].TS == ts && vs[i].Inherited != 0 {
			return &vs[i]
		}
	}
	return nil
}
