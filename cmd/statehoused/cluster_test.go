package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// several are three daemons that keep one store.
type several struct {
	t     *testing.T
	dirs  [3]string
	ids   [3]uint64
	peers []string // where each listens for the others
	more  [3][]string
	at    [3]atomic.Pointer[daemon]
}

func newSeveral(t *testing.T) *several {
	t.Helper()
	s := &several{t: t, peers: freeAddrs(t, 3)}
	for i := range s.dirs {
		s.dirs[i], s.ids[i] = filepath.Join(t.TempDir(), "data"), uint64(i+1)
	}
	return s
}

// freeAddrs are addresses where nobody listens.
func freeAddrs(t *testing.T, n int) (addrs []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

// args are those of a member.
func (s *several) args(i int) []string {
	args := append([]string{"--peer-listen-addr", s.peers[i], "--metrics-listen-addr", "off", "--disk-reserve-mb", "1"}, s.more[i]...)
	if i == 0 {
		return append(args, "--cluster-init", strings.Join(s.peers, ","))
	}
	return append(args, "--join", s.peers[0])
}

func (s *several) start(members ...int) {
	s.t.Helper()
	for _, i := range members {
		s.at[i].Store(start(s.t, s.dirs[i], s.args(i)...))
	}
}

// leader waits until one of those that run says that it leads, and others do, too, that it does.
func (s *several) leader(among ...int) (leader int) {
	s.t.Helper()
	eventually(s.t, "one leads", func() error {
		ids := map[uint64]int{}
		for _, i := range among {
			st, err := s.at[i].Load().GetStatus(call(s.t), &pb.GetStatusRequest{})
			if err != nil {
				return err
			}
			c := st.GetCluster()
			ids[c.GetLeaderId()]++
			if c.GetRole() == pb.ClusterRole_CLUSTER_ROLE_LEADER {
				leader = i
			}
		}
		if ids[s.ids[leader]] != len(among) {
			return fmt.Errorf("the members take for their leader %v", ids)
		}
		return nil
	})
	return leader
}

// same waits until the members have published the same, and returns how much.
func (s *several) same(members ...int) (last uint64) {
	s.t.Helper()
	eventually(s.t, "all have the same", func() error {
		at := map[uint64]bool{}
		for _, i := range members {
			st, err := s.at[i].Load().GetStatus(call(s.t), &pb.GetStatusRequest{})
			if err != nil {
				return err
			}
			last = st.GetPublishedTs()
			at[last] = true
		}
		if len(at) != 1 {
			return fmt.Errorf("they are at commits %v", at)
		}
		return nil
	})
	return last
}

// stop ends all in order and holds that they have one chain.
func (s *several) stop() {
	s.t.Helper()
	s.same(0, 1, 2)
	chains := map[string]bool{}
	for i := range s.at {
		s.at[i].Load().signal(syscall.SIGTERM)
	}
	for i := range s.at {
		if code := s.at[i].Load().exit(); code != exitOK {
			s.t.Errorf("member %d ended with %d:\n%s", i+1, code, s.at[i].Load().log())
		}
		r := verified(s.t, s.dirs[i])
		chains[fmt.Sprint(r.Commits, r.ChainHash)] = true
	}
	if len(chains) != 1 {
		s.t.Errorf("the members have %v", chains)
	}
}

// writers commit at whichever member answers. A commit that fails is sent again, elsewhere, under the same id.
type writers struct {
	s    *several
	mu   sync.Mutex
	acks map[string]uint64
	stop context.CancelFunc
	all  sync.WaitGroup
}

func (s *several) write(n int) *writers {
	ctx, cancel := context.WithCancel(context.Background())
	w := &writers{s: s, acks: make(map[string]uint64), stop: cancel}
	for i := range n {
		w.all.Go(func() {
			at := i
			for k := 0; ctx.Err() == nil; k++ {
				id := fmt.Sprintf("w%d-%d-%p", i, k, w)
				req := &pb.TransactRequest{TxnId: id, Operations: []*pb.TransactOperation{put(fmt.Sprint("agent", i), "k", fmt.Sprintf(`{"n":%d}`, k))}}
				for ctx.Err() == nil {
					one, end := context.WithTimeout(ctx, 2*time.Second)
					r, err := s.at[at%3].Load().Transact(one, req)
					end()
					if err == nil {
						w.mu.Lock()
						w.acks[id] = r.GetCommitTs()
						w.mu.Unlock()
						break
					}
					at++
				}
			}
		})
	}
	return w
}

// reach waits until so many more commits are acknowledged.
func (w *writers) reach(more int) {
	w.s.t.Helper()
	count := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.acks)
	}
	until := count() + more
	eventually(w.s.t, "commits are acknowledged", func() error {
		if n := count(); n < until {
			return fmt.Errorf("%d of %d", n, until)
		}
		return nil
	})
}

// end ends the writers, and holds every member to what was acknowledged.
func (w *writers) end() {
	w.s.t.Helper()
	w.stop()
	w.all.Wait()
	w.s.same(0, 1, 2)
	for i := range w.s.at {
		found := map[string]uint64{}
		for _, ev := range replay(w.s.t, w.s.at[i].Load(), "default").events {
			if found[ev.GetTxnId()] != 0 {
				w.s.t.Errorf("G6: member %d has %s twice", i+1, ev.GetTxnId())
			}
			found[ev.GetTxnId()] = ev.GetCommitTs()
		}
		for id, ts := range w.acks { // each stands for itself: any order
			if found[id] != ts {
				w.s.t.Errorf("G1: %s was acknowledged as commit %d, on member %d it is %d", id, ts, i+1, found[id])
			}
		}
	}
}

// TestCluster: three daemons keep one store. A commit is on all. When the one that leads is killed another takes
// over, and so it does when that is stopped in order; nothing that was acknowledged is lost, doubled or different
// anywhere, also when all are killed at once.
func TestCluster(t *testing.T) {
	s := newSeveral(t)
	s.start(0, 1, 2)
	w := s.write(4)
	w.reach(50)

	old := s.leader(0, 1, 2)
	s.at[old].Load().kill()
	killed := time.Now()
	next := s.leader(without(old)...)
	w.reach(20)
	t.Logf("commits were acknowledged again %v after the leader was killed", time.Since(killed).Round(10*time.Millisecond))
	s.start(old)
	w.reach(20)

	stopped := time.Now()
	s.at[next].Load().terminate()
	if log := s.at[next].Load().log(); strings.Contains(log, "not handed over") {
		t.Errorf("the leader was stopped, and has not handed over:\n%s", log)
	}
	w.reach(20)
	t.Logf("and %v after the leader was stopped", time.Since(stopped).Round(10*time.Millisecond))
	s.start(next)
	w.reach(20)

	for i := range s.at {
		s.at[i].Load().kill()
	}
	s.start(0, 1, 2)
	w.reach(20)
	w.end()
	s.stop()
}

func without(but ...int) []int {
	return slices.DeleteFunc([]int{0, 1, 2}, func(i int) bool { return slices.Contains(but, i) })
}

// TestClusterOfAStore: the store of one machine becomes that of a cluster, as it is, and the others have it, too.
func TestClusterOfAStore(t *testing.T) {
	s := newSeveral(t)
	d := start(t, s.dirs[0])
	var first *pb.TransactResponse
	for i := range 30 {
		r, err := d.Transact(call(t), &pb.TransactRequest{TxnId: fmt.Sprint("before-", i), Operations: []*pb.TransactOperation{put("a", fmt.Sprint("k", i%7), `{"n":1}`)}})
		must(t, err)
		if i == 0 {
			first = r
		}
	}
	d.kill() // not in order: what is laid by must be whole all the same
	before := verified(t, s.dirs[0])
	s.start(0, 1, 2)
	leader := s.at[s.leader(0, 1, 2)].Load()
	// Whoever does not lead hands on what only the leader can do, and does not answer what it does not know yet.
	follower := s.at[without(s.leader(0, 1, 2))[0]].Load()
	handed, err := follower.Transact(call(t), &pb.TransactRequest{TxnId: "handed-on", Operations: []*pb.TransactOperation{put("a", "handed on", `{"n":3}`)}})
	if err != nil || handed.GetCommitTs() != uint64(before.Commits)+1 {
		t.Errorf("the first commit of the cluster is %d, %v, after %d", handed.GetCommitTs(), err, before.Commits)
	}
	for i := range s.at {
		r, err := s.at[i].Load().GetState(call(t), &pb.GetStateRequest{AgentId: "a", Key: "handed on", Encoding: pb.ValueEncoding_VALUE_ENCODING_JSON})
		if err != nil || string(r.GetValueJson()) != `{"n":3}` {
			t.Errorf("member %d answers %v, %v", i+1, r, err)
		}
	}
	again, err := leader.Transact(call(t), &pb.TransactRequest{TxnId: "before-0", Operations: []*pb.TransactOperation{put("a", "k0", `{"n":1}`)}})
	if err != nil || again.GetCommitTs() != first.GetCommitTs() {
		t.Errorf("a commit of before is answered %v, %v, and was %v", again, err, first)
	}
	s.stop()

	// Alone it must not be changed any more, by whatever.
	says := []string{"member of a cluster", "--peer-listen-addr"}
	fails(t, exitDataDir, says, nil, "--data-dir", s.dirs[0], "--listen-addr", "127.0.0.1:0")
	fails(t, exitDataDir, says, nil, "key", "create", "--data-dir", s.dirs[1], "--name", "ops", "--grant", "admin:*")
	fails(t, exitFailed, says, nil, "migrate", s.dirs[1])
}

// TestClusterBehind: a member for which the others' logs do not reach far enough fetches a copy of the store, begins again
// on it without being started, and has what the others have; so it does when all of it happens again.
func TestClusterBehind(t *testing.T) {
	s := newSeveral(t)
	for i := range s.more {
		s.more[i] = []string{"--raft-log-mb", "1"}
	}
	s.start(0, 1, 2)
	late := without(s.leader(0, 1, 2))[0]
	value := fmt.Sprintf(`{"v":"%s"}`, strings.Repeat("x", 100<<10))
	for round := range 2 {
		s.at[late].Load().kill()
		to := s.at[without(late)[0]].Load()
		for i := range 40 {
			_, err := to.Transact(call(t), &pb.TransactRequest{TxnId: fmt.Sprint(round, "-", i), Operations: []*pb.TransactOperation{put("a", fmt.Sprint("k", i%3), value)}})
			must(t, err)
		}
		s.start(late)
		s.at[late].Load().says("beginning again on a copy")
		eventually(t, "it serves again", func() error {
			if log := s.at[late].Load().log(); strings.Count(log, "msg=serving") < 2 {
				return fmt.Errorf("not yet:\n%s", log)
			}
			return nil
		})
		s.at[late].Load().again()
		s.same(0, 1, 2)
	}
	s.stop()
}

// again connects to where a daemon listens now.
func (d *daemon) again() {
	d.t.Helper()
	_ = d.conn.Close()
	d.mu.Lock()
	d.addrs = d.addrs[len(d.addrs)-1:]
	d.mu.Unlock()
	d.connect()
}
