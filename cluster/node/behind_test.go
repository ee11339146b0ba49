package node_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// write commits so many times, some of it large.
func (c *cluster) write(what string, n int) (last engine.CommitTS) {
	c.t.Helper()
	for i := range n {
		w := put(fmt.Sprint("agent-", i%3), fmt.Sprint("key-", i%7), i)
		w.Value = fmt.Appendf(nil, `{"n":%d,"pad":%q}`, i, strings.Repeat("x", 600))
		r, err := c.commit(engine.TxnID(fmt.Sprint(what, "-", i)), []engine.Write{w}, engine.Conditions{})
		ok(c.t, err)
		last = r.CommitTS
	}
	return last
}

// TestBehind: the log is cut, and who was away for longer fetches the state, whatever is killed meanwhile.
func TestBehind(t *testing.T) {
	installed := 0
	for seed := range uint64(8) {
		c := newCluster(t, seed)
		c.keep = 8 << 10
		for _, id := range c.ids {
			c.members[id].end(c.members[id].disk.Kill())
			c.start(id)
		}
		c.write("before", 5)
		id, m := c.follower()
		c.cut[id] = true
		c.write("away", 40)
		if first := c.leader().Status().First; first < 10 {
			t.Fatalf("seed %d: the log begins at entry %d still", seed, first)
		}
		if at := m.Status(); at.Applied >= c.leader().Status().First {
			t.Fatalf("seed %d: nothing is missing", seed)
		}
		c.lossy, c.kills = seed%2 > 0, seed%4 > 1
		clear(c.cut)
		c.write("after", 20)
		c.settle()
		c.check(nil)
		installed += c.installed
	}
	if installed < 8 {
		t.Errorf("%d states were fetched", installed)
	}
}

// TestCutWaits: while a store cannot be made durable, its disk being full, its log is not cut, and nothing else waits.
func TestCutWaits(t *testing.T) {
	c := newCluster(t, 1)
	c.keep = 8 << 10
	var waiting []func()
	c.aside = func(do func() error, done func(error)) {
		waiting = append(waiting, func() { done(do()) })
	}
	for _, id := range c.ids {
		c.members[id].end(c.members[id].disk.Kill())
		c.start(id)
	}
	c.write("first", 40)
	leader := c.leader()
	before := leader.Status().First
	if before > 2 {
		t.Errorf("the log begins at entry %d, and the store is not durable", before)
	}
	if len(waiting) != len(c.ids) {
		t.Errorf("%d flushes were begun", len(waiting))
	}
	for _, flush := range waiting {
		flush()
	}
	if first := leader.Status().First; first <= before {
		t.Errorf("the log begins at entry %d still", first)
	}
	c.write("second", 5)
	if len(waiting) != 2*len(c.ids) {
		t.Errorf("%d flushes were begun, though there is more to cut", len(waiting))
	}
	c.settle()
	c.check(nil)
}

// TestLogIsKept: what is kept of a log is about what was asked for, also after a start.
func TestLogIsKept(t *testing.T) {
	c := newCluster(t, 9)
	c.keep = 8 << 10
	for range 3 {
		for _, id := range c.ids {
			c.members[id].end(c.members[id].disk.Kill())
			c.start(id)
		}
		c.write(fmt.Sprint(c.clock.UnixNano()), 30)
		c.settle()
		for _, id := range c.ids {
			s := c.members[id].Status()
			if n := s.Committed - s.First; n < 4 || n > 16 {
				t.Errorf("member %d keeps entries %d to %d", id, s.First, s.Committed)
			}
		}
	}
	c.check(nil)
}

// rig is a member that joins, a checkpoint for it, and how far that is.
type rig struct {
	c       *cluster
	from    *member
	dir     string
	list    node.Listing
	commits engine.CommitTS
	leader  uint64
	term    uint64
	ops     int
}

func newRig(t *testing.T) *rig {
	c := newCluster(t, 11)
	r := &rig{c: c, commits: c.write("w", 20), dir: "/srv/checkpoint"}
	c.change(func(m *member, done func(error)) { m.AddLearner(9, done) })
	c.settle()
	r.from = c.leader()
	r.leader, r.term = r.from.Status().ID, r.from.Status().Term
	ok(t, r.from.Checkpoint(r.dir))
	var err error
	r.list, err = node.List(r.from.disk, r.dir, "one")
	ok(t, err)
	return r
}

// take takes the checkpoint in on a disk and has it installed, as far as that disk goes, from wherever it was left.
func (r *rig) take(disk *simdisk.Disk) error {
	m := &member{disk: disk, joins: true}
	env := r.c.env(m)
	recovery := node.Recovery{FS: disk, Dir: raftDir, Store: storeDir, Incoming: incoming, Halt: env.Halt}
	if err := node.Recover(recovery); err != nil {
		return fmt.Errorf("recovering: %w", err)
	}
	config := node.Config{ID: 9, FS: disk, Dir: raftDir, Rand: env.Rand, Halt: env.Halt}
	if e, err := engine.Open(env, withExisting(options())); err == nil {
		config.Engine = e
		n, err := node.Open(config)
		if err != nil {
			return fmt.Errorf("opening what is installed: %w", err)
		}
		if s := n.Status(); s.Applied == 0 || e.Published() != r.commits || s.Role != node.Learner {
			return fmt.Errorf("commit %d is there of %d, %+v", e.Published(), r.commits, s)
		}
		return errors.Join(n.Close(), e.Close())
	} else if !errors.Is(err, engine.ErrNoStore) {
		return fmt.Errorf("opening: %w", err)
	}
	n, err := node.Open(config)
	if err != nil {
		return fmt.Errorf("joining: %w", err)
	}
	in, err := node.Begin(disk, incoming, r.list)
	if err != nil {
		return err
	}
	for path, offset, more := in.Next(); more; path, offset, more = in.Next() {
		data, err := node.ReadStretch(r.from.disk, r.dir, path, offset, 16<<10)
		if err == nil {
			err = in.Put(data)
		}
		if err != nil {
			return err
		}
	}
	mark, err := in.Finish(r.c.env(&member{disk: disk}))
	if errors.Is(err, node.ErrTransfer) { // a crash has taken some of it, and it comes anew
		if err := n.Close(); err != nil {
			return err
		}
		return r.take(disk)
	}
	if err != nil {
		return err
	}
	n.Receive(heartbeat(r.leader, 9, r.term))
	if err := n.Install(mark); err != nil {
		return fmt.Errorf("installing: %w", err)
	}
	for {
		_, appends, err := n.Work()
		if errors.Is(err, node.ErrInstalled) {
			break
		}
		if err == nil {
			err = n.Store(appends)
		}
		if err != nil {
			return err
		}
		n.Stored(appends)
	}
	if err := n.Close(); err != nil {
		return err
	}
	return r.take(disk)
}

func withExisting(o engine.Options) engine.Options {
	o.MustExist = true
	return o
}

// TestInstallCrash: a checkpoint that comes in is there or is not, whatever operation of the disk is the last
// one before the power goes, and what was not synced is lost or kept.
func TestInstallCrash(t *testing.T) {
	r := newRig(t)
	count := func(disk *simdisk.Disk, at int, o simdisk.CrashOptions) (left *simdisk.Disk) {
		var n atomic.Int64 // Pebble removes files in a goroutine of its own
		var crashed atomic.Pointer[simdisk.Disk]
		disk.OnOp(func(op simdisk.Op) {
			if op.Kind == simdisk.OpRead || op.Kind == simdisk.OpOpen {
				return
			}
			if n.Add(1) == int64(at) {
				crashed.Store(disk.Crash(o))
			}
		})
		ok(t, r.take(disk))
		r.ops = int(n.Load())
		left = crashed.Load()
		return left
	}
	count(r.empty(), 0, simdisk.CrashOptions{})
	all := r.ops
	if all < 100 {
		t.Fatalf("%d operations", all)
	}
	stride := 1
	if testing.Short() {
		stride = 17
	}
	for at := 1; at <= all; at += stride {
		for _, mode := range []simdisk.CrashMode{simdisk.DropAll, simdisk.KeepAll} {
			left := count(r.empty(), at, simdisk.CrashOptions{Mode: mode, Seed: uint64(at)})
			if left == nil {
				continue // the disk did less this time
			}
			if err := r.take(left); err != nil {
				t.Fatalf("after a crash at operation %d, %v: %v", at, mode, err)
			}
		}
	}
}

func (r *rig) empty() *simdisk.Disk { return simdisk.NewDisk(simdisk.DiskOptions{Seed: 3}) }

// TestInstallRefuses: a checkpoint that is not what was sent is not taken, wherever a bit of it has flipped, and
// neither is one that is no store.
func TestInstallRefuses(t *testing.T) {
	r := newRig(t)
	for i, f := range r.list.Files {
		disk := r.empty()
		in, err := node.Begin(disk, incoming, r.list)
		ok(t, err)
		for path, offset, more := in.Next(); more; path, offset, more = in.Next() {
			data, err := node.ReadStretch(r.from.disk, r.dir, path, offset, 1<<20)
			ok(t, err)
			if path == f.Path && offset == 0 {
				data[i%len(data)] ^= 4
			}
			ok(t, in.Put(data))
		}
		if _, err := in.Finish(r.c.env(&member{disk: disk})); !errors.Is(err, node.ErrTransfer) && f.Size > 0 {
			t.Errorf("with a bit of %s flipped: %v", f.Path, err)
		}
		if _, err := disk.Stat(incoming); err == nil && f.Size > 0 {
			t.Errorf("with a bit of %s flipped it stays", f.Path)
		}
	}
	for _, path := range []string{"", "/etc/passwd", "../store/CURRENT", "a/../../b", "listing.json"} {
		if _, err := node.Begin(r.empty(), incoming, node.Listing{Name: "x", Files: []node.Transfer{{Path: path, Size: 1}}}); err == nil {
			t.Errorf("a checkpoint has a file %q", path)
		}
	}
	disk := r.empty()
	in, err := node.Begin(disk, incoming, node.Listing{Name: "x", Files: []node.Transfer{{Path: "STATEHOUSE", Size: 3}}})
	ok(t, err)
	if err := in.Put([]byte("four")); err == nil {
		t.Error("a file is longer than was said")
	}
	if _, err := in.Finish(r.c.env(&member{disk: disk})); err == nil {
		t.Error("a checkpoint ends before its end")
	}
}

// TestCopySyncFails: a file of a checkpoint whose sync has failed comes again: another sync would succeed, and the file
// need not be on the disk.
func TestCopySyncFails(t *testing.T) {
	r := newRig(t)
	disk := r.empty()
	ok(t, disk.MkdirAll("/srv", 0o755))
	root, err := disk.OpenDir("/")
	ok(t, err)
	ok(t, errors.Join(root.Sync(), root.Close()))
	fault, err := simdisk.ParseFault("sync-error file=sstable nth=1")
	ok(t, err)
	ok(t, disk.Arm(fault))
	take := func(disk *simdisk.Disk) error {
		in, err := node.Begin(disk, incoming, r.list)
		for err == nil {
			path, offset, more := in.Next()
			if !more {
				_, err = in.Finish(r.c.env(&member{disk: disk}))
				return err
			}
			data, readErr := node.ReadStretch(r.from.disk, r.dir, path, offset, 16<<10)
			ok(t, readErr)
			err = in.Put(data)
		}
		return err
	}
	if err := take(disk); err == nil {
		t.Fatal("no sync has failed")
	}
	ok(t, take(disk))
	disk = disk.Crash(simdisk.CrashOptions{Mode: simdisk.DropAll})
	in, err := node.Begin(disk, incoming, r.list)
	ok(t, err)
	if _, _, more := in.Next(); more {
		t.Error("what was verified is gone with the power")
	}
	if _, err := in.Finish(r.c.env(&member{disk: disk})); err != nil {
		t.Error("what was verified is not on the disk: ", err)
	}
}
