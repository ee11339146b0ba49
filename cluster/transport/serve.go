package transport

import (
	"context"
	"errors"
	"io"
	"net"
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
	Members []*clusterpb.Member // to begin with: see SetMembers; this one may be among them
	Files   Files
	// ClientAddr is where clients reach this member; its peers are told.
	ClientAddr string
	// Receive is handed what peers send. It may wait, and the peer's stream waits then; ctx ends with the stream.
	Receive func(ctx context.Context, l Lane, m *raftpb.Message)
	// Removed is called when a peer says that this member was removed from the cluster, each time it does. It must not wait.
	Removed func(said string)
	// Answer answers the calls beside Send.
	Answer Answerer
	Log    func(event string, attrs ...any)
}

// Answerer answers the calls of PeerService beside Send. Whoever asks is a member, but for Join.
type Answerer interface {
	Join(context.Context, *clusterpb.JoinRequest) (*clusterpb.JoinResponse, error)
	FetchFile(*clusterpb.FetchFileRequest, clusterpb.PeerService_FetchFileServer) error
	MakeCheckpoint(context.Context, *clusterpb.MakeCheckpointRequest) (*clusterpb.MakeCheckpointResponse, error)
	EndCheckpoint(context.Context, *clusterpb.EndCheckpointRequest) (*clusterpb.EndCheckpointResponse, error)
	GetState(context.Context, *clusterpb.GetStateRequest) (*clusterpb.State, error)
	Forward(context.Context, *clusterpb.ForwardRequest) (*clusterpb.ForwardResponse, error)
}

// Run listens and keeps the streams to the peers until ctx ends, or the listener breaks.
func (t *Transport) Run(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g := grpc.NewServer(
		grpc.Creds(t.config.Files.credentials()),
		grpc.ChainUnaryInterceptor(t.unary), grpc.ChainStreamInterceptor(t.stream),
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
	t.start(ctx)
	<-ctx.Done()
	g.Stop()
	all.Wait()
	t.stopped()
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
	from, err := t.check(ctx)
	if err != nil {
		return err
	}
	p := t.Peer(from)
	if p == nil { // it was removed this moment
		return t.unknown(from)
	}
	l := Votes
	if incoming(ctx, laneKey) == Appends.String() {
		l = Appends
	}
	p.clientAddr.Store(incoming(ctx, clientsKey))
	if err := stream.SendHeader(metadata.Pairs(clientsKey, t.config.ClientAddr)); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.receive(ctx, stream, p, l) }() // until this returns, at the latest
	select {
	case err := <-ended:
		return err
	case <-p.left:
		return t.unknown(from)
	}
}

// receive takes messages until the stream ends.
func (s *service) receive(ctx context.Context, stream clusterpb.PeerService_SendServer, p *Peer, l Lane) error {
	from, self := p.Member.GetId(), s.transport.config.ID
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
			if err := proto.Unmarshal(data, m); err != nil || m.GetFrom() != from || m.GetTo() != self {
				return status.Errorf(codes.InvalidArgument, "a message that is none of raft's, or not from member %d to member %d", from, self)
			}
			s.transport.config.Receive(ctx, l, m)
		}
	}
}
