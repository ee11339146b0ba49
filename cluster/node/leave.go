package node

import (
	"errors"
	"slices"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
)

// A member may leave with its store, which is then that of one machine again. Which of its entries are committed a
// member that is alone does not know, so it applies all: of the most recent of the members, whose log a majority
// would elect, they are all that was acknowledged, and some of what nobody was answered.

// Leave applies all that the log has. It is the end of the node as a member: others may commit something else in the
// place of what it applies. sure is called when nothing is in the way, before anything is applied.
func (n *Node) Leave(sure func() error) error {
	last, _ := n.log.LastIndex()
	entries, err := n.entriesTo(last)
	if err == nil && slices.ContainsFunc(entries, n.removesThis) {
		err = ErrRemoved
	}
	if err == nil {
		err = sure()
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := n.apply(e); err != nil {
			return err
		}
		n.applied = e.GetIndex()
	}
	return n.config.Engine.Flush()
}

// entriesTo are the entries that are not applied, up to one.
func (n *Node) entriesTo(last uint64) (all []*raftpb.Entry, err error) {
	if n.applied == last {
		return nil, nil
	}
	const most = 1 << 40 // bytes: all of them are in memory
	return n.log.Entries(n.applied+1, last+1, most)
}

func (n *Node) removesThis(e *raftpb.Entry) bool {
	var cc raftpb.ConfChangeV2
	return e.GetType() == raftpb.EntryConfChangeV2 && proto.Unmarshal(e.GetData(), &cc) == nil &&
		slices.ContainsFunc(cc.GetChanges(), func(c *raftpb.ConfChangeSingle) bool {
			return c.GetType() == raftpb.ConfChangeRemoveNode && c.GetNodeId() == n.config.ID
		})
}

// Forget takes out of a store what it has of a log, which is gone.
func Forget(e *engine.Engine) error {
	rows, err := e.SystemRows(rowKind, "", 0)
	if err != nil {
		return err
	}
	var gone []engine.SystemChange
	for _, r := range rows {
		gone = append(gone, engine.SystemChange{Kind: rowKind, Name: r.Name})
	}
	return errors.Join(e.Keep(gone...), e.Flush())
}
