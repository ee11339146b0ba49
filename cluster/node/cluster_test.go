package node_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"math/rand/v2"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// Members in one process, each on a disk of its own, with a network that loses, repeats and reorders
// messages, and members that are killed. One goroutine does everything, from a seed.

const (
	storeDir = "/srv/store"
	raftDir  = "/srv/raft"
	incoming = "/srv/store.incoming"
)

type member struct {
	*node.Node
	engine *engine.Engine // nil: it is down
	disk   *simdisk.Disk
	halted error
	queue  []*node.Append // to be stored
	stored []*node.Append // of which the node is not told yet
	joins  bool
	ended  error // it is no member any more
	coming *coming
	term   uint64 // on its disk
}

type cluster struct {
	t              *testing.T
	rng            *rand.Rand
	seed           *rand.ChaCha8
	clock          time.Time
	members        map[uint64]*member
	ids            []uint64
	network        []*raftpb.Message
	cut            map[uint64]bool // those of which no message arrives or leaves
	lossy          bool
	stop           func(*raftpb.Message) bool // messages that do not arrive; nil: none
	kills          bool                       // whoever waits may see the leader killed
	killed         int
	keep           uint64 // bytes of the log
	aside          func(do func() error, done func(error))
	began          []uint64 // the first members
	installed      int
	wiped, fetched int       // checkpoints begun, and stretches
	sent           hash.Hash // of all that was sent, in order
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newCluster(t *testing.T, seed uint64) *cluster { return newClusterOf(t, seed, 1, 2, 3) }

func newClusterOf(t *testing.T, seed uint64, ids ...uint64) *cluster {
	var key [32]byte
	key[0] = byte(seed)
	c := &cluster{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), seed: rand.NewChaCha8(key), clock: time.Unix(1_800_000_000, 0).UTC(),
		members: map[uint64]*member{}, ids: ids, began: ids, cut: map[uint64]bool{}, sent: sha256.New(),
	}
	disk := simdisk.NewDisk(simdisk.DiskOptions{Seed: seed})
	made, err := engine.Open(c.env(&member{disk: disk}), options())
	ok(t, err)
	ok(t, made.Close())
	for _, id := range c.ids {
		c.members[id] = &member{disk: disk.Clone()}
		c.start(id)
	}
	return c
}

// A member's store is not synced: the log is.
func options() engine.Options {
	return engine.Options{Dir: storeDir, NoSync: true, Limits: engine.Limits{DiskReserve: 1 << 20}, Tuning: engine.Tuning{MemTableBytes: 1 << 20, CacheBytes: 1 << 20, ManualCompaction: true}}
}

func (c *cluster) env(m *member) engine.Env {
	return engine.Env{
		FS: m.disk, Now: func() time.Time { return c.clock }, Rand: func(b []byte) { _, _ = c.seed.Read(b) },
		Await: func(_ context.Context, ready <-chan struct{}) error { return c.await(m, m.engine, ready) },
		Halt:  func(err error) { m.halted = err },
	}
}

func (c *cluster) start(id uint64) {
	c.t.Helper()
	m := c.members[id]
	env := c.env(m)
	ok(c.t, node.Recover(node.Recovery{FS: m.disk, Dir: raftDir, Store: storeDir, Incoming: incoming, Halt: env.Halt}))
	config := node.Config{ID: id, Members: c.began, FS: m.disk, Dir: raftDir, Rand: env.Rand, Halt: env.Halt, KeepLog: c.keep, Aside: c.aside}
	if m.joins {
		config.Members = nil
	}
	var err error
	if _, stat := m.disk.Stat(storeDir); stat == nil || !m.joins {
		m.engine, err = engine.Open(env, options())
		ok(c.t, err)
		config.Engine = m.engine
	}
	m.Node, err = node.Open(config)
	if errors.Is(err, node.ErrRemoved) {
		ok(c.t, m.engine.Close())
		m.ended = err
		m.end(m.disk)
		return
	}
	ok(c.t, err)
	m.term = m.Status().Term
}

var errKilled = errors.New("the connection broke")

// await runs the cluster for whoever waits.
func (c *cluster) await(m *member, e *engine.Engine, ready <-chan struct{}) error {
	for range 3000 {
		if c.kills && c.rng.IntN(40) == 0 {
			c.kill(c.ids[c.rng.IntN(len(c.ids))])
		}
		if m.engine != e {
			return errKilled
		}
		select {
		case <-ready:
			return nil
		default:
			c.run()
		}
	}
	return errors.New("nobody answers")
}

// kill cuts a member's power, if no other is down, and what was not synced is lost or not; or it ends the
// process, and nothing is that the system had.
func (c *cluster) kill(id uint64) {
	for _, other := range c.ids {
		if !c.members[other].up() {
			return
		}
	}
	m := c.members[id]
	var next *simdisk.Disk
	if how := c.rng.IntN(3); how == 2 {
		next = m.disk.Kill()
	} else {
		next = m.disk.Crash(simdisk.CrashOptions{Mode: []simdisk.CrashMode{simdisk.DropAll, simdisk.KeepAll}[how], Seed: c.rng.Uint64()})
	}
	m.end(next)
	c.killed++
}

// end ends a member's process, with what is on its disk.
func (m *member) end(disk *simdisk.Disk) { *m = member{disk: disk, joins: m.joins, ended: m.ended} }

// up reports whether a member's process runs.
func (m *member) up() bool { return m.Node != nil }

// run does one thing: time passes, or a message arrives.
func (c *cluster) run() {
	c.t.Helper()
	busy := false
	for _, id := range c.ids {
		if m := c.members[id]; len(m.queue)+len(m.stored) > 0 {
			busy = true
			if c.rng.IntN(3) == 0 {
				c.sync(id)
			}
		}
	}
	for _, id := range c.ids {
		if c.members[id].up() && c.rng.IntN(4) == 0 {
			c.fetch(id)
		}
	}
	if busy && len(c.network) == 0 && c.rng.IntN(20) > 0 {
		return
	}
	if len(c.network) == 0 || c.rng.IntN(20) == 0 {
		c.clock = c.clock.Add(10 * time.Millisecond)
		for _, id := range c.ids {
			if m := c.members[id]; m.up() {
				m.Tick()
				if m.engine != nil {
					m.engine.Tick()
				}
				c.work(id)
			} else if m.ended != nil {
				continue
			} else if c.rng.IntN(8) == 0 {
				c.start(id)
			}
		}
		return
	}
	i := 0
	if c.lossy {
		i = c.rng.IntN(len(c.network))
	}
	msg := c.network[i]
	if c.lossy && c.rng.IntN(20) == 0 {
		i = -1 // it comes again
	}
	if i >= 0 {
		c.network = append(c.network[:i:i], c.network[i+1:]...)
	}
	if c.stop != nil && c.stop(msg) {
		return
	}
	to := c.members[msg.GetTo()]
	if to == nil || !to.up() || c.cut[msg.GetTo()] || c.cut[msg.GetFrom()] || c.lossy && c.rng.IntN(20) == 0 {
		return
	}
	to.Receive(proto.CloneOf(msg))
	c.work(msg.GetTo())
}

// work has a member do what there is to do, and its network and its disk what it says.
func (c *cluster) work(id uint64) {
	c.t.Helper()
	m := c.members[id]
	send, appends, err := m.Work()
	switch {
	case errors.Is(err, node.ErrInstalled):
		m.end(m.disk.Kill())
		c.installed++
	case errors.Is(err, node.ErrRemoved):
		m.ended = err
		m.end(m.disk.Kill())
	case err != nil:
		c.t.Fatalf("member %d: %v, halted: %v", id, err, m.halted)
	}
	m.queue = append(m.queue, appends...)
	for _, m := range send {
		if at := c.members[id].term; m.GetTerm() > at && m.GetType() != raftpb.MsgPreVote && m.GetType() != raftpb.MsgPreVoteResp && err == nil {
			c.t.Fatalf("member %d, which has term %d on disk, says %v", id, at, m)
		}
		fmt.Fprintln(c.sent, m)
		c.network = append(c.network, proto.CloneOf(m))
	}
}

// sync stores what a member has queued, or tells it that what was is stored.
func (c *cluster) sync(id uint64) {
	c.t.Helper()
	m := c.members[id]
	switch {
	case !m.up():
	case len(m.stored) > 0:
		m.Stored(m.stored)
		m.stored = nil
		c.work(id)
	case len(m.queue) > 0:
		n := 1 + c.rng.IntN(len(m.queue))
		ok(c.t, m.Store(m.queue[:n]))
		for _, a := range m.queue[:n] {
			m.term = max(m.term, a.Term())
		}
		m.queue, m.stored = m.queue[n:], m.queue[:n:n]
	}
}

// until runs the cluster until something is so.
func (c *cluster) until(so func() bool) {
	c.t.Helper()
	for range 20000 {
		if so() {
			return
		}
		c.run()
	}
	c.t.Fatal("it never comes to that")
}

// leader waits until one leads that is not cut off.
func (c *cluster) leader() *member {
	c.t.Helper()
	for range 20000 {
		for _, id := range c.ids {
			if m := c.members[id]; m.up() && m.Leads() && !c.cut[id] {
				return m
			}
		}
		c.run()
	}
	c.t.Fatal("nobody leads")
	return nil
}

func put(agent, key string, n int) engine.Write {
	return engine.Write{Name: engine.RecordName{Agent: agent, Key: key}, Value: fmt.Appendf(nil, `{"n":%d}`, n)}
}

// commit sends a commit until it is answered, wherever.
func (c *cluster) commit(id engine.TxnID, w []engine.Write, cond engine.Conditions) (engine.CommitResult, error) {
	c.t.Helper()
	for range 100 {
		r, err := c.leader().engine.Transact(context.Background(), id, w, cond)
		if !errors.Is(err, engine.ErrOutcomeUnknown) && !errors.Is(err, engine.ErrNotLeader) {
			return r, err
		}
	}
	c.t.Fatalf("%s is not answered", id)
	return engine.CommitResult{}, nil
}

// settle heals everything and waits until all members have the same.
func (c *cluster) settle() {
	c.t.Helper()
	c.kills, c.lossy = false, false
	clear(c.cut)
	for range 20000 {
		same := true
		ts, hash := c.leader().engine.Head()
		for _, id := range c.ids {
			m := c.members[id]
			if e := m.engine; m.ended != nil {
				continue
			} else if e == nil {
				same = false
			} else if ts2, hash2 := e.Head(); ts2 != ts || hash2 != hash || e.Published() != ts {
				same = false
			}
		}
		if same {
			return
		}
		c.run()
	}
	c.t.Fatal("the members do not come to the same")
}

// check holds every member to what was acknowledged, and its disk to Verify.
func (c *cluster) check(all []acked) {
	c.t.Helper()
	hashes := map[string]int{}
	for _, id := range c.ids {
		m := c.members[id]
		if m.ended != nil {
			continue
		}
		for _, a := range all {
			o, err := m.engine.Outcome(a.id)
			ok(c.t, err)
			if o.State != engine.TxnCommitted || o.Result.CommitTS != a.r.CommitTS || !o.Result.CommitTime.Equal(a.r.CommitTime) {
				c.t.Errorf("on member %d %s is %+v, and was acknowledged as commit %d", id, a.id, o, a.r.CommitTS)
			}
		}
		ok(c.t, m.Close())
		ok(c.t, m.engine.Close())
		report, err := engine.Verify(c.env(&member{disk: m.disk}), storeDir, nil)
		ok(c.t, err)
		hashes[fmt.Sprint(report.Commits, " ", report.ChainHash)]++
	}
	if len(hashes) != 1 {
		c.t.Errorf("the members have %v", hashes)
	}
}

type acked struct {
	id engine.TxnID
	w  []engine.Write
	r  engine.CommitResult
}
