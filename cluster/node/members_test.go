package node_test

import (
	"errors"
	"fmt"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
)

func heartbeat(from, to, term uint64) *raftpb.Message { return heartbeatOf(from, to, term, 0) }

func heartbeatOf(from, to, term, commit uint64) *raftpb.Message {
	return &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), From: &from, To: &to, Term: &term, Commit: &commit}
}

// TestMembers: a member that has nothing joins as a learner, gets the state, is promoted and leads; another is
// removed, and is never one again. All that under writes, and with members killed.
func TestMembers(t *testing.T) {
	for seed := range uint64(6) {
		c := newCluster(t, seed)
		c.lossy, c.kills = seed%2 > 0, seed%3 > 0
		c.write("before", 20)
		c.change(func(m *member, done func(error)) { m.AddLearner(4, added(m, 4, done)) })
		joined := c.join(4)
		c.write("meanwhile", 10)
		c.until(func() bool { return joined.engine != nil && joined.up() })
		c.change(func(m *member, done func(error)) {
			if s := m.Status(); len(s.Members) == 4 && !s.Members[3].Learner {
				done(nil)
				return
			}
			m.Promote(4, done)
		})
		gone := c.ids[c.rng.IntN(3)]
		c.change(func(m *member, done func(error)) {
			if len(m.Status().Removed) == 1 {
				done(nil)
				return
			}
			m.Remove(gone, done)
		})
		c.write("after", 10)
		c.members[gone].ended = node.ErrRemoved // it need not have heard of it
		c.members[gone].end(c.members[gone].disk)
		c.settle()
		c.change(func(m *member, done func(error)) {
			m.AddLearner(gone, func(err error) {
				if errors.Is(err, node.ErrRefused) {
					err = nil
				} else if err == nil {
					t.Errorf("seed %d: member %d was removed, and is one again", seed, gone)
				}
				done(err)
			})
		})
		s := c.leader().Status()
		if len(s.Members) != 3 || len(s.Removed) != 1 || s.Removed[0] != gone {
			t.Errorf("seed %d: %+v", seed, s)
		}
		c.check(nil)
	}
}

// added takes a member that is there for one that was added: the answer may have been lost.
func added(m *member, id uint64, done func(error)) func(error) {
	return func(err error) {
		for _, of := range m.Status().Members {
			if of.ID == id {
				err = nil
			}
		}
		done(err)
	}
}

// TestChangesOneAtATime: one change is under way at a time, only the leader begins one, and what would stop the
// cluster is refused.
func TestChangesOneAtATime(t *testing.T) {
	c := newCluster(t, 1)
	lead := c.leader()
	_, follower := c.follower()
	told := map[string]error{}
	tell := func(what string) func(error) { return func(err error) { told[what] = fmt.Errorf("%w", err) } }
	is := func(what string, want error) {
		t.Helper()
		if !errors.Is(told[what], want) {
			t.Errorf("%s: %v, not %v", what, told[what], want)
		}
	}
	follower.AddLearner(4, tell("by a follower"))
	is("by a follower", engine.ErrNotLeader)
	lead.AddLearner(4, tell("learner"))
	lead.AddLearner(5, tell("two at once"))
	is("two at once", node.ErrBusy)
	lead.SetSettings([]byte("s"), tell("settings at once"))
	is("settings at once", node.ErrBusy)
	c.work(lead.ID())
	c.until(func() bool { return told["learner"] != nil })
	if errors.Unwrap(told["learner"]) != nil {
		t.Errorf("a learner: %v", told["learner"])
	}
	lead.AddLearner(4, tell("twice"))
	is("twice", node.ErrRefused)
	lead.Promote(4, tell("not caught up"))
	is("not caught up", node.ErrRefused)
	lead.Promote(2, tell("no learner"))
	is("no learner", node.ErrRefused)
	lead.Remove(7, tell("no member"))
	is("no member", node.ErrRefused)
	lead.SetVersion(node.Version+1, tell("version"))
	is("version", node.ErrRefused)
	for _, id := range c.ids {
		c.cut[id] = c.members[id] != lead && c.members[id] != follower
	}
	for range 3000 {
		c.run()
	}
	if lead.Leads() {
		lead.Remove(follower.ID(), tell("no majority"))
		is("no majority", node.ErrRefused)
	}
}

// TestSettings: all members have the same settings and version, those that begin later, too.
func TestSettings(t *testing.T) {
	c := newCluster(t, 2)
	for _, body := range []string{"one", "two", ""} {
		c.change(func(m *member, done func(error)) { m.SetSettings([]byte(body), done) })
	}
	c.change(func(m *member, done func(error)) { m.SetSettings([]byte("three"), done) })
	c.settle()
	for _, id := range c.ids {
		c.until(func() bool {
			body, err := c.members[id].Settings()
			ok(t, err)
			return string(body) == "three"
		})
	}
	c.check(nil)
}

// TestTransfer: leadership moves to whom it is given.
func TestTransfer(t *testing.T) {
	c := newCluster(t, 3)
	c.write("before", 3)
	id, m := c.follower()
	c.leader().Transfer(id)
	c.work(c.leader().ID())
	c.until(m.Leads)
	c.write("after", 3)
	c.settle()
	c.check(nil)
}
