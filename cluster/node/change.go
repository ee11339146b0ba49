package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
)

// Beside steps a cluster agrees on who its members are and where (places.go), on its version and on settings that all share. One such
// change is under way at a time, and the leader begins it. A member that joins is a learner first, which has
// no vote, and is promoted when it has what the others have. Who was removed is never a member again: what it
// promised is not known to be there any more.

// Version is the newest version of a cluster that this build knows. It is raised by an entry, once every
// member runs a build that knows it; a member that meets a newer one goes no further.
//
//	1  how clusters begin
//	2  a member that does not lead has what operators do to it, and whom it refuses, written down by the one that leads
const Version = 2

// VersionOfAudit is the first of which that is true.
const VersionOfAudit = 2

// The refusals of changes. Nothing was changed.
var (
	ErrBusy    = errors.New("another change of the cluster is under way")
	ErrRefused = errors.New("the cluster cannot be changed so")
	// ErrRemoved ends a node that is not a member any more.
	ErrRemoved = errors.New("this member was removed from its cluster: what it has is of no use there any more, and to take part again a new member must be added, and joins with an empty directory")
)

const (
	kindVersion  = 2 // uvarint
	kindSettings = 3 // the row's body
	kindPlace    = 4 // as in the row of all places
)

// change is one of which is not known yet what becomes of it.
type change struct {
	data        []byte
	index, term uint64
	done        func(error)
}

// AddLearner adds a member that has no vote. Its id must never have been one of the cluster.
func (n *Node) AddLearner(id uint64, done func(error)) {
	s := n.Status()
	known := id == 0 || slices.ContainsFunc(s.Members, func(m Member) bool { return m.ID == id }) || slices.Contains(n.mark.removed, id)
	why := ""
	if known {
		why = "an id is used once"
	}
	n.changeMembers(raftpb.ConfChangeAddLearnerNode, id, why, done)
}

// caughtUp is how many entries a learner may lack when it is promoted.
const caughtUp = 64

// Promote gives a learner a vote. It must have caught up.
func (n *Node) Promote(id uint64, done func(error)) {
	s := n.Status()
	why := "it is no learner: only one that was added and has no vote yet is promoted"
	if i := slices.IndexFunc(s.Members, func(m Member) bool { return m.ID == id && m.Learner }); i >= 0 {
		switch m := s.Members[i]; {
		case m.Match == 0 || !m.Active:
			why = "it has not been heard of yet: start its daemon, and wait until it has what the others have"
		case m.Match+caughtUp < s.Committed:
			why = fmt.Sprintf("it has not caught up: it lacks %d entries", s.Committed-m.Match)
		default:
			why = ""
		}
	}
	n.changeMembers(raftpb.ConfChangeAddNode, id, why, done)
}

// Remove ends a membership. Those who stay must be a majority that answers.
func (n *Node) Remove(id uint64, done func(error)) {
	member, voters, active := false, 0, 0
	for _, m := range n.Status().Members {
		if m.ID == id {
			member = true
			continue
		}
		if !m.Learner {
			voters++
			if m.Active {
				active++
			}
		}
	}
	why := ""
	switch {
	case !member:
		why = "it is no member"
	case active <= voters/2:
		why = fmt.Sprintf("of the %d members that vote and stay %d answer, which is no majority: nothing would be committed any more", voters, active)
	}
	n.changeMembers(raftpb.ConfChangeRemoveNode, id, why, done)
}

// changeMembers begins a change of members, unless there is a reason why not.
func (n *Node) changeMembers(kind raftpb.ConfChangeType, id uint64, why string, done func(error)) {
	if n.refused(done) {
		return
	}
	if why != "" {
		done(fmt.Errorf("%w: member %d: %s", ErrRefused, id, why))
		return
	}
	cc := &raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{{Type: &kind, NodeId: &id}}}
	data, err := proto.Marshal(cc)
	if err == nil {
		err = n.raft.ProposeConfChange(cc)
	}
	n.proposed(data, err, done)
}

// SetVersion raises the version of the cluster. Every member must know it: whoever asks has seen to that.
func (n *Node) SetVersion(v uint64, done func(error)) {
	if v > n.config.Knows || v <= n.mark.version {
		done(fmt.Errorf("%w: version %d, of a cluster of version %d, where this build knows %d", ErrRefused, v, n.mark.version, n.config.Knows))
		return
	}
	n.propose(kindVersion, uvarints(v), done)
}

// SetSettings replaces the settings that all members share: [Node.Settings].
func (n *Node) SetSettings(body []byte, done func(error)) {
	if len(body) > engine.MaxSystemBody {
		done(fmt.Errorf("%w: settings of %d bytes", ErrRefused, len(body)))
		return
	}
	n.propose(kindSettings, body, done)
}

// Settings are those that were set last; nil: none were.
func (n *Node) Settings() ([]byte, error) { return n.config.Engine.System(rowKind, settingsName) }

func (n *Node) propose(kind byte, body []byte, done func(error)) {
	if n.refused(done) {
		return
	}
	data := append([]byte{entryVersion, kind}, body...)
	n.proposed(data, n.raft.Propose(data), done)
}

// refused refuses a change that cannot begin now, whatever it is.
func (n *Node) refused(done func(error)) bool {
	switch {
	case n.halted != nil || !n.leads:
		done(engine.ErrNotLeader)
	case n.change != nil:
		done(ErrBusy)
	default:
		return false
	}
	return true
}

func (n *Node) proposed(data []byte, err error, done func(error)) {
	if err != nil {
		done(fmt.Errorf("%w: %w", ErrBusy, err))
		return
	}
	n.change = &change{data: data, done: done}
}

// changeFound looks for the place of the change under way among entries that go into the log. Raft leaves an
// empty one in the place of a change of members that it refuses.
func (n *Node) changeFound(entries []*raftpb.Entry) {
	c := n.change
	if c == nil || c.index != 0 || len(entries) == 0 {
		return
	}
	for _, e := range entries {
		if string(e.GetData()) == string(c.data) {
			c.index, c.term = e.GetIndex(), e.GetTerm()
			return
		}
	}
	n.changed(ErrBusy)
}

// changeEnds ends the change under way, if what is applied says what became of it.
func (n *Node) changeEnds(index, term uint64) {
	switch c := n.change; {
	case c == nil || c.index == 0:
	case c.index == index && c.term == term:
		n.changed(nil)
	case c.index <= index || c.term < term: // another is in its place
		n.changed(engine.ErrNotLeader)
	}
}

func (n *Node) changed(err error) {
	done := n.change.done
	n.change = nil
	done(err)
}

// applyMembers applies a change of members.
func (n *Node) applyMembers(e *raftpb.Entry, at engine.SystemChange) error {
	var cc raftpb.ConfChangeV2
	if err := proto.Unmarshal(e.GetData(), &cc); err != nil || e.GetType() != raftpb.EntryConfChangeV2 || len(cc.GetChanges()) != 1 {
		return entryError(e, errors.Join(ErrEntry, err))
	}
	conf := n.raft.ApplyConfChange(&cc)
	rows := []engine.SystemChange{at, row(membersName, mustMarshal(conf))}
	if one := cc.GetChanges()[0]; one.GetType() == raftpb.ConfChangeRemoveNode {
		n.mark.removed = append(n.mark.removed, one.GetNodeId())
		rows = append(rows, row(removedName, uvarints(n.mark.removed...)))
	}
	n.mark.members = conf
	if err := n.config.Engine.Keep(rows...); err != nil {
		return err
	}
	if slices.Contains(n.mark.removed, n.config.ID) {
		n.changeEnds(e.GetIndex(), e.GetTerm())
		return ErrRemoved
	}
	return nil
}

// applyVersion applies a change of the cluster's version.
func (n *Node) applyVersion(e *raftpb.Entry, body []byte, at engine.SystemChange) error {
	v, k := binary.Uvarint(body)
	if k != len(body) || v > n.config.Knows {
		return entryError(e, fmt.Errorf("%w: version %d of the cluster, where this build knows %d", ErrEntry, v, n.config.Knows))
	}
	n.mark.version = v
	return n.config.Engine.Keep(at, row(versionName, body))
}

// Transfer has another member lead, if it can. Whether it does Status tells.
func (n *Node) Transfer(to uint64) { n.raft.TransferLeader(to) }

// report gives up waiting for those that were sent a mark, in place of entries that the log has no more: they
// may have what they need, or not have heard of it. They are asked, and sent another if they lack it still.
func (n *Node) report() {
	var stuck []uint64
	n.raft.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		if p.State == tracker.StateSnapshot {
			stuck = append(stuck, id)
		}
	})
	for _, id := range stuck {
		n.raft.ReportSnapshot(id, raft.SnapshotFailure)
	}
}
