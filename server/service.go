// Package server is Statehouse's gRPC service: it translates, validates, limits,
// authorises and maps errors, and leaves everything else to the engine.
//
// Assemble is the one way to build a running Statehouse. The daemon, the
// simulator and the tests all call it; what differs between them is the
// engine.Env that they hand in.
package server

import (
	"context"
	"errors"
	"sync/atomic"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/linearizability/capture"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Config says what to assemble. The zero value of a field means its default.
type Config struct {
	Engine  engine.Options
	Version string // of the build
	GitSHA  string
	// Token, when set, must come with every request as "authorization: Bearer …".
	Token string
	// Requests bounds the unary requests under way; 1,024. Streams bounds replays
	// and watches under way; 1,024.
	Requests, Streams int
	// UnsentBytes bounds what waits to be sent, over all connections; 256 MiB. Half as
	// much again may be taken by answers that are being made.
	UnsentBytes int64
	// Capture says where what clients ask and are told can be recorded. Without a
	// Dir it cannot.
	Capture Capture
}

// Service answers the RPCs of statehouse.v1.
type Service struct {
	pb.UnimplementedStatehouseServiceServer
	engine     *engine.Engine
	config     Config
	env        engine.Env
	requests   gate
	streams    gate
	sendBudget *sendBudget
	making     *semaphore
	draining   context.Context
	drain      context.CancelFunc
	recorder   atomic.Pointer[capture.Recorder] // nil without Config.Capture
	token      atomic.Pointer[string]           // that every request must carry; empty: none
}

// Assemble opens the engine and builds the service on it. Close the service
// after everything that calls it has stopped. Errors are those of engine.Open.
func Assemble(env engine.Env, config Config) (*Service, error) {
	if config.Requests == 0 {
		config.Requests = 1024
	}
	if config.Streams == 0 {
		config.Streams = 1024
	}
	if config.UnsentBytes == 0 {
		config.UnsentBytes = 256 << 20
	}
	s := &Service{config: config}
	s.SetToken(config.Token)
	s.env = s.captured(env)
	s.sendBudget = newSendBudget(&config, &s.env)
	s.making = newSemaphore(config.UnsentBytes/2, &s.env)
	e, err := engine.Open(s.env, config.Engine)
	if err != nil {
		return nil, err
	}
	s.engine = e
	s.requests.free.Store(int64(config.Requests))
	s.streams.free.Store(int64(config.Streams))
	s.draining, s.drain = context.WithCancel(context.Background())
	s.openCapture(env.Log)
	return s, nil
}

// Engine is what the service stands on: Run's in production, stepped by the
// simulator.
func (s *Service) Engine() *engine.Engine { return s.engine }

// SetToken makes the token that requests from now on must carry another. What is under
// way goes on.
func (s *Service) SetToken(token string) { s.token.Store(&token) }

// Register adds the service to a gRPC server, or to the simulator's transport.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	pb.RegisterStatehouseServiceServer(r, s)
	if s.recorder.Load() != nil {
		pb.RegisterCaptureServiceServer(r, &captureService{s: s})
	}
}

// Drain ends the watches: everything else ends by itself.
func (s *Service) Drain() { s.drain() }

// Close closes the engine.
func (s *Service) Close() error {
	s.drain()
	err := s.engine.Close()
	if r := s.recorder.Load(); r != nil {
		err = errors.Join(err, r.Close())
	}
	return err
}

func (s *Service) Health(context.Context, *pb.HealthRequest) (*pb.HealthResponse, error) {
	if err := s.engine.Healthy(); err != nil {
		return nil, err
	}
	return &pb.HealthResponse{Status: "ok"}, nil
}

func (s *Service) Version(context.Context, *pb.VersionRequest) (*pb.VersionResponse, error) {
	return &pb.VersionResponse{Version: s.config.Version, GitSha: s.config.GitSHA}, nil
}

func (s *Service) GetStatus(context.Context, *pb.GetStatusRequest) (*pb.GetStatusResponse, error) {
	st := s.engine.Status()
	resp := &pb.GetStatusResponse{
		PublishedTs: uint64(st.Published), LastCommitTime: timestamp(st.LastCommitTime),
		OpenTransactions: uint64(st.OpenTxns), DiskUsedBytes: st.DiskUsed, DiskFreeBytes: st.DiskFree,
		Durable: st.Durable, StoreId: st.StoreID, FormatVersion: uint32(st.Format),
	}
	if st.Refused != nil {
		resp.WritesRefused = st.Refused.Error()
	}
	return resp, nil
}
