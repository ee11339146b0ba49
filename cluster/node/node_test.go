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

// Three members in one process, each on a disk of its own, with a network that loses, repeats and reorders
// messages, and members that are killed. One goroutine does everything, from a seed.

const (
	storeDir = "/srv/store"
	raftDir  = "/srv/raft"
)

type member struct {
	*node.Node
	engine *engine.Engine // nil: it is down
	disk   *simdisk.Disk
	halted error
}

type cluster struct {
	t       *testing.T
	rng     *rand.Rand
	seed    *rand.ChaCha8
	clock   time.Time
	members map[uint64]*member
	ids     []uint64
	network []*raftpb.Message
	cut     map[uint64]bool // those of which no message arrives or leaves
	lossy   bool
	kills   bool // whoever waits may see the leader killed
	killed  int
	sent    hash.Hash // of all that was sent, in order
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newCluster(t *testing.T, seed uint64) *cluster {
	var key [32]byte
	key[0] = byte(seed)
	c := &cluster{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), seed: rand.NewChaCha8(key), clock: time.Unix(1_800_000_000, 0).UTC(),
		members: map[uint64]*member{}, ids: []uint64{1, 2, 3}, cut: map[uint64]bool{}, sent: sha256.New(),
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
	var err error
	m.engine, err = engine.Open(c.env(m), options())
	ok(c.t, err)
	m.Node, err = node.Open(node.Config{ID: id, Members: c.ids, Engine: m.engine, FS: m.disk, Dir: raftDir, Rand: func(b []byte) { _, _ = c.seed.Read(b) }})
	ok(c.t, err)
}

var errKilled = errors.New("the connection broke")

// await runs the cluster for whoever waits.
func (c *cluster) await(m *member, e *engine.Engine, ready <-chan struct{}) error {
	for range 3000 {
		if c.kills && c.rng.IntN(12) == 0 {
			c.kill(c.ids[c.rng.IntN(3)])
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
		if c.members[other].engine == nil {
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
	m.engine, m.Node, m.disk = nil, nil, next
	c.killed++
}

// run does one thing: time passes, or a message arrives.
func (c *cluster) run() {
	c.t.Helper()
	if len(c.network) == 0 || c.rng.IntN(20) == 0 {
		c.clock = c.clock.Add(10 * time.Millisecond)
		for _, id := range c.ids {
			if m := c.members[id]; m.engine != nil {
				m.Tick()
				m.engine.Tick()
				c.work(id)
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
	to := c.members[msg.GetTo()]
	if to.engine == nil || c.cut[msg.GetTo()] || c.cut[msg.GetFrom()] || c.lossy && c.rng.IntN(20) == 0 {
		return
	}
	to.Receive(proto.CloneOf(msg))
	c.work(msg.GetTo())
}

func (c *cluster) work(id uint64) {
	c.t.Helper()
	send, err := c.members[id].Work()
	if err != nil {
		c.t.Fatalf("member %d: %v, halted: %v", id, err, c.members[id].halted)
	}
	for _, m := range send {
		fmt.Fprintln(c.sent, m)
		c.network = append(c.network, proto.CloneOf(m))
	}
}

// leader waits until one leads that is not cut off.
func (c *cluster) leader() *member {
	c.t.Helper()
	for range 20000 {
		for _, id := range c.ids {
			if m := c.members[id]; m.engine != nil && m.Leads() && !c.cut[id] {
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
			if e := c.members[id].engine; e == nil {
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

// TestRepeats: what a cluster does follows from its seed, elections included.
func TestRepeats(t *testing.T) {
	var digests []string
	for range 2 {
		c := newCluster(t, 5)
		c.lossy, c.kills = true, true
		for i := range 20 {
			_, err := c.commit(engine.TxnID(fmt.Sprint(i)), []engine.Write{put("a", "k", i)}, engine.Conditions{})
			ok(t, err)
		}
		c.settle()
		c.check(nil)
		digests = append(digests, fmt.Sprintf("%x, %d killed", c.sent.Sum(nil), c.killed))
	}
	if digests[0] != digests[1] {
		t.Errorf("two runs of a seed sent %v", digests)
	}
}

type acked struct {
	id engine.TxnID
	w  []engine.Write
	r  engine.CommitResult
}

func TestCluster(t *testing.T) {
	killed, refused := 0, 0
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := newCluster(t, seed)
			c.lossy, c.kills = seed%3 > 0, seed%4 > 0
			var all []acked
			for i := range 200 {
				id, w := engine.TxnID(fmt.Sprint("commit-", i)), []engine.Write{put(fmt.Sprint("agent-", i%3), fmt.Sprint("key-", i%5), i)}
				cond := engine.Conditions{}
				if i%4 == 0 {
					w[0].TTL = time.Second
				}
				if i%5 == 4 {
					cond.Heads = []engine.HeadPrecondition{{Agent: engine.AgentName{Agent: "agent-0"}, Expected: 1}}
				}
				r, err := c.commit(id, w, cond)
				switch {
				case err == nil:
					all = append(all, acked{id, w, r})
				case errors.Is(err, engine.ErrPrecondition):
					refused++
				default:
					t.Fatalf("%s: %v", id, err)
				}
				if len(all) > 0 && i%7 == 0 { // what was acknowledged is answered as before, whoever leads
					was := all[c.rng.IntN(len(all))]
					if r, err := c.commit(was.id, was.w, engine.Conditions{}); err != nil || r.CommitTS != was.r.CommitTS {
						t.Fatalf("%s was commit %d and is %d, %v", was.id, was.r.CommitTS, r.CommitTS, err)
					}
				}
			}
			c.settle()
			c.check(all)
			killed += c.killed
		})
	}
	if killed < 50 || refused == 0 {
		t.Errorf("%d members were killed, %d commits refused", killed, refused)
	}
}

// check holds every member to what was acknowledged, and its disk to Verify.
func (c *cluster) check(all []acked) {
	c.t.Helper()
	hashes := map[string]int{}
	for _, id := range c.ids {
		m := c.members[id]
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

// TestDeposed: a leader that is cut off answers nothing, not even a refusal, until it knows that it leads no
// more; and what it planned is not there, unless it is.
func TestDeposed(t *testing.T) {
	for seed := range uint64(4) {
		c := newCluster(t, seed)
		_, err := c.commit("first", []engine.Write{put("a", "k", 1)}, engine.Conditions{})
		ok(t, err)
		old := c.leader()
		for _, id := range c.ids {
			c.cut[id] = c.members[id] == old
		}
		w, cond := []engine.Write{put("a", "k", 2)}, engine.Conditions{}
		if seed%2 == 0 {
			cond.Heads = []engine.HeadPrecondition{{Agent: engine.AgentName{Agent: "a"}, Expected: 9}}
		}
		_, err = old.engine.Transact(context.Background(), "second", w, cond)
		next := c.leader()
		switch {
		case seed%2 == 0 && !errors.Is(err, engine.ErrNotLeader):
			t.Errorf("a refusal by a leader that was cut off: %v", err)
		case seed%2 == 1 && !errors.Is(err, engine.ErrOutcomeUnknown):
			t.Errorf("a commit by a leader that was cut off: %v", err)
		case next == old:
			t.Error("a leader that was cut off leads still")
		}
		_, err = c.commit("third", []engine.Write{put("a", "k", 3)}, engine.Conditions{})
		ok(t, err)
		c.settle()
		for _, id := range c.ids {
			if o, err := c.members[id].engine.Outcome("second"); err != nil || o.State != engine.TxnNeverSeen {
				t.Errorf("on member %d what a leader planned that was cut off is %+v, %v", id, o, err)
			}
		}
		c.check(nil)
	}
}
