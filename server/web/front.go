package web

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/protobuf/reflect/protoreflect"

	"statehouse.dev/statehouse/server/limiter"
)

// Connections bounds those of the listeners together.
const Connections = 256

// MemoryBytes is what all of it may hold at a time: bodies and large answers while they are turned
// from one form into another, and connections.
const MemoryBytes = bodiesBytes + answersBytes + Connections*connBytes

const (
	bodiesBytes  = 32 << 20
	answersBytes = 48 << 20
	connBytes    = 64 << 10
)

const (
	maxHeaderBytes = 16 << 10
	streamsPerConn = 250
)

// Config is what a front is made of.
type Config struct {
	Listeners []net.Listener
	TLS       *tls.Config // nil: without
	// AllowedHosts are the names, beside those of loopback, that a request may be for.
	AllowedHosts []string
	// Backend answers gRPC requests: server.Service.Handler.
	Backend http.Handler
	// ErrorLog gets what net/http says of connections; nil: nothing.
	ErrorLog *log.Logger
}

// Front serves the service over HTTP. It is a server.Front.
type Front struct {
	config     Config
	backend    http.Handler
	methods    map[string]protoreflect.MethodDescriptor
	transcoder http.Handler
	bodies     *limiter.Semaphore
	answers    *limiter.Semaphore
	mux        *http.ServeMux
	server     *http.Server
	times      times
	sessions   *sessions
}

// New makes a front. Handle adds to what it serves, before Serve.
func New(c Config) (*Front, error) { return newFront(c, patient) }

func newFront(c Config, t times) (*Front, error) {
	c.AllowedHosts = slices.Clone(c.AllowedHosts)
	f := &Front{config: c, backend: c.Backend, methods: methods(), mux: http.NewServeMux(), times: t}
	f.sessions = newSessions(c.Listeners)
	for i, host := range c.AllowedHosts {
		c.AllowedHosts[i] = hostOf(host)
	}
	f.bodies, f.answers = limiter.NewSemaphore(bodiesBytes, await), limiter.NewSemaphore(answersBytes, await)
	var err error
	if f.transcoder, err = newTranscoder(c.Backend); err != nil {
		return nil, err
	}
	f.mux.HandleFunc("/", f.rpc)
	f.mux.HandleFunc("GET /v1/watch", f.watch)
	f.mux.HandleFunc("GET /v1/replay", f.replay)
	for path, method := range Reads { // each for itself: any order
		f.mux.HandleFunc("GET "+path, f.read(method))
	}
	f.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document) // its client may be gone
	})
	if err = f.pages(); err != nil {
		return nil, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(c.TLS == nil)
	f.server = &http.Server{
		Handler: f.guard(f.remembered(f.bounded(f.mux))), TLSConfig: c.TLS, Protocols: protocols, ErrorLog: c.ErrorLog,
		ReadHeaderTimeout: f.times.header, IdleTimeout: f.times.idle, MaxHeaderBytes: maxHeaderBytes,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: streamsPerConn},
	}
	return f, nil
}

// Handle serves what a pattern of http.ServeMux names, behind the guard and with the bounds of
// bodies. It is for what stands beside the methods, and must pass the service as they do.
func (f *Front) Handle(pattern string, h http.Handler) { f.mux.Handle(pattern, h) }

// OnShutdown has f called when Shutdown begins: to end what would otherwise be waited for.
func (f *Front) OnShutdown(end func()) { f.server.RegisterOnShutdown(end) }

// Serve serves the listeners until Shutdown.
func (f *Front) Serve() error {
	bounded := make(chan error, len(f.config.Listeners))
	var serving sync.WaitGroup
	places := max(Connections/max(len(f.config.Listeners), 1), 1)
	for _, l := range f.config.Listeners {
		serving.Go(func() { bounded <- f.serve(netutil.LimitListener(l, places)) })
	}
	var err error
	for range f.config.Listeners {
		if e := <-bounded; !errors.Is(e, http.ErrServerClosed) && err == nil {
			err = e
			_ = f.server.Close() // the others end, too
		}
	}
	serving.Wait()
	return err
}

func (f *Front) serve(l net.Listener) error {
	if f.config.TLS != nil {
		return f.server.ServeTLS(l, "", "")
	}
	return f.server.Serve(l)
}

// Shutdown ends the listeners, waits for what is under way, and cuts off what is after a time.
func (f *Front) Shutdown(within time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if f.server.Shutdown(ctx) != nil {
		_ = f.server.Close()
	}
}
