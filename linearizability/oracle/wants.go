package oracle

import (
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
)

// want is what a commit is to do to a key.
type want struct {
	writes   []history.Write // one of these
	optional bool            // or nothing: no answer says that it was staged
}

type wants map[history.Name]want

// wanted lists what a transaction's commit is to do, by key, and its conditions
// on versions.
func (t *txn) wanted(op *history.Operation) (wants, []history.KeyCondition) {
	out := make(wants)
	conditions := slices.Clone(op.In.Keys)
	if op.Kind == history.Transact {
		for _, w := range op.In.Writes {
			if w.Expected != nil {
				conditions = append(conditions, history.KeyCondition{Name: w.Name, Expected: *w.Expected})
			}
			out[w.Name] = want{writes: []history.Write{w}}
		}
		return out, conditions
	}
	for _, s := range t.staged {
		if s.Outcome == history.OK && s.In.Expected != nil {
			conditions = append(conditions, history.KeyCondition{Name: s.In.Name(), Expected: *s.In.Expected})
		}
		if _, done := out[s.In.Name()]; done {
			continue
		}
		own := t.own(s.In.Name(), op)
		w := want{optional: !own.covers}
		for _, s := range own.writes {
			w.writes = append(w.writes, history.Write{Name: s.In.Name(), Value: s.In.Value, Delete: s.Kind == history.StageDelete})
		}
		if len(w.writes) > 0 {
			out[s.In.Name()] = w
		}
	}
	return out, conditions
}

// required is how many keys a commit must change.
func (w wants) required() int {
	n := 0
	for _, x := range w { // counted: order cannot matter
		if !x.optional {
			n++
		}
	}
	return n
}

func (w wants) String() string {
	var keys []string
	for n := range w { // sorted below
		verb := "write"
		if w[n].writes[len(w[n].writes)-1].Delete {
			verb = "delete"
		}
		keys = append(keys, fmt.Sprintf("%s %q of agent %q", verb, n.Key, n.Agent))
	}
	slices.Sort(keys)
	return strings.Join(keys, ", ")
}

// match reports whether an event is what was wanted.
func (w wants) match(ev *history.Event) bool {
	required := 0
	for i := range ev.Ops {
		o := &ev.Ops[i]
		x := w[o.Name]
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
	for n, x := range w { // all of them: order cannot matter
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
	return w.match(ev)
}
