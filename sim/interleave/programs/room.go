package programs

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc/peer"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/limiter"
	"statehouse.dev/statehouse/server/unsent"
	"statehouse.dev/statehouse/sim/interleave/turns"
)

// semaphore: never more is taken than there is, nobody is forgotten, and all comes back.
func semaphore(w *world) {
	const size = 4
	s := limiter.NewSemaphore(size, w.env.Await)
	taken := int64(0)
	use := func(ctx context.Context, n int64) {
		got, err := s.Acquire(ctx, n)
		if err != nil {
			if ctx.Err() == nil || got != 0 {
				turns.Fail("G9: acquiring %d gave %d and %v", n, got, err)
			}
			return
		}
		if taken += got; taken > size || got != min(n, size) {
			turns.Fail("G9: %d of %d are taken, %d of them for %d", taken, size, got, n)
		}
		turns.Point()
		taken -= got
		s.Release(got)
	}
	var threads []func()
	for range 1 + w.few(3) {
		n := 1 + w.rand.Int64N(size+1)
		if w.rand.IntN(3) > 0 {
			threads = append(threads, func() { use(context.Background(), n); use(context.Background(), 1) })
			continue
		}
		ctx, cancel := w.cancelled()
		threads = append(threads, cancel, func() { use(ctx, n) })
	}
	together(threads...)
	if left, waiting := s.Usage(); left != 0 || waiting != 0 {
		turns.Fail("G9: at the end %d are taken and %d wait", left, waiting)
	}
}

// limits: never more are in than the limit says, and one alone is always let in.
func limits(w *world) {
	var l limiter.Limiter
	limit := 1 + w.rand.IntN(2)
	l.Init(limit, "requests", func() {})
	in := 0
	var threads []func()
	for range 1 + w.few(3) {
		threads = append(threads, func() {
			for range 2 {
				if err := l.Enter(); err != nil {
					if !errors.Is(err, engine.ErrLimit) {
						turns.Fail("G9: %v", err)
					}
					continue
				}
				if in++; in > limit {
					turns.Fail("G9: %d are in, of at most %d", in, limit)
				}
				turns.Point()
				in--
				l.Leave()
			}
		})
	}
	together(threads...)
	if err := l.Enter(); err != nil || l.Free() != limit-1 {
		turns.Fail("G9: at the end %d are free of %d, and entering says %v", l.Free(), limit, err)
	}
}

// lone is a listener with one connection, whose other end nobody reads.
type lone struct{ net.Listener }

func (lone) Accept() (net.Conn, error) {
	here, _ := net.Pipe()
	return here, nil
}

// connect opens a connection that b counts, and the context of its requests.
func (w *world) connect(b *unsent.Budget) (net.Conn, context.Context) {
	c, err := b.Listener(lone{}).Accept()
	w.must("accept", err)
	return c, peer.NewContext(context.Background(), &peer.Peer{Addr: c.RemoteAddr()})
}

// nothing holds that a budget is as it was.
func nothing(b *unsent.Budget) {
	if u := b.Usage(); u.Common != 0 || u.Shares != 0 || u.Making != 0 || u.Waiting != 0 {
		turns.Fail("G9: at the end %d bytes of answers and %d of streams are counted as unsent, %d as being made; %d wait", u.Common, u.Shares, u.Making, u.Waiting)
	}
}

// budget: answers are made, counted, sent or dropped with their connections.
func budget(w *world) {
	b := unsent.New(64<<10, 1, &w.env, access.Principal)
	a := unsent.Answer{Cost: 20 << 10}
	var threads []func()
	for range w.few(2) {
		c, ctx := w.connect(b)
		gone := false // from then on the transport drops what it has, without freeing it
		for range w.few(2) {
			resp := &pb.GetStateResponse{ValueJson: make([]byte, 100+w.rand.IntN(9000))}
			threads = append(threads, func() {
				sent, err := b.Unary(ctx, nil, nil, func(ctx context.Context, _ any) (any, error) {
					call := unsent.CallOf(ctx)
					if err := call.Admit(ctx, a); err != nil {
						return nil, err
					}
					return resp, call.Count(a, resp)
				})
				if data, is := unsent.Encoded(sent); is {
					if turns.Point(); !gone {
						data.Free()
					}
				} else if !errors.Is(err, engine.ErrLimit) {
					turns.Fail("G9: an answer came to %T and %v", sent, err)
				}
			})
		}
		if w.rand.IntN(2) == 0 {
			threads = append(threads, func() { turns.Point(); gone = true; _ = c.Close() })
		} else {
			w.undone = append(w.undone, func() { _ = c.Close() })
		}
	}
	together(threads...)
	nothing(b)
}
