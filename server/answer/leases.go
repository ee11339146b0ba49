package answer

import (
	"context"
	"strings"
	"time"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/wire"
)

// Leases and records that expire: what of them is no commit.

func (s *Service) RenewLeases(ctx context.Context, req *pb.RenewLeasesRequest) (*pb.RenewLeasesResponse, error) {
	asked := make([]engine.Renewal, len(req.GetLeases()))
	for i, l := range req.GetLeases() {
		asked[i] = engine.Renewal{
			Agent: engine.AgentName{Namespace: l.GetNamespace(), Agent: l.GetAgentId()},
			Lease: l.GetLease(), Token: engine.Version(l.GetToken()), TTL: ttlOf(l.GetTtlMs()),
		}
	}
	answers, err := s.engine.RenewLeases(ctx, asked, s.permit(ctx))
	if err != nil {
		return nil, err
	}
	resp := &pb.RenewLeasesResponse{Leases: make([]*pb.LeaseRenewed, len(answers))}
	for i, a := range answers {
		resp.Leases[i] = &pb.LeaseRenewed{Lost: a.Lost, Deadline: wire.Timestamp(a.Deadline)}
	}
	return resp, nil
}

func (s *Service) RefreshExpiry(ctx context.Context, req *pb.RefreshExpiryRequest) (*pb.RefreshExpiryResponse, error) {
	names := make([]engine.RecordName, len(req.GetNames()))
	for i, n := range req.GetNames() {
		names[i] = engine.RecordName{Namespace: n.GetNamespace(), Agent: n.GetAgentId(), Key: n.GetKey()}
	}
	answers, err := s.engine.RefreshExpiry(ctx, names, ttlOf(req.GetTtlMs()), s.permit(ctx))
	if err != nil {
		return nil, err
	}
	resp := &pb.RefreshExpiryResponse{Records: make([]*pb.RefreshedExpiry, len(answers))}
	for i, a := range answers {
		resp.Records[i] = &pb.RefreshedExpiry{ExpiresAt: wire.Timestamp(a.ExpiresAt), Version: uint64(a.Version)}
	}
	return resp, nil
}

// permit has the writer ask again whether a request is let in; nil: everybody is.
func (s *Service) permit(ctx context.Context) func() error {
	caller := access.CallerOf(ctx)
	if caller == nil {
		return nil
	}
	return func() error {
		_, err := s.access.Valid(caller)
		return err
	}
}

func (s *Service) ListLeases(ctx context.Context, req *pb.ListLeasesRequest) (*pb.ListLeasesResponse, error) {
	scope := []string{"leases", req.GetNamespace(), req.GetAgentId(), req.GetPrefix()}
	token, _, err := s.pageAfter(req.GetPageToken(), engine.At{}, scope...)
	if err != nil {
		return nil, err
	}
	l := engine.LeaseList{
		Namespace: req.GetNamespace(), Agent: req.GetAgentId(), Prefix: req.GetPrefix(),
		Page: s.page(req.GetLimit(), s.config.Tuning.NamesPage),
	}
	l.After.Namespace = req.GetNamespace()
	l.After.Agent, l.AfterName, _ = strings.Cut(token.Last, "\x00")
	leases, more, err := s.engine.Leases(ctx, l)
	if err != nil {
		return nil, err
	}
	resp := &pb.ListLeasesResponse{}
	for i := range leases {
		resp.Leases = append(resp.Leases, leaseMessage(&leases[i]))
	}
	if more {
		s.pageFull(len(leases), l.Page)
		last := &leases[len(leases)-1]
		resp.NextPageToken = s.nextPage(s.engine.Published(), last.Agent.Agent+"\x00"+last.Name, scope...)
	}
	return resp, s.fits(resp)
}

func leaseMessage(l *engine.Lease) *pb.Lease {
	return &pb.Lease{
		Namespace: l.Agent.Namespace, AgentId: l.Agent.Agent, Name: l.Name, Token: uint64(l.Token), Holder: l.Holder, TtlMs: uint64(l.TTL.Milliseconds()),
		Deadline: wire.Timestamp(l.Deadline), AcquiredTs: uint64(l.AcquiredTS), AcquiredAt: wire.Timestamp(l.AcquiredAt),
	}
}

// ttlOf is a number of milliseconds. Past the longest Duration is past every maximum.
func ttlOf(ms uint64) time.Duration { return *wire.Timeout(&ms) }

// setHidden makes an operation on a hidden record one of m: with the name that a user knows it by.
func setHidden(m *pb.Operation, kind engine.HiddenKind, name string, op *engine.EventOp) {
	m.Key = name
	switch kind {
	case engine.HiddenLease:
		m.Lease = &pb.LeaseChange{}
		if op.Value != nil {
			holder, ttl := engine.LeaseOf(op.Value)
			m.Lease.Holder, m.Lease.TtlMs = holder, uint64(ttl.Milliseconds())
		}
	case engine.HiddenDue:
		m.Due = true
	}
}

func (s *Service) acquireOf(op *pb.TransactOperation, w *engine.Write) error {
	w.Eval = engine.Acquire{Holder: op.GetAcquire().GetHolder(), TTL: ttlOf(op.GetAcquire().GetTtlMs())}
	return nil
}

func (s *Service) releaseOf(op *pb.TransactOperation, w *engine.Write) error {
	w.Eval = engine.Release{Token: engine.Version(op.GetRelease().GetToken())}
	return nil
}

// plainKey is the name by which a user knows a record.
func plainKey(key string) string {
	_, name := engine.SplitHidden(key)
	return name
}

// acquiredLease is the lease that an operation acquired in a commit; nil: it acquired none.
func acquiredLease(r *engine.OpResult, ts engine.CommitTS, at time.Time) *pb.Lease {
	if r.Acquired == nil {
		return nil
	}
	return leaseMessage(&engine.Lease{
		Agent: r.Name.AgentName(), Name: plainKey(r.Name.Key), Token: r.Version, Holder: r.Acquired.Holder, TTL: r.Acquired.TTL,
		Deadline: at.Add(r.Acquired.TTL), AcquiredTS: ts, AcquiredAt: at,
	})
}
