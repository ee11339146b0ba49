package captures

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history/capture"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/unsent"
)

// service is what an operator asks of captures.
type service struct {
	pb.UnimplementedCaptureServiceServer
	c *Captures
}

func (s *service) status() *pb.CaptureStatus {
	r := s.c.recorder.Load()
	st := r.Status()
	m := &pb.CaptureStatus{
		On: st.On, Directory: filepath.Base(r.Dir()), Bytes: uint64(st.Bytes), MaxBytes: uint64(st.MaxBytes),
		Operations: st.Operations, Lost: st.Lost, Wrapped: st.Wrapped,
	}
	if st.Problem != nil {
		m.Error = s.c.withoutPaths(st.Problem)
	}
	return m
}

func (s *service) StartCapture(context.Context, *pb.StartCaptureRequest) (*pb.CaptureStatus, error) {
	if err := s.c.recorder.Load().Start(); err != nil {
		return nil, s.c.forClient(err)
	}
	return s.status(), nil
}

func (s *service) StopCapture(context.Context, *pb.StopCaptureRequest) (*pb.CaptureStatus, error) {
	if err := s.c.recorder.Load().Stop(); err != nil {
		return nil, s.c.forClient(err)
	}
	return s.status(), nil
}

func (s *service) GetCaptureStatus(context.Context, *pb.GetCaptureStatusRequest) (*pb.CaptureStatus, error) {
	return s.status(), nil
}

// dumpBytes is about the size of a message of a dump.
const dumpBytes = unsent.MaxShare / 2

var redactions = map[pb.Redaction]capture.Redaction{
	pb.Redaction_REDACTION_VALUES:           capture.RedactValues,
	pb.Redaction_REDACTION_NONE:             capture.RedactNothing,
	pb.Redaction_REDACTION_VALUES_AND_NAMES: capture.RedactNames,
}

func (s *service) DumpCapture(req *pb.DumpCaptureRequest, stream pb.CaptureService_DumpCaptureServer) error {
	redaction, known := redactions[req.GetRedaction()]
	if !known {
		return &engine.Failure{
			Kind: engine.ErrInvalid, Message: fmt.Sprintf("the redaction %d is not known", req.GetRedaction()), Details: map[string]string{"field": "redaction"},
		}
	}
	w := &dumpWriter{send: stream.Send}
	if err := s.c.Dump(stream.Context(), w, redaction); err != nil {
		return s.c.forClient(err)
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
