// Package peers is the network between the nodes of a simulated cluster, and what is to hold between them.
//
// Network has a link each way between any two nodes, each a queue of messages. Nothing moves by itself: a
// message is sent, and later it is taken, in order or not, lost or doubled, as steps of the world say. A
// link that is cut loses what is sent on it.
//
// Judge is told what each node says of itself after each step, and holds that to the invariants of the
// cluster, R1 to R10, as far as they can be seen from outside (judge.go, members.go).
package peers

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Network carries messages between nodes, which are numbered from 1.
type Network struct {
	nodes int
	links []link
	sum   uint64 // of all that was sent, in order
	sent  int64  // messages
}

type link struct {
	queue []message
	cut   bool
}

// message is one under way.
type message struct {
	raw  []byte
	sent int64 // counted over all
}

// room is how many messages a link holds. What is sent on a full one is lost, as in production.
const room = 128

// New makes a network of so many nodes.
func New(nodes int) *Network { return &Network{nodes: nodes, links: make([]link, nodes*nodes)} }

func (n *Network) link(from, to int) *link { return &n.links[(from-1)*n.nodes+to-1] }

// Send takes what a node sends. listens reports whether a node takes in what is sent to it.
func (n *Network) Send(m *raftpb.Message, listens func(node int) bool) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("peers: raft's own message cannot be marshaled: " + err.Error())
	}
	h := fnv.New64a()
	_, _ = h.Write(binary.BigEndian.AppendUint64(raw[:len(raw):len(raw)], n.sum)) // never fails
	n.sum = h.Sum64()
	l := n.link(int(m.GetFrom()), int(m.GetTo()))
	n.sent++
	if !l.cut && len(l.queue) < room && listens(int(m.GetTo())) {
		l.queue = append(l.queue, message{raw, n.sent})
	}
}

// Waiting counts the messages under way on a link.
func (n *Network) Waiting(from, to int) int { return len(n.link(from, to).queue) }

// Take takes the nth message, from 1, off a link, which has so many, and says when it was sent.
func (n *Network) Take(from, to, nth int) (_ *raftpb.Message, sent int64) {
	l := n.link(from, to)
	taken := l.queue[nth-1]
	m := new(raftpb.Message)
	if err := proto.Unmarshal(taken.raw, m); err != nil {
		panic("peers: a message that was sent cannot be read: " + err.Error())
	}
	l.queue = slices.Delete(l.queue, nth-1, nth)
	return m, taken.sent
}

// Double puts the nth message, from 1, on the link again, behind what is there.
func (n *Network) Double(from, to, nth int) {
	l := n.link(from, to)
	l.queue = append(l.queue, l.queue[nth-1])
}

// Cut cuts a link, and what is under way on it is lost; or it mends it.
func (n *Network) Cut(from, to int, cut bool) {
	if l := n.link(from, to); cut {
		l.cut, l.queue = true, nil
	} else {
		l.cut = false
	}
}

// IsCut reports whether a link is cut.
func (n *Network) IsCut(from, to int) bool { return n.link(from, to).cut }

// Gone says that a node has ended: what is on its way to it is lost.
func (n *Network) Gone(node int) {
	for from := 1; from <= n.nodes; from++ {
		n.link(from, node).queue = nil
	}
}

// Sent counts the messages that were sent.
func (n *Network) Sent() int64 { return n.sent }

// Sum follows from all that was sent.
func (n *Network) Sum() uint64 { return n.sum }

// Text is a message as a line: what it is, of which term, and about which entries.
func Text(m *raftpb.Message) string {
	text := fmt.Sprintf("%s, term %d", strings.TrimPrefix(m.GetType().String(), "Msg"), m.GetTerm())
	switch m.GetType() {
	case raftpb.MsgApp:
		text += fmt.Sprintf(", after %d", m.GetIndex())
		if e := m.GetEntries(); len(e) > 0 {
			text += fmt.Sprintf(": entries %d to %d", e[0].GetIndex(), e[len(e)-1].GetIndex())
		}
		text += fmt.Sprintf(", committed %d", m.GetCommit())
	case raftpb.MsgAppResp:
		text += fmt.Sprintf(", has %d", m.GetIndex())
	case raftpb.MsgSnap:
		text += fmt.Sprintf(", in place of entries up to %d", m.GetSnapshot().GetMetadata().GetIndex())
	case raftpb.MsgHeartbeat:
		text += fmt.Sprintf(", committed %d", m.GetCommit())
	}
	if m.GetReject() {
		text += ", refused"
	}
	return text
}
