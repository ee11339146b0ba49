package serial

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// search is one call of Porcupine: the model, and the constraints to order. Placed constraints
// come in the order of their places and no other, so that the search tries only what the
// answers leave open: where commits of unknown outcome can have been.
type search struct {
	part  *part
	moves []*move
	begin *ledger
	room  []int // for free commits, before each placed constraint
	left  int   // steps until it gives up
}

// move is a constraint with its names looked up.
type move struct {
	*constraint
	turn int // how many placed constraints come before it
	sees []facts
	at   []int // keys that it sees
	does []int // keys that it does something to, as in constraint.does
}

// ledger is the model's state. It is never changed.
type ledger struct {
	turn int // placed constraints so far
	free int // free commits since the last of them
	keys []facts
}

func newSearch(p *part, w *window, steps int) *search {
	s := &search{part: p, left: steps, begin: &ledger{}}
	for _, n := range p.names {
		s.begin.keys = append(s.begin.keys, w.know(n))
	}
	for _, a := range p.placed { // which are in the order of their places
		s.add(a)
	}
	for _, a := range slices.Concat(p.free, p.refused) {
		s.add(a)
	}
	if len(p.free) > 0 {
		s.measure(w)
	}
	return s
}

// measure finds how much room there is before each placed constraint. Where its place is not
// after the one before, the order is broken, which checkRealTime reports.
func (s *search) measure(w *window) {
	at := w.base
	for _, a := range s.part.placed {
		upTo := a.point
		if a.commit {
			upTo--
		}
		s.room = append(s.room, max(w.room(at, max(at, upTo)), 0))
		at = max(at, a.point)
	}
}

func (s *search) add(a *constraint) {
	v := &move{constraint: a, turn: len(s.moves)}
	for i := range a.sees {
		v.at = append(v.at, s.part.index[a.sees[i].name])
		v.sees = append(v.sees, a.sees[i].facts)
	}
	for i := range a.does {
		v.does = append(v.does, s.part.index[a.does[i].name])
	}
	s.moves = append(s.moves, v)
}

func (s *search) model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return s.begin },
		Step: func(state, input, _ any) (bool, any) { return s.step(state.(*ledger), input.(*move)) },
		Equal: func(a, b any) bool {
			x, y := a.(*ledger), b.(*ledger)
			return x == y || x.turn == y.turn && x.free == y.free && slices.Equal(x.keys, y.keys)
		},
	}
}

// operations are the moves for Porcupine, with ranks for times. A placed constraint comes after
// those placed before it; its call says so, too, so that the search meets them in their order
// and does not try each at every turn. That matters for what may have been called at any time:
// reads of the past.
func (s *search) operations() []porcupine.Operation {
	type event struct {
		time int64
		rank *int64
	}
	list := make([]porcupine.Operation, len(s.moves))
	calls, returns := make([]event, 0, len(s.moves)), make([]event, 0, len(s.moves))
	latest := int64(math.MinInt64)
	for i, v := range s.moves {
		list[i] = porcupine.Operation{ClientId: i, Input: v}
		call := v.call
		if v.placed {
			if latest = max(latest, call); latest <= v.ret {
				call = latest
			}
		}
		calls, returns = append(calls, event{call, &list[i].Call}), append(returns, event{v.ret, &list[i].Return})
	}
	all := append(calls, returns...) // of the same time, calls come first
	slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(a.time, b.time) })
	for rank, e := range all {
		*e.rank = int64(rank)
	}
	return list
}

// step is the sequential model.
func (s *search) step(l *ledger, v *move) (bool, *ledger) {
	if s.left == 0 {
		return false, l // given up: the search ends by itself now
	}
	s.left--
	next, clash := s.try(l, v)
	switch {
	case clash == nil:
		return true, next
	case v.placed || v.firm:
		return false, l
	}
	// It may not have happened. That is as if it happened in the end, when no constraint
	// can notice.
	return l.turn == len(s.part.placed), l
}

// clash is why a constraint cannot come next.
type clash struct {
	name       history.Name
	have, want facts
}

var outOfTurn, noRoom = &clash{}, &clash{}

// try does a move, if it can come next.
func (s *search) try(l *ledger, v *move) (*ledger, *clash) {
	next := &ledger{turn: l.turn}
	if v.firm {
		next.free = l.free
	} else if v.placed {
		if l.turn != v.turn {
			return l, outOfTurn
		}
		next.turn++
	} else if next.free = l.free + 1; l.turn < len(s.room) && next.free > s.room[l.turn] {
		return l, noRoom
	}
	keys, shared := l.keys, true
	set := func(i int, f facts) {
		if shared {
			keys, shared = slices.Clone(keys), false
		}
		keys[i] = f
	}
	for k, i := range v.at {
		f, ok := keys[i].meet(v.sees[k])
		if !ok {
			return l, &clash{s.part.names[i], keys[i], v.sees[k]}
		}
		if f != keys[i] {
			set(i, f)
		}
	}
	for k, i := range v.does {
		e := &v.constraint.does[k]
		f, ok := e.on(keys[i])
		if !ok {
			return l, &clash{e.name, keys[i], e.facts}
		}
		set(i, f)
	}
	next.keys = keys
	return next, nil
}

// explain names where a search that failed got stuck: at the constraint whose turn it was,
// after the longest order that was found.
func (s *search) explain() verdict.Violation {
	s.left = defaultSteps // the same search, so it ends as well
	_, info := porcupine.CheckOperationsVerbose(s.model(), s.operations(), 0)
	var longest []int
	for _, order := range info.PartialLinearizations()[0] { // in no order of their own
		if len(order) > len(longest) || len(order) == len(longest) && slices.Compare(order, longest) < 0 {
			longest = order
		}
	}
	l := s.begin
	for _, i := range longest {
		_, l = s.step(l, s.moves[i])
	}
	stuck := s.stuck(l, longest)
	v := verdict.Violation{
		Guarantee: "G3", Check: "not-linearizable", Op: stuck.op.ID, CommitTS: stuck.point, Time: stuck.op.Return,
		Sentence: fmt.Sprintf("#%d %s of %s: no order of %d answers explains them all, and it is the first that does not fit", stuck.op.ID, stuck.op.Kind, stuck.op.Client, len(s.moves)),
	}
	if _, c := s.try(l, stuck); c != nil {
		v.Sentence += fmt.Sprintf(": key %q of agent %q", c.name.Key, c.name.Agent)
		v.Expected, v.Got = c.have.String(), c.want.String()
	}
	return v
}

// stuck is the constraint that does not fit after an order: that whose turn it is or, if
// nothing is wrong with that, a refusal that is not in the order.
func (s *search) stuck(l *ledger, order []int) *move {
	var turn *move
	if l.turn < len(s.part.placed) {
		turn = s.moves[l.turn]
		if _, c := s.try(l, turn); c != nil {
			return turn
		}
	}
	for i, v := range s.moves {
		if v.firm && !slices.Contains(order, i) {
			return v
		}
	}
	return turn // all placed constraints having had their turn, and all refusals theirs, nothing can fail
}
