package server

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/capture"
	"statehouse.dev/statehouse/linearizability"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/captures"
)

// judgeCapture judges what the test's daemon captured of it: whatever a test does,
// every guarantee was kept. Those that damage the store on purpose have nothing to judge.
func (r *rig) judgeCapture() {
	r.t.Helper()
	if r.service.engine.Healthy() != nil {
		return
	}
	var b bytes.Buffer
	if err := r.service.captures.Dump(context.Background(), &b, capture.RedactNothing); err != nil {
		r.t.Errorf("the capture cannot be dumped: %v", err)
		return
	}
	h, err := history.ReadHistory(&b)
	if err != nil {
		r.t.Errorf("the capture cannot be read: %v", err)
		return
	}
	judged := linearizability.Check(h, linearizability.Options{})
	for i := range judged.Violations {
		if v := &judged.Violations[i]; i < 5 {
			r.t.Errorf("the capture shows %s broken (%s): %s\nexpected %.300s\ngot %.300s", v.Guarantee, v.Check, v.Sentence, v.Expected, v.Got)
		}
	}
	if len(h.Operations) == 0 || !h.Complete {
		r.t.Errorf("%d operations are captured, complete %v", len(h.Operations), h.Complete)
	}
}

// When storage fails the capture is dumped before the process ends, and tells why.
func TestHaltDumpsTheCapture(t *testing.T) {
	var told error
	r := newRig(t, func(_ *Config, env *engine.Env) { env.Halt = func(reason error) { told = reason } })
	r.put("", "a", "k", `{"n":1}`)
	r.service.env.Halt(errors.New("the disk is gone"))
	files, err := filepath.Glob(filepath.Join(r.config.Capture.Dir, "dump-*-halt.jsonl"))
	if err != nil || len(files) != 1 || told == nil {
		t.Fatalf("%v, %v; told %v", files, err, told)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"kind":"halt","text":"the disk is gone"`, `"kind":"settle"`, `"kind":"transact"`, `"complete":true`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%s is not in it:\n%s", part, text)
		}
	}
	path, err := r.service.DumpCapture("signal")
	if _, serr := os.Stat(path); err != nil || serr != nil {
		t.Errorf("%s: %v, %v", path, err, serr)
	}
}

// Without a directory there is nothing to ask.
func TestNoCapture(t *testing.T) {
	r := newRig(t, func(c *Config, _ *engine.Env) { c.Capture = captures.Config{} })
	r.mute = true
	_, err := pb.NewCaptureServiceClient(r.conn).StartCapture(t.Context(), &pb.StartCaptureRequest{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("%v", err)
	}
	if _, err := r.service.DumpCapture("signal"); !errors.Is(err, capture.ErrNothing) {
		t.Errorf("%v", err)
	}
}

// A client that asks about what can be no name is refused, and the capture can be fetched all
// the same: it begins after a commit, so that the state of what it speaks of is looked up.
func TestCaptureWithABadName(t *testing.T) {
	r := newRig(t, func(*Config, *engine.Env) {})
	r.put("", "a", "k", `{"n":1}`)
	capturing := pb.NewCaptureServiceClient(r.conn)
	if _, err := capturing.StopCapture(t.Context(), &pb.StopCaptureRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := capturing.StartCapture(t.Context(), &pb.StartCaptureRequest{}); err != nil {
		t.Fatal(err)
	}
	client := pb.NewStatehouseServiceClient(r.conn)
	if _, err := client.GetState(t.Context(), &pb.GetStateRequest{AgentId: "a\x00", Key: "k"}); status.Code(err) != codes.InvalidArgument {
		t.Fatal(err)
	}
	if _, err := client.ListKeys(t.Context(), &pb.ListKeysRequest{Namespace: "\x01", AgentId: "a"}); status.Code(err) != codes.InvalidArgument {
		t.Fatal(err)
	}
	r.judgeCapture()
}
