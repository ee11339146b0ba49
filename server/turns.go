package server

import (
	"context"
	"time"

	"statehouse.dev/statehouse/server/admission"
	"statehouse.dev/statehouse/server/session"
)

// turns are those of a session in the gate.
type turns struct {
	*admission.Gate
	share string
}

func (t turns) Enter(r *session.Request) bool { return t.Gate.Enter(t.share, r) }
func (t turns) Leave(paused bool)             { t.Gate.Leave(t.share, paused) }

// turn is that of a unary commit that is a call of its own.
type turn struct {
	paused  bool
	arrived time.Time
}

type turnKey struct{}

// left is what is left of a timeout that counts from a request's arrival.
func (s *Service) left(ctx context.Context, timeout *time.Duration) *time.Duration {
	t, ok := ctx.Value(turnKey{}).(*turn)
	if !ok || timeout == nil {
		return timeout
	}
	d := *timeout - max(s.env.Now().Sub(t.arrived), 0)
	return &d
}

// pausing is await for the engine: a request that waits gives others room to run.
func (s *Service) pausing(await func(context.Context, <-chan struct{}) error) func(context.Context, <-chan struct{}) error {
	return func(ctx context.Context, ready <-chan struct{}) error {
		session.Pause(ctx)
		if t, ok := ctx.Value(turnKey{}).(*turn); ok && !t.paused {
			t.paused = true
			s.admission.Pause()
		}
		return await(ctx, ready)
	}
}
