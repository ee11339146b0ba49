package transport_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/cluster/transport"
	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
	"statehouse.dev/statehouse/server/wiretest"
)

// end is one of two members.
type end struct {
	*transport.Transport
	got  chan *raftpb.Message
	hold chan struct{} // closed: appends are taken
	stop func()

	mu      sync.Mutex
	said    []string
	removed []string
}

// answerer answers GetState and nothing else.
type answerer struct {
	clusterpb.UnimplementedPeerServiceServer
}

func (answerer) GetState(context.Context, *clusterpb.GetStateRequest) (*clusterpb.State, error) {
	return &clusterpb.State{Id: 7}, nil
}

// listener is one at an address, or at any.
func listener(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// newEnd runs a member of a cluster; addrs are those of member 1 and 2.
func newEnd(t *testing.T, cluster string, id uint64, l net.Listener, addrs ...string) *end {
	t.Helper()
	e := &end{got: make(chan *raftpb.Message, 10_000), hold: make(chan struct{})}
	config := transport.Config{
		Cluster: cluster, ID: id, ClientAddr: fmt.Sprint("client-", id), Answer: answerer{},
		Receive: func(ctx context.Context, l transport.Lane, m *raftpb.Message) {
			if l == transport.Votes {
				e.got <- m
				return
			}
			select {
			case <-e.hold:
				e.got <- m
			case <-ctx.Done():
			}
		},
		Removed: func(said string) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.removed = append(e.removed, said)
		},
		Log: func(event string, attrs ...any) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.said = append(e.said, fmt.Sprint(append([]any{event}, attrs...)...))
		},
	}
	for i, addr := range addrs {
		config.Members = append(config.Members, &clusterpb.Member{Id: uint64(i + 1), PeerAddr: addr})
	}
	var err error
	if e.Transport, err = transport.New(config); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx, l) }()
	var once sync.Once
	e.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(e.stop)
	return e
}

func message(from, to, index uint64, kind raftpb.MessageType, bytes int) *raftpb.Message {
	return &raftpb.Message{Type: kind.Enum(), From: &from, To: &to, Index: &index, Entries: []*raftpb.Entry{{Data: make([]byte, bytes)}}}
}

func (e *end) up(t *testing.T) {
	t.Helper()
	wiretest.Eventually(t, "both streams stand", func() error {
		for _, s := range e.Stats() {
			if !s.Up {
				return wiretest.ErrNotYet
			}
		}
		return nil
	})
}

// TestSend: messages arrive on their lanes in order, also after the peer has come back; each side learns where clients
// reach the other.
func TestSend(t *testing.T) {
	l1, l2 := listener(t, "127.0.0.1:0"), listener(t, "127.0.0.1:0")
	addrs := []string{l1.Addr().String(), l2.Addr().String()}
	a, b := newEnd(t, "x", 1, l1, addrs...), newEnd(t, "x", 2, l2, addrs...)
	close(b.hold)
	for range 2 {
		a.up(t)
		for i := range uint64(100) {
			a.Send([]*raftpb.Message{message(1, 2, i, raftpb.MsgApp, 10), message(1, 2, i, raftpb.MsgHeartbeat, 0), message(1, 3, i, raftpb.MsgHeartbeat, 0)})
		}
		next := map[raftpb.MessageType]uint64{}
		for range 200 {
			m := <-b.got
			if m.GetIndex() != next[m.GetType()] || m.GetTo() != 2 {
				t.Fatalf("after %v came %v", next, m)
			}
			next[m.GetType()]++
		}
		if got := a.Peer(2).ClientAddr(); got != "client-2" {
			t.Errorf("clients reach member 2 at %q", got)
		}
		b.stop()
		b = newEnd(t, "x", 2, listener(t, addrs[1]), addrs...)
		close(b.hold)
		wiretest.Eventually(t, "member 2 is met again", func() error {
			if a.Peer(2).ClientAddr() == "" || b.Peer(1).ClientAddr() != "client-1" {
				return wiretest.ErrNotYet
			}
			return nil
		})
	}
}

// TestDrops: who sends to a peer that takes nothing, or that is not there, does not wait, and votes do not wait
// behind appends.
func TestDrops(t *testing.T) {
	l1, l2 := listener(t, "127.0.0.1:0"), listener(t, "127.0.0.1:0")
	addrs := []string{l1.Addr().String(), l2.Addr().String()}
	a := newEnd(t, "x", 1, l1, addrs...)
	a.Send([]*raftpb.Message{message(1, 2, 1, raftpb.MsgApp, 1)})
	if s := a.Stats(); s[1].Dropped != 1 || s[1].Sent != 0 {
		t.Errorf("a message for a peer that is not there: %+v", s)
	}
	b := newEnd(t, "x", 2, l2, addrs...) // which takes no appends
	a.up(t)
	begun := time.Now()
	for i := range uint64(4000) { // 64 MiB
		a.Send([]*raftpb.Message{message(1, 2, i, raftpb.MsgApp, 16<<10)})
	}
	if took := time.Since(begun); took > wiretest.Patience/2 {
		t.Errorf("sending took %v", took)
	}
	if s := a.Stats(); s[1].Dropped < 1000 {
		t.Errorf("a peer that takes nothing holds all but %d of 4,000 messages", s[1].Dropped)
	}
	a.Send([]*raftpb.Message{message(1, 2, 7, raftpb.MsgHeartbeat, 0)})
	select {
	case m := <-b.got:
		if m.GetType() != raftpb.MsgHeartbeat {
			t.Errorf("%v was taken", m.GetType())
		}
	case <-time.After(wiretest.Patience):
		t.Error("a heartbeat waits behind appends")
	}
}

// TestStopped: what waits for a member that takes nothing for a while is bounded by its bytes, and the same entries wait
// once. Else the member, once it goes on, would have to take gigabytes of them before anything that is new to it.
func TestStopped(t *testing.T) {
	for what, c := range map[string]struct { // in any order
		at   func(i uint64) uint64
		most int
	}{
		"the same entries":  {func(uint64) uint64 { return 7 }, 32}, // a few went while there was room on the way
		"one after another": {func(i uint64) uint64 { return i }, 128},
	} {
		l1, l2 := listener(t, "127.0.0.1:0"), listener(t, "127.0.0.1:0")
		addrs := []string{l1.Addr().String(), l2.Addr().String()}
		a, b := newEnd(t, "x", 1, l1, addrs...), newEnd(t, "x", 2, l2, addrs...)
		a.up(t)
		const last, many = 1 << 20, 500
		for i := range uint64(many) { // of 1 MiB each
			a.Send([]*raftpb.Message{message(1, 2, c.at(i), raftpb.MsgApp, 1<<20)})
		}
		a.Send([]*raftpb.Message{message(1, 2, last, raftpb.MsgApp, 0)})
		close(b.hold)
		n := 0
		for m := range b.got {
			if n++; m.GetIndex() == last {
				break
			}
		}
		if n > c.most {
			t.Errorf("%s: %d of %d messages waited", what, n, many)
		}
		a.stop()
		b.stop()
	}
}

// TestStrangers: a call that is not of a member of this cluster to this one, in this version, is refused, and says
// why; so is a message that pretends to be another's.
func TestStrangers(t *testing.T) {
	l1, l2 := listener(t, "127.0.0.1:0"), listener(t, "127.0.0.1:0")
	addrs := []string{l1.Addr().String(), l2.Addr().String()}
	a := newEnd(t, "x", 1, l1, addrs...)
	close(a.hold)
	conn, err := transport.Dial(addrs[0], transport.Files{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stub := clusterpb.NewPeerServiceClient(conn)
	as := func(cluster, from, to, protocol string) context.Context {
		return metadata.AppendToOutgoingContext(wiretest.Timeout(t), "statehouse-cluster", cluster, "statehouse-from", from, "statehouse-to", to, "statehouse-protocol", protocol)
	}
	if s, err := stub.GetState(as("x", "2", "1", "1"), &clusterpb.GetStateRequest{}); err != nil || s.GetId() != 7 {
		t.Errorf("a member is answered %v, %v", s, err)
	}
	for what, ctx := range map[string]context.Context{ // in any order
		"no member": as("x", "3", "1", "1"), "another cluster": as("y", "2", "1", "1"), "no cluster": wiretest.Timeout(t), "another member": as("x", "2", "3", "1"),
		"itself": as("x", "1", "1", "1"), "no number": as("x", "two", "1", "1"), "a later version": as("x", "2", "1", "2"),
	} {
		_, err := stub.GetState(ctx, &clusterpb.GetStateRequest{})
		if c := status.Code(err); c != codes.PermissionDenied && c != codes.FailedPrecondition {
			t.Errorf("%s is answered %v", what, err)
		}
		s, err := stub.Send(ctx)
		if err == nil {
			_, err = s.CloseAndRecv()
		}
		if c := status.Code(err); c != codes.PermissionDenied && c != codes.FailedPrecondition {
			t.Errorf("the stream of %s ends with %v", what, err)
		}
	}
	if _, err := stub.Join(wiretest.Timeout(t), &clusterpb.JoinRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("who is no member yet is refused: %v", err)
	}
	for what, m := range map[string]*raftpb.Message{ // in any order
		"from another": message(3, 1, 1, raftpb.MsgHeartbeat, 0), "to another": message(2, 3, 1, raftpb.MsgHeartbeat, 0),
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		s, err := stub.Send(as("x", "2", "1", "1"))
		if err == nil {
			err = s.Send(&clusterpb.SendRequest{Messages: [][]byte{data}})
		}
		if err == nil {
			_, err = s.CloseAndRecv()
		}
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("a message %s: %v", what, err)
		}
	}
	if n := len(a.got); n > 0 {
		t.Errorf("%d messages of strangers were taken", n)
	}
}
