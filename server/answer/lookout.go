package answer

import (
	"context"

	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/lookout"
	"statehouse.dev/statehouse/server/wire"
)

// What somebody who looks on is shown: refusals, and streams that are open.

// maxStreams is how many streams an answer lists.
const maxStreams = 1000

// onlooker is who asks what is going on, and of what.
type onlooker struct {
	namespace string // empty: of all that may be seen
	principal string
	grant     access.Grant
}

// onlookerOf is who asks about a namespace, or about all.
func (s *Service) onlookerOf(ctx context.Context, namespace string, all bool) (onlooker, error) {
	o := onlooker{namespace: namespace, principal: access.Principal(ctx)}
	switch {
	case all && namespace != "":
		return o, wire.Invalid("all", "all is for all namespaces, and namespace names one")
	case !all && namespace == "":
		o.namespace = engine.DefaultNamespace
	}
	if o.namespace != "" {
		if err := engine.CheckNamespace(o.namespace); err != nil {
			return o, err
		}
	}
	if caller := access.CallerOf(ctx); caller != nil {
		var err error
		if o.grant, err = s.access.Valid(caller); err != nil {
			return o, err
		}
	}
	return o, nil
}

// sees reports whether something of a namespace and of whoever did it is to be shown.
func (o *onlooker) sees(namespace, principal string) bool {
	switch {
	case o.namespace != "":
		return namespace == o.namespace // the request was let in
	case namespace == "":
		return o.operates() || principal == o.principal && principal != ""
	}
	return o.grant.Allows(access.Read, namespace)
}

// operates reports whether it may administer all.
func (o *onlooker) operates() bool { return o.grant.AllowsAll(access.Admin) }

// ListRefusals implements the RPC.
func (s *Service) ListRefusals(ctx context.Context, req *pb.ListRefusalsRequest) (*pb.ListRefusalsResponse, error) {
	o, err := s.onlookerOf(ctx, req.GetNamespace(), req.GetAll())
	if err != nil {
		return nil, err
	}
	now := s.config.Now()
	since := now.Add(-lookout.Kept)
	if s.began.After(since) {
		since = s.began
	}
	resp := &pb.ListRefusalsResponse{Since: timestamppb.New(since)}
	for _, r := range s.config.Refusals.List(now) {
		if req.GetConflicts() && !lookout.IsConflict(r.Code) || !o.sees(r.Namespace, r.Principal) {
			continue
		}
		resp.Refusals = append(resp.Refusals, &pb.Refusal{
			Namespace: r.Namespace, AgentId: r.Agent, Key: r.Key, Lease: r.Lease, Principal: r.Principal, Method: r.Method, Code: r.Code,
			Limit: r.Limit, Count: r.Count, FirstTime: timestamppb.New(r.First), LastTime: timestamppb.New(r.Last),
		})
		if n := req.GetLimit(); n > 0 && len(resp.Refusals) == int(n) {
			break
		}
	}
	return resp, s.fits(resp)
}

// ListStreams implements the RPC.
func (s *Service) ListStreams(ctx context.Context, req *pb.ListStreamsRequest) (*pb.ListStreamsResponse, error) {
	o, err := s.onlookerOf(ctx, req.GetNamespace(), req.GetAll())
	if err != nil {
		return nil, err
	}
	most, published := int(req.GetLimit()), uint64(s.engine.Published())
	if most == 0 || most > maxStreams {
		most = maxStreams
	}
	resp := &pb.ListStreamsResponse{}
	for _, x := range s.config.Streams.List() {
		if !o.sees(x.Namespace, x.Principal) {
			continue
		}
		if resp.Total++; len(resp.Streams) == most {
			continue
		}
		m := &pb.OpenStream{
			Kind: x.Kind, Namespace: x.Namespace, AgentId: x.Agent, KeyPrefix: x.Key, Lease: x.Lease, Due: x.Due, Principal: x.Principal,
			BeginTime: timestamppb.New(x.Began), Cursor: x.Seen.Load(), Lag: x.Lag(published),
		}
		if o.operates() {
			m.Peer = x.Peer
		}
		resp.Streams = append(resp.Streams, m)
	}
	return resp, s.fits(resp)
}

// opened is a stream of events that begins after a cursor.
func (s *Service) opened(ctx context.Context, kind pb.StreamKind, f engine.Filter, cursor engine.Cursor) *lookout.Stream {
	open := &lookout.Stream{
		Kind: kind, Namespace: f.Namespace, Agent: f.Agent, Key: f.KeyPrefix, Lease: f.Lease, Due: f.Due,
		Principal: access.Principal(ctx), Began: s.config.Now(),
	}
	if open.Namespace == "" {
		open.Namespace = engine.DefaultNamespace
	}
	if p, known := peer.FromContext(ctx); known {
		open.Peer = p.Addr.String()
	}
	open.Seen.Store(uint64(cursor))
	return open
}
