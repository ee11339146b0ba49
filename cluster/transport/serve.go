package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
)

// What a connection may do.
const (
	// MaxMessage bounds what is sent at once. A step of an engine is a tenth of it, at most.
	MaxMessage       = 64 << 20
	window           = 4 << 20
	connections      = 64
	streamsOfOne     = 64
	handshakeTimeout = 10 * time.Second
)

// Config says which member of which cluster this is, and who the others are.
type Config struct {
	Cluster string
	ID      uint64
	Members []*clusterpb.Member // this one may be among them
	Files   Files
	// ClientAddr is where clients reach this member; its peers are told.
	ClientAddr string
	// Receive is handed what peers send. It may wait, and the peer's stream waits then; ctx ends with the stream.
	Receive func(ctx context.Context, l Lane, m *raftpb.Message)
	// Answer answers the calls beside Send.
	Answer Answerer
	Log    func(event string, attrs ...any)
}

// Answerer answers the calls of PeerService beside Send. Whoever asks is a member, but for Join.
type Answerer interface {
	Join(context.Context, *clusterpb.JoinRequest) (*clusterpb.JoinResponse, error)
	FetchFile(*clusterpb.FetchFileRequest, clusterpb.PeerService_FetchFileServer) error
	GetState(context.Context, *clusterpb.GetStateRequest) (*clusterpb.State, error)
	Forward(context.Context, *clusterpb.ForwardRequest) (*clusterpb.ForwardResponse, error)
	Transfer(context.Context, *clusterpb.TransferRequest) (*clusterpb.TransferResponse, error)
}

// Transport is a member's listener, and its peers.
type Transport struct {
	config Config
	self   caller
	peers  map[uint64]*Peer
	ids    []uint64 // of the peers, in order
}

// New makes a transport, which reaches nobody before Run.
func New(c Config) (*Transport, error) {
	t := &Transport{config: c, self: caller{cluster: c.Cluster, to: c.ID}, peers: make(map[uint64]*Peer)}
	for _, m := range c.Members {
		if m.GetId() == c.ID {
			continue
		}
		p, err := newPeer(c, m)
		if err != nil {
			return nil, errors.Join(err, t.Close())
		}
		t.peers[m.GetId()] = p
		t.ids = append(t.ids, m.GetId())
	}
	slices.Sort(t.ids)
	return t, nil
}

// Close closes the connections of a transport that does not run.
func (t *Transport) Close() (err error) {
	for _, id := range t.ids {
		err = errors.Join(err, t.peers[id].close())
	}
	return err
}

// Send sends messages, or drops them. It does not wait, and the messages must not change any more.
func (t *Transport) Send(messages []*raftpb.Message) {
	for _, m := range messages {
		if p := t.peers[m.GetTo()]; p != nil {
			p.send(m)
		}
	}
}

// Peer is another member; nil: there is none of that id.
func (t *Transport) Peer(id uint64) *Peer { return t.peers[id] }

// MetAll reports whether every peer was reached since the start: it is a member, with a store.
func (t *Transport) MetAll() bool {
	for _, id := range t.ids {
		if t.peers[id].clientAddr.Load() == nil {
			return false
		}
	}
	return true
}

// Reaches reports whether any peer is reached now.
func (t *Transport) Reaches() bool {
	return slices.ContainsFunc(t.ids, func(id uint64) bool { return t.peers[id].lanes[Votes].up.Load() })
}

// Stats says what was sent to whom.
func (t *Transport) Stats() (all []Stats) {
	for _, id := range t.ids {
		all = append(all, t.peers[id].stats()...)
	}
	return all
}

// Run listens and keeps the streams to the peers until ctx ends, or the listener breaks.
func (t *Transport) Run(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g := grpc.NewServer(
		grpc.Creds(t.config.Files.credentials()),
		grpc.ChainUnaryInterceptor(t.self.unary), grpc.ChainStreamInterceptor(t.self.stream),
		grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxSendMsgSize(MaxMessage),
		grpc.MaxConcurrentStreams(streamsOfOne), grpc.MaxHeaderListSize(16<<10),
		grpc.InitialWindowSize(window), grpc.InitialConnWindowSize(window),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
	)
	clusterpb.RegisterPeerServiceServer(g, &service{Answerer: t.config.Answer, transport: t})
	var all sync.WaitGroup
	all.Go(func() {
		if err := g.Serve(netutil.LimitListener(l, connections)); err != nil {
			cancel(err)
		}
	})
	for _, id := range t.ids {
		all.Go(func() { t.peers[id].run(ctx) })
	}
	<-ctx.Done()
	g.Stop()
	all.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// service answers the RPCs.
type service struct {
	clusterpb.UnsafePeerServiceServer
	Answerer
	transport *Transport
}

// Send takes what a peer sends until the stream ends.
func (s *service) Send(stream clusterpb.PeerService_SendServer) error {
	ctx, t := stream.Context(), s.transport
	from, err := t.self.check(ctx)
	if err != nil {
		return err
	}
	p := t.peers[from]
	if p == nil {
		return status.Errorf(codes.PermissionDenied, "member %d knows no member %d", t.config.ID, from)
	}
	l := Votes
	if incoming(ctx, laneKey) == Appends.String() {
		l = Appends
	}
	p.clientAddr.Store(incoming(ctx, clientsKey))
	if err := stream.SendHeader(metadata.Pairs(clientsKey, t.config.ClientAddr)); err != nil {
		return err
	}
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&clusterpb.SendResponse{})
		}
		if err != nil {
			return err
		}
		for _, data := range req.GetMessages() {
			m := new(raftpb.Message)
			if err := proto.Unmarshal(data, m); err != nil || m.GetFrom() != from || m.GetTo() != t.config.ID {
				return status.Errorf(codes.InvalidArgument, "a message that is none of raft's, or not from member %d to member %d", from, t.config.ID)
			}
			t.config.Receive(ctx, l, m)
		}
	}
}
