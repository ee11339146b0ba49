package node

import (
	"errors"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"statehouse.dev/statehouse/engine"
)

// flight is a step of which is not known yet what becomes of it.
type flight struct {
	data        []byte // of its entry, until that has a place in the log
	index, term uint64 // the place; 0: it has none
	bare        bool   // it has no entry: a round confirms it
}

// plan has the engine plan a step, if it leads and none is in flight, and proposes it.
func (n *Node) plan() {
	s := n.raft.BasicStatus()
	if !n.leads || s.RaftState != raft.StateLeader || s.LeadTransferee != raft.None {
		return
	}
	if n.flight == nil {
		step := n.config.Engine.Plan()
		if step == nil {
			return
		}
		n.flight = &flight{bare: len(step.Batch) == 0}
		if n.flight.bare {
			n.confirms.waiting = append(n.confirms.waiting, waiter{done: n.confirmed(n.flight)})
			return
		}
		n.flight.data = appendStep(nil, step)
	}
	if n.flight.data != nil && n.flight.index == 0 {
		_ = n.raft.Propose(n.flight.data) // there is no room, if it says so, and it is proposed again
	}
}

// confirmed settles a step that has no entry.
func (n *Node) confirmed(f *flight) func(error) {
	return func(err error) {
		if err == nil && n.flight == f {
			n.settle()
		}
	}
}

// found looks for the place of the step in flight among entries that go into the log.
func (n *Node) found(entries []*raftpb.Entry) {
	f := n.flight
	if f == nil || f.data == nil {
		return
	}
	for _, e := range entries {
		if string(e.GetData()) == string(f.data) {
			f.index, f.term, f.data = e.GetIndex(), e.GetTerm(), nil
			return
		}
	}
}

// follow ends leading. A step in flight stays, if it has an entry that may yet be committed.
func (n *Node) follow() {
	n.leads = false
	n.config.Engine.Follow()
	if n.change != nil && n.change.index == 0 {
		n.changed(engine.ErrNotLeader)
	}
	if f := n.flight; f != nil && f.index == 0 {
		n.drop()
	}
}

func (n *Node) drop() {
	n.flight = nil
	n.config.Engine.Drop()
}

func (n *Node) settle(own ...engine.SystemChange) {
	n.flight = nil
	n.config.Engine.Apply(own...)
	n.config.Engine.Settle()
}

// lead begins leading if the entry is the first of a term that this node leads: everything that may have been
// committed before is applied then.
func (n *Node) lead(e *raftpb.Entry) error {
	status := n.raft.BasicStatus()
	if n.leads || status.RaftState != raft.StateLeader || status.GetTerm() != e.GetTerm() {
		return nil
	}
	if n.flight != nil {
		return errors.New("a step is in flight whose fate is not known, and the first entry of a later term is committed")
	}
	if err := n.config.Engine.Lead(); err != nil {
		return err
	}
	n.leads = true
	return nil
}
