package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
)

// Lane is one of the two streams to a peer.
type Lane int

// Votes has votes, heartbeats and all short answers; Appends what is as long as what clients write.
const (
	Votes Lane = iota
	Appends
)

func (l Lane) String() string { return [...]string{"votes", "appends"}[l] }

func laneOf(m *raftpb.Message) Lane {
	if t := m.GetType(); t == raftpb.MsgApp || t == raftpb.MsgSnap {
		return Appends
	}
	return Votes
}

// What waits for a stream, and what goes in one message of it: as much as there is, up to a size.
const (
	queued      = 1024
	queuedBytes = 64 << 20 // of entries: as much as raft has under way to one member
	batchBytes  = 1 << 20
)

// How long is waited before a stream is tried again, at first and at most.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second
)

// Stats is what was sent to a peer, by lane.
type Stats struct {
	Peer          uint64
	Lane          Lane
	Up            bool // the stream stands
	Sent, Dropped uint64
}

// Peer is another member, and how it is reached.
type Peer struct {
	Member *clusterpb.Member
	lanes  [2]*lane
	calls  *grpc.ClientConn
	caller caller
	// Where clients reach it, a string, once it has said so.
	clientAddr atomic.Value
	left       chan struct{} // closed when it is a peer no more
	leave      sync.Once
}

// lane is a stream of messages that is made anew when it breaks.
type lane struct {
	lane          Lane
	conn          *grpc.ClientConn
	caller        caller
	clientAddr    string // of this member
	met           func(clientAddr string)
	queue         chan *raftpb.Message
	last          *raftpb.Message // that was queued: only send looks
	waiting       atomic.Int64    // bytes of entries in the queue
	up            atomic.Bool
	sent, dropped atomic.Uint64
	log           func(event string, attrs ...any)
	removed       func(said string)
	told          string // why it is down, as it was logged; empty: it is up. Only run looks
}

func newPeer(c Config, m *clusterpb.Member) (*Peer, error) {
	p := &Peer{Member: m, caller: caller{c.Cluster, c.ID, m.GetId()}, left: make(chan struct{})}
	var err error
	for i := range p.lanes {
		l := &lane{lane: Lane(i), caller: p.caller, clientAddr: c.ClientAddr, met: func(addr string) { p.clientAddr.Store(addr) }, queue: make(chan *raftpb.Message, queued), log: c.Log, removed: c.Removed}
		if l.conn, err = Dial(m.GetPeerAddr(), c.Files); err != nil {
			return nil, err
		}
		p.lanes[i] = l
	}
	p.calls, err = Dial(m.GetPeerAddr(), c.Files)
	return p, err
}

// Dial makes a connection to a member's listener, which begins with its first call.
func Dial(addr string, f Files) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(f.credentials()),
		grpc.WithNoProxy(),
		grpc.WithDisableRetry(), // a request of a client is sent once
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window),
		grpc.WithIdleTimeout(0),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: firstRetry, Multiplier: 1.6, Jitter: 0.2, MaxDelay: lastRetry}, MinConnectTimeout: 3 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}),
	)
}

// Call is a context for calls of a peer, and what to call it with.
func (p *Peer) Call(ctx context.Context) (context.Context, clusterpb.PeerServiceClient) {
	return p.caller.outgoing(ctx), clusterpb.NewPeerServiceClient(p.calls)
}

// connectWithin is how long it is tried to reach a peer for a call that is sent once.
const connectWithin = time.Second

// Ready reports whether a call would be sent at once, and connects if there is no connection.
func (p *Peer) Ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	for {
		state := p.calls.GetState()
		switch state {
		case connectivity.Ready:
			return true
		case connectivity.TransientFailure:
			return false
		case connectivity.Idle:
			p.calls.Connect()
		}
		if !p.calls.WaitForStateChange(ctx, state) {
			return false
		}
	}
}

// ClientAddr is where clients reach it; empty: it has not said so yet.
func (p *Peer) ClientAddr() string {
	addr, _ := p.clientAddr.Load().(string)
	return addr
}

func (p *Peer) send(m *raftpb.Message) {
	l := p.lanes[laneOf(m)]
	size := entryBytes(m)
	waiting := l.waiting.Load()
	if l.up.Load() && !l.again(m) && (waiting == 0 || waiting+size <= queuedBytes) {
		l.waiting.Add(size)
		select {
		case l.queue <- m:
			l.last = m
			return
		default:
			l.waiting.Add(-size)
		}
	}
	l.dropped.Add(1)
}

// again reports whether a message says nothing that the last in the queue does not. A member that was stopped for a
// while answers all heartbeats of that time at once, and raft sends it the same entries for each.
func (l *lane) again(m *raftpb.Message) bool {
	is := l.last
	return is != nil && len(l.queue) > 0 && m.GetType() == raftpb.MsgApp && is.GetType() == raftpb.MsgApp &&
		is.GetTerm() == m.GetTerm() && is.GetIndex() == m.GetIndex() && (len(is.GetEntries()) > 0 || len(m.GetEntries()) == 0)
}

func entryBytes(m *raftpb.Message) (sum int64) {
	for _, e := range m.GetEntries() {
		sum += int64(len(e.GetData()))
	}
	return sum
}

// run keeps the streams until ctx ends, or the peer is one no more.
func (p *Peer) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() {
		select {
		case <-p.left:
			cancel()
		case <-ctx.Done():
		}
	})
	for _, l := range p.lanes {
		all.Go(func() { l.run(ctx) })
	}
	all.Wait()
}

func (p *Peer) close() error {
	err := p.calls.Close()
	for _, l := range p.lanes {
		err = errors.Join(err, l.conn.Close())
	}
	return err
}

// run keeps the stream until ctx ends.
func (l *lane) run(ctx context.Context) {
	for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, lastRetry) {
		wasUp, err := l.stream(ctx)
		if ctx.Err() != nil {
			return
		}
		if wasUp {
			wait = firstRetry
		}
		if why := status.Convert(err).Message(); why != l.told {
			l.log("a peer is not reached", "peer", l.caller.to, "stream", l.lane.String(), "reason", why)
			l.told = why
			if status.Code(err) == wasRemoved && l.removed != nil {
				l.removed(why)
			}
		}
		select { // not all at once
		case <-time.After(wait/2 + rand.N(wait/2)):
		case <-ctx.Done():
		}
	}
}

// stream makes a stream and sends until it breaks.
func (l *lane) stream(ctx context.Context) (wasUp bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := clusterpb.NewPeerServiceClient(l.conn).Send(l.caller.outgoing(ctx, laneKey, l.lane.String(), clientsKey, l.clientAddr))
	if err != nil {
		return false, err
	}
	md, err := s.Header()
	if err != nil {
		return false, err
	}
	if md == nil { // refused
		return false, s.RecvMsg(new(clusterpb.SendResponse))
	}
	if addr := md.Get(clientsKey); len(addr) == 1 {
		l.met(addr[0])
	}
	ended := make(chan error, 1)
	go func() { ended <- s.RecvMsg(new(clusterpb.SendResponse)) }()
	defer l.up.Store(false)
	l.drain()
	l.up.Store(true)
	l.told = ""
	l.log("a peer is reached", "peer", l.caller.to, "stream", l.lane.String())
	for {
		select {
		case m := <-l.queue:
			if err := l.send(s, m); err != nil {
				return true, <-ended // which says why
			}
		case err := <-ended:
			return true, err
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
}

// drain drops what was meant for the stream before.
func (l *lane) drain() {
	for {
		select {
		case m := <-l.queue:
			l.waiting.Add(-entryBytes(m))
			l.dropped.Add(1)
		default:
			return
		}
	}
}

// send sends a message, and with it what waits.
func (l *lane) send(s clusterpb.PeerService_SendClient, m *raftpb.Message) error {
	var req clusterpb.SendRequest
	for size := 0; m != nil; {
		l.waiting.Add(-entryBytes(m))
		data, err := proto.Marshal(m)
		switch {
		case err != nil:
			panic("raft's own message cannot be marshaled: " + err.Error())
		case len(data) > MaxMessage/2:
			l.log("a message for a peer is too large, and is dropped", "peer", l.caller.to, "bytes", len(data), "type", fmt.Sprint(m.GetType()))
			l.dropped.Add(1)
		default:
			req.Messages = append(req.Messages, data)
		}
		m = nil
		if size += len(data); size < batchBytes {
			select {
			case m = <-l.queue:
			default:
			}
		}
	}
	l.sent.Add(uint64(len(req.GetMessages())))
	return s.Send(&req)
}

func (p *Peer) stats() []Stats {
	var all []Stats
	for _, l := range p.lanes {
		all = append(all, Stats{p.Member.GetId(), l.lane, l.up.Load(), l.sent.Load(), l.dropped.Load()})
	}
	return slices.Clip(all)
}
