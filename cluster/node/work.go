package node

import (
	"errors"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// An Append is what is to be stored in the log: entries, a vote, a term. With it go the messages that promise
// it, which Stored sets free.
type Append struct{ m *raftpb.Message }

// storing is what the node knows of appends. They are stored in the order in which Work returned them.
type storing struct {
	waits      []*Append         // returned, and not stored
	term, vote uint64            // on disk
	send       []*raftpb.Message // what may be sent since
}

// Work does all there is to do now: it plans, and applies what is committed. It returns messages to be sent,
// and what is to be stored, which may take its time. An error is final: the node must not be used any more.
func (n *Node) Work() (send []*raftpb.Message, appends []*Append, err error) {
	send, n.storing.send = n.storing.send, nil
	for n.halted == nil {
		n.confirm()
		if n.halted = errors.Join(n.healthy(), n.cut()); n.halted != nil {
			break
		}
		n.plan()
		n.ask()
		if !n.raft.HasReady() {
			n.installs()
			return send, appends, nil
		}
		rd := n.raft.Ready()
		now, a, err := n.take(&rd)
		n.halted = err
		send = append(send, now...)
		if a != nil {
			appends = append(appends, a)
		}
	}
	n.end()
	return send, nil, n.halted // what is sent was stored, or promises nothing
}

func (n *Node) healthy() error {
	if n.config.Engine == nil {
		return nil
	}
	return n.config.Engine.Healthy()
}

// take does what raft wants done.
func (n *Node) take(rd *raft.Ready) (send []*raftpb.Message, a *Append, err error) {
	if rd.SoftState != nil && rd.RaftState != raft.StateLeader && n.leads {
		n.follow()
	}
	var committed *raftpb.Message
	for _, m := range rd.Messages {
		switch m.GetTo() {
		case raft.LocalAppendThread:
			a = &Append{m}
		case raft.LocalApplyThread:
			committed = m
		default:
			send = append(send, m)
		}
	}
	if send, a, err = n.hold(send, a); err != nil {
		return nil, nil, err
	}
	if committed != nil {
		if err := n.applyAll(committed); err != nil {
			return nil, nil, err
		}
	}
	n.answered(rd.ReadStates)
	return send, a, nil
}

// hold gives messages to an append if they may not go before it. Raft sees to that for what acknowledges; but
// nothing at all is said in a term that is not on disk. A candidate might win without its own vote, end, and
// win the term a second time with another log.
func (n *Node) hold(send []*raftpb.Message, a *Append) ([]*raftpb.Message, *Append, error) {
	if a != nil {
		if at := a.m.GetSnapshot().GetMetadata(); at != nil && (n.installing == nil || at.GetIndex() != n.installing.GetIndex()) {
			return nil, nil, errors.New("raft takes a state that has not come")
		}
		n.found(a.m.GetEntries())
		n.changeFound(a.m.GetEntries())
	}
	if s := n.raft.BasicStatus(); len(send) > 0 && (s.GetTerm() != n.storing.term || s.GetVote() != n.storing.vote) {
		if a == nil {
			a = &Append{&raftpb.Message{}}
		}
		a.m.Responses = append(send, a.m.GetResponses()...)
		send = nil
	}
	if a != nil {
		for _, m := range a.m.GetResponses() {
			if m.GetType() == raftpb.MsgVoteResp && !m.GetReject() && m.GetTo() != n.config.ID {
				n.heard()
			}
		}
		n.storing.waits = append(n.storing.waits, a)
	}
	return send, a, nil
}

// Store writes appends to the log, with one sync if one is needed. It may be called while other methods are,
// but not by two at once; appends that Work returned earlier must be stored, or be among them. An error is final.
func (n *Node) Store(appends []*Append) error { return n.log.store(appends) }

// Stored tells the node that appends are stored: the oldest that were not. What they held back is sent by Work.
func (n *Node) Stored(appends []*Append) {
	s := &n.storing
	for _, a := range appends {
		if len(s.waits) == 0 || s.waits[0] != a {
			panic("node: an append is stored before those that come before it")
		}
		s.waits = s.waits[1:]
		if h := hardState(a.m); !raft.IsEmptyHardState(h) {
			s.term, s.vote = h.GetTerm(), h.GetVote()
		}
		if a.m.GetSnapshot() != nil {
			n.halted = ErrInstalled
		}
		if n.halted == nil {
			n.log.have(a.m.GetEntries())
		}
		for _, m := range a.m.GetResponses() {
			if m.GetTo() != n.config.ID {
				s.send = append(s.send, m)
			} else if n.halted == nil {
				n.step(m)
			}
		}
	}
}

// applyAll applies entries that are committed, and tells raft.
func (n *Node) applyAll(m *raftpb.Message) error {
	for _, e := range m.GetEntries() {
		if err := n.apply(e); err != nil {
			return err
		}
		n.applied, n.behind = e.GetIndex(), 0
		n.changeEnds(e.GetIndex(), e.GetTerm())
	}
	for _, r := range m.GetResponses() {
		_ = n.raft.Step(r)
	}
	return nil
}

// apply applies an entry that is committed.
func (n *Node) apply(e *raftpb.Entry) error {
	at := appliedRow(e.GetIndex(), e.GetTerm())
	if f := n.flight; f != nil && f.index == e.GetIndex() && f.term == e.GetTerm() {
		n.settle(at)
		return n.config.Engine.Healthy()
	}
	if f := n.flight; f != nil && f.index != 0 && (f.index <= e.GetIndex() || f.term < e.GetTerm()) { // another is in its place
		n.drop()
	}
	if e.GetType() != raftpb.EntryNormal {
		return n.applyMembers(e, at)
	}
	if len(e.GetData()) == 0 {
		if err := n.config.Engine.Keep(at, row(membersName, mustMarshal(n.mark.members))); err != nil {
			return err
		}
		return n.lead(e)
	}
	kind, data, err := parseEntry(e.GetData())
	if err != nil {
		return entryError(e, err)
	}
	switch kind {
	case kindStep:
		s, err := parseStep(data)
		if err != nil {
			return entryError(e, err)
		}
		return n.config.Engine.Adopt(&s, at)
	case kindVersion:
		return n.applyVersion(e, data, at)
	case kindSettings:
		return n.config.Engine.Keep(at, row(settingsName, data))
	case kindPlace:
		return n.applyPlace(e, data, at)
	}
	return entryError(e, ErrEntry)
}
