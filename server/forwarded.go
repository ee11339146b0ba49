package server

import (
	"context"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/wire"
)

// The other end of Cluster.Forward.

// handedOn is a unary method that one member may hand to another.
type handedOn struct {
	grpc.MethodDesc
	of     any // whose method it is
	answer protoreflect.MessageType
}

// assembleRoutes makes ready what a service needs that is one of several.
func (s *Service) assembleRoutes() error {
	s.handedOn = make(map[string]handedOn)
	for desc, of := range map[*grpc.ServiceDesc]any{&pb.StatehouseService_ServiceDesc: s, &pb.AdminService_ServiceDesc: &s.admin} { // in any order
		for _, m := range desc.Methods {
			d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(desc.ServiceName + "." + m.MethodName))
			if err != nil {
				return err
			}
			answer, err := protoregistry.GlobalTypes.FindMessageByName(d.(protoreflect.MethodDescriptor).Output().FullName())
			if err != nil {
				return err
			}
			s.handedOn["/"+desc.ServiceName+"/"+m.MethodName] = handedOn{m, of, answer}
		}
	}
	return nil
}

// Answer answers a request that another member was asked and has handed on. That member has counted the request, has
// found out who asks, and records it; what it may do is decided here, where the newest is known.
func (s *Service) Answer(ctx context.Context, f *Forwarded) *Answered {
	resp, err := s.answerForwarded(ctx, f)
	if err == nil {
		var data []byte
		if data, err = proto.Marshal(resp.(proto.Message)); err == nil {
			return &Answered{Response: data}
		}
	}
	return &Answered{Status: statusOf(s.status(err))}
}

func (s *Service) answerForwarded(ctx context.Context, f *Forwarded) (resp any, err error) {
	m, known := s.handedOn[f.Method]
	if !known && f.Method != Auditing {
		return nil, status.Errorf(codes.Unimplemented, "no unary method %q can be handed on", f.Method)
	}
	if f.Method != Auditing || len(f.Caller) > 0 {
		caller, err := access.Vouched(f.Caller)
		if err != nil {
			return nil, err
		}
		ctx = access.WithShareOf(access.WithCaller(ctx, caller), f.Share)
	}
	if f.Trace != "" {
		ctx = metadata.NewIncomingContext(ctx, metadata.Pairs("traceparent", "00-"+f.Trace+"-0000000000000001-00"))
	}
	if err := s.handed.Enter(); err != nil {
		return nil, err
	}
	defer s.handed.Leave()
	defer s.recovered(f.Method, &err)
	if f.Method == Auditing {
		return &emptypb.Empty{}, s.recordFor(ctx, f.Request)
	}
	return m.Handler(m.of, ctx, func(v any) error { return proto.Unmarshal(f.Request, v.(proto.Message)) },
		func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			ctx, grant, err := s.gate.Identify(ctx, info.FullMethod)
			if err != nil {
				return nil, s.refused(req, err)
			}
			leader := s.config.Cluster.Leader()
			if !leader.Here { // it is handed on once
				return nil, s.refused(req, wire.Fail(engine.ErrNotLeader, "the member that was taken for the leader is none any more; nothing was applied"))
			}
			return s.lead(ctx, leader.Term, routeOf(info.FullMethod, req), info.FullMethod, req, grant, handler)
		})
}

// statusFrom is the error that another member answered.
func statusFrom(data []byte) error {
	var s spb.Status
	if err := proto.Unmarshal(data, &s); err != nil || s.GetCode() == int32(codes.OK) {
		return status.Error(codes.Unavailable, "the answer of the member that leads cannot be read")
	}
	return status.ErrorProto(&s)
}
