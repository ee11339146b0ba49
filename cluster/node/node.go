// Package node is a member of a cluster: raft's step machine over a log of its own (log.go), and an engine
// that leads or follows as raft says. The log has the steps that leaders planned (entry.go), so members agree
// on what was decided and never decide it twice.
//
// A node has no goroutine and reads no clock. Whoever drives it calls Tick at even intervals, Receive with
// what others have sent, and Work, which does all there is to do now and returns what is to be sent and what
// is to be stored. Storing waits for the disk, so it is apart: Store does it, with one sync for all it is
// given, while the node goes on, and Stored tells the node. So a simulation drives what production does.
//
//	send, appends, err := n.Work()
//	…                    // send messages; give appends to whoever stores:
//	err = n.Store(appends)
//	n.Stored(appends)    // then Work again
//
// A step that has rows is answered when a majority has it on disk; a refusal, or whatever else has none, when
// a majority has confirmed that this node still leads: a deposed leader's refusal would be about a state that
// is no longer the newest.
//
// What else a cluster agrees on is in change.go, how a log ends and who is behind it catches up in behind.go.
package node

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"statehouse.dev/statehouse/engine"
)

// Config says which member a node is.
type Config struct {
	ID      uint64
	Members []uint64 // those with which the cluster began, in order, the same for each; none: it joins one
	// Engine is nil as long as there is no store: a node that joins has none before it has fetched one.
	Engine *engine.Engine
	FS     vfs.FS
	Dir    string       // of the raft log
	Rand   func([]byte) // when elections begin, and names of rounds
	// Halt is called once when the log can be trusted no more: whatever is stored is not known to be.
	Halt func(error)
	// ElectionTicks is how many ticks without a leader begin an election, up to twice as many; 0: 10.
	ElectionTicks int
	// KeepLog is how many bytes of the log are kept, about; 0: 64 MiB.
	KeepLog uint64
	// Knows is the newest version of a cluster that this member takes part in; 0: that of the build. One of before is
	// for trying how a build of before takes part.
	Knows uint64
	// Aside has something done that waits for the disk, for as long as that is full if need be, and then done called by
	// whoever drives the node; nil: it is done at once, and the node waits.
	Aside func(do func() error, done func(error))
}

// Node is one member. Its methods must not be called at once, but for Store; nor with the engine's Plan,
// Apply, Settle, Step and Tick, of which it calls the first three.
type Node struct {
	config Config
	raft   *raft.RawNode
	log    *wal
	halted error

	// Raft draws election timeouts inside, from the system's randomness. So that runs can be repeated,
	// followers and candidates get ticks that begin no election, and this does.
	quiet    int // ticks since a leader was heard, or a vote given
	deadline int // of them

	leads    bool    // the engine does
	flight   *flight // the engine's step in flight; nil: there is none
	applied  uint64  // the last entry that the engine has
	mark     *Mark   // of the engine, as far as it is not applied
	change   *change // under way; nil: none is
	confirms confirms
	storing  storing

	cutting    bool                     // the log is to be cut when the store is durable
	pinned     uint64                   // the log is kept from here on; 0: from nowhere
	behind     uint64                   // who said that this node must fetch the state; 0: nobody has
	installing *raftpb.SnapshotMetadata // what was fetched; nil: nothing was
	waited     int                      // ticks since those that were sent a mark were asked
	known      bool                     // a leader knows what this node had when it was opened
}

// Open opens a member of a cluster. Its engine must be as Open has left it, with a store that began as a
// copy of the others' or was fetched from one.
func Open(c Config) (*Node, error) {
	c.ElectionTicks, c.KeepLog, c.Knows = cmp.Or(c.ElectionTicks, 10), cmp.Or(c.KeepLog, 64<<20), cmp.Or(c.Knows, Version)
	n := &Node{config: c}
	if c.Engine != nil {
		c.Engine.Follow()
	}
	var err error
	if n.log, err = openWAL(c.FS, c.Dir, beginOf(c.Members), c.Halt); err != nil {
		return nil, err
	}
	if err := n.begin(); err != nil {
		return nil, errors.Join(err, n.log.close())
	}
	return n, nil
}

// ErrLostEnd says that a raft log ends before what its store has, so that it has lost what this node has
// promised: it must never be a member again under its id.
var ErrLostEnd = errors.New("the raft log has lost its end, and what this node has promised with it: it must join again under a new id")

// join finds where the store and the log meet.
func (n *Node) join() error {
	mark, last := n.log.mark, uint64(0)
	last, _ = n.log.LastIndex()
	if n.config.Engine == nil {
		n.mark = &Mark{members: new(raftpb.ConfState)}
		if mark.GetIndex() > 0 {
			return errors.New("there is a raft log, and no store")
		}
		return nil
	}
	var err error
	if n.mark, err = readMark(n.config.Engine); err != nil {
		return err
	}
	m := n.mark
	if m.Index == 0 && mark.GetIndex() == firstMark { // a store that has nothing of any log, and a log from its beginning
		m.Index, m.Term = mark.GetIndex(), mark.GetTerm()
	}
	if m.members == nil {
		m.members = mark.GetConfState()
	}
	switch {
	case slices.Contains(m.removed, n.config.ID):
		return ErrRemoved
	case m.version > n.config.Knows:
		return fmt.Errorf("%w: the cluster is of version %d, and this build knows %d: start a newer build", ErrEntry, m.version, n.config.Knows)
	case m.Index < mark.GetIndex():
		return fmt.Errorf("the store has entry %d, and the raft log begins after entry %d: what is between is missing", m.Index, mark.GetIndex())
	case m.Index > last:
		return fmt.Errorf("%w (the store has entry %d, and the log ends at %d)", ErrLostEnd, m.Index, last)
	}
	if have, err := n.log.Term(m.Index); err != nil || have != m.Term {
		return fmt.Errorf("the store has entry %d of term %d, the raft log of term %d (%v)", m.Index, m.Term, have, err)
	}
	return n.log.committed(m.Index)
}

func (n *Node) begin() error {
	err := n.join()
	if err != nil {
		return err
	}
	n.applied, n.log.members = n.mark.Index, n.mark.members
	n.log.latest = func() *raftpb.SnapshotMetadata {
		at, term := n.applied, uint64(0)
		term, _ = n.log.Term(at)
		return &raftpb.SnapshotMetadata{Index: &at, Term: &term, ConfState: n.mark.members}
	}
	n.raft, err = raft.NewRawNode(&raft.Config{
		ID: n.config.ID, ElectionTick: n.config.ElectionTicks, HeartbeatTick: 1, Storage: n.log, Applied: n.applied,
		MaxSizePerMsg: 4 << 20, MaxInflightMsgs: 64, MaxInflightBytes: 64 << 20, MaxUncommittedEntriesSize: 64 << 20,
		AsyncStorageWrites: true, PreVote: true, CheckQuorum: true, StepDownOnRemoval: true, DisableProposalForwarding: true,
		ReadOnlyOption: raft.ReadOnlySafe, Logger: quiet{},
	})
	if err != nil {
		return err
	}
	n.storing.term, n.storing.vote = n.log.hard.GetTerm(), n.log.hard.GetVote()
	n.confirms.init(n.config.ID, n.config.Rand)
	n.heard()
	return nil
}

// heard draws anew when an election begins if nothing more is heard.
func (n *Node) heard() {
	var b [8]byte
	n.config.Rand(b[:])
	n.quiet, n.deadline = 0, n.config.ElectionTicks+int(binary.BigEndian.Uint64(b[:])%uint64(n.config.ElectionTicks))
}

// Tick lets time pass.
func (n *Node) Tick() {
	n.confirms.tick()
	if n.raft.BasicStatus().RaftState == raft.StateLeader {
		if n.waited++; n.waited >= 2*n.config.ElectionTicks {
			n.waited = 0
			n.report()
		}
		n.raft.Tick()
		return
	}
	n.raft.TickQuiesced()
	if n.quiet++; n.quiet >= n.deadline {
		n.heard()
		_ = n.raft.Campaign() // not yet, if it says so
	}
}

// Receive takes a message of another member.
func (n *Node) Receive(m *raftpb.Message) {
	if slices.Contains(n.mark.removed, m.GetFrom()) {
		return
	}
	switch m.GetType() {
	case raftpb.MsgReadIndex:
		if !n.leads { // see ask; who asks asks again
			return
		}
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		if m.GetTerm() >= n.raft.BasicStatus().GetTerm() {
			n.heard()
		}
		if m.GetType() == raftpb.MsgSnap && !n.markCame(m) {
			return
		}
	case raftpb.MsgAppResp:
		// So a member answers a leader of an earlier term, to tell it of a later one. The leader of that one
		// would take it for a log that has nothing, which no member's is, and send a copy of the store.
		if s := n.raft.BasicStatus(); m.GetIndex() == 0 && !m.GetReject() && s.RaftState == raft.StateLeader && s.GetTerm() == m.GetTerm() {
			return
		}
	}
	n.step(m)
	if m.GetType() == raftpb.MsgHeartbeat {
		n.beatCame(m)
	}
}

// Leads reports whether the engine leads.
func (n *Node) Leads() bool { return n.leads }

// Close closes the log. The engine stays open.
func (n *Node) Close() error {
	n.end()
	return n.log.close()
}

// end tells all who wait that they need not.
func (n *Node) end() {
	n.confirms.end()
	if n.change != nil {
		n.changed(engine.ErrOutcomeUnknown)
	}
}
