package transport

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.etcd.io/raft/v3/raftpb"

	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
)

// Transport is a member's listener, and its peers. Who they are changes as the cluster's members do.
type Transport struct {
	config Config
	table  atomic.Pointer[table]

	mu      sync.Mutex      // whoever changes the table
	running context.Context // nil: it does not run
	streams sync.WaitGroup  // of peers, those that have left included
	// What was sent to peers that have left.
	sent, dropped atomic.Uint64
}

// table is the peers as of a moment. It does not change.
type table struct {
	peers   map[uint64]*Peer
	ids     []uint64 // of the peers, in order
	removed []uint64
}

// New makes a transport, which reaches nobody before Run.
func New(c Config) (*Transport, error) {
	t := &Transport{config: c}
	t.table.Store(&table{})
	return t, t.SetMembers(c.Members, nil)
}

// SetMembers says who the members are from now on, this one included or not, and who was one and is none any more:
// those are told so. Streams to who stays where it was go on.
func (t *Transport) SetMembers(members []*clusterpb.Member, removed []uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	was, is := t.table.Load(), &table{peers: make(map[uint64]*Peer), removed: slices.Clone(removed)}
	var failed error
	for _, m := range members {
		id := m.GetId()
		if id == t.config.ID {
			continue
		}
		p := was.peers[id]
		if p == nil || p.Member.GetPeerAddr() != m.GetPeerAddr() {
			var err error
			if p, err = newPeer(t.config, m); err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			t.begin(p)
		}
		is.peers[id] = p
	}
	is.ids = slices.Sorted(maps.Keys(is.peers))
	t.table.Store(is)
	for _, id := range was.ids {
		if p := was.peers[id]; is.peers[id] != p {
			t.end(p)
		}
	}
	return failed
}

// begin has a peer's streams be kept, if the transport runs. It is called with mu held, as is end.
func (t *Transport) begin(p *Peer) {
	if t.running != nil {
		ctx := t.running
		t.streams.Go(func() { p.run(ctx) })
	}
}

// end ends a peer's streams.
func (t *Transport) end(p *Peer) {
	for _, s := range p.stats() {
		t.sent.Add(s.Sent)
		t.dropped.Add(s.Dropped)
	}
	p.leave.Do(func() { close(p.left) })
	if err := p.close(); err != nil {
		t.config.Log("a connection to a member that was removed cannot be closed", "peer", p.Member.GetId(), "error", err)
	}
}

// start keeps the streams to all peers, and those to come, until ctx ends.
func (t *Transport) start(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running = ctx
	of := t.table.Load()
	for _, id := range of.ids {
		t.begin(of.peers[id])
	}
}

// stopped waits until no streams are kept any more. Their context has ended.
func (t *Transport) stopped() {
	t.mu.Lock()
	t.running = nil
	t.mu.Unlock()
	t.streams.Wait()
}

// Close closes the connections of a transport that does not run.
func (t *Transport) Close() (err error) {
	of := t.table.Load()
	for _, id := range of.ids {
		err = errors.Join(err, of.peers[id].close())
	}
	return err
}

// Send sends messages, or drops them. It does not wait, and the messages must not change any more.
func (t *Transport) Send(messages []*raftpb.Message) {
	of := t.table.Load()
	for _, m := range messages {
		if p := of.peers[m.GetTo()]; p != nil {
			p.send(m)
		}
	}
}

// Peer is another member; nil: there is none of that id.
func (t *Transport) Peer(id uint64) *Peer { return t.table.Load().peers[id] }

// MetAll reports whether every peer was reached since the start: it is a member, with a store.
func (t *Transport) MetAll() bool {
	of := t.table.Load()
	for _, id := range of.ids {
		if of.peers[id].clientAddr.Load() == nil {
			return false
		}
	}
	return true
}

// Reached is how many peers are reached now.
func (t *Transport) Reached() (n int) {
	of := t.table.Load()
	for _, id := range of.ids {
		if of.peers[id].lanes[Votes].up.Load() {
			n++
		}
	}
	return n
}

// Counts says how many messages were sent, to all, and how many dropped.
func (t *Transport) Counts() (sent, dropped uint64) {
	sent, dropped = t.sent.Load(), t.dropped.Load()
	for _, s := range t.Stats() {
		sent, dropped = sent+s.Sent, dropped+s.Dropped
	}
	return sent, dropped
}

// Stats says what was sent to whom.
func (t *Transport) Stats() (all []Stats) {
	of := t.table.Load()
	for _, id := range of.ids {
		all = append(all, of.peers[id].stats()...)
	}
	return all
}
