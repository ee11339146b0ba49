package oracle

import (
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/evaluate"
)

// want is what a commit is to do to a key.
type want struct {
	writes   []history.Write // one of these
	optional bool            // or nothing: no answer says that it was staged
}

// wants is what a commit is to do: of each key, or what the daemon was to make of it.
type wants struct {
	keys      map[history.Name]want
	evaluated *evaluate.Changes // nil: nothing was to be evaluated
}

// wanted lists what a transaction's commit is to do, by key, if it is decided right after the
// commit before, and its conditions on versions.
func (j *judge) wanted(t *txn, op *history.Operation, before uint64) (wants, []history.KeyCondition) {
	out := wants{keys: make(map[history.Name]want)}
	if evaluates(op) {
		out.evaluated = evaluate.Of(j.model, op, before)
		return out, conditionsOf(op)
	}
	conditions := slices.Clone(op.In.Keys)
	if op.Kind == history.Transact {
		for _, w := range op.In.Writes {
			out.keys[w.Name] = want{writes: []history.Write{w}}
		}
		return out, conditionsOf(op)
	}
	for _, s := range t.staged {
		if s.Outcome == history.OK && s.In.Expected != nil {
			conditions = append(conditions, history.KeyCondition{Name: s.In.Name(), Expected: *s.In.Expected})
		}
		if _, done := out.keys[s.In.Name()]; done {
			continue
		}
		own := t.own(s.In.Name(), op)
		w := want{optional: !own.covers}
		for _, s := range own.writes {
			w.writes = append(w.writes, history.Write{Name: s.In.Name(), Value: s.In.Value, Delete: s.Kind == history.StageDelete})
		}
		if len(w.writes) > 0 {
			out.keys[s.In.Name()] = w
		}
	}
	return out, conditions
}

// required is how many keys a commit must change.
func (w wants) required() int {
	n := 0
	if w.evaluated != nil {
		return requiredOf(w.evaluated)
	}
	for _, x := range w.keys { // counted: order cannot matter
		if !x.optional {
			n++
		}
	}
	return n
}

func (w wants) String() string {
	var keys []string
	if w.evaluated != nil {
		return showChanges(w.evaluated)
	}
	for n := range w.keys { // sorted below
		verb := "write"
		if w.keys[n].writes[len(w.keys[n].writes)-1].Delete {
			verb = "delete"
		}
		keys = append(keys, fmt.Sprintf("%s %q of agent %q", verb, n.Key, n.Agent))
	}
	slices.Sort(keys)
	return strings.Join(keys, ", ")
}

// match reports whether an event is what was wanted.
func (j *judge) match(w wants, ev *history.Event) bool {
	if w.evaluated != nil {
		return j.matchEvaluated(w.evaluated, ev)
	}
	required := 0
	for i := range ev.Ops {
		o := &ev.Ops[i]
		if o.Due {
			continue // what becomes of records as ones that are due is not judged
		}
		if o.Lease != nil || o.Act != nil {
			return false
		}
		x := w.keys[o.Name]
		if !slices.ContainsFunc(x.writes, func(w history.Write) bool {
			return w.Delete == o.Delete && (o.Delete || o.Erased || o.Pruned || history.SameValue(w.Value, o.Value))
		}) {
			return false
		}
		if !x.optional {
			required++
		}
	}
	return required == w.required()
}

// within reports whether an event can be what was wanted, if other writes were staged besides
// and after.
func (w wants) within(ev *history.Event) bool {
	for n, x := range w.keys { // all of them: order cannot matter
		if !x.optional && !slices.ContainsFunc(ev.Ops, func(o history.EventOp) bool { return o.Name == n }) {
			return false
		}
	}
	return true
}

// did reports whether an event can be what a request wanted.
func (j *judge) did(t *txn, op *history.Operation, w wants, ev *history.Event) bool {
	if op.Kind == history.Commit && j.hidden(t) {
		return w.within(ev)
	}
	return j.match(w, ev)
}
