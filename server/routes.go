package server

import (
	"context"
	"errors"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/meter"
	"statehouse.dev/statehouse/server/structwire"
	"statehouse.dev/statehouse/server/wire"
)

// Where a request is answered, when the service is one of several. Every request passes here once it is let in, and
// no handler knows of it.

// A route is which member answers the requests of a method, and what it must know before.
type route uint8

const (
	ofItself route = iota // whichever it comes to: the answer is about that member
	reads                 // whichever it comes to, from a state that is new enough
	leads                 // the one that leads
	leadsNow              // the one that leads, once it is confirmed that it does
)

// routes of the methods that are not ofItself. routes_test.go holds it to have what needs one.
var routes = map[string]route{
	pb.StatehouseService_BeginTransaction_FullMethodName: leadsNow, // its snapshot is to be the newest
	pb.StatehouseService_Write_FullMethodName:            leads,
	pb.StatehouseService_Delete_FullMethodName:           leads,
	pb.StatehouseService_Commit_FullMethodName:           leads,
	pb.StatehouseService_Abort_FullMethodName:            leadsNow, // of one that it does not know it says that it is done
	pb.StatehouseService_Transact_FullMethodName:         leads,
	pb.StatehouseService_RenewLeases_FullMethodName:      leads,
	pb.StatehouseService_RefreshExpiry_FullMethodName:    leads,
	pb.StatehouseService_GetTransaction_FullMethodName:   leadsNow, // open ones are in its memory

	pb.StatehouseService_GetState_FullMethodName:          reads,
	pb.StatehouseService_GetStateAtVersion_FullMethodName: reads,
	pb.StatehouseService_ListKeys_FullMethodName:          reads,
	pb.StatehouseService_ScanPrefix_FullMethodName:        reads,
	pb.StatehouseService_Replay_FullMethodName:            reads,
	pb.StatehouseService_BatchGetState_FullMethodName:     reads,
	pb.StatehouseService_GetHistory_FullMethodName:        reads,
	pb.StatehouseService_ListAgents_FullMethodName:        reads,
	pb.StatehouseService_ListNamespaces_FullMethodName:    reads,
	pb.StatehouseService_ReplayBatches_FullMethodName:     reads,
	pb.StatehouseService_Watch_FullMethodName:             reads,
	pb.StatehouseService_ListLeases_FullMethodName:        reads,
	pb.StatehouseService_Find_FullMethodName:              reads,
	pb.StatehouseService_Diff_FullMethodName:              reads,
	pb.StatehouseService_GetAgent_FullMethodName:          reads,

	pb.AdminService_CreateAccessKey_FullMethodName:    leads,
	pb.AdminService_RotateAccessKey_FullMethodName:    leads,
	pb.AdminService_RevokeAccessKey_FullMethodName:    leads,
	pb.AdminService_SetRetention_FullMethodName:       leads,
	pb.AdminService_Erase_FullMethodName:              leads,
	pb.AdminService_BeginImport_FullMethodName:        leads,
	pb.AdminService_ImportEvents_FullMethodName:       leads,
	pb.AdminService_FinishImport_FullMethodName:       leads,
	pb.AdminService_AbortImport_FullMethodName:        leads,
	pb.AdminService_ListTransactions_FullMethodName:   leads,
	pb.AdminService_AbortTransaction_FullMethodName:   leads,
	pb.AdminService_TransferLeadership_FullMethodName: leads,
	pb.AdminService_AddMember_FullMethodName:          leads,
	pb.AdminService_PromoteMember_FullMethodName:      leads,
	pb.AdminService_RemoveMember_FullMethodName:       leads,
	pb.AdminService_ListAccessKeys_FullMethodName:     reads,
	pb.AdminService_ListAudit_FullMethodName:          reads,
	pb.AdminService_ListRetention_FullMethodName:      reads,
	pb.AdminService_ListImports_FullMethodName:        reads,
	pb.AdminService_Backup_FullMethodName:             reads,
}

// routeOf is the route of a request. A transaction that is open is in the memory of the member that leads.
func routeOf(method string, req any) route {
	r := routes[method]
	if in, is := req.(interface{ GetTxnId() string }); is && r == reads && in.GetTxnId() != "" {
		return leads
	}
	return r
}

// routed answers a unary request that was let in, or has it answered.
func (s *Service) routed(ctx context.Context, method string, req any, grant access.Grant, handler grpc.UnaryHandler) (resp any, err error) {
	switch r := routeOf(method, req); r {
	case leads, leadsNow:
		leader := s.config.Cluster.Leader()
		if !leader.Here {
			return s.forward(ctx, method, req)
		}
		return s.lead(ctx, leader.Term, r, method, req, grant, handler)
	case reads:
		if grant, err = s.upToDate(ctx, method, req, grant); err != nil {
			return nil, err
		}
	}
	return s.answered(ctx, method, req, grant, handler)
}

// lead answers a request where it can be answered only by the member that leads, which is this one in a term.
//
// What goes through the writer is confirmed by its step. A refusal need not have: it was made of what was here, which
// in a leader that is deposed and does not know it is not the newest. So it is confirmed after, that this member has
// led all the while. Once for all refusals, which are rare, is simpler than to know of each how it came about.
func (s *Service) lead(ctx context.Context, term uint64, r route, method string, req any, grant access.Grant, handler grpc.UnaryHandler) (any, error) {
	if r == leadsNow {
		if err := s.config.Cluster.Confirm(ctx); err != nil {
			return nil, s.refused(req, err)
		}
	}
	resp, err := s.answered(ctx, method, req, grant, handler)
	if err == nil || !restsOnState(err) {
		return resp, err
	}
	if failed := s.config.Cluster.Confirm(ctx); failed != nil {
		return nil, s.refused(req, failed)
	}
	if now := s.config.Cluster.Leader(); !now.Here || now.Term != term {
		return nil, s.refused(req, wire.Fail(engine.ErrNotLeader, "another member led meanwhile, and may have done what was asked; here it was not done"))
	}
	return nil, err
}

// passing are the errors that speak of one try, or of this member.
var passing = []error{
	engine.ErrStopped, engine.ErrLimit, engine.ErrOverloaded, engine.ErrDiskFull, engine.ErrDataLoss, engine.ErrStorage, engine.ErrOutcomeUnknown,
	access.ErrUnauthenticated, context.Canceled, context.DeadlineExceeded,
}

// restsOnState reports whether a refusal says something of the state, which must be the newest then.
func restsOnState(err error) bool {
	for _, p := range passing {
		if errors.Is(err, p) {
			return false
		}
	}
	var f *engine.Failure
	return !errors.As(err, &f) || !f.InDoubt
}

// upToDate waits until a read can be answered here, unless it asks for a state that is there. Whoever asks may
// be let in to more by then, or to less.
func (s *Service) upToDate(ctx context.Context, method string, req any, grant access.Grant) (access.Grant, error) {
	if !s.needsNewest(req) {
		return grant, nil
	}
	if err := s.config.Cluster.Confirm(ctx); err != nil {
		return nil, err
	}
	_, grant, err := s.gate.Identify(ctx, method)
	return grant, err
}

// forward has the member that leads answer a request. It is sent once: a commit of which the answer is lost may
// have been made.
func (s *Service) forward(ctx context.Context, method string, req any) (any, error) {
	body, err := proto.Marshal(req.(proto.Message))
	if err != nil {
		return nil, err
	}
	f := &Forwarded{Method: method, Request: body, Caller: access.CallerOf(ctx).Vouch(), Share: access.Share(ctx), Trace: meter.TraceID(ctx)}
	a, err := s.config.Cluster.Forward(ctx, f)
	switch {
	case err == nil && len(a.Status) > 0:
		return nil, statusFrom(a.Status)
	case err == nil:
		resp := s.handedOn[method].answer.New().Interface()
		return resp, structwire.Unmarshal(a.Response, resp)
	case errors.Is(err, engine.ErrNotLeader):
		return nil, s.refused(req, err)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case commits[method]:
		return nil, wire.Fail(engine.ErrOutcomeUnknown, "the member that leads was asked to commit, and its answer is lost: "+err.Error()+"; send it again under the same id, or ask for its outcome")
	}
	return nil, status.Error(codes.Unavailable, "the member that leads was asked, and its answer is lost: "+err.Error())
}

// retryElsewhere is when a request that needs a leader is to be tried again: one may be found by then.
const retryElsewhere = 100 * time.Millisecond

// status is an error as it is sent. Of a member that does not lead it says who does.
func (s *Service) status(err error) error {
	if s.config.Cluster == nil || !errors.Is(err, engine.ErrNotLeader) {
		return wire.Status(err)
	}
	var f *engine.Failure
	if !errors.As(err, &f) {
		f = &engine.Failure{Message: err.Error()}
	}
	told := map[string]string{"retry_after_ms": strconv.FormatInt(retryElsewhere.Milliseconds(), 10)}
	if leader := s.config.Cluster.Leader(); !leader.Here && leader.Address != "" {
		told["leader"] = leader.Address
	}
	return wire.Status(&engine.Failure{Kind: engine.ErrNotLeader, Message: f.Message, Details: told, InDoubt: f.InDoubt})
}

// leaderTrailer has the address of the member that leads, in answers of those that do not.
const leaderTrailer = "statehouse-leader"

// nameLeader tells whoever made a call who leads, if it is another: it may go there directly.
func (s *Service) nameLeader(ss grpc.ServerStream) {
	if s.config.Cluster == nil {
		return
	}
	if leader := s.config.Cluster.Leader(); !leader.Here && leader.Address != "" {
		ss.SetTrailer(metadata.Pairs(leaderTrailer, leader.Address))
	}
}

// whoLeads says where a client is to go with what only the member that leads answers, and no other hands on.
func (s *Service) whoLeads() string {
	if leader := s.config.Cluster.Leader(); leader.Address != "" {
		return "another member leads, at " + leader.Address + ": ask that"
	}
	return "no member is known that leads: ask again"
}

// routedStream lets a stream be answered here, or refuses it: a stream is not forwarded.
func (s *Service) routedStream(ctx context.Context, method string, req any) error {
	switch routes[method] {
	case leads, leadsNow:
		if !s.config.Cluster.Leader().Here {
			return wire.Fail(engine.ErrNotLeader, s.whoLeads())
		}
	case reads:
		if s.needsNewest(req) {
			return s.config.Cluster.Confirm(ctx)
		}
	}
	return nil
}
