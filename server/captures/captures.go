// Package captures puts the recorder of package history/capture into the service: in front
// of it as an interceptor, round the engine's environment, so that a history says what the
// disk did, and at the wire as CaptureService, by which an operator starts, stops and
// fetches captures.
package captures

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history/capture"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/structwire"
)

// Config says where to record, and how much.
type Config struct {
	Dir      string // of the ring; without one nothing can be recorded
	MaxBytes int64
	On       bool // begin at once
	Settings map[string]string
	// Env is the recorder's outside world; without a clock, the operating system's. It is not
	// the engine's: that one's clock may jump, which the times of a history must not, and its
	// files may be in memory, or on a disk that the ring must not stall.
	Env capture.Env
}

// Captures is the recorder in its service. Without a directory it has none, and does
// nothing.
type Captures struct {
	config   Config
	storeDir string
	engine   *engine.Engine
	recorder atomic.Pointer[capture.Recorder] // nil until the engine is open
}

// New prepares captures of the store in a directory. Its engine is to be opened in Env.
func New(config Config, storeDir string) *Captures {
	return &Captures{config: config, storeDir: storeDir}
}

// Env is env with what the engine does and suffers recorded.
func (c *Captures) Env(env engine.Env) engine.Env {
	if c.config.Dir == "" {
		return env
	}
	outer := env
	env.Trace = func(event string, first, last engine.CommitTS) {
		if r := c.recorder.Load(); r != nil {
			r.Step(event, uint64(first), uint64(last))
		}
		if outer.Trace != nil {
			outer.Trace(event, first, last)
		}
	}
	env.Log = func(event string, attrs ...any) {
		if r := c.recorder.Load(); r != nil {
			r.Note("daemon", "log", event)
		}
		if outer.Log != nil {
			outer.Log(event, attrs...)
		}
	}
	env.Halt = func(reason error) {
		// The ring of a store that was moved may be another's by now.
		if r := c.recorder.Load(); r != nil && !errors.Is(reason, engine.ErrDisplaced) {
			r.Halted(c.withoutPaths(reason), c.options(capture.RedactValues))
		}
		outer.Halt(reason)
	}
	return env
}

// Open makes the recorder, when the engine is open.
func (c *Captures) Open(e *engine.Engine, build string, log func(event string, attrs ...any)) {
	if c.config.Dir == "" {
		return
	}
	c.engine = e
	world := c.config.Env
	if world.Now == nil {
		world = capture.OSEnv()
	}
	r := capture.New(world, capture.Config{
		Dir: c.config.Dir, MaxBytes: c.config.MaxBytes, Store: e.Status().StoreID, Build: build, Settings: c.config.Settings,
		Published: func() uint64 { return uint64(e.Published()) }, Log: log,
	})
	c.recorder.Store(r)
	if c.config.On {
		if err := r.Start(); err != nil {
			log("nothing is captured", "error", err.Error())
		}
	}
}

// Run writes what is recorded until ctx ends.
func (c *Captures) Run(ctx context.Context) {
	if r := c.recorder.Load(); r != nil {
		r.Run(ctx)
	}
}

// EndDumps waits for dumps to files that were given up: they may still read the engine.
func (c *Captures) EndDumps() error {
	if r := c.recorder.Load(); r != nil {
		return r.EndDumps()
	}
	return nil
}

// Close ends the recorder, after Run has returned.
func (c *Captures) Close() error {
	if r := c.recorder.Load(); r != nil {
		return r.Close()
	}
	return nil
}

// Register adds CaptureService, if there can be captures.
func (c *Captures) Register(r grpc.ServiceRegistrar) {
	if c.recorder.Load() != nil {
		pb.RegisterCaptureServiceServer(r, &service{c: c})
	}
}

// Unary is next with what passes it recorded.
func (c *Captures) Unary(next grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	r := c.recorder.Load()
	if r == nil {
		return next
	}
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return r.Unary(ctx, req, info, func(ctx context.Context, req any) (any, error) { return next(ctx, req, info, handler) })
	}
}

// Stream is the interceptor for streams.
func (c *Captures) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if r := c.recorder.Load(); r != nil {
		return r.Stream(srv, ss, info, handler)
	}
	return handler(srv, ss)
}

// Dump writes what was captured as a history.
func (c *Captures) Dump(ctx context.Context, out io.Writer, redaction capture.Redaction) error {
	err := c.recorder.Load().Dump(ctx, out, c.options(redaction))
	if errors.Is(err, capture.ErrNothing) {
		return &engine.Failure{Kind: engine.ErrInvalid, Message: err.Error() + "; statehousectl capture start begins one"}
	}
	return err
}

// DumpFile writes what was captured to a file beside the ring: for a signal, which
// has nobody to answer to.
func (c *Captures) DumpFile(why string) (path string, err error) {
	r := c.recorder.Load()
	if r == nil {
		return "", capture.ErrNothing
	}
	return r.DumpFile(c.options(capture.RedactValues), why)
}

func (c *Captures) options(redaction capture.Redaction) capture.Options {
	return capture.Options{Redaction: redaction, Source: source{c.engine}, StructText: structwire.Text}
}

// withoutPaths is the text of an error without the directories it may name: where on
// the machine they are is no client's business, and a capture is given away.
func (c *Captures) withoutPaths(err error) string {
	text := strings.ReplaceAll(err.Error(), c.config.Dir, filepath.Base(c.config.Dir))
	if filepath.IsAbs(c.storeDir) {
		text = strings.ReplaceAll(text, c.storeDir, filepath.Base(c.storeDir))
	}
	return text
}

// forClient is an error of the recorder as a client may see it.
func (c *Captures) forClient(err error) error {
	var known *engine.Failure
	_, ofGRPC := status.FromError(err)
	if ofGRPC || errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return errors.New(c.withoutPaths(err))
}
