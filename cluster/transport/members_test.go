package transport_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/cluster/transport"
	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
	"statehouse.dev/statehouse/server/wiretest"
)

// TestMembers: who is added while a transport runs is reached, and heard; who is removed is told so, on the streams that
// stand and on those that it makes, and is not heard any more; streams of others go on, and nothing is counted twice.
func TestMembers(t *testing.T) {
	l1, l2, l3 := listener(t, "127.0.0.1:0"), listener(t, "127.0.0.1:0"), listener(t, "127.0.0.1:0")
	addrs := []string{l1.Addr().String(), l2.Addr().String(), l3.Addr().String()}
	a, b := newEnd(t, "x", 1, l1, addrs[:2]...), newEnd(t, "x", 2, l2, addrs[:2]...)
	c := newEnd(t, "x", 3, l3, addrs...)
	close(a.hold)
	close(b.hold)
	a.up(t)
	a.Send([]*raftpb.Message{message(1, 2, 0, raftpb.MsgHeartbeat, 0), message(1, 3, 0, raftpb.MsgHeartbeat, 0)})
	<-b.got
	if c.Reached() > 0 {
		t.Error("a member is reached that knows nothing of who calls")
	}
	set := func(e *end, removed []uint64, ids ...uint64) {
		t.Helper()
		var all []*clusterpb.Member
		for _, id := range ids {
			all = append(all, &clusterpb.Member{Id: id, PeerAddr: addrs[id-1]})
		}
		if err := e.SetMembers(all, removed); err != nil {
			t.Fatal(err)
		}
	}
	set(a, nil, 1, 2, 3)
	set(b, nil, 1, 2, 3)
	c.up(t)
	a.up(t)
	a.Send([]*raftpb.Message{message(1, 3, 1, raftpb.MsgHeartbeat, 0)})
	if m := <-c.got; m.GetIndex() != 1 {
		t.Errorf("who was added gets %v", m)
	}
	before, _ := a.Counts()

	peer := a.Peer(2)
	set(a, []uint64{3}, 1, 2)
	if a.Peer(2) != peer || a.Peer(3) != nil || a.Reached() != 1 {
		t.Errorf("%d are reached after one of two was removed", a.Reached())
	}
	if after, _ := a.Counts(); after != before {
		t.Errorf("%d messages were sent before, and %d after a member was removed", before, after)
	}
	told := func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.removed) == 0 || !strings.Contains(c.removed[0], "member 3 was removed") {
			return fmt.Errorf("%w: %q", wiretest.ErrNotYet, c.removed)
		}
		return nil
	}
	wiretest.Eventually(t, "who was removed is told", told)
	c.stop()
	c.mu.Lock()
	c.removed = nil
	c.mu.Unlock()
	again := newEnd(t, "x", 3, listener(t, addrs[2]), addrs...)
	c = again
	wiretest.Eventually(t, "who was removed is told when it comes back", told)
	if _, err := stubOf(t, addrs[0]).GetState(asMember(t, "x", "3", "1"), &clusterpb.GetStateRequest{}); status.Code(err) != codes.NotFound {
		t.Errorf("who was removed is answered %v", err)
	}
	if n := len(a.got); n > 0 {
		t.Errorf("%d messages of who was removed were taken", n)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.removed) > 0 {
		t.Errorf("a member is told %q", b.removed)
	}
}

func stubOf(t *testing.T, addr string) clusterpb.PeerServiceClient {
	t.Helper()
	conn, err := transport.Dial(addr, transport.Files{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return clusterpb.NewPeerServiceClient(conn)
}

func asMember(t *testing.T, cluster, from, to string) context.Context {
	return metadata.AppendToOutgoingContext(wiretest.Timeout(t), "statehouse-cluster", cluster, "statehouse-from", from, "statehouse-to", to, "statehouse-protocol", "1")
}

// TestAddresses: what others could not connect to is no member's address.
func TestAddresses(t *testing.T) {
	for _, addr := range []string{"", "host", "host:", ":1", "host:0", "0.0.0.0:1", "[::]:1", "a:1,b:1", "http://a:1", "a b:1", strings.Repeat("x", 300) + ":1"} {
		if transport.CheckAddr(addr) == nil {
			t.Errorf("%q is an address", addr)
		}
	}
	for _, addr := range []string{"host:1", "127.0.0.1:65535", "[::1]:50071", "a.example:50071"} {
		if err := transport.CheckAddr(addr); err != nil {
			t.Error(err)
		}
	}
}
