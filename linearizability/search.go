package linearizability

import (
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"
)

// search is one call of Porcupine: the model, and the claims it is tried on. Where
// claims have places, the order among them is given: the search tries only what the
// answers leave open.
type search struct {
	part  *part
	moves []*move
	begin *ledger
	taken map[versionOf]bool
	last  int // rank of the last placed commit
	left  int // steps until it is given up
}

// move is a claim, its names looked up.
type move struct {
	*claim
	rank int // placed commits up to it, itself among them
	sees []facts
	at   []int // keys that it sees
	does []int // keys that it does something to, as in claim.does
}

// ledger is the model's state. It is never changed.
type ledger struct {
	rank int // placed commits so far
	keys []facts
}

func newSearch(p *part, w *window, steps int) *search {
	s := &search{part: p, taken: w.taken, left: steps, begin: &ledger{}}
	for _, n := range p.names {
		s.begin.keys = append(s.begin.keys, w.know(n))
	}
	for _, a := range p.placed {
		if a.commit {
			s.last++
		}
		s.add(a)
	}
	for _, a := range p.free {
		s.add(a)
	}
	return s
}

func (s *search) add(a *claim) {
	v := &move{claim: a, rank: s.last}
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
			return x == y || x.rank == y.rank && slices.Equal(x.keys, y.keys)
		},
	}
}

func (s *search) operations() []porcupine.Operation {
	list := make([]porcupine.Operation, len(s.moves))
	for i, v := range s.moves {
		list[i] = porcupine.Operation{ClientId: i, Input: v, Call: v.call, Return: v.ret}
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
	case v.placed:
		return false, l
	}
	// It may not have happened. That is as if it happened in the end, to nobody's
	// notice.
	return l.rank == s.last, l
}

// clash is why a claim cannot come next.
type clash struct {
	name       Name
	have, want facts
}

var outOfTurn = &clash{}

// try does a move, if it can come next.
func (s *search) try(l *ledger, v *move) (*ledger, *clash) {
	next := &ledger{rank: l.rank}
	if v.placed && v.commit {
		next.rank++
	}
	if v.placed && next.rank != v.rank {
		return l, outOfTurn
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
		e := &v.claim.does[k]
		f, ok := e.on(keys[i])
		if !ok || !v.placed && f.known&knowsVersion != 0 && s.taken[versionOf{e.name, f.version}] {
			return l, &clash{e.name, keys[i], e.facts}
		}
		set(i, f)
	}
	if shared && next.rank == l.rank {
		return l, nil
	}
	next.keys = keys
	return next, nil
}

// explain tells where a search that failed got stuck: at the claim that had to come
// next and could not, behind the longest order that was found.
func (s *search) explain() Violation {
	s.left = defaultSteps // the same search, so it ends as well
	_, info := porcupine.CheckOperationsVerbose(s.model(), s.operations(), 0)
	var longest []int
	for _, order := range info.PartialLinearizations()[0] { // in no order of their own
		if len(order) > len(longest) || len(order) == len(longest) && slices.Compare(order, longest) < 0 {
			longest = order
		}
	}
	l, placed := s.begin, make([]bool, len(s.moves))
	for _, i := range longest {
		_, l = s.step(l, s.moves[i])
		placed[i] = true
	}
	var stuck *move
	for i, v := range s.moves {
		if !placed[i] && (stuck == nil || v.ret < stuck.ret) {
			stuck = v
		}
	}
	v := Violation{
		Promise: "G3", Check: "not-linearizable", Op: stuck.op.ID, CommitTS: stuck.point, Time: stuck.op.Return,
		Sentence: fmt.Sprintf("#%d %s of %s: no order of %d answers explains them all, and it is the first that does not fit", stuck.op.ID, stuck.op.Kind, stuck.op.Client, len(s.moves)),
	}
	if _, c := s.try(l, stuck); c != nil && c != outOfTurn {
		v.Sentence += fmt.Sprintf(": key %q of agent %q", c.name.Key, c.name.Agent)
		v.Expected, v.Got = c.have.String(), c.want.String()
	}
	return v
}
