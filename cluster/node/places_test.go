package node_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// joinWithCopy starts a member on a copy of the leader's store, with a log that goes on from there.
func (c *cluster) joinWithCopy(id uint64) {
	c.t.Helper()
	from, to := c.leader(), &member{disk: simdisk.NewDisk(simdisk.DiskOptions{Seed: id}), joins: true}
	dir := fmt.Sprint("/srv/copy-", id)
	ok(c.t, from.Checkpoint(dir))
	l, err := node.List(from.disk, dir, dir)
	ok(c.t, err)
	in, err := node.Begin(to.disk, incoming, l)
	ok(c.t, err)
	for path, offset, more := in.Next(); more; path, offset, more = in.Next() {
		data, err := node.ReadStretch(from.disk, dir, path, offset, 64<<10)
		ok(c.t, err)
		ok(c.t, in.Put(data))
	}
	env := c.env(to)
	mark, err := in.Finish(env)
	ok(c.t, err)
	ok(c.t, node.JoinLog(to.disk, raftDir, mark, env.Halt))
	ok(c.t, engine.Install(to.disk, incoming, storeDir))
	ok(c.t, to.disk.RemoveAll(incoming))
	to.disk = to.disk.Crash(simdisk.CrashOptions{Mode: simdisk.DropAll}) // the log is there, whatever happens
	c.members[id] = to
	c.ids = append(c.ids, id)
	c.start(id)
}

// TestJoinLog: a member that joins with a copy of another's store, and a log that goes on from there, follows, is
// promoted, and leads when those that it began with are gone; where the members are all of them know, also those
// that came later, and after a start.
func TestJoinLog(t *testing.T) {
	for seed := range uint64(6) {
		c := newCluster(t, seed)
		c.lossy, c.kills = seed%2 > 0, seed%3 > 0
		c.write("before", 20)
		for id := uint64(4); id <= 6; id++ {
			at := node.Place{Address: fmt.Sprint("host-", id, ":1")}
			c.change(func(m *member, done func(error)) { m.SetPlace(id, at, done) })
			c.change(func(m *member, done func(error)) {
				if next := m.Status().Next; next != id && next != id+1 { // it may be there already
					t.Errorf("seed %d: the first id that nobody had is %d", seed, next)
				}
				m.AddLearner(id, added(m, id, done))
			})
			at.Directory = fmt.Sprint("directory-", id)
			c.change(func(m *member, done func(error)) { m.SetPlace(id, at, done) })
			c.joinWithCopy(id)
			c.write(fmt.Sprint("with-", id), 5)
			c.change(func(m *member, done func(error)) {
				m.Promote(id, func(err error) {
					if slices.ContainsFunc(m.Status().Members, func(o node.Member) bool { return o.ID == id && !o.Learner }) {
						err = nil
					}
					done(err)
				})
			})
			old := id - 3
			c.change(func(m *member, done func(error)) {
				if slices.Contains(m.Status().Removed, old) {
					done(nil)
					return
				}
				m.Remove(old, done)
			})
			c.members[old].ended = node.ErrRemoved
			c.members[old].end(c.members[old].disk)
		}
		c.write("after", 5)
		c.settle()
		for _, id := range c.ids {
			m := c.members[id]
			if m.ended != nil {
				continue
			}
			m.end(m.disk.Kill())
			c.start(id)
			for _, o := range m.Status().Members {
				if want := (node.Place{Address: fmt.Sprint("host-", o.ID, ":1"), Directory: fmt.Sprint("directory-", o.ID)}); o.Place != want {
					t.Errorf("seed %d: to member %d member %d is at %v", seed, id, o.ID, o.Place)
				}
			}
		}
		c.settle()
		c.check(nil)
	}
}

// TestPlaces: of those that never became members, or are none any more, nothing is kept; a place that is too long, or
// none, is refused.
func TestPlaces(t *testing.T) {
	c := newCluster(t, 4)
	for _, p := range []node.Place{{}, {Directory: "d"}, {Address: strings.Repeat("x", 600)}} {
		c.leader().SetPlace(4, p, func(err error) {
			if !errors.Is(err, node.ErrRefused) {
				t.Errorf("%v: %v", p, err)
			}
		})
	}
	for range 100 { // they have room in a row because those that never became members go
		c.change(func(m *member, done func(error)) {
			m.SetPlace(m.Status().Next, node.Place{Address: strings.Repeat("a", 400)}, done)
		})
		c.change(func(m *member, done func(error)) { m.SetPlace(900, node.Place{Address: "b:1"}, done) })
	}
	c.settle()
	body, err := c.leader().engine.System("raft", "places")
	ok(t, err)
	if len(body) > 20 || !strings.Contains(string(body), "b:1") {
		t.Errorf("what is kept is %q", body)
	}
	c.check(nil)
}
