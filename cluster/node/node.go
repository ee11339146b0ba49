// Package node is a member of a cluster: raft's step machine over a log of its own (log.go), and an engine
// that leads or follows as raft says. The log has the steps that leaders planned (entry.go), so members agree
// on what was decided and never decide it twice.
//
// A node has no goroutine and reads no clock. Whoever drives it calls Tick at even intervals, Receive with
// what others have sent, and Work, which does all there is to do and returns what is to be sent: so a
// simulation drives what production does. A step that has rows is answered when a majority has it on disk; a
// refusal, or whatever else has none, when a majority has confirmed that this node still leads: a deposed
// leader's refusal would be about a state that is no longer the newest.
//
// It is the beginning of a cluster, and not wired into the daemon. What is not there yet: snapshots and the end of a
// log, members that come and go, storage that does not wait, a transport.
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
	Members []uint64 // all of them, in order; the same for each
	Engine  *engine.Engine
	FS      vfs.FS
	Dir     string       // of the raft log
	Rand    func([]byte) // when elections begin
	// ElectionTicks is how many ticks without a leader begin an election, up to twice as many; 0: 10.
	ElectionTicks int
}

// Node is one member. Its methods must not be called at once, nor with the engine's Plan, Apply, Settle,
// Step and Tick, of which it calls the first three.
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
}

// flight is a step of which is not known yet what becomes of it.
type flight struct {
	index, term uint64 // its entry; 0: it has none, or raft has not said which
	data        []byte // of the entry
	bare        bool   // it has none and will have none: a round confirms it
}

// Open opens a member of a cluster. Its engine must be as Open has left it, with a store that began as a
// copy of the others'.
func Open(c Config) (*Node, error) {
	if c.ElectionTicks == 0 {
		c.ElectionTicks = 10
	}
	n := &Node{config: c}
	c.Engine.Follow()
	at, term, err := applied(c.Engine)
	if err != nil {
		return nil, err
	}
	if n.log, err = openWAL(c.FS, c.Dir, c.Members); err != nil {
		return nil, err
	}
	if err := n.begin(at, term); err != nil {
		return nil, errors.Join(err, n.log.db.Close())
	}
	return n, nil
}

func (n *Node) begin(at, term uint64) error {
	last, _ := n.log.LastIndex()
	if last < at {
		return fmt.Errorf("the store has entry %d, and the raft log ends at %d: it has lost its end, and so what this node has promised; it must join again under a new id", at, last)
	}
	if have, err := n.log.Term(at); err != nil || have != term {
		return fmt.Errorf("the store has entry %d of term %d, the raft log of term %d (%v)", at, term, have, err)
	}
	hard, _, err := n.log.InitialState()
	if err != nil {
		return err
	}
	if hard.GetCommit() < at { // what is applied was committed; the log need not have been told
		hard.Commit = &at
		if err := n.log.save(hard, nil, false); err != nil {
			return err
		}
	}
	n.raft, err = raft.NewRawNode(&raft.Config{
		ID: n.config.ID, ElectionTick: n.config.ElectionTicks, HeartbeatTick: 1, Storage: n.log, Applied: at,
		MaxSizePerMsg: 4 << 20, MaxInflightMsgs: 64, MaxInflightBytes: 64 << 20, MaxUncommittedEntriesSize: 64 << 20,
		PreVote: true, CheckQuorum: true, StepDownOnRemoval: true, DisableProposalForwarding: true,
		ReadOnlyOption: raft.ReadOnlySafe, Logger: quiet{},
	})
	n.applied = at
	n.confirms.init(n.config.ID, n.config.Rand)
	n.heard()
	return err
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

// Work plans, stores and applies all there is, and returns the messages to be sent. What they say is on
// disk. An error is final: the node must not be used any more.
func (n *Node) Work() (send []*raftpb.Message, err error) {
	for n.halted == nil {
		n.confirm()
		if n.halted = n.config.Engine.Healthy(); n.halted != nil {
			break
		}
		n.plan()
		n.ask()
		if !n.raft.HasReady() {
			return send, nil
		}
		rd := n.raft.Ready()
		n.halted = n.do(&rd)
		for _, m := range rd.Messages {
			if m.GetType() == raftpb.MsgVoteResp && !m.GetReject() {
				n.heard()
			}
		}
		if n.halted == nil {
			send = append(send, rd.Messages...)
			n.raft.Advance(rd)
		}
	}
	n.confirms.end()
	return nil, n.halted
}

// plan has the engine plan a step, if it leads and none is in flight, and proposes it.
func (n *Node) plan() {
	if !n.leads || n.flight != nil {
		return
	}
	s := n.config.Engine.Plan()
	if s == nil {
		return
	}
	n.flight = &flight{}
	if len(s.Batch) == 0 {
		n.flight.bare = true
		n.confirms.waiting = append(n.confirms.waiting, waiter{done: n.confirmed(n.flight)})
		return
	}
	n.flight.data = appendStep(nil, s)
	if err := n.raft.Propose(n.flight.data); err != nil {
		n.follow()
		n.drop()
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

// follow ends leading. A step in flight stays, if it has an entry that may yet be committed.
func (n *Node) follow() {
	n.leads = false
	n.config.Engine.Follow()
	if f := n.flight; f != nil && f.bare {
		n.drop()
	}
}

func (n *Node) drop() {
	n.flight = nil
	n.config.Engine.Drop()
}

// do does what raft wants done.
func (n *Node) do(rd *raft.Ready) error {
	if !raft.IsEmptySnap(rd.Snapshot) {
		return errors.New("a snapshot has come, and cannot be installed yet")
	}
	if err := n.log.save(rd.HardState, rd.Entries, rd.MustSync); err != nil {
		return err
	}
	for _, e := range rd.Entries {
		if f := n.flight; f != nil && f.index == 0 && !f.bare && string(e.GetData()) == string(f.data) {
			f.index, f.term, f.data = e.GetIndex(), e.GetTerm(), nil
		}
	}
	if rd.SoftState != nil && rd.RaftState != raft.StateLeader && n.leads {
		n.follow()
	}
	for _, e := range rd.CommittedEntries {
		if err := n.apply(e); err != nil {
			return err
		}
		n.applied = e.GetIndex()
	}
	n.answered(rd.ReadStates)
	return nil
}

func (n *Node) settle(own ...engine.SystemChange) {
	n.flight = nil
	n.config.Engine.Apply(own...)
	n.config.Engine.Settle()
}

// apply applies an entry that is committed.
func (n *Node) apply(e *raftpb.Entry) error {
	if e.GetType() != raftpb.EntryNormal {
		return fmt.Errorf("entry %d is of type %v, and members cannot change yet", e.GetIndex(), e.GetType())
	}
	f := n.flight
	if f != nil && f.index == e.GetIndex() && f.term == e.GetTerm() {
		n.settle(appliedRow(f.index, f.term))
		return n.config.Engine.Healthy()
	}
	if f != nil && f.index != 0 && f.index <= e.GetIndex() { // another is in its place
		n.drop()
	}
	if len(e.GetData()) == 0 {
		return n.lead(e)
	}
	s, err := parseStep(e.GetData())
	if err != nil {
		return fmt.Errorf("entry %d: %w", e.GetIndex(), err)
	}
	return n.config.Engine.Adopt(&s, appliedRow(e.GetIndex(), e.GetTerm()))
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
