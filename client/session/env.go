package session

import (
	"context"
	"time"
)

// Options of a Conn. The zero value of each field is its default.
type Options struct {
	// Requests and Bytes bound what is under way in the stream; 256 and 1 MiB. One
	// request is let in whatever its size.
	Requests int
	Bytes    int64

	// The outside world, for programs that must be deterministic; by default the
	// operating system's.
	Go    func(f func())                                         // runs f beside its caller
	Await func(ctx context.Context, ready <-chan struct{}) error // takes from ready, or says why ctx ended
	Now   func() time.Time                                       // by which deadlines of contexts are
}

func (o *Options) setDefaults() {
	if o.Requests <= 0 {
		o.Requests = 256
	}
	if o.Bytes <= 0 {
		o.Bytes = 1 << 20
	}
	if o.Go == nil {
		o.Go = func(f func()) { go f() }
	}
	if o.Await == nil {
		o.Await = await
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

func await(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
