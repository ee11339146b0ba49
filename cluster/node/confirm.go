package node

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/raft/v3"

	"statehouse.dev/statehouse/engine"
)

// What a node has published may be old: another may lead since, and have answered later commits. So whoever
// wants the newest asks for a round first: the leader tells how far its log is committed, and a majority
// confirms that it leads. Everything that was answered anywhere before the round began is up to there. One
// round is under way at a time, and all that wait when it begins share it; who comes later has the next.
//
// Messages are lost, and so are leaders: a round that is not answered is asked again, under another id.

// ErrUnconfirmed says that a node could not find out in time whether what it has is the newest.
var ErrUnconfirmed = fmt.Errorf("%w: no majority has confirmed who leads", engine.ErrNotLeader)

// roundID names a round. No two have the same, of whatever node and whenever: an answer to a round of before
// a restart would say less than the one that is waited for.
type roundID [3 * 8]byte // the node, a random number of this start, a count

type waiter struct {
	done  func(error)
	until int    // the tick at which it is told that nobody confirms; 0: never
	index uint64 // what must be applied; known when its round is back
}

// confirms are those who wait for a round, in the order in which they came.
type confirms struct {
	id      roundID
	count   uint64
	now     int // ticks
	asked   int // the tick at which the round was asked for last; 0: none is under way
	waiting []waiter
	under   []waiter // the round under way is for these
	back    []waiter // their round is back, and what it told is not applied yet
}

func (c *confirms) init(node uint64, rand func([]byte)) {
	binary.BigEndian.PutUint64(c.id[:], node)
	rand(c.id[8:16])
}

// Confirm has done called once with nil, when what this node has published is as new as anything that any node
// had answered when Confirm was called; or with an error that is [engine.ErrNotLeader], when that cannot be
// confirmed in twice the time of an election. It is called by Tick, Work or Close, and must neither wait nor
// call the node.
func (n *Node) Confirm(done func(error)) {
	if n.halted != nil {
		done(ErrUnconfirmed)
		return
	}
	n.confirms.waiting = append(n.confirms.waiting, waiter{done: done, until: n.confirms.now + 2*n.config.ElectionTicks})
}

// ask begins a round if somebody waits and none is under way, or the one that is has not been answered for long.
func (n *Node) ask() {
	c := &n.confirms
	switch {
	case len(c.under) == 0 && len(c.waiting) == 0:
		return
	case len(c.under) == 0:
		c.under, c.waiting = c.waiting, nil
	case c.asked > 0 && c.now < c.asked+n.config.ElectionTicks/2:
		return
	}
	c.asked = 0
	c.count++ // before anything else: an answer to an earlier one is none for those who came later
	binary.BigEndian.PutUint64(c.id[16:], c.count)
	if s := n.raft.BasicStatus(); s.Lead == raft.None || s.RaftState == raft.StateLeader && !n.leads {
		// Nobody knows how far the log is committed before the first entry of a leader's term is, and a
		// leader of one would answer all the same.
		return
	}
	c.asked = max(c.now, 1)
	n.raft.ReadIndex(bytes.Clone(c.id[:])) // raft keeps it, and the next is made in the same place
}

// answered takes the answers to rounds.
func (n *Node) answered(states []raft.ReadState) {
	c := &n.confirms
	for _, s := range states {
		if string(s.RequestCtx) != string(c.id[:]) {
			continue // to an earlier one
		}
		for i := range c.under {
			c.under[i].index = s.Index
		}
		c.back, c.under, c.asked = append(c.back, c.under...), nil, 0
	}
}

// confirm tells those who wait for nothing any more.
func (n *Node) confirm() {
	c := &n.confirms
	back := c.back
	c.back = nil
	for _, w := range back {
		if w.index <= n.applied {
			w.done(nil)
		} else {
			c.back = append(c.back, w)
		}
	}
}

// tick lets time pass for those who wait.
func (c *confirms) tick() {
	c.now++
	for _, l := range []*[]waiter{&c.back, &c.under, &c.waiting} {
		*l = refuse(*l, c.now)
	}
}

// refuse tells those whose time is over, and returns the others.
func refuse(ws []waiter, now int) (left []waiter) {
	for _, w := range ws {
		if w.until > 0 && w.until <= now {
			w.done(ErrUnconfirmed)
		} else {
			left = append(left, w)
		}
	}
	return left
}

// end tells all that nobody will confirm anything.
func (c *confirms) end() {
	for _, l := range [][]waiter{c.back, c.under, c.waiting} {
		for _, w := range l {
			w.done(ErrUnconfirmed)
		}
	}
	c.back, c.under, c.waiting = nil, nil, nil
}
