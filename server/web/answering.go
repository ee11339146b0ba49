package web

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/limiter"
)

// answering is the ResponseWriter of a call in JSON. It keeps the answer until it is whole: values
// become what they were written as, an error gets its StatehouseError, and what goes to a
// terminal ends its line.
type answering struct {
	http.ResponseWriter
	connect bool                           // its client speaks the Connect protocol, and reads details
	exact   protoreflect.MessageDescriptor // of an answer with values as text; nil: it stays as it is
	status  int
	body    bytes.Buffer
	ctx     context.Context
	room    *limiter.Semaphore
	held    int64 // of room
}

// A large answer waits for its turn: it is there several times while it becomes JSON, and as long as its client
// takes to read it.
const (
	largeAnswer = 64 << 10
	largeCost   = answersBytes / 2
)

func (a *answering) WriteHeader(code int) { a.status = code }

func (a *answering) Write(p []byte) (int, error) {
	if a.held == 0 && a.body.Len()+len(p) > largeAnswer {
		var err error
		if a.held, err = a.room.Acquire(a.ctx, largeCost); err != nil {
			return 0, err
		}
	}
	return a.body.Write(p)
}

func (a *answering) Flush() {} // done does

// done sends the answer.
func (a *answering) done() {
	defer func() { a.room.Release(a.held) }()
	h := a.Header()
	for name := range h { // any order: each is looked at by itself
		if strings.HasPrefix(name, "Trailer") || strings.HasPrefix(name, "Grpc-") || name == "Content-Length" {
			h.Del(name)
		}
	}
	if a.status >= http.StatusBadRequest {
		a.fail()
		return
	}
	body, err := a.body.Bytes(), error(nil)
	if a.exact != nil {
		if body, err = exact(a.exact, body); err != nil {
			fail(a.ResponseWriter, http.StatusInternalServerError, codes.Internal, "the answer has a value that is no JSON: "+err.Error())
			return
		}
	}
	if !a.connect {
		body = append(body, '\n')
	}
	_, _ = a.ResponseWriter.Write(body) // its client may be gone
}

// fail sends an error.
func (a *answering) fail() {
	var f failure
	if json.Unmarshal(a.body.Bytes(), &f) != nil || f.Code == "" { // not of the protocol: of what it is made of
		code := codes.InvalidArgument
		if a.status >= http.StatusInternalServerError {
			code = codes.Internal
		}
		fail(a.ResponseWriter, a.status, code, strings.TrimSpace(a.body.String()))
		return
	}
	if f.explain(); f.Error == nil {
		f.Error = jsonOf(&pb.StatehouseError{Code: ofWord(f.Code), Message: f.Message})
	}
	if !a.connect {
		f.Details = nil
	}
	write(a.ResponseWriter, a.status, f)
}
