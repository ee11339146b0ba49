package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/admin"
	"statehouse.dev/statehouse/server/admission"
	"statehouse.dev/statehouse/server/answer"
	"statehouse.dev/statehouse/server/backup"
	"statehouse.dev/statehouse/server/captures"
	"statehouse.dev/statehouse/server/conns"
	"statehouse.dev/statehouse/server/gate"
	"statehouse.dev/statehouse/server/limiter"
	"statehouse.dev/statehouse/server/lookout"
	"statehouse.dev/statehouse/server/meter"
	"statehouse.dev/statehouse/server/session"
	"statehouse.dev/statehouse/server/unsent"
	"statehouse.dev/statehouse/server/wire"
)

// Config says what to assemble. The zero value of a field means its default.
type Config struct {
	Engine  engine.Options
	Version string // of the build
	GitSHA  string
	// Token, when set, must come with every request as "authorization: Bearer …".
	Token string
	// ClientCertificates says that connections may have one: its subject says who asks.
	ClientCertificates bool
	// Requests bounds the unary requests under way; 1,024. Streams bounds replays
	// and watches under way; 1,024.
	Requests, Streams int
	// UnsentBytes bounds what waits to be sent, over all connections; 256 MiB. Half as
	// much again may be taken by answers that are being made.
	UnsentBytes int64
	// Connections bounds those of clients; 4,096. KeptBack is how many more are there
	// for clients that have none and for health; 64.
	Connections, KeptBack int
	// RequestBytes bounds what the requests under way hold together; 128 MiB.
	RequestBytes int64
	// Rate says how many requests a second a principal may make, by its name; 0: any number.
	// It is asked at each request. nil: no one is bound.
	Rate func(principal string) float64
	// Archive says where what is committed is archived, if anywhere, and when.
	Archive   backup.Target
	Archiving backup.ArchiveOptions
	// Capture says where what clients ask and are answered can be recorded.
	Capture captures.Config
	// Session is how sessions start goroutines and timers; nil fields: as the operating
	// system does. Await is the engine's.
	Session session.Env
	Tuning  Tuning
	// Meter measures requests and what the engine does; nil: nothing is measured.
	Meter *meter.Meter
	// Debug logs what only those who look for it want to know. May be nil.
	Debug func(event string, attrs ...any)
	// Operator is what operators can ask of the process round the service.
	Operator admin.Process
	// Cluster is where the service is one of several that keep one store; nil: it is alone.
	Cluster Cluster
}

// ConnectionFiles is the number of file descriptors that connections take at most.
func (c Config) ConnectionFiles() int { return c.connLimits().Files() }

func (c Config) connLimits() conns.Limits {
	return conns.Limits{
		Connections: c.Connections, KeptBack: c.KeptBack,
		Message: maxRequestBytes + frameSlack, Bytes: c.RequestBytes, Arriving: c.Requests, Body: bodyTime,
	}
}

// WithDefaults is c with its zero values replaced.
func (c Config) WithDefaults() Config {
	c.Requests = cmp.Or(c.Requests, 1024)
	c.Streams = cmp.Or(c.Streams, 1024)
	c.Connections = cmp.Or(c.Connections, 4096)
	c.KeptBack = cmp.Or(c.KeptBack, 64)
	c.RequestBytes = cmp.Or(c.RequestBytes, 128<<20)
	c.UnsentBytes = cmp.Or(c.UnsentBytes, 256<<20)
	c.Tuning = c.Tuning.WithDefaults()
	if c.Debug == nil {
		c.Debug = func(string, ...any) {}
	}
	return c
}

// Service answers the RPCs of statehouse.v1.
type Service struct {
	*answer.Service // its methods
	engine          *engine.Engine
	config          Config
	env             engine.Env
	access          *access.Control
	gate            gate.Gate

	requests, streams     limiter.Limiter
	probes, healthWatches limiter.Limiter    // of their own: see methods.go
	reading, following    *limiter.Semaphore // turns to read of replays, of watches
	turns                 *limiter.Semaphore // of requests in sessions
	rates                 admission.Rates
	reached               reached
	unsent                *unsent.Budget
	captures              *captures.Captures
	admin                 admin.Service
	meter                 *meter.Meter                // nil: nothing is measured
	table                 atomic.Pointer[conns.Table] // while it is served
	archiver              *backup.Archiver            // nil: nothing is archived
	fronts                []Front
	fronted               *grpc.Server // what they hand requests to; nil: there is none

	handed   limiter.Limiter     // of requests that other members hand on
	handedOn map[string]handedOn // nil: there are no other members

	inSession grpc.UnaryServerInterceptor // of a request: the recorder, and within it the service's own
	sessions  session.Load
	workers   *session.Workers

	refusals lookout.Refusals
	open     lookout.Streams

	note     func(event string, attrs ...any) // logs what strangers can cause, sparingly
	draining context.Context
	drain    context.CancelFunc
}

// Assemble opens the engine and builds the service on it. Close the service
// after everything that calls it has stopped. Errors are those of engine.Open.
func Assemble(env engine.Env, config Config) (*Service, error) {
	if env.Log == nil {
		env.Log = func(string, ...any) {}
	}
	s := &Service{config: config.WithDefaults(), meter: config.Meter}
	env.Observe = s.meter.Observer()
	if err := s.config.Tuning.Validate(); err != nil {
		return nil, err
	}
	s.captures = captures.New(config.Capture, config.Engine.Dir)
	s.env = s.captures.Env(env)
	s.note = conns.Sparing(s.env.Log)
	s.unsent = unsent.New(s.config.UnsentBytes, s.config.Streams, &s.env, access.Principal)
	s.reading = limiter.NewSemaphore(int64(s.config.Tuning.StreamsReading), s.env.Await)
	s.turns = limiter.NewSemaphore(max(int64(s.config.Requests)*3/4, 1), s.env.Await)
	s.following = limiter.NewSemaphore(int64(s.config.Tuning.WatchesReading), s.env.Await)
	s.rates = admission.Rates{Now: s.env.Now}
	e, err := engine.Open(s.env, config.Engine)
	if err != nil {
		return nil, err
	}
	s.engine = e
	s.access = access.New(&s.env, config.Token)
	if err := s.access.Load(e); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	s.draining, s.drain = context.WithCancel(context.Background())
	s.Service = answer.New(e, answer.Config{Tuning: s.config.Tuning, Access: s.access, Reading: s.reading, Following: s.following, Draining: s.draining, Now: s.env.Now, Refusals: &s.refusals, Streams: &s.open})
	s.gate = gate.Gate{Access: s.access, Engine: e, Note: s.note}
	if c := config.Cluster; c != nil {
		s.gate.Newest, s.gate.Record = c.Confirm, s.record
	}
	if config.ClientCertificates {
		s.gate.Subject = conns.Subject
	}
	s.admin = admin.Service{Engine: e, Env: s.env, Access: s.access, Process: config.Operator}
	if config.Archive != nil {
		s.archiver = backup.NewArchiver(e, &s.env, config.Archive, config.Archiving)
		// What may pass is tried again.
		if err := s.archiver.Open(); errors.Is(err, engine.ErrUnusable) || errors.Is(err, engine.ErrDataLoss) {
			return nil, errors.Join(err, e.Close())
		}
	}
	s.requests.Init(s.config.Requests, "requests", counting(&s.reached.Requests))
	s.streams.Init(s.config.Streams, "streams", counting(&s.reached.Streams))
	s.handed.Init(s.config.Requests, "requests handed on", counting(&s.reached.Requests))
	s.probes.Init(s.config.Tuning.Probes, "requests of health", counting(&s.reached.Probes))
	s.healthWatches.Init(s.config.Tuning.HealthWatches, "watches of health", counting(&s.reached.HealthWatches))
	s.captures.Open(e, fmt.Sprintf("%s (%s)", config.Version, config.GitSHA), env.Log) // not s.env.Log, which it records
	s.assembleSessions()
	if config.Cluster != nil {
		if err := s.assembleRoutes(); err != nil {
			return nil, errors.Join(err, e.Close())
		}
	}
	return s, nil
}

// Engine is what the service stands on: Run's in production, stepped by the
// simulator.
func (s *Service) Engine() *engine.Engine { return s.engine }

// SetToken changes the shared token. Streams that are open go on, unless there is none any more.
func (s *Service) SetToken(token string) { s.access.SetToken(token) }

// Closed reports whether requests must show a key or the token: there is one.
func (s *Service) Closed() bool { return s.access.Closed() }

// HasKeys reports whether the store has access keys, or has had one.
func (s *Service) HasKeys() bool { return s.access.HasKeys() }

// Tick does what depends on time, in front of the engine: it ends streams whose key was revoked or has
// expired. It is to be called a few times a second.
func (s *Service) Tick() {
	s.access.Tick()
	if s.writesAudit() {
		s.access.Flush()
	}
}

// Register adds the service to a gRPC server, or to the simulator's transport.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	pb.RegisterStatehouseServiceServer(r, s)
	s.admin.Register(r)
	s.captures.Register(r)
}

// DumpCapture writes what was captured to a file beside the ring: for a signal, which
// has nobody to answer to.
func (s *Service) DumpCapture(why string) (path string, err error) { return s.captures.DumpFile(why) }

// Close closes the engine.
func (s *Service) Close() error {
	s.drain()
	s.workers.Stop()
	s.access.Close()
	return errors.Join(s.captures.EndDumps(), s.engine.Close(), s.captures.Close())
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

func (s *Service) GetStatus(ctx context.Context, _ *pb.GetStatusRequest) (*pb.GetStatusResponse, error) {
	st := s.engine.Status()
	resp := &pb.GetStatusResponse{
		PublishedTs: uint64(st.Published), LastCommitTime: wire.Timestamp(st.LastCommitTime),
		OpenTransactions: uint64(st.OpenTxns), DiskUsedBytes: st.DiskUsed, DiskFreeBytes: st.DiskFree,
		Principal: access.Principal(ctx), Durable: st.Durable, StoreId: st.StoreID, FormatVersion: uint32(st.Format),
	}
	epoch, began := s.engine.Epoch()
	resp.Epoch, resp.EpochBeganTs = epoch, uint64(began)
	resp.Archive, resp.Cluster = s.archiveStatus(), s.clusterStatus()
	resp.Sessions, resp.SessionRequests = uint64(s.sessions.Sessions.Load()), uint64(s.sessions.Requests.Load())
	if st.Refused != nil {
		resp.WritesRefused = st.Refused.Error()
	}
	return resp, nil
}

func (s *Service) archiveStatus() *pb.ArchiveStatus {
	if s.archiver == nil {
		return nil
	}
	st := s.archiver.Status()
	m := &pb.ArchiveStatus{ArchivedTs: uint64(st.Archived), LagCommits: st.Behind, Lag: durationpb.New(st.Lag)}
	if st.Problem != nil {
		m.Error = st.Problem.Error()
	}
	return m
}
