package member

import (
	"context"
	"errors"
	"io"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/cluster/transport"
	"statehouse.dev/statehouse/engine"
	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
	"statehouse.dev/statehouse/server"
)

// fetchBytes is about the size of a message of a file.
const fetchBytes = 1 << 20

// peers answers the calls of peers.
type peers struct{ m *Member }

// Join says who a directory is that is no member yet.
func (p *peers) Join(ctx context.Context, r *clusterpb.JoinRequest) (*clusterpb.JoinResponse, error) {
	if err := transport.CheckProtocol(strconv.FormatUint(uint64(r.GetProtocol()), 10)); err != nil {
		return nil, err
	}
	s := p.m.status.Load()
	if i := p.m.initial.Load(); i != nil && p.m.awaits(s, r.GetPeerAddr()) {
		resp, err := i.Claim(r.GetPeerAddr(), r.GetDirectory())
		switch {
		case errors.Is(err, engine.ErrStorage):
			return nil, status.Error(codes.Unavailable, err.Error())
		case err != nil:
			return nil, status.Error(codes.FailedPrecondition, err.Error())
		}
		p.m.env.Log("a member joins", "member", resp.GetId(), "address", r.GetPeerAddr())
		return resp, nil
	}
	if s.Role == node.Leader {
		return p.m.letIn(ctx, r)
	}
	if p.m.initial.Load() != nil && s.Leader == 0 && p.m.at(s, r.GetPeerAddr()) == nil { // the cluster is being founded, and waits for others
		return nil, status.Error(codes.FailedPrecondition, p.m.stranger(s, r.GetPeerAddr()).Error())
	}
	peer := p.m.transport.Peer(s.Leader)
	if peer == nil || transport.From(ctx) != 0 { // which was handed on already
		return nil, status.Errorf(codes.Unavailable, "member %d does not lead, and only who leads lets a member in", s.ID)
	}
	ctx, stub := peer.Call(ctx)
	return stub.Join(ctx, r)
}

// FetchFile sends a file of the store that members begin with, or of a checkpoint.
func (p *peers) FetchFile(r *clusterpb.FetchFileRequest, stream clusterpb.PeerService_FetchFileServer) error {
	f, err := p.open(r)
	if err != nil {
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	defer f.Close()
	for buf := make([]byte, fetchBytes); ; {
		n, err := io.ReadFull(f, buf)
		if n > 0 {
			if err := stream.Send(&clusterpb.FetchFileResponse{Data: buf[:n]}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (p *peers) open(r *clusterpb.FetchFileRequest) (io.ReadCloser, error) {
	if r.GetCheckpoint() != "" {
		return p.m.openCheckpoint(r.GetCheckpoint(), r.GetName(), r.GetOffset())
	}
	i := p.m.initial.Load()
	if i == nil {
		return nil, errors.New("all members have joined")
	}
	return i.Open(r.GetName(), r.GetOffset())
}

// GetState says how this member stands.
func (p *peers) GetState(_ context.Context, r *clusterpb.GetStateRequest) (*clusterpb.State, error) {
	return p.m.state(engine.CommitTS(r.GetChainAtTs()))
}

func (m *Member) state(chainAt engine.CommitTS) (*clusterpb.State, error) {
	s := m.status.Load()
	state := &clusterpb.State{
		Id: s.ID, Role: string(s.Role), Leader: s.Leader, Term: s.Term, Applied: s.Applied, Committed: s.Committed,
		PublishedTs: uint64(m.engine.Published()), ClientAddr: m.config.ClientAddr, Version: m.config.Version,
	}
	state.Knows = m.config.Knows
	if err := m.engine.Refuses(); err != nil {
		state.Refuses = err.Error()
	}
	if chainAt == 0 || uint64(chainAt) > state.GetPublishedTs() {
		return state, nil
	}
	hash, _, err := m.engine.Chain(chainAt)
	if err != nil {
		return nil, status.Error(codes.DataLoss, err.Error())
	}
	state.ChainHash = hash[:]
	return state, nil
}

// Forward answers a request that a client made to another member.
func (p *peers) Forward(ctx context.Context, r *clusterpb.ForwardRequest) (*clusterpb.ForwardResponse, error) {
	a := p.m.answer(ctx, &server.Forwarded{Method: r.GetMethod(), Request: r.GetRequest(), Caller: r.GetCaller(), Share: r.GetShare(), Trace: r.GetTrace()})
	return &clusterpb.ForwardResponse{Response: a.Response, Status: a.Status}, nil
}
