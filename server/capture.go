package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/capture"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/structwire"
)

// Capture says where to record, and how much.
type Capture struct {
	Dir      string
	MaxBytes int64
	On       bool // begin at once
	Settings map[string]string
}

// captured is env with what the engine does and suffers recorded.
func (s *Service) captured(env engine.Env) engine.Env {
	if s.config.Capture.Dir == "" {
		return env
	}
	outer := env
	env.Trace = func(event string, first, last engine.CommitTS) {
		if r := s.recorder.Load(); r != nil {
			r.Step(event, uint64(first), uint64(last))
		}
		if outer.Trace != nil {
			outer.Trace(event, first, last)
		}
	}
	env.Log = func(event string, attrs ...any) {
		if r := s.recorder.Load(); r != nil {
			r.Note("daemon", "log", event)
		}
		if outer.Log != nil {
			outer.Log(event, attrs...)
		}
	}
	env.Halt = func(reason error) {
		// The ring of a store that was moved may be another's by now.
		if r := s.recorder.Load(); r != nil && !errors.Is(reason, engine.ErrDisplaced) {
			r.Halted(s.withoutPaths(reason), s.dumpOptions(capture.RedactValues))
		}
		outer.Halt(reason)
	}
	return env
}

func (s *Service) openCapture(log func(string, ...any)) {
	c := s.config.Capture
	if c.Dir == "" {
		return
	}
	r := capture.New(capture.Config{
		Dir: c.Dir, MaxBytes: c.MaxBytes, Store: s.engine.Status().StoreID, Build: fmt.Sprintf("%s (%s)", s.config.Version, s.config.GitSHA), Settings: c.Settings,
		Published: func() uint64 { return uint64(s.engine.Published()) }, Log: log,
	})
	s.recorder.Store(r)
	if c.On {
		if err := r.Start(); err != nil {
			log("nothing is captured", "error", err.Error())
		}
	}
}

// unaryChain is what counts answers, the capture's interceptor, which sees what clients
// are told, and the service's.
func (s *Service) unaryChain() grpc.UnaryServerInterceptor {
	inner := s.Unary
	if r := s.recorder.Load(); r != nil {
		inner = func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			return r.Unary(ctx, req, info, func(ctx context.Context, req any) (any, error) { return s.Unary(ctx, req, info, handler) })
		}
	}
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return s.encodeAnswers(ctx, req, info, func(ctx context.Context, req any) (any, error) { return inner(ctx, req, info, handler) })
	}
}

func (s *Service) streamInterceptors() []grpc.StreamServerInterceptor {
	list := []grpc.StreamServerInterceptor{s.receiveStream, s.countStream}
	if r := s.recorder.Load(); r != nil {
		list = append(list, r.Stream)
	}
	return append(list, s.Stream)
}

// dump writes what was captured as a history.
func (s *Service) dump(ctx context.Context, out io.Writer, redaction capture.Redaction) error {
	err := s.recorder.Load().Dump(ctx, out, s.dumpOptions(redaction))
	if errors.Is(err, capture.ErrNothing) {
		return fail(engine.ErrInvalid, err.Error()+"; statehousectl capture start begins one")
	}
	return err
}

func (s *Service) dumpOptions(redaction capture.Redaction) capture.Options {
	return capture.Options{Redaction: redaction, Source: captureSource{s.engine}, StructText: structwire.Text}
}

// DumpCapture writes what was captured to a file beside the ring: for a signal, which
// has nobody to answer to.
func (s *Service) DumpCapture(why string) (path string, err error) {
	r := s.recorder.Load()
	if r == nil {
		return "", capture.ErrNothing
	}
	return r.DumpFile(s.dumpOptions(capture.RedactValues), why)
}

// withoutPaths is the text of an error without the directories it may name: where on
// the machine they are is no client's business, and a capture is given away.
func (s *Service) withoutPaths(err error) string {
	text := strings.ReplaceAll(err.Error(), s.config.Capture.Dir, filepath.Base(s.config.Capture.Dir))
	if dir := s.config.Engine.Dir; filepath.IsAbs(dir) {
		text = strings.ReplaceAll(text, dir, filepath.Base(dir))
	}
	return text
}

// captureError is an error of the recorder as a client may see it.
func (s *Service) captureError(err error) error {
	var known *engine.Failure
	_, ofGRPC := status.FromError(err)
	if ofGRPC || errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return errors.New(s.withoutPaths(err))
}

// captureService is what an operator asks of captures.
type captureService struct {
	pb.UnimplementedCaptureServiceServer
	s *Service
}

func (c *captureService) status() *pb.CaptureStatus {
	r := c.s.recorder.Load()
	st := r.Status()
	m := &pb.CaptureStatus{
		On: st.On, Directory: filepath.Base(r.Dir()), Bytes: uint64(st.Bytes), MaxBytes: uint64(st.MaxBytes), Operations: st.Operations, Lost: st.Lost, Wrapped: st.Wrapped,
	}
	if st.Problem != nil {
		m.Error = c.s.withoutPaths(st.Problem)
	}
	return m
}

func (c *captureService) StartCapture(context.Context, *pb.StartCaptureRequest) (*pb.CaptureStatus, error) {
	if err := c.s.recorder.Load().Start(); err != nil {
		return nil, c.s.captureError(err)
	}
	return c.status(), nil
}

func (c *captureService) StopCapture(context.Context, *pb.StopCaptureRequest) (*pb.CaptureStatus, error) {
	if err := c.s.recorder.Load().Stop(); err != nil {
		return nil, c.s.captureError(err)
	}
	return c.status(), nil
}

func (c *captureService) GetCaptureStatus(context.Context, *pb.GetCaptureStatusRequest) (*pb.CaptureStatus, error) {
	return c.status(), nil
}

// dumpBytes is about the size of a message of a dump.
const dumpBytes = maxShare / 2

var redactions = map[pb.Redaction]capture.Redaction{
	pb.Redaction_REDACTION_VALUES:           capture.RedactValues,
	pb.Redaction_REDACTION_NONE:             capture.RedactNothing,
	pb.Redaction_REDACTION_VALUES_AND_NAMES: capture.RedactNames,
}

func (c *captureService) DumpCapture(req *pb.DumpCaptureRequest, stream pb.CaptureService_DumpCaptureServer) error {
	redaction, known := redactions[req.GetRedaction()]
	if !known {
		return invalid("redaction", fmt.Sprintf("the redaction %d is not known", req.GetRedaction()))
	}
	w := &dumpWriter{send: stream.Send}
	if err := c.s.dump(stream.Context(), w, redaction); err != nil {
		return c.s.captureError(err)
	}
	return w.flush()
}

// dumpWriter cuts a dump into messages.
type dumpWriter struct {
	buf  bytes.Buffer
	send func(*pb.DumpCaptureResponse) error
}

func (w *dumpWriter) Write(p []byte) (int, error) {
	w.buf.Write(p)
	if w.buf.Len() < dumpBytes {
		return len(p), nil
	}
	return len(p), w.flush()
}

func (w *dumpWriter) flush() error {
	for w.buf.Len() > 0 {
		if err := w.send(&pb.DumpCaptureResponse{Data: bytes.Clone(w.buf.Next(dumpBytes))}); err != nil {
			return err
		}
	}
	return nil
}

// captureSource is the engine as a capture looks at it.
type captureSource struct{ e *engine.Engine }

func (c captureSource) Events(after, last uint64, f func(*history.Event) error) error {
	limit := 0 // as many as fit; once something cannot be read, one at a time
	damage := &capture.UnreadableError{}
	for cursor := engine.Cursor(after); uint64(cursor) < last; {
		events, next, err := c.e.Replay(engine.Filter{Whole: true}, cursor, engine.CommitTS(last), limit)
		switch {
		case err == nil:
		case limit == 0:
			limit = 1
			continue
		default:
			damage.Commits, damage.Err = append(damage.Commits, uint64(cursor)+1), err
			cursor++
			if len(damage.Commits) > maxUnreadable {
				return damage
			}
			continue
		}
		for i := range events {
			if err := f(linEvent(&events[i])); err != nil {
				return err
			}
		}
		cursor = next
	}
	if damage.Err != nil {
		return damage
	}
	return nil
}

// maxUnreadable is how many commits that cannot be read are passed over.
const maxUnreadable = 1000

func linEvent(ev *engine.Event) *history.Event {
	out := &history.Event{CommitTS: uint64(ev.CommitTS), CommitTime: ev.CommitTime.UnixNano(), TxnID: string(ev.TxnID), Metadata: ev.Metadata}
	for i := range ev.Ops {
		o := &ev.Ops[i]
		out.Ops = append(out.Ops, history.EventOp{Name: history.Name(o.Name), Version: uint64(o.Version), Delete: o.Tombstone, Value: string(o.Value)})
	}
	return out
}

func (c captureSource) at(ts uint64) (engine.Snapshot, error) {
	at := engine.CommitTS(ts)
	return c.e.Snapshot(engine.At{CommitTS: &at})
}

func linRecord(r *engine.Record) history.Record {
	out := history.Record{Name: history.Name(r.Name), Exists: r.Exists, Version: uint64(r.Version), CommitTS: uint64(r.CommitTS), Value: string(r.Value)}
	if r.Version > 0 {
		out.CommitTime = r.CommitTime.UnixNano()
	}
	return out
}

func (c captureSource) Record(at uint64, n history.Name) (history.Record, error) {
	s, err := c.at(at)
	if err != nil {
		return history.Record{}, err
	}
	r, err := s.Get(engine.RecordName(n))
	return linRecord(&r), err
}

func (c captureSource) Records(at uint64, ns, agent, prefix string, f func(history.Record) error) error {
	s, err := c.at(at)
	if err != nil {
		return err
	}
	o := engine.ScanOptions{Agent: engine.AgentName{Namespace: ns, Agent: agent}, Prefix: prefix, Page: engine.Page{Items: 1000, Bytes: 1 << 20}}
	for more := true; more; {
		var list []engine.Record
		if list, more, err = s.Scan(o); err != nil {
			return err
		}
		for i := range list {
			if err := f(linRecord(&list[i])); err != nil {
				return err
			}
			o.After = list[i].Name.Key
		}
	}
	return nil
}

func (c captureSource) Agents(at uint64, ns, prefix string, f func(history.Agent) error) error {
	s, err := c.at(at)
	if err != nil {
		return err
	}
	after := ""
	for more := true; more; {
		var list []engine.AgentInfo
		if list, more, err = s.Agents(ns, prefix, after, engine.Page{Items: 1000}); err != nil {
			return err
		}
		for _, a := range list {
			if err := f(history.Agent{Namespace: a.Name.Namespace, Agent: a.Name.Agent, FirstTS: uint64(a.First), HeadTS: uint64(a.Head)}); err != nil {
				return err
			}
			after = a.Name.Agent
		}
	}
	return nil
}

func (c captureSource) Namespaces(at uint64) ([]string, error) {
	s, err := c.at(at)
	if err != nil {
		return nil, err
	}
	names, _, err := s.Namespaces("", engine.Page{Items: math.MaxInt32})
	return names, err
}
