package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
)

// The network is taken to be hostile.
const (
	// maxBody is the largest request, as JSON: a message of 4 MiB whose values are in base64.
	maxBody = 6 << 20
	// maxPassed is the largest body that is refused after it was read.
	maxPassed = 4 * maxBody
	// maxUnsaid bounds a body whose length its client does not say.
	maxUnsaid = 64 << 10
)

// times are how long a client may take.
type times struct {
	header time.Duration // for a request's header to arrive
	body   time.Duration // for its body, as on gRPC's listener
	piece  time.Duration // to read what it is sent, each piece of it
	idle   time.Duration // between two requests of a connection
}

var patient = times{header: 10 * time.Second, body: 30 * time.Second, piece: 30 * time.Second, idle: 2 * time.Minute}

// bounded bounds the body of a request, and has its client read what it is answered in time.
func (f *Front) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		w = &timely{w, rc, f.times.piece}
		size := r.ContentLength
		if size < 0 {
			size = maxUnsaid
		}
		if size > maxBody {
			fail(w, http.StatusRequestEntityTooLarge, codes.ResourceExhausted, fmt.Sprintf("the body has %d bytes; a request has at most %d", size, maxBody))
			f.passOver(rc, r)
			return
		}
		if size > 0 {
			held, err := f.bodies.Acquire(r.Context(), size*held)
			if err != nil {
				return // its client is gone
			}
			release := sync.OnceFunc(func() { f.bodies.Release(held) })
			defer release()
			_ = rc.SetReadDeadline(time.Now().Add(f.times.body))
			// A copy: net/http looks at the body of its own, to see that it was not read to its end and
			// the connection cannot be used again.
			r = r.WithContext(r.Context())
			r.Body = &arriving{ReadCloser: http.MaxBytesReader(w, r.Body, size), rc: rc, whole: release}
			if kind, _ := typeOf(r); kind == "application/json" {
				r.Body.(*arriving).whole = func() {} // it becomes a message only now
			}
		}
		next.ServeHTTP(w, r)
	})
}

// passOver reads what its client sends of a body that is refused, and keeps nothing of it: many
// clients read no answer before they have sent everything, and would be told of a reset connection. A
// body that is far too large is cut off, and one that waits to be asked for never comes.
func (f *Front) passOver(rc *http.ResponseController, r *http.Request) {
	if r.ContentLength > maxPassed || r.Header.Get("Expect") != "" {
		return
	}
	_ = rc.Flush()
	_ = rc.SetReadDeadline(time.Now().Add(f.times.body))
	_, _ = io.Copy(io.Discard, r.Body)
}

// held is how much a byte of a body may hold while it is turned from JSON into a message.
const held = 40

// arriving is a body with a deadline, which ends with it: a stream that is answered goes on.
type arriving struct {
	io.ReadCloser
	rc    *http.ResponseController
	whole func()
}

func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err == io.EOF {
		_ = a.rc.SetReadDeadline(time.Time{})
		a.whole()
	}
	return n, err
}

// failBody says why a body did not arrive.
func failBody(w http.ResponseWriter, err error) {
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		fail(w, http.StatusRequestEntityTooLarge, codes.ResourceExhausted, fmt.Sprintf("the body has more than %d bytes; say how many it has with Content-Length, and at most %d", long.Limit, maxBody))
	case errors.Is(err, os.ErrDeadlineExceeded):
		fail(w, http.StatusRequestTimeout, codes.DeadlineExceeded, "the body did not arrive in time")
	default:
		fail(w, http.StatusBadRequest, codes.InvalidArgument, "the body did not arrive: "+err.Error())
	}
}

// timely gives each write its time.
type timely struct {
	http.ResponseWriter
	rc    *http.ResponseController
	piece time.Duration
}

func (t *timely) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t *timely) Write(p []byte) (int, error) {
	_ = t.rc.SetWriteDeadline(time.Now().Add(t.piece))
	return t.ResponseWriter.Write(p)
}

func (t *timely) Flush() {
	_ = t.rc.SetWriteDeadline(time.Now().Add(t.piece))
	_ = t.rc.Flush()
}

// await is engine.Env's, for limiter.Semaphore.
func await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
