package server

import (
	"context"

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
type turn struct{ paused bool }

type turnKey struct{}

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
