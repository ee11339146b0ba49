package member

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"statehouse.dev/statehouse/cluster/founding"
	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/cluster/transport"
	"statehouse.dev/statehouse/engine"
	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
	"statehouse.dev/statehouse/server"
)

// Config says which member this is. All of it is required, but for Files.
type Config struct {
	Identity *founding.Identity
	Dir      string // the data directory
	Files    transport.Files
	// ClientAddr is where clients reach this member, Version what it is of.
	ClientAddr, Version string
	// A leader is heard from every Heartbeat. Who has heard from none for Election, up to twice as long, wants to
	// lead.
	Heartbeat, Election time.Duration
	// Knows is the newest version of a cluster that this member takes part in; 0: that of the build.
	Knows uint64
	// KeepLog is how many bytes of the log are kept for those that are behind.
	KeepLog uint64
}

// RaftDir is where a member's log is, in its data directory.
const RaftDir = "raft"

// inbox is how many messages of peers wait before their streams do.
const inbox = 4096

// Member is one of a cluster.
type Member struct {
	env       engine.Env
	config    Config
	transport *transport.Transport
	initial   atomic.Pointer[founding.Initial] // nil: all have joined
	engine    *engine.Engine
	node      *node.Node // of Drive's goroutine alone
	answer    Answer

	urgent, appends chan *raftpb.Message
	wake            chan struct{} // holds a value when there are orders
	storing         *storing
	stopped         chan struct{} // closed when Drive ends
	removed         chan string   // a peer has said that this one is no member any more

	checkpoints checkpoints
	fetching    atomic.Bool
	yielding    atomic.Bool
	raising     atomic.Bool
	lacking     atomic.Bool    // it was logged that not all know a later version
	fetches     sync.WaitGroup // of all that is done beside Drive

	mu     sync.Mutex
	orders []func() // for Drive
	ended  bool     // it takes no more

	status   atomic.Pointer[node.Status]
	caughtUp atomic.Int64 // when it had last all that was committed, as far as it knew
}

// Answer answers a request that a client made to another member.
type Answer func(ctx context.Context, r *server.Forwarded) *server.Answered

// New makes a member, which does nothing before Open and Drive.
func New(env engine.Env, c Config) (*Member, error) {
	c.Knows = cmp.Or(c.Knows, node.Version)
	m := &Member{
		env: env, config: c, urgent: make(chan *raftpb.Message, inbox), appends: make(chan *raftpb.Message, inbox/8),
		wake: make(chan struct{}, 1), stopped: make(chan struct{}), storing: newStoring(), removed: make(chan string, 1),
	}
	m.status.Store(&node.Status{ID: c.Identity.ID, Role: node.Follower})
	i, err := founding.OpenInitial(env.FS, c.Dir, c.Identity)
	if err != nil {
		return nil, err
	}
	m.initial.Store(i)
	m.transport, err = transport.New(transport.Config{
		Cluster: c.Identity.Cluster, ID: c.Identity.ID, Members: c.Identity.Members, Files: c.Files, ClientAddr: c.ClientAddr,
		Receive: m.receive, Removed: m.wasRemoved, Answer: &peers{m}, Log: env.Log,
	})
	return m, err
}

// Recover ends what was begun before the process ended. It comes before the store is opened.
func Recover(env engine.Env, dir string) error {
	fs := env.FS
	return errors.Join(
		node.Recover(node.Recovery{FS: fs, Dir: fs.PathJoin(dir, RaftDir), Store: dir, Incoming: fs.PathJoin(dir, IncomingDir), Halt: env.Halt}),
		fs.RemoveAll(fs.PathJoin(dir, checkpointDir)),
	)
}

// Open opens the member's log beside its store, which leads no more from here on. answer is how what other members
// forward is answered.
func (m *Member) Open(e *engine.Engine, answer Answer) (err error) {
	m.engine, m.answer = e, answer
	m.node, err = node.Open(node.Config{
		ID: m.config.Identity.ID, Members: m.config.Identity.Founders(), Engine: e, FS: m.env.FS, Dir: m.env.FS.PathJoin(m.config.Dir, RaftDir), Rand: m.env.Rand,
		Halt: m.env.Halt, ElectionTicks: max(int(m.config.Election/m.config.Heartbeat), 2), KeepLog: m.config.KeepLog,
		Knows: m.config.Knows, Aside: m.aside,
	})
	if err == nil {
		m.publish()
	}
	return err
}

// Listen takes and sends messages until ctx ends.
func (m *Member) Listen(ctx context.Context, l net.Listener) error { return m.transport.Run(ctx, l) }

// Close closes the log, after Drive and Listen have ended. The engine stays open.
func (m *Member) Close() error { return errors.Join(m.node.Close(), m.transport.Close()) }

// receive takes a message of a peer's.
func (m *Member) receive(ctx context.Context, l transport.Lane, msg *raftpb.Message) {
	to := m.urgent
	if l == transport.Appends {
		to = m.appends
	}
	select {
	case to <- msg:
	case <-m.stopped:
	case <-ctx.Done():
	}
}

// Drive is the member's life, until ctx ends. It is called in place of the engine's Run. With node.ErrInstalled it
// has ended because another state is here: once it and the store are closed both are to be opened again, after
// Recover. With node.ErrRemoved it is no member any more.
func (m *Member) Drive(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer m.end()
	defer m.fetches.Wait()
	defer cancel()
	// What waits when it ends is nobody's to plan any more: the engine would commit it alone as it is closed.
	defer m.engine.Follow()
	var storing sync.WaitGroup
	defer storing.Wait()
	defer m.storing.end()
	storing.Go(func() { m.storing.run(m.node.Store, m.env.Halt) })
	beat, look := time.NewTicker(m.config.Heartbeat), time.NewTicker(engine.TickEvery)
	defer beat.Stop()
	defer look.Stop()
	for {
		var ticks int
		var looks bool
		select {
		case msg := <-m.urgent:
			m.node.Receive(msg)
		case msg := <-m.appends:
			m.node.Receive(msg)
		case <-m.engine.Wake():
		case <-m.wake:
		case stored := <-m.storing.done:
			m.node.Stored(stored)
		case <-beat.C:
			ticks++
		case <-look.C:
			looks = true
		case said := <-m.removed:
			return m.leave(fmt.Errorf("%w (another member says: %s)", node.ErrRemoved, said))
		case <-ctx.Done():
			return nil
		}
		switch err := m.step(ticks, looks); {
		case errors.Is(err, node.ErrInstalled):
			return err
		case errors.Is(err, node.ErrRemoved):
			return m.leave(err)
		case err != nil:
			m.env.Halt(err)
			return nil
		}
		m.catchUp(ctx)
		if looks {
			m.makeWay(ctx)
			m.raise(ctx)
		}
	}
}

// leave takes down, for the next start, that this is no member any more.
func (m *Member) leave(why error) error {
	return errors.Join(why, founding.Removed(m.env.FS, m.config.Dir, m.config.Identity))
}

// step does what there is to do. A broken invariant ends the process.
func (m *Member) step(ticks int, looks bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a member broke: %v\n%s", p, debug.Stack())
		}
	}()
	m.takeWaiting() // first: a leader that was heard while this was busy is no reason for an election
	for range ticks {
		m.node.Tick()
	}
	if looks {
		m.engine.Tick()
	}
	for _, do := range m.takeOrders() {
		do()
	}
	send, appends, err := m.node.Work()
	if err != nil {
		return err
	}
	m.storing.store(appends)
	m.transport.Send(send)
	m.publish()
	return nil
}

// takeWaiting receives what peers have sent meanwhile: what is urgent, and a few appends.
func (m *Member) takeWaiting() {
	for range cap(m.urgent) {
		select {
		case msg := <-m.urgent:
			m.node.Receive(msg)
			continue
		default:
		}
		break
	}
	for range 16 {
		select {
		case msg := <-m.appends:
			m.node.Receive(msg)
			continue
		default:
		}
		break
	}
}

// publish says how the node stands.
func (m *Member) publish() {
	s, was := m.node.Status(), m.status.Load()
	if s.Leader != was.Leader || s.Role != was.Role {
		m.env.Log("cluster", "role", string(s.Role), "leader", s.Leader, "term", s.Term, "applied", s.Applied)
	}
	if s.Leader != 0 && s.Lag() == 0 {
		m.caughtUp.Store(m.env.Now().UnixNano())
	}
	if !slices.Equal(s.Removed, was.Removed) || !slices.EqualFunc(s.Members, was.Members, samePlace) {
		m.meet(&s)
	}
	m.status.Store(&s)
	if i := m.initial.Load(); i != nil && m.transport.MetAll() {
		if err := i.Remove(); err != nil {
			m.env.Log("the store that members began with cannot be removed", "error", err)
		}
		m.initial.Store(nil)
	}
}

func samePlace(a, b node.Member) bool { return a.ID == b.ID && a.Place == b.Place }

// meet has the transport know who the members are.
func (m *Member) meet(s *node.Status) {
	var all []*clusterpb.Member
	for _, o := range s.Members {
		if addr := m.addrOf(o); addr != "" {
			all = append(all, &clusterpb.Member{Id: o.ID, PeerAddr: addr})
		}
	}
	if err := m.transport.SetMembers(all, s.Removed); err != nil {
		m.env.Log("a member cannot be reached", "error", err)
	}
}

// addrOf is where the others reach a member.
func (m *Member) addrOf(o node.Member) string {
	if o.Place.Address != "" {
		return o.Place.Address
	}
	return m.config.Identity.AddrOf(o.ID)
}

// wasRemoved takes down that a peer has said so.
func (m *Member) wasRemoved(said string) {
	select {
	case m.removed <- said:
	default:
	}
}

// order has Drive do something, unless it has ended.
func (m *Member) order(do func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return false
	}
	m.orders = append(m.orders, do)
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return true
}

// end refuses orders from here on. Those that were given are carried out: Close answers who waits then.
func (m *Member) end() {
	m.mu.Lock()
	m.ended = true
	m.mu.Unlock()
	for _, do := range m.takeOrders() {
		do()
	}
	close(m.stopped)
}

// await has Drive do something with the node, and waits until that is done.
func (m *Member) await(ctx context.Context, do func(done func(error))) error {
	var err error
	done := make(chan struct{})
	ok := m.order(func() {
		do(func(e error) {
			err = e
			close(done)
		})
	})
	if !ok {
		return engine.ErrNotLeader
	}
	if err := m.env.Await(ctx, done); err != nil {
		return err
	}
	return err
}

// aside has something done that may wait for the disk, while Drive goes on.
func (m *Member) aside(do func() error, done func(error)) {
	m.fetches.Go(func() {
		err := do()
		m.order(func() { done(err) })
	})
}

func (m *Member) takeOrders() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	orders := m.orders
	m.orders = nil
	return orders
}
