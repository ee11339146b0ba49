package member

import (
	"errors"
	"testing"

	"statehouse.dev/statehouse/cluster/node"
)

// TestSuccessor: leadership goes to whom it is asked for, or to the one that has most of the log; never to who has no
// vote, does not answer, or leads.
func TestSuccessor(t *testing.T) {
	s := &node.Status{ID: 1, Members: []node.Member{
		{ID: 1, Match: 9, Active: true}, {ID: 2, Match: 5, Active: true}, {ID: 3, Match: 7, Active: true},
		{ID: 4, Match: 8}, {ID: 5, Match: 8, Active: true, Learner: true},
	}}
	for asked, want := range map[uint64]uint64{0: 3, 2: 2, 3: 3, 1: 0, 4: 0, 5: 0, 6: 0} { // any order
		if got := successor(s, asked); got != want {
			t.Errorf("asked for %d it goes to %d, not %d", asked, got, want)
		}
	}
}

// TestStoring: what comes while something is stored is stored together, after it, and told in that order; what cannot be
// stored halts, and nothing is told of it.
func TestStoring(t *testing.T) {
	s := newStoring()
	all := make([]*node.Append, 5)
	for i := range all {
		all[i] = new(node.Append)
	}
	begun, goOn := make(chan []*node.Append), make(chan error)
	halted := make(chan error, 1)
	go s.run(func(a []*node.Append) error { begun <- a; return <-goOn }, func(err error) { halted <- err })
	s.store(nil)
	s.store(all[:1])
	if first := <-begun; len(first) != 1 {
		t.Errorf("%d are stored first", len(first))
	}
	s.store(all[1:3])
	s.store(all[3:4])
	goOn <- nil
	if told := <-s.done; len(told) != 1 || told[0] != all[0] {
		t.Errorf("told of %d", len(told))
	}
	if second := <-begun; len(second) != 3 || second[0] != all[1] || second[2] != all[3] {
		t.Errorf("%d are stored then", len(second))
	}
	goOn <- nil
	<-s.done
	s.store(all[4:])
	<-begun
	broken := errors.New("the disk")
	goOn <- broken
	if err := <-halted; !errors.Is(err, broken) {
		t.Errorf("halted with %v", err)
	}
	select {
	case <-s.done:
		t.Error("what was not stored is told of")
	default:
	}
}

// TestOrders: orders that were given are carried out, and none is taken after the end.
func TestOrders(t *testing.T) {
	m := &Member{wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	done := 0
	for range 3 {
		if !m.order(func() { done++ }) {
			t.Error("an order is refused")
		}
	}
	m.end()
	if done != 3 {
		t.Errorf("%d of 3 orders were carried out", done)
	}
	if m.order(func() { done++ }) || done != 3 {
		t.Error("an order is taken after the end")
	}
	select {
	case <-m.stopped:
	default:
		t.Error("it has not ended")
	}
}
