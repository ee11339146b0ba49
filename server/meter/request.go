package meter

import (
	"context"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/access"
)

// Tracer begins a span. The context it answers is the request's from then on; the trace id, 32
// hex digits, goes with a commit. end is called once.
type Tracer func(ctx context.Context, method string) (of context.Context, traceID string, end func(code string, took engine.Phases))

// Request is one that is being measured.
type Request struct {
	of    *Method // nil: nothing is measured
	via   Via
	began time.Duration // when it had arrived; 0: it has not
	made  time.Duration // its answer was
	ctx   *carried      // nil: nothing goes with it
	end   func(code string, took engine.Phases)
}

// carried is the context of a request with what is measured of it.
type carried struct {
	context.Context
	phases  engine.Phases
	traceID string
}

type carriedKey struct{}

// Value is the request's, but for carriedOf.
func (c *carried) Value(key any) any {
	if _, own := key.(carriedKey); own {
		return c
	}
	return c.Context.Value(key)
}

// carriedOf is what goes with a context; nil: nothing.
func carriedOf(ctx context.Context) *carried {
	c, _ := ctx.Value(carriedKey{}).(*carried)
	return c
}

// Begin begins to measure a request of a method; of none, it measures nothing.
func (of *Method) Begin(via Via) Request { return Request{of: of, via: via} }

// Arrived says that the request has arrived in full and is about to be answered in the context
// that is returned.
func (r *Request) Arrived(ctx context.Context) context.Context {
	if r.of == nil {
		return ctx
	}
	m := r.of.meter
	r.began = m.config.Clock()
	if !r.of.commits && m.config.Trace == nil {
		return ctx
	}
	r.ctx = &carried{Context: ctx}
	if m.config.Trace != nil {
		r.ctx.Context, r.ctx.traceID, r.end = m.config.Trace(ctx, r.of.Name)
	}
	return r.ctx
}

// Answered says that the answer is made, and waits to be sent.
func (r *Request) Answered() {
	if r.of != nil {
		r.made = r.of.meter.config.Clock()
	}
}

// End counts the request when it is over.
func (r *Request) End(err error) {
	if r.of == nil {
		return
	}
	m := r.of.meter
	r.of.count[r.via][codeOf(err)].Add(1)
	if err != nil && m.config.Refused != nil {
		m.config.Refused("a request was answered with "+CodeName(err), "method", r.of.Name, "via", r.via.String())
	}
	if r.began == 0 {
		return // it was refused at the door
	}
	if r.made == 0 {
		r.made = m.config.Clock()
	}
	if r.of.Took != nil {
		took := r.made - r.began
		r.of.Took.Observe(int64(took))
		if m.config.Slow > 0 && took >= m.config.Slow {
			r.tell(err, took)
		}
	}
	if r.end != nil {
		r.end(CodeName(err), r.ctx.phases)
	}
}

// tell logs a slow request: what it was, where the time went, and nothing of what is in it.
func (r *Request) tell(err error, took time.Duration) {
	attrs := []any{"method", r.of.Name, "via", r.via.String(), "code", CodeName(err), "took", took}
	m := r.of.meter
	if r.of.commits {
		p := r.ctx.phases
		attrs = append(attrs, "queue", p.Queue, "plan", p.Plan, "apply", p.Apply, "sync", p.Sync)
	}
	if r.via == Call {
		attrs = append(attrs, "send", m.config.Clock()-r.made)
	}
	if r.ctx != nil {
		if who := access.Principal(r.ctx); who != "" {
			attrs = append(attrs, "principal", who)
		}
		if id := TraceID(r.ctx); id != "" {
			attrs = append(attrs, "trace_id", id)
		}
	}
	m.config.Log("a request was slow", attrs...)
}

// Phases is where the engine is to say how long those of a request's commit took; nil: nobody
// asks.
func Phases(ctx context.Context) *engine.Phases {
	if c := carriedOf(ctx); c != nil {
		return &c.phases
	}
	return nil
}
