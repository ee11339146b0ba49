package node_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// reopen opens a member that is down, and returns why it cannot be.
func (c *cluster) reopen(id uint64) error {
	c.t.Helper()
	m := c.members[id]
	e, err := engine.Open(c.env(m), options())
	ok(c.t, err)
	n, err := node.Open(node.Config{ID: id, Members: c.ids, Engine: e, FS: m.disk, Dir: raftDir, Rand: c.env(m).Rand, Halt: c.env(m).Halt})
	if err == nil {
		ok(c.t, n.Close())
	}
	ok(c.t, e.Close())
	return err
}

// turn has a member that is alone do what there is to do, and store all of it.
func (m *member) turn() error {
	_, appends, err := m.Work()
	if err != nil {
		return err
	}
	m.Stored(m.stored)
	m.queue, m.stored = append(m.queue, appends...), nil
	if err := m.Store(m.queue); err != nil {
		return err
	}
	m.Stored(m.queue)
	m.queue = nil
	return nil
}

// TestOpenLostEnd: a member whose log has lost its end has lost what it promised, and is not opened: with no
// log at all, with the log of another, and with one that ends before what the store has.
func TestOpenLostEnd(t *testing.T) {
	c := newCluster(t, 1)
	for i := range 10 {
		_, err := c.commit(engine.TxnID(fmt.Sprint(i)), []engine.Write{put("a", "k", i)}, engine.Conditions{})
		ok(t, err)
	}
	id, m := c.follower()
	m.end(m.disk.Kill())
	ok(t, c.reopen(id))
	ok(t, m.disk.RemoveAll(raftDir))
	if err := c.reopen(id); !errors.Is(err, node.ErrLostEnd) {
		t.Errorf("without its log a member is opened: %v", err)
	}
}

// TestOpenBehind: a store that has lost its end goes on where it is, from the log; Commit need not be stored.
func TestOpenBehind(t *testing.T) {
	for _, mode := range []simdisk.CrashMode{simdisk.DropAll, simdisk.KeepAll} {
		c := newCluster(t, 2)
		for i := range 10 {
			_, err := c.commit(engine.TxnID(fmt.Sprint(i)), []engine.Write{put("a", "k", i)}, engine.Conditions{})
			ok(t, err)
		}
		for range 3 {
			for _, id := range c.ids {
				m := c.members[id]
				m.end(m.disk.Crash(simdisk.CrashOptions{Mode: mode}))
			}
			for _, id := range c.ids {
				c.start(id)
				if s := c.members[id].Status(); s.Committed < s.Applied {
					t.Errorf("opened, %+v", s)
				}
			}
			r, err := c.commit("again", []engine.Write{put("a", "k", 1)}, engine.Conditions{})
			if err != nil || r.CommitTS != 11 {
				t.Errorf("%+v, %v", r, err)
			}
		}
		c.settle()
		c.check(nil)
	}
}

// TestUnknownEntry: a member that meets an entry that it does not know goes no further, and neither does it
// when it is started again.
func TestUnknownEntry(t *testing.T) {
	for _, data := range []string{"\x02\x01", "\x01\x09", "\x01", "\x01\x01", "\x01\x01\x02"} {
		c := newClusterOf(t, 3, 1)
		c.until(func() bool { return c.members[1].Leads() })
		for range 2 {
			m := c.members[1]
			_ = m.ProposeRaw([]byte(data))
			var err error
			for range 100 {
				if err = m.turn(); err != nil {
					break
				}
				m.Tick()
			}
			if !errors.Is(err, node.ErrEntry) {
				t.Errorf("an entry %x is applied: %v", data, err)
			}
			if _, _, again := m.Work(); again != err {
				t.Errorf("after an error Work goes on: %v", again)
			}
			m.end(m.disk.Kill())
			c.start(1)
		}
	}
}

// TestLogFails: when the log cannot be synced nothing that needs it is sent, and the node halts.
func TestLogFails(t *testing.T) {
	c := newClusterOf(t, 4, 1)
	m := c.members[1]
	c.until(m.Leads)
	ok(t, m.disk.Arm(simdisk.Fault{Kind: simdisk.SyncError, File: string(simdisk.ClassWAL), Nth: 1, Count: simdisk.Forever}))
	m.Tick()
	var err error
	for range 100 {
		_ = m.ProposeRaw([]byte("an entry"))
		if err = m.turn(); err != nil {
			break
		}
	}
	if err == nil || m.halted == nil || !strings.Contains(m.halted.Error(), "sync") {
		t.Errorf("a log that cannot be synced: %v, halted: %v", err, m.halted)
	}
}

// TestWiped: a member whose disk is empty and that begins anew under its old id ends as soon as a leader counts on what
// it had.
func TestWiped(t *testing.T) {
	c := newCluster(t, 5)
	c.write("before", 5)
	id, m := c.follower()
	m.end(c.members[id].disk.Kill())
	for _, dir := range []string{storeDir, raftDir} {
		ok(t, m.disk.RemoveAll(dir))
	}
	lead := c.leader()
	m.joins = true
	c.start(id)
	m.Receive(heartbeatOf(lead.ID(), id, lead.Status().Term, lead.Status().Committed))
	if _, _, err := m.Work(); err == nil || !strings.Contains(err.Error(), "raft cannot go on") {
		t.Errorf("a member that has lost all of its disk goes on: %v", err)
	}
}
