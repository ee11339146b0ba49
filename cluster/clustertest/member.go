package clustertest

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/server"
)

// Member is one of a cluster.
type Member struct {
	ID uint64

	cluster *Cluster
	disk    vfs.FS
	cut     atomic.Bool
	held    atomic.Bool // it gets no entries, though it answers
	frozen  atomic.Bool

	mu      sync.Mutex
	run     *run   // nil: it is stopped
	address string // once it was started

	forwards atomic.Int64 // requests that it was handed
}

// run is a member from start to stop.
type run struct {
	member  *Member
	node    *node.Node
	service *server.Service
	inbox   chan *raftpb.Message
	asked   chan func() // for the goroutine that has the node
	end     context.CancelFunc
	stopped chan struct{}
	serving chan error
	last    atomic.Pointer[seen]
	heard   time.Time // when it last had all that the leader said is committed
}

// seen is how a node stood when it last did something.
type seen struct {
	leads  bool
	status node.Status
	heard  time.Time
}

// Start runs the member on what is on its disk.
func (m *Member) Start() {
	c := m.cluster
	c.t.Helper()
	env := c.env(m.disk)
	r := &run{member: m, inbox: make(chan *raftpb.Message, 1024), asked: make(chan func(), 1024), stopped: make(chan struct{}), serving: make(chan error, 1)}
	config := server.Config{Version: "test", Engine: engineOptions(), Cluster: r}
	if c.options.Config != nil {
		c.options.Config(m.ID, &config, &env)
	}
	var err error
	if r.service, err = server.Assemble(env, config); err != nil {
		c.t.Fatal(err)
	}
	var ids []uint64
	for _, o := range c.Members {
		ids = append(ids, o.ID)
	}
	r.node, err = node.Open(node.Config{ID: m.ID, Members: ids, Engine: r.service.Engine(), FS: env.FS, Dir: raftDir, Rand: env.Rand, Halt: env.Halt})
	if err != nil {
		c.t.Fatal(err)
	}
	if told := c.options.Assembled; told != nil {
		told(m.ID, r.service)
	}
	l, err := net.Listen("tcp", cmp.Or(m.Address(), "127.0.0.1:0"))
	if err != nil {
		c.t.Fatal(err)
	}
	var ctx context.Context
	ctx, r.end = context.WithCancel(context.Background())
	r.note()
	m.mu.Lock()
	m.run, m.address = r, l.Addr().String()
	m.mu.Unlock()
	go func() { r.serving <- r.service.Serve(ctx, nil, l) }()
	go r.drive()
}

// Stop ends the member, in order.
func (m *Member) Stop() {
	r := m.running()
	if r == nil {
		return
	}
	r.end()
	if err := <-r.serving; err != nil {
		m.cluster.t.Errorf("member %d: Serve ended with %v", m.ID, err)
	}
	m.mu.Lock()
	m.run = nil
	m.mu.Unlock()
	close(r.inbox) // no one sends to it any more
	<-r.stopped
	if err := errors.Join(r.node.Close(), r.service.Close()); err != nil {
		m.cluster.t.Errorf("member %d: %v", m.ID, err)
	}
}

// Cut has no message of the member arrive or leave, or ends that. Its clients reach it.
func (m *Member) Cut(cut bool) { m.cut.Store(cut) }

// Hold keeps entries from the member, or ends that: it falls behind, and confirms what it is asked for never.
func (m *Member) Hold(held bool) { m.held.Store(held) }

// Freeze has no time pass for the member's node, or ends that: if it leads it takes itself for the leader for as long.
func (m *Member) Freeze(frozen bool) { m.frozen.Store(frozen) }

// Leads reports whether the member takes itself for the leader.
func (m *Member) Leads() bool { s := m.seen(); return s != nil && s.leads }

// Address is where clients reach the member.
func (m *Member) Address() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.address
}

// Handed is how many requests it was handed by others.
func (m *Member) Handed() int64 { return m.forwards.Load() }

// Service is the member's; nil: it is stopped.
func (m *Member) Service() *server.Service {
	if r := m.running(); r != nil {
		return r.service
	}
	return nil
}

func (m *Member) running() *run {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.run
}

func (m *Member) seen() *seen {
	if r := m.running(); r != nil {
		return r.last.Load()
	}
	return nil
}

// drive is the goroutine that has the node.
func (r *run) drive() {
	defer close(r.stopped)
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	e := r.service.Engine()
	for {
		select {
		case msg, open := <-r.inbox:
			if !open {
				return
			}
			r.node.Receive(msg)
		case ask := <-r.asked:
			ask()
		case <-ticks.C:
			if !r.member.frozen.Load() {
				r.node.Tick()
			}
			e.Tick()
		case <-e.Wake():
		}
		if err := r.work(); err != nil {
			r.member.cluster.t.Errorf("member %d: %v", r.member.ID, err)
			return
		}
	}
}

// work does all there is to do, storing what is to be stored.
func (r *run) work() error {
	for {
		send, appends, err := r.node.Work()
		if err != nil {
			return err
		}
		r.note()
		for _, msg := range send {
			r.send(proto.CloneOf(msg))
		}
		if len(appends) == 0 {
			return nil
		}
		if err := r.node.Store(appends); err != nil {
			return err
		}
		r.node.Stored(appends)
	}
}

func (r *run) note() {
	status := r.node.Status()
	if status.Role == node.Leader || status.Leader != 0 && status.Applied == status.Committed && !r.member.cut.Load() && !r.member.held.Load() {
		r.heard = time.Now()
	}
	r.last.Store(&seen{r.node.Leads(), status, r.heard})
}

// send puts a message into its receiver's inbox, unless the network loses it.
func (r *run) send(msg *raftpb.Message) {
	to := r.member.cluster.Members[msg.GetTo()-1]
	if r.member.cut.Load() || to.cut.Load() || to.held.Load() && (msg.GetType() == raftpb.MsgApp || msg.GetType() == raftpb.MsgReadIndexResp) {
		return
	}
	to.mu.Lock()
	defer to.mu.Unlock()
	if to.run == nil {
		return
	}
	select {
	case to.run.inbox <- msg:
	default: // it is full
	}
}
