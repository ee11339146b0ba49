package node_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/sim/simdisk"
)

// coming is a checkpoint on its way from one member to another.
type coming struct {
	in   *node.Incoming
	from *member
	node *node.Node // the one that has made it
	dir  string     // there
}

// fetch has a member that is behind do the next thing towards another's state.
func (c *cluster) fetch(id uint64) {
	c.t.Helper()
	m := c.members[id]
	from, behind := m.Behind()
	if !behind {
		return
	}
	if f := m.coming; f == nil || f.from.Node != f.node {
		m.coming = c.checkpoint(m, c.members[from])
		return
	}
	f := m.coming
	if path, offset, more := f.in.Next(); more {
		data, err := node.ReadStretch(f.from.disk, f.dir, path, offset, 1+c.rng.IntN(8<<10))
		ok(c.t, err)
		ok(c.t, f.in.Put(data))
		c.fetched++
		return
	}
	mark, err := f.in.Finish(c.env(&member{disk: m.disk}))
	if errors.Is(err, node.ErrTransfer) {
		m.coming = nil // some of it was lost in a crash
		return
	}
	ok(c.t, err)
	if err := m.Install(mark); err != nil && !errors.Is(err, node.ErrRefused) {
		return // nobody leads, and it is tried again
	}
	m.coming = nil
	f.node.Unpin()
	c.work(id)
}

// checkpoint has another member make a checkpoint, or go on with the one that it has made for this one.
func (c *cluster) checkpoint(m, from *member) *coming {
	c.t.Helper()
	if from == nil || from.engine == nil {
		return nil
	}
	dir, name := fmt.Sprintf("/srv/checkpoint-%d", m.ID()), fmt.Sprint("checkpoint-", m.ID(), "-", c.wiped)
	if _, err := from.disk.Stat(dir); err != nil || c.rng.IntN(2) == 0 {
		ok(c.t, from.disk.RemoveAll(dir))
		ok(c.t, from.Checkpoint(dir))
		c.wiped++
		name = fmt.Sprint("checkpoint-", m.ID(), "-", c.wiped)
	}
	l, err := node.List(from.disk, dir, name)
	ok(c.t, err)
	in, err := node.Begin(m.disk, incoming, l)
	ok(c.t, err)
	return &coming{in, from, from.Node, dir}
}

// join starts a member that has nothing.
func (c *cluster) join(id uint64) *member {
	c.t.Helper()
	m := &member{disk: c.members[1].disk.Clone(), joins: true}
	for _, dir := range []string{storeDir, raftDir, incoming} {
		ok(c.t, m.disk.RemoveAll(dir))
	}
	c.members[id] = m
	c.ids = append(c.ids, id)
	c.start(id)
	return m
}

// change has the leader change something until that is made.
func (c *cluster) change(do func(m *member, done func(error))) {
	c.t.Helper()
	for range 100 {
		m, told := c.leader(), false
		var err error
		do(m, func(e error) { told, err = true, e })
		for i := 0; i < 2000 && !told && m.up(); i++ {
			c.run()
		}
		if told && err == nil {
			return
		}
		for range 20 {
			c.run()
		}
	}
	c.t.Fatal("a change is never made")
}

// snapshotMessage is what a leader sends in place of entries that its log has no more.
func snapshotMessage(from, to, term, index, first uint64) *raftpb.Message {
	m := heartbeat(from, to, term)
	m.Type, m.Commit = raftpb.MsgSnap.Enum(), nil
	m.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: &index, Term: &term, ConfState: &raftpb.ConfState{Voters: []uint64{1, 2, 3}}}, Data: binary.AppendUvarint(nil, first)}
	return m
}

// TestMarkOfWhatTheLogHas: a leader that has sent a mark, and whose log has what is missing, is told what there is; who needs
// what the log has no more is behind.
func TestMarkOfWhatTheLogHas(t *testing.T) {
	c := newCluster(t, 13)
	c.write("w", 5)
	c.settle()
	id, f := c.follower()
	s := f.Status()
	f.Receive(snapshotMessage(s.Leader, id, s.Term, s.Committed+9, s.Committed+1))
	if _, behind := f.Behind(); behind {
		t.Error("a member is behind though the log has what it lacks")
	}
	c.network = nil
	for range 4 {
		c.work(id)
		c.sync(id)
	}
	told := func(m *raftpb.Message) bool {
		return m.GetType() == raftpb.MsgAppResp && m.GetFrom() == id && m.GetIndex() == s.Committed && !m.GetReject()
	}
	if !slices.ContainsFunc(c.network, told) {
		t.Errorf("the leader is not told that entry %d is there: %v", s.Committed, c.network)
	}
	f.Receive(snapshotMessage(s.Leader, id, s.Term, s.Committed+9, s.Committed+2))
	if from, behind := f.Behind(); !behind || from != s.Leader {
		t.Error("a member is not behind though the log lacks what it lacks")
	}
}

// TestCopyOfBefore: a copy that was made for another before a member was added is no state for that one, and it goes on to
// fetch one that is.
func TestCopyOfBefore(t *testing.T) {
	c := newCluster(t, 14)
	c.write("w", 8)
	from := c.leader()
	ok(t, from.Checkpoint("/srv/early"))
	early, err := node.List(from.disk, "/srv/early", "early")
	ok(t, err)
	c.change(func(m *member, done func(error)) { m.AddLearner(9, done) })
	c.settle()
	s := c.leader().Status()
	m := &member{disk: simdisk.NewDisk(simdisk.DiskOptions{Seed: 4}), joins: true}
	env := c.env(m)
	n, err := node.Open(node.Config{ID: 9, FS: m.disk, Dir: raftDir, Rand: env.Rand, Halt: env.Halt})
	ok(t, err)
	in, err := node.Begin(m.disk, incoming, early)
	ok(t, err)
	for path, offset, more := in.Next(); more; path, offset, more = in.Next() {
		data, err := node.ReadStretch(from.disk, "/srv/early", path, offset, 1<<20)
		ok(t, err)
		ok(t, in.Put(data))
	}
	mark, err := in.Finish(c.env(&member{disk: m.disk}))
	ok(t, err)
	n.Receive(heartbeat(s.ID, 9, s.Term))
	ok(t, n.Install(mark))
	for range 4 {
		_, appends, err := n.Work()
		ok(t, err)
		ok(t, n.Store(appends))
		n.Stored(appends)
	}
	n.Receive(snapshotMessage(s.ID, 9, s.Term, s.Committed, 2))
	if _, behind := n.Behind(); !behind {
		t.Error("it fetches nothing any more")
	}
	ok(t, n.Close())
}
