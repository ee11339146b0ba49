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
	m      *Meter
	name   string
	method *Method
	via    Via
	began  time.Duration // when it had arrived; 0: it has not
	made   time.Duration // its answer was
	of     *carried
	ctx    context.Context
	end    func(code string, took engine.Phases)
}

// carried is what goes with a request's context.
type carried struct {
	phases  engine.Phases
	traceID string
}

type carriedKey struct{}

// Begin begins to measure a request.
func (m *Meter) Begin(method string, via Via) (r Request) {
	if m == nil {
		return r
	}
	of := m.methods[method]
	if of == nil {
		of = m.other
	}
	return Request{m: m, name: method, method: of, via: via}
}

// Arrived says that the request has arrived in full and is about to be answered in the context
// that is returned.
func (r *Request) Arrived(ctx context.Context) context.Context {
	if r.m == nil {
		return ctx
	}
	r.began = r.m.config.Clock()
	commits := committing[r.name]
	if commits || r.m.config.Trace != nil {
		r.of = &carried{}
		if r.m.config.Trace != nil {
			ctx, r.of.traceID, r.end = r.m.config.Trace(ctx, r.method.Name)
		}
		ctx = context.WithValue(ctx, carriedKey{}, r.of)
	}
	r.ctx = ctx
	return ctx
}

// Answered says that the answer is made, and waits to be sent.
func (r *Request) Answered() {
	if r.m != nil {
		r.made = r.m.config.Clock()
	}
}

// End counts the request when it is over.
func (r *Request) End(err error) {
	if r.m == nil {
		return
	}
	r.method.count[r.via][codeOf(err)].Add(1)
	if r.began == 0 {
		return // it was refused at the door
	}
	if r.made == 0 {
		r.made = r.m.config.Clock()
	}
	took := r.made - r.began
	if r.method.Took != nil {
		r.method.Took.Observe(int64(took))
		if slow := r.m.config.Slow; slow > 0 && took >= slow {
			r.tell(err, took)
		}
	}
	if r.end != nil {
		r.end(CodeName(err), r.phases())
	}
}

func (r *Request) phases() engine.Phases {
	if r.of == nil {
		return engine.Phases{}
	}
	return r.of.phases
}

// tell logs a slow request: what it was, where the time went, and nothing of what is in it.
func (r *Request) tell(err error, took time.Duration) {
	p := r.phases()
	attrs := []any{"method", r.method.Name, "via", r.via.String(), "code", CodeName(err), "took", took}
	if committing[r.name] {
		attrs = append(attrs, "queue", p.Queue, "plan", p.Plan, "apply", p.Apply, "sync", p.Sync)
	}
	if r.via == Call {
		attrs = append(attrs, "send", r.m.config.Clock()-r.made)
	}
	if who := access.Principal(r.ctx); who != "" {
		attrs = append(attrs, "principal", who)
	}
	if id := TraceID(r.ctx); id != "" {
		attrs = append(attrs, "trace_id", id)
	}
	r.m.config.Log("a request was slow", attrs...)
}

// Phases is where the engine is to say how long those of a request's commit took; nil: nobody
// asks.
func Phases(ctx context.Context) *engine.Phases {
	if c, _ := ctx.Value(carriedKey{}).(*carried); c != nil {
		return &c.phases
	}
	return nil
}
