package node_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// asked is a Confirm that a test waits for.
type asked struct {
	m      *member
	engine *engine.Engine
	least  engine.CommitTS // what was acknowledged when it was called
	done   int
	err    error
}

func ask(m *member, least engine.CommitTS) *asked {
	a := &asked{m: m, engine: m.engine, least: least}
	m.Confirm(func(err error) { a.done, a.err = a.done+1, err })
	return a
}

// wait runs the cluster until it is answered, or its member is no more.
func (c *cluster) wait(a *asked) error {
	c.t.Helper()
	for range 20000 {
		switch {
		case a.done > 1:
			c.t.Fatal("a confirmation came twice")
		case a.done == 1:
			return a.err
		case a.m.engine != a.engine:
			return errKilled
		}
		c.run()
	}
	c.t.Fatal("a confirmation never came")
	return nil
}

// TestConfirm: whoever confirms has all that was acknowledged before, on whatever member, and is answered in
// any case.
func TestConfirm(t *testing.T) {
	confirmed, refused := 0, 0
	for seed := range uint64(12) {
		c := newCluster(t, seed)
		c.lossy, c.kills = seed%3 > 0, seed%4 > 0
		var least engine.CommitTS
		var all []*asked
		for i := range 60 {
			r, err := c.commit(engine.TxnID(fmt.Sprint(i)), []engine.Write{put("a", "k", i)}, engine.Conditions{})
			ok(t, err)
			least = r.CommitTS
			if i%10 == 9 {
				clear(c.cut)
				c.cut[c.ids[c.rng.IntN(3)]] = true
			}
			for _, id := range c.ids {
				if m := c.members[id]; m.engine != nil {
					all = append(all, ask(m, least))
				}
			}
			left := all[:0]
			for _, a := range all {
				switch {
				case a.done == 0 && a.m.engine == a.engine:
					left = append(left, a)
				case a.done == 1 && a.err == nil:
					confirmed++
					if a.m.engine == a.engine && a.engine.Published() < a.least {
						t.Fatalf("seed %d: commit %d is confirmed where %d is published", seed, a.least, a.engine.Published())
					}
				case a.done == 1 && errors.Is(a.err, engine.ErrNotLeader):
					refused++
				case a.done > 0:
					t.Fatalf("seed %d: answered %d times, %v", seed, a.done, a.err)
				}
			}
			all = left
		}
		c.settle()
		for _, a := range all {
			if err := c.wait(a); err == nil && a.engine.Published() < a.least {
				t.Fatalf("seed %d: commit %d is confirmed where %d is published", seed, a.least, a.engine.Published())
			}
		}
		c.check(nil)
	}
	if confirmed < 1000 || refused < 20 {
		t.Errorf("%d confirmed, %d refused", confirmed, refused)
	}
}

// TestConfirmCut: a leader that is cut off confirms nothing, and says so; nor does one whose majority is gone.
func TestConfirmCut(t *testing.T) {
	c := newCluster(t, 1)
	first, err := c.commit("first", []engine.Write{put("a", "k", 1)}, engine.Conditions{})
	ok(t, err)
	old := c.leader()
	ok(t, c.wait(ask(old, first.CommitTS)))
	for _, id := range c.ids {
		c.cut[id] = c.members[id] == old
	}
	_, err = c.commit("second", []engine.Write{put("a", "k", 2)}, engine.Conditions{})
	ok(t, err)
	if err := c.wait(ask(old, 0)); !errors.Is(err, engine.ErrNotLeader) {
		t.Errorf("one that is cut off: %v", err)
	}
	s := old.Status()
	if s.Role == node.Leader || len(s.Members) != 3 || s.Applied > s.Committed {
		t.Errorf("one that is cut off is %+v", s)
	}
	c.settle()
	lead := c.leader()
	for _, id := range c.ids {
		m := c.members[id]
		ok(t, c.wait(ask(m, 0)))
		s := m.Status()
		if s.Leader != lead.Status().ID || s.Term == 0 || s.Lag() != 0 || (s.Role == node.Leader) != (m == lead) {
			t.Errorf("member %d is %+v", id, s)
		}
		for _, of := range s.Members {
			if m == lead && (of.Match != s.Applied || !of.Active) {
				t.Errorf("of member %d the leader has %+v", of.ID, of)
			}
		}
	}
	var last error
	m := c.members[1]
	m.Confirm(func(err error) { last = err })
	ok(t, m.Close())
	if !errors.Is(last, engine.ErrNotLeader) {
		t.Errorf("one that ends while it is asked: %v", last)
	}
}

// TestConfirmShares: all that wait when a round begins share it.
func TestConfirmShares(t *testing.T) {
	c := newCluster(t, 2)
	_, follower := c.follower()
	rounds := map[string]bool{}
	c.stop = func(m *raftpb.Message) bool {
		if m.GetType() == raftpb.MsgReadIndex {
			rounds[string(m.GetEntries()[0].GetData())] = true
		}
		return false
	}
	var all []*asked
	for range 100 {
		all = append(all, ask(follower, 0))
	}
	for _, a := range all {
		ok(t, c.wait(a))
	}
	if len(rounds) != 1 {
		t.Errorf("%d rounds for a hundred that waited together", len(rounds))
	}
}

// follower returns a member that does not lead, after all have the same.
func (c *cluster) follower() (id uint64, m *member) {
	c.t.Helper()
	lead := c.leader()
	c.settle()
	for _, id := range c.ids {
		if c.members[id] != lead {
			return id, c.members[id]
		}
	}
	c.t.Fatal("all lead")
	return 0, nil
}

// TestConfirmWaits: what a round told must be applied, and who came after it began has the next one.
func TestConfirmWaits(t *testing.T) {
	c := newCluster(t, 6)
	id, m := c.follower()
	var late []*raftpb.Message
	c.stop = func(msg *raftpb.Message) bool { // no entry comes to it, and answers come late
		switch {
		case msg.GetTo() == id && msg.GetType() == raftpb.MsgReadIndexResp:
			late = append(late, msg)
			return true
		}
		return msg.GetTo() == id && msg.GetType() == raftpb.MsgApp
	}
	first := ask(m, 0)
	c.until(func() bool { return len(late) > 0 })
	r, err := c.commit("newer", []engine.Write{put("a", "k", 1)}, engine.Conditions{})
	ok(t, err)
	second := ask(m, r.CommitTS)
	m.Receive(late[0])
	c.work(id)
	if first.done != 1 || first.err != nil || second.done != 0 {
		t.Errorf("who asked before is told %d times, %v, and who asked after %d times", first.done, first.err, second.done)
	}
	c.until(func() bool { return len(late) > 1 })
	m.Receive(late[1])
	c.work(id)
	if second.done != 0 || m.engine.Published() >= r.CommitTS {
		t.Errorf("commit %d is confirmed where %d is", r.CommitTS, m.engine.Published())
	}
	c.stop = nil
	if err := c.wait(second); err == nil && m.engine.Published() < r.CommitTS {
		t.Errorf("commit %d is confirmed where %d is", r.CommitTS, m.engine.Published())
	}
}

// TestConfirmNamesAreNew: the answer to a round that a member asked for before it was started again confirms nothing.
func TestConfirmNamesAreNew(t *testing.T) {
	c := newCluster(t, 3)
	id, m := c.follower()
	var late []*raftpb.Message
	c.stop = func(m *raftpb.Message) bool {
		if m.GetType() != raftpb.MsgReadIndexResp {
			return false
		}
		late = append(late, m)
		return true
	}
	ask(m, 0)
	c.until(func() bool { return len(late) > 0 })
	m.end(m.disk.Kill())
	r, err := c.commit("newer", []engine.Write{put("a", "k", 1)}, engine.Conditions{})
	ok(t, err)
	c.until(func() bool { return m.engine != nil && m.Status().Leader > 0 })
	// Nothing of the commit has come, and the old answer does while the new round is under way.
	c.stop = func(msg *raftpb.Message) bool { return msg.GetTo() == id }
	a := ask(m, r.CommitTS)
	c.work(id)
	m.Receive(late[0])
	c.work(id)
	if a.done > 0 && a.err == nil && m.engine.Published() < r.CommitTS {
		t.Errorf("what a member asked before it was started again confirms that commit %d is the newest, where %d is", m.engine.Published(), r.CommitTS)
	}
}

// TestConfirmAlone: a member that is alone knows nothing of its log before the first entry of its term is
// committed, though raft would answer at once: what is committed need not be on its disk.
func TestConfirmAlone(t *testing.T) {
	c := newClusterOf(t, 4, 1)
	r, err := c.commit("first", []engine.Write{put("a", "k", 1)}, engine.Conditions{})
	ok(t, err)
	m := c.members[1]
	m.end(m.disk.Crash(simdisk.CrashOptions{Mode: simdisk.DropAll}))
	c.start(1)
	if m.engine.Published() == r.CommitTS {
		t.Fatal("the crash has taken nothing")
	}
	for range 10 {
		a := ask(m, r.CommitTS)
		if err := c.wait(a); err == nil && m.engine.Published() < r.CommitTS {
			t.Fatalf("commit %d is confirmed where %d is published", r.CommitTS, m.engine.Published())
		}
		c.run()
	}
	_, err = m.engine.Transact(context.Background(), "second", []engine.Write{put("a", "k", 2)}, engine.Conditions{})
	ok(t, err)
}
