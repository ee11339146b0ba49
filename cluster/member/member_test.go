package member_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/cluster/founding"
	"statehouse.dev/statehouse/cluster/member"
	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/cluster/transport"
	"statehouse.dev/statehouse/engine"
	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/wiretest"
)

// machine is one with a member on it, and a disk of its own.
type machine struct {
	*member.Member
	t      *testing.T
	env    engine.Env
	addr   string
	engine *engine.Engine
	id     *founding.Identity
	knows  uint64     // the newest version of a cluster; 0: the build's
	over   chan error // what Drive ended with
	stop   func()
}

func newMachine(t *testing.T) *machine {
	env := engine.MemoryEnv(func(err error) { t.Errorf("halted: %v", err) }, func(string, ...any) {})
	env.FS = vfs.NewMem()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer l.Close()
	return &machine{t: t, env: env, addr: l.Addr().String()}
}

// opens opens the member's log and store, and closes them.
func (m *machine) opens() error {
	o := options()
	o.Replicated = true
	e, err := engine.Open(m.env, o)
	ok(m.t, err)
	n, err := node.Open(node.Config{ID: m.id.ID, Members: m.id.Founders(), Engine: e, FS: m.env.FS, Dir: dir + "/" + member.RaftDir, Rand: m.env.Rand, Halt: m.env.Halt, Knows: m.knows})
	if err == nil {
		err = n.Close()
	}
	return errors.Join(err, e.Close())
}

// run runs the member until the test ends, or stop.
func (m *machine) run() {
	m.t.Helper()
	ok(m.t, member.Recover(m.env, dir))
	var err error
	m.Member, err = member.New(m.env, member.Config{
		Identity: m.id, Dir: dir, ClientAddr: "clients-of-" + m.addr, Version: "test", Heartbeat: 20 * time.Millisecond, Election: 200 * time.Millisecond, KeepLog: 64 << 20, Knows: m.knows,
	})
	ok(m.t, err)
	o := options()
	o.Replicated = true
	m.engine, err = engine.Open(m.env, o)
	ok(m.t, err)
	ok(m.t, m.Open(m.engine, func(_ context.Context, r *server.Forwarded) *server.Answered {
		return &server.Answered{Response: append([]byte("answered by "+m.addr+": "), r.Request...)}
	}))
	var l net.Listener
	wiretest.Eventually(m.t, "its address is free", func() error {
		l, err = net.Listen("tcp", m.addr)
		return err
	})
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = m.Listen(ctx, l) })
	m.over = make(chan error, 1)
	all.Go(func() { m.over <- m.Drive(ctx) })
	var once sync.Once
	m.stop = func() {
		once.Do(func() {
			cancel()
			all.Wait()
			if err := errors.Join(m.Close(), m.engine.Close()); err != nil {
				m.t.Error(err)
			}
		})
	}
	m.t.Cleanup(m.stop)
}

// joins is where a machine that joins asks.
type joins struct {
	m  *machine
	at *machine
}

func (j joins) conn() (*grpc.ClientConn, clusterpb.PeerServiceClient) {
	conn, err := transport.Dial(j.at.addr, transport.Files{})
	ok(j.m.t, err)
	return conn, clusterpb.NewPeerServiceClient(conn)
}

func (j joins) Join(ctx context.Context, directory string) (resp *clusterpb.JoinResponse, err error) {
	conn, stub := j.conn()
	defer conn.Close()
	wiretest.Eventually(j.m.t, "it is answered", func() error {
		resp, err = stub.Join(ctx, &clusterpb.JoinRequest{PeerAddr: j.m.addr, Directory: directory, Protocol: transport.Protocol})
		if status.Code(err) == codes.Unavailable {
			return err
		}
		return nil
	})
	return resp, err
}

func (j joins) Fetch(ctx context.Context, of *clusterpb.JoinResponse, name string, offset uint64) (io.ReadCloser, error) {
	conn, _ := j.conn()
	j.m.t.Cleanup(func() { _ = conn.Close() })
	return transport.Fetch(ctx, conn, of, name, offset)
}

func (j joins) Copy(ctx context.Context, of *clusterpb.JoinResponse, dir string) error {
	for _, m := range of.GetMembers() {
		if m.GetId() == of.GetKeeper() {
			conn, err := transport.Dial(m.GetPeerAddr(), transport.Files{})
			ok(j.m.t, err)
			defer conn.Close()
			return member.Copy(transport.As(ctx, of, m.GetId()), j.m.env, clusterpb.NewPeerServiceClient(conn), dir)
		}
	}
	return errors.New("there is no keeper")
}

func (m *machine) join(at *machine) error {
	id, err := founding.Join(wiretest.Timeout(m.t), m.env, dir, joins{m, at})
	m.id = id
	return err
}

// three are three machines that have founded a cluster and run.
func three(t *testing.T) (all []*machine) { return threeOf(t, func(*machine) {}) }

// threeOf are three that were changed before.
func threeOf(t *testing.T, change func(*machine)) (all []*machine) {
	t.Helper()
	var addrs []string
	for range 3 {
		m := newMachine(t)
		change(m)
		all, addrs = append(all, m), append(addrs, m.addr)
	}
	var err error
	all[0].id, err = founding.Found(all[0].env, options(), addrs, addrs[0])
	ok(t, err)
	all[0].run()
	for _, m := range all[1:] {
		ok(t, m.join(all[0]))
		m.run()
	}
	return all
}

// leader is the machine of the member that leads, once all of them know.
func leader(t *testing.T, all ...*machine) (leads *machine) {
	t.Helper()
	wiretest.Eventually(t, "one leads", func() error {
		for _, m := range all {
			if m.Leader().Here {
				leads = m
			}
		}
		for _, m := range all {
			if leads == nil || !leads.Leader().Here || m.Leader().Term != leads.Leader().Term || m.Leader().Address != "clients-of-"+leads.addr {
				return wiretest.ErrNotYet
			}
		}
		return nil
	})
	return leads
}

func (m *machine) commit(n int) {
	m.t.Helper()
	wiretest.Eventually(m.t, "it commits", func() error {
		_, err := m.engine.Transact(wiretest.Timeout(m.t), engine.TxnID(fmt.Sprint("t", n)), []engine.Write{{Name: engine.RecordName{Agent: "a", Key: "k"}, Value: fmt.Appendf(nil, `{"n":%d}`, n)}}, engine.Conditions{})
		return err
	})
}

// TestMembership: a member is added by the one that leads, joins at any with a copy of the store, is promoted and takes
// the place of one that is removed, which ends; where they are is known after a start.
func TestMembership(t *testing.T) {
	all := three(t)
	lead := leader(t, all...)
	for n := range 5 {
		lead.commit(n)
	}
	all = slices.DeleteFunc(all, func(m *machine) bool { return m == lead })
	gone, stays := all[0], all[1]
	ctx := wiretest.Timeout(t)
	if _, err := stays.Add(ctx, "d.example:1"); !errors.Is(err, engine.ErrNotLeader) {
		t.Errorf("one that follows adds a member: %v", err)
	}
	added := newMachine(t)
	if err := added.join(stays); err == nil || !strings.Contains(err.Error(), "cluster add "+added.addr) {
		t.Errorf("a stranger joins: %v", err)
	}
	id, err := lead.Add(ctx, added.addr)
	ok(t, err)
	ok(t, added.join(stays)) // which hands it on
	if added.id.ID != id || !added.id.Added || added.id.Founders() != nil || added.id.Addr() != added.addr {
		t.Errorf("who joined is %+v", added.id)
	}
	twice := newMachine(t)
	twice.addr = added.addr
	if err := twice.join(lead); err == nil || !strings.Contains(err.Error(), "another directory already") {
		t.Errorf("a second directory joins as the same: %v", err)
	}
	added.run()
	wiretest.Eventually(t, "it is promoted", func() error { return lead.Promote(ctx, id) })
	ok(t, lead.Promote(ctx, id)) // an answer may have been lost
	ok(t, lead.Remove(ctx, gone.id.ID))
	ok(t, lead.Remove(ctx, gone.id.ID))
	if err := <-gone.over; !errors.Is(err, node.ErrRemoved) {
		t.Errorf("who was removed ends with %v", err)
	}
	gone.stop()
	if read, err := founding.Read(gone.env.FS, dir); err != nil || !read.Removed {
		t.Errorf("its directory is %+v, %v", read, err)
	}
	lead.commit(5)
	for _, m := range []*machine{lead, stays, added} {
		m.stop()
		m.run()
	}
	lead = leader(t, lead, stays, added)
	lead.commit(6)
	wiretest.Eventually(t, "all have the same", func() error {
		for _, m := range lead.Members(ctx, 7).GetMembers() {
			if m.GetProblem() != "" || len(m.GetChainHash()) == 0 || m.GetLearner() {
				return fmt.Errorf("%v", m)
			}
		}
		return nil
	})
	var at []string
	for _, m := range lead.Members(ctx, 0).GetMembers() {
		at = append(at, m.GetPeerAddress())
	}
	for _, m := range []*machine{lead, stays, added} {
		if len(at) != 3 || !slices.Contains(at, m.addr) {
			t.Errorf("the members are at %q, and one at %s", at, m.addr)
		}
	}
}

// TestRefusals: a change that cannot be made says why, and whoever asks for one that needs no change is not refused.
func TestRefusals(t *testing.T) {
	all := three(t)
	lead, ctx := leader(t, all...), wiretest.Timeout(t)
	self := lead.id.ID
	add := func(addr string) error { _, err := lead.Add(ctx, addr); return err }
	for _, c := range []struct {
		says string
		err  error
		kind error
	}{
		{"host:port", add("nowhere"), engine.ErrInvalid},
		{"remove it first", add(all[0].addr), engine.ErrPrecondition},
		{"no learner", lead.Promote(ctx, 9), engine.ErrPrecondition},
		{"no member", lead.Remove(ctx, 9), engine.ErrPrecondition},
		{"cluster transfer", lead.Remove(ctx, self), engine.ErrPrecondition},
		{"", lead.Promote(ctx, self), nil},
	} {
		if !errors.Is(c.err, c.kind) || c.err != nil && !strings.Contains(c.err.Error(), c.says) {
			t.Errorf("%q: %v", c.says, c.err)
		}
	}
	for i := range 11 {
		ok(t, add(fmt.Sprintf("h%d.example:1", i)))
	}
	if err := add("one-more.example:1"); !errors.Is(err, engine.ErrPrecondition) || !strings.Contains(err.Error(), "14 members") {
		t.Errorf("a member too many: %v", err)
	}
	waits, err := lead.Add(ctx, "h3.example:1")
	if err != nil || waits != 7 {
		t.Errorf("one that was added is %d, %v", waits, err)
	}
	if err := lead.Promote(ctx, 7); !errors.Is(err, engine.ErrPrecondition) || !strings.Contains(err.Error(), "start its daemon") {
		t.Errorf("one that has not joined: %v", err)
	}
}

// TestRequests: what a service asks of its member: who leads, whether what it has is the newest, and that another answers.
func TestRequests(t *testing.T) {
	all := three(t)
	lead, ctx := leader(t, all...), wiretest.Timeout(t)
	lead.commit(1)
	for _, m := range all {
		ok(t, m.Confirm(ctx))
		if got := m.engine.Published(); got != 1 {
			t.Errorf("it is confirmed that %d commits are all", got)
		}
		if s := m.Status(); len(s.Members) != 3 || s.LeaderID != lead.id.ID || s.Applied == 0 || (s.Role == server.Leading) != (m == lead) {
			t.Errorf("its status is %+v", s)
		}
		if m == lead {
			continue
		}
		a, err := m.Forward(ctx, &server.Forwarded{Method: "/m", Request: []byte("x")})
		if err != nil || string(a.Response) != "answered by "+lead.addr+": x" {
			t.Errorf("a request is answered %v, %v", a, err)
		}
	}
	next := all[0]
	if next == lead {
		next = all[1]
	}
	if _, err := next.Transfer(ctx, 0); !errors.Is(err, engine.ErrNotLeader) {
		t.Errorf("one that follows hands over: %v", err)
	}
	if _, err := lead.Transfer(ctx, 9); !errors.Is(err, engine.ErrStopped) || !strings.Contains(err.Error(), "no such other member") {
		t.Errorf("to nobody: %v", err)
	}
	to, err := lead.Transfer(ctx, next.id.ID)
	if err != nil || to != next.id.ID || leader(t, all...) != next {
		t.Errorf("it was handed to %d, %v", to, err)
	}
	for _, m := range all { // without a majority nothing is the newest
		if m != next {
			m.stop()
		}
	}
	if err := next.Confirm(ctx); !errors.Is(err, engine.ErrNotLeader) {
		t.Errorf("alone it confirms: %v", err)
	}
	if c := next.Members(ctx, 0).GetMembers(); len(c) != 3 || c[2].GetProblem() == "" && c[1].GetProblem() == "" {
		t.Errorf("of members that do not run is said %v", c)
	}
	next.stop()
	if err := next.Confirm(ctx); !errors.Is(err, engine.ErrNotLeader) {
		t.Errorf("after its end it confirms: %v", err)
	}
}

// TestCheckpoint: one is made for all that ask, until one of them says that it is not needed; what is no file of it is
// not sent.
func TestCheckpoint(t *testing.T) {
	all := three(t)
	lead, ctx := leader(t, all...), wiretest.Timeout(t)
	lead.commit(1)
	var from *machine
	for _, m := range all {
		if m != lead {
			from = m
		}
	}
	conn, stub := joins{from, lead}.conn()
	defer conn.Close()
	as := transport.As(ctx, &clusterpb.JoinResponse{ClusterId: lead.id.Cluster, Id: from.id.ID}, lead.id.ID)
	one, err := stub.MakeCheckpoint(as, &clusterpb.MakeCheckpointRequest{})
	ok(t, err)
	two, err := stub.MakeCheckpoint(as, &clusterpb.MakeCheckpointRequest{})
	if err != nil || two.GetName() != one.GetName() || len(one.GetFiles()) == 0 {
		t.Errorf("another one is made: %v, %v", two, err)
	}
	for _, r := range []*clusterpb.FetchFileRequest{{Checkpoint: "other", Name: one.GetFiles()[0].GetPath()}, {Checkpoint: one.GetName(), Name: "../raft/witness"}} {
		s, err := stub.FetchFile(as, r)
		if err == nil {
			_, err = s.Recv()
		}
		if status.Code(err) != codes.FailedPrecondition {
			t.Errorf("%v is answered %v", r, err)
		}
	}
	_, err = stub.EndCheckpoint(as, &clusterpb.EndCheckpointRequest{Name: "other"})
	ok(t, err)
	_, err = stub.EndCheckpoint(as, &clusterpb.EndCheckpointRequest{Name: one.GetName()})
	ok(t, err)
	if _, err := lead.env.FS.Stat(dir + "/checkpoint"); err == nil {
		t.Error("what is not needed is there still")
	}
	if three, err := stub.MakeCheckpoint(as, &clusterpb.MakeCheckpointRequest{}); err != nil || three.GetName() == one.GetName() {
		t.Errorf("the next one is %v, %v", three, err)
	}
	if _, err := stub.Join(ctx, &clusterpb.JoinRequest{PeerAddr: "x:1", Directory: "d", Protocol: transport.Protocol + 1}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("one of another version joins: %v", err)
	}
	if s, err := stub.GetState(as, &clusterpb.GetStateRequest{ChainAtTs: 1}); err != nil || s.GetId() != lead.id.ID || len(s.GetChainHash()) != 32 || s.GetVersion() != "test" {
		t.Errorf("its state is %v, %v", s, err)
	}
}
