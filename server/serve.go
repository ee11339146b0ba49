package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/conns"
	"statehouse.dev/statehouse/server/wire"
)

// What a connection may do. The network is taken to be hostile.
const (
	maxRequestBytes  = 4 << 20
	maxHeaderBytes   = 16 << 10
	bodyTime         = 30 * time.Second // for a request's body to arrive
	streamWorkers    = 256              // goroutines kept for requests: their stacks have grown already; measured 1.3 times the reads
	handshakeTimeout = 10 * time.Second
	minPing          = 500 * time.Millisecond // between two of a client's: a ping costs less than a request
	drainTimeout     = 20 * time.Second
	healthEvery      = 250 * time.Millisecond
	archiveEvery     = 100 * time.Millisecond // looks whether there is something to archive
	lastArchiving    = 30 * time.Second       // for what is left when the daemon stops
)

// options of the gRPC server. No compressor is registered anywhere in the
// daemon, so compressed requests, bombs among them, are refused.
func (s *Service) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(wire.Codec()),
		s.streamChain(),
		grpc.MaxRecvMsgSize(maxRequestBytes + frameSlack),
		grpc.MaxSendMsgSize(maxRequestBytes + frameSlack),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(s.streamsPerConn()),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
	}
}

// streamsPerConn is more than all limiters let in together: one connection may use them
// up, and the request past them is refused by name. Below that its client would make
// it wait without a word.
func (s *Service) streamsPerConn() uint32 {
	const beingRefused = 256
	return uint32(s.requests.Limit() + s.streams.Limit() + s.probes.Limit() + s.healthWatches.Limit() + beingRefused)
}

// Serve runs the engine and answers on the listeners until ctx ends; then it
// drains: no new requests, watches end, what is under way may finish for a
// while. It returns when everything has stopped; the service can then be closed.
func (s *Service) Serve(ctx context.Context, t *tls.Config, listeners ...net.Listener) error {
	running, stopEngine := context.WithCancel(context.Background())
	defer stopEngine()
	var wg sync.WaitGroup
	if s.config.Cluster == nil { // else whoever drives the member drives its engine
		wg.Go(func() { s.engine.Run(running) })
	}
	wg.Go(func() { s.captures.Run(running) })
	if s.archiver != nil {
		wg.Go(func() { s.archive(running) })
	}

	table := conns.New(s.config.connLimits(), s.note)
	s.table.Store(table)
	g := grpc.NewServer(append(s.options(), table.Options(t)...)...)
	services := registrar{g, s}
	s.Register(services)
	h := health.NewServer()
	healthpb.RegisterHealthServer(services, h)
	reflection.Register(services)
	wg.Go(func() { s.watchHealth(running, h) })
	wg.Go(func() { s.watchAccess(running) })
	if s.config.Cluster != nil {
		wg.Go(func() { s.watchRefusals(running) })
	}

	serveCtx, stopServing := context.WithCancelCause(ctx)
	defer stopServing(nil)
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() {
			if err := g.Serve(table.Listener(s.unsent.Listener(l), t)); err != nil {
				stopServing(err)
			}
		})
	}
	for _, f := range s.fronts {
		serving.Go(func() {
			if err := f.Serve(); err != nil {
				stopServing(err)
			}
		})
	}
	<-serveCtx.Done()
	s.Shutdown(&host{grpc: g, health: h, fronts: s.fronts, fronted: s.fronted, serving: serving.Wait, stopEngine: func() {
		stopEngine()
		wg.Wait()
	}})
	if err := context.Cause(serveCtx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// host is Serve's.
type host struct {
	grpc       *grpc.Server
	health     *health.Server
	fronts     []Front
	fronted    *grpc.Server // nil: there are none
	serving    func()       // waits until no listener is served
	stopEngine func()
}

func (h *host) Unhealthy() { h.health.Shutdown() }

func (h *host) StopServing(within time.Duration) {
	var ending sync.WaitGroup
	for _, f := range h.fronts {
		ending.Go(func() { f.Shutdown(within) })
	}
	late := time.AfterFunc(within, h.grpc.Stop)
	h.grpc.GracefulStop()
	late.Stop()
	ending.Wait()
	if h.fronted != nil {
		h.fronted.Stop() // nothing is under way: it ends its goroutines
	}
	h.serving()
}

func (h *host) StopEngine() { h.stopEngine() }

// accessEvery is how often streams are looked at: one whose key was revoked ends within that.
const accessEvery = 250 * time.Millisecond

func (s *Service) watchAccess(ctx context.Context) {
	tick := time.NewTicker(accessEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.Tick()
		case <-ctx.Done():
			return
		}
	}
}

// passWithin is how long it may take to have another member write down who was refused here.
const passWithin = 2 * time.Second

// watchRefusals has it written down as it becomes due. It waits for that member, so nothing waits for it.
func (s *Service) watchRefusals(ctx context.Context) {
	tick := time.NewTicker(accessEvery)
	defer tick.Stop()
	pass := func(ctx context.Context, all bool) {
		ctx, cancel := context.WithTimeout(ctx, passWithin)
		defer cancel()
		s.passRefusals(ctx, all)
	}
	for {
		select {
		case <-tick.C:
			pass(ctx, false)
		case <-ctx.Done():
			pass(context.Background(), true)
			return
		}
	}
}

// watchHealth keeps the standard health service in step with the engine.
func (s *Service) watchHealth(ctx context.Context, h *health.Server) {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		state := healthpb.HealthCheckResponse_SERVING
		if s.engine.Healthy() != nil {
			state = healthpb.HealthCheckResponse_NOT_SERVING
		}
		h.SetServingStatus("", state)
		h.SetServingStatus(pb.StatehouseService_ServiceDesc.ServiceName, state)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// archive ships what is committed until ctx ends, and then what is left.
func (s *Service) archive(ctx context.Context) {
	tick := time.NewTicker(archiveEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		s.archiver.Step(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	last, cancel := context.WithTimeout(context.Background(), lastArchiving)
	defer cancel()
	s.archiver.Finish(last)
}
