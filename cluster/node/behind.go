package node

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"statehouse.dev/statehouse/engine"
)

// The log is cut: what is kept is some of its end. Who needs what is gone is sent a mark, and fetches the state
// as of some moment (incoming.go): a checkpoint of another member, whose log goes on from there. When that is
// here and verified, Install has raft take the mark for the beginning of the log. The mark is stored, and with
// it that the state must be put in its place: from then on there is no way back, and Recover, before anything
// is opened, does it as often as it takes. So the node ends with ErrInstalled, and is opened again.

// ErrInstalled ends a node that has another state from now on: close it and its engine, Recover, and open
// both again.
var ErrInstalled = errors.New("another state is to be put in its place")

// cut cuts the log when it has grown by a quarter of what is kept. What goes must be in the store, durably.
func (n *Node) cut() error {
	keep := n.config.KeepLog
	last := n.applied
	if n.pinned > 0 && n.log.bytes < 4*keep {
		last = n.pinned
	}
	if n.config.Engine == nil || n.log.bytes < keep+keep/4 || last <= n.log.mark.GetIndex() || n.cutting {
		return nil
	}
	to := n.log.cutAt(keep, last)
	var failed error
	cut := func(err error) {
		n.cutting = false
		if err == nil && n.halted == nil {
			err = n.log.cut(to)
		}
		failed = errors.Join(failed, err)
	}
	n.cutting = true
	if n.config.Aside == nil {
		cut(n.config.Engine.Flush())
		return failed
	}
	n.config.Aside(n.config.Engine.Flush, func(err error) {
		cut(err)
		n.halted = errors.Join(n.halted, failed)
	})
	return nil
}

// Checkpoint makes a checkpoint of the state in dir for a member that is behind. The log is kept from there on,
// within four times what is kept of it else, until Unpin.
func (n *Node) Checkpoint(dir string) error {
	if n.config.Engine == nil {
		return engine.ErrNotLeader
	}
	if _, err := n.config.Engine.Checkpoint(dir); err != nil {
		return err
	}
	n.pinned = n.applied
	return nil
}

// Unpin says that no member needs the log from the last checkpoint on any more.
func (n *Node) Unpin() { n.pinned = 0 }

// Behind reports whether this node is too far behind for the others' logs, and who said so.
func (n *Node) Behind() (from uint64, behind bool) { return n.behind, n.behind != 0 }

// markCame takes a mark that a leader sent in place of entries, and reports whether raft may have it: not when
// the state for it has yet to come.
func (n *Node) markCame(m *raftpb.Message) bool {
	at, have := m.GetSnapshot().GetMetadata(), n.raft.BasicStatus().GetCommit()
	if m.GetTerm() < n.raft.BasicStatus().GetTerm() {
		return true // a leader of before: raft says so
	}
	if term, err := n.log.Term(at.GetIndex()); at.GetIndex() <= have || err == nil && term == at.GetTerm() {
		return true
	}
	if first, err := parseUvarints(m.GetSnapshot().GetData()); err == nil && len(first) == 1 && first[0] <= have+1 {
		n.tell(m)
		return false
	}
	if n.installing == nil {
		n.behind = m.GetFrom()
	}
	return false
}

// tell tells a leader, which does not know it, what this node has: raft does, once that is on disk, as of any mark that
// says nothing new.
func (n *Node) tell(m *raftpb.Message) {
	have := n.raft.BasicStatus().GetCommit()
	n.step(&raftpb.Message{Type: raftpb.MsgSnap.Enum(), From: m.From, To: m.To, Term: m.Term, Snapshot: &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: &have, Term: m.Term, ConfState: n.mark.members}}})
}

// beatCame has a leader told once, after a start: it waits for whoever it has sent a mark, and what such a one has said when
// the state was here may have been lost with the process.
func (n *Node) beatCame(m *raftpb.Message) {
	s := n.raft.BasicStatus()
	if n.known || s.RaftState != raft.StateFollower || m.GetTerm() != s.GetTerm() {
		return
	}
	if n.known = m.GetCommit() >= s.GetCommit(); !n.known {
		n.tell(m)
	}
}

// Install makes a state that has come, and is verified, that of this node: see [Incoming.Finish]. Work ends with
// ErrInstalled when that is stored; until Recover has put it in its place nothing else may come in where it is. It is refused when the node has as much already, or knows of no leader.
func (n *Node) Install(m *Mark) error {
	s := n.raft.BasicStatus()
	switch {
	case m.members == nil:
		return fmt.Errorf("%w: it is of no cluster", ErrTransfer)
	case m.Index <= s.GetCommit():
		n.behind = 0
		return fmt.Errorf("%w: entry %d, where %d are committed", ErrRefused, m.Index, s.GetCommit())
	case s.Lead == raft.None || s.RaftState != raft.StateFollower:
		return ErrUnconfirmed
	}
	n.behind, n.installing = 0, &raftpb.SnapshotMetadata{Index: &m.Index, Term: &m.Term, ConfState: m.members}
	n.log.listing.Store(&m.listing)
	return n.raft.Step(&raftpb.Message{
		Type: raftpb.MsgSnap.Enum(), From: &s.Lead, To: &n.config.ID, Term: s.HardState.Term, Snapshot: &raftpb.Snapshot{Metadata: n.installing},
	})
}

// installs sees to it that raft, when it has gone round, takes the state that was given to it: it does not if entries
// that it got meanwhile go as far. Then that state is nobody's.
func (n *Node) installs() {
	taken := func(a *Append) bool { return a.m.GetSnapshot().GetMetadata() != nil }
	if n.installing != nil && !slices.ContainsFunc(n.storing.waits, taken) {
		n.installing = nil
	}
}

// Recovery says where a member is whose process begins.
type Recovery struct {
	FS       vfs.FS
	Dir      string // of the raft log
	Store    string // the engine's directory
	Incoming string // where checkpoints come in, on the same disk
	Halt     func(error)
}

// Recover ends what was begun before the process ended, if anything was. It comes before the engine is opened.
func Recover(r Recovery) (err error) {
	if _, err := r.FS.Stat(r.Dir); err != nil {
		return nil // there is no log yet
	}
	engine.MakeRoom(r.FS, r.Store)
	db, _, err := openLogStore(r.FS, r.Dir, r.Halt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	row, closer, err := db.Get(installKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	name, err := unseal(installKey, row)
	want := string(name)
	if err := errors.Join(err, closer.Close()); err != nil {
		return err
	}
	switch have, err := listed(r.FS, r.Incoming); {
	case err != nil:
		return err
	case have == want: // there is nothing when all was done, but for saying so
		if err := engine.Install(r.FS, r.Incoming, r.Store); err != nil {
			return err
		}
	case have != "":
		return fmt.Errorf("the checkpoint %q is to be put in its place, and %q is there", want, have)
	}
	if err := r.FS.RemoveAll(r.Incoming); err != nil {
		return err
	}
	return db.Delete(installKey, pebble.Sync)
}
