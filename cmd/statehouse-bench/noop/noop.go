// Package noop is a server that does nothing: it answers requests of the contract with
// messages of the size that a daemon's have, and keeps nothing. What it costs is what gRPC
// and the encoding of messages cost, which is what a daemon is held against.
package noop

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/cmd/statehouse-bench/wire"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Serve serves on a free port of the loopback interface, says on out which, and ends when
// ctx does, or alive: a pipe from the process that this one is for.
func Serve(ctx context.Context, alive io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	// Connections are quiet while others are measured.
	s := grpc.NewServer(grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}))
	pb.RegisterStatehouseServiceServer(s, newService())
	defer context.AfterFunc(ctx, s.Stop)()
	go func() {
		_, _ = io.Copy(io.Discard, alive) // however it ends
		s.Stop()
	}()
	if _, err := fmt.Fprintf(out, "listening on %s\n", l.Addr()); err != nil {
		return err
	}
	return s.Serve(l)
}

type service struct {
	pb.UnimplementedStatehouseServiceServer
	value []byte
	when  *timestamppb.Timestamp
	batch *pb.EventBatch
}

// perBatch is how many events of this size a daemon puts into a message.
const perBatch = 64

func newService() *service {
	s := &service{value: wire.Values()[0], when: &timestamppb.Timestamp{Seconds: 1_800_000_000, Nanos: 123_456_789}, batch: &pb.EventBatch{Cursor: 1 << 30}}
	for range perBatch {
		s.batch.Events = append(s.batch.Events, &pb.ReplayEvent{
			TxnId: "0190a5b0-0000-7000-8000-000000000000", CommitTs: 1 << 20, CommitTime: s.when,
			Operations: []*pb.Operation{{Key: "memory/00000000", Version: 1, ValueJson: s.value, Namespace: "bench-history", AgentId: "00000000-000"}},
		})
	}
	return s
}

func (s *service) GetState(context.Context, *pb.GetStateRequest) (*pb.GetStateResponse, error) {
	return &pb.GetStateResponse{Exists: true, ValueJson: s.value, Version: 3, CommitTs: 1 << 20, ReadTs: 1 << 20, CommitTime: s.when}, nil
}

func (s *service) Transact(_ context.Context, req *pb.TransactRequest) (*pb.TransactResponse, error) {
	resp := &pb.TransactResponse{CommitTs: 1 << 20, CommitTime: s.when, Versions: make([]uint64, len(req.GetOperations()))}
	for i := range resp.Versions {
		resp.Versions[i] = 3
	}
	return resp, nil
}

func (s *service) ReplayBatches(req *pb.ReplayRequest, stream grpc.ServerStreamingServer[pb.EventBatch]) error {
	for n := uint64(0); n < req.GetLimit(); n += perBatch {
		if err := stream.Send(s.batch); err != nil {
			return err
		}
	}
	return nil
}

// Session answers each frame with one.
func (s *service) Session(stream grpc.BidiStreamingServer[pb.SessionRequests, pb.SessionAnswers]) error {
	for {
		frame, err := stream.Recv()
		if err != nil {
			return err
		}
		answers := &pb.SessionAnswers{Answers: make([]*pb.SessionAnswer, len(frame.GetRequests()))}
		for i, req := range frame.GetRequests() {
			answer, err := s.answer(stream.Context(), req)
			if err != nil {
				return err
			}
			answers.Answers[i] = &pb.SessionAnswer{Id: req.GetId(), Answer: answer}
		}
		if err := stream.Send(answers); err != nil {
			return err
		}
	}
}

func (s *service) answer(ctx context.Context, frame *pb.SessionRequest) ([]byte, error) {
	switch frame.GetMethod() {
	case "GetState":
		return handle(ctx, frame, &pb.GetStateRequest{}, s.GetState)
	case "Transact":
		return handle(ctx, frame, &pb.TransactRequest{}, s.Transact)
	}
	return nil, status.Errorf(codes.Unimplemented, "%s does nothing here", frame.GetMethod())
}

func handle[Request, Response proto.Message](ctx context.Context, frame *pb.SessionRequest, req Request, do func(context.Context, Request) (Response, error)) ([]byte, error) {
	if err := proto.Unmarshal(frame.GetRequest(), req); err != nil {
		return nil, err
	}
	resp, err := do(ctx, req)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(resp)
}
