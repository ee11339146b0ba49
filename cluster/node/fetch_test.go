package node_test

import (
	"errors"
	"fmt"

	"statehouse.dev/statehouse/cluster/node"
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
