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
// It is not wired into the daemon yet. What is not there: snapshots, members that come and go, a transport.
package node

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"statehouse.dev/statehouse/engine"
)

// Config says which member a node is.
type Config struct {
	ID      uint64
	Members []uint64 // those with which the cluster began, in order; the same for each
	Engine  *engine.Engine
	FS      vfs.FS
	Dir     string       // of the raft log
	Rand    func([]byte) // when elections begin, and names of rounds
	// Halt is called once when the log can be trusted no more: whatever is stored is not known to be.
	Halt func(error)
	// ElectionTicks is how many ticks without a leader begin an election, up to twice as many; 0: 10.
	ElectionTicks int
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
	confirms confirms
	storing  storing
}

// Open opens a member of a cluster. Its engine must be as Open has left it, with a store that began as a
// copy of the others'.
func Open(c Config) (*Node, error) {
	if c.ElectionTicks == 0 {
		c.ElectionTicks = 10
	}
	n := &Node{config: c}
	c.Engine.Follow()
	var err error
	if n.log, err = openWAL(c.FS, c.Dir, c.Members, c.Halt); err != nil {
		return nil, err
	}
	if err := n.begin(); err != nil {
		return nil, errors.Join(err, n.log.db.Close())
	}
	return n, nil
}

// ErrLostEnd says that a raft log ends before what its store has, so that it has lost what this node has
// promised: it must never be a member again under its id.
var ErrLostEnd = errors.New("the raft log has lost its end, and what this node has promised with it: it must join again under a new id")

func (n *Node) begin() error {
	at, term, err := applied(n.config.Engine)
	if err != nil {
		return err
	}
	mark := n.log.mark
	if at == 0 && mark.GetIndex() == firstMark { // a store that has nothing of any log, and a log from its beginning
		at, term = mark.GetIndex(), mark.GetTerm()
	}
	last, _ := n.log.LastIndex()
	switch {
	case at < mark.GetIndex():
		return fmt.Errorf("the store has entry %d, and the raft log begins after entry %d: what is between is missing", at, mark.GetIndex())
	case at > last:
		return fmt.Errorf("%w (the store has entry %d, and the log ends at %d)", ErrLostEnd, at, last)
	}
	if have, err := n.log.Term(at); err != nil || have != term {
		return fmt.Errorf("the store has entry %d of term %d, the raft log of term %d (%v)", at, term, have, err)
	}
	if err := n.log.committed(at); err != nil {
		return err
	}
	n.raft, err = raft.NewRawNode(&raft.Config{
		ID: n.config.ID, ElectionTick: n.config.ElectionTicks, HeartbeatTick: 1, Storage: n.log, Applied: at,
		MaxSizePerMsg: 4 << 20, MaxInflightMsgs: 64, MaxInflightBytes: 64 << 20, MaxUncommittedEntriesSize: 64 << 20,
		AsyncStorageWrites: true, PreVote: true, CheckQuorum: true, StepDownOnRemoval: true, DisableProposalForwarding: true,
		ReadOnlyOption: raft.ReadOnlySafe, Logger: quiet{},
	})
	if err != nil {
		return err
	}
	n.applied = at
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
	switch m.GetType() {
	case raftpb.MsgReadIndex:
		if !n.leads { // see ask; who asks asks again
			return
		}
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		if m.GetTerm() >= n.raft.BasicStatus().GetTerm() {
			n.heard()
		}
	}
	_ = n.raft.Step(m) // what is stale is dropped
}

// Leads reports whether the engine leads.
func (n *Node) Leads() bool { return n.leads }

// Close closes the log. The engine stays open.
func (n *Node) Close() error {
	n.confirms.end()
	return n.log.db.Close()
}
