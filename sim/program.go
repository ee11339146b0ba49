package sim

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim/sched"
	"statehouse.dev/statehouse/sim/step"
)

// programs are those of clients.
type programs struct {
	list []*Program
	over bool // clients are to end
}

// Program is what a client does: a coroutine that goes on when it is resumed, and waits
// only for what happens in the world. What it asks for becomes steps.
type Program struct {
	w      *World
	task   *sched.Task
	name   string
	wake   time.Duration // it sleeps until then; 0: it does not
	beside bool          // it is no client, but part of one
	at     int           // of several nodes the one that it asks, counted on
	// Structs reports whether a request's values are sent as Structs, if they can be; nil: none are.
	Structs func() bool
	forms   map[string]bool // that it has drawn, by transaction
	// notBefore is until when it is not to send a request again, by its bytes: the time that has passed.
	notBefore map[string]time.Duration
}

// Launch makes a client whose program has not begun to run.
func (w *World) Launch(name string, body func(p *Program)) *Program {
	p := &Program{w: w, name: name, at: len(w.programs.list), notBefore: make(map[string]time.Duration)}
	p.task = sched.Spawn(func(*sched.Task) { body(p) })
	w.programs.list = append(w.programs.list, p)
	return p
}

// Programs lists those that were launched.
func (w *World) Programs() []*Program { return w.programs.list }

// EndPrograms ends all of them, wherever they are.
func (w *World) EndPrograms() {
	w.programs.over = true
	for _, p := range w.programs.list {
		w.tasks.Kill(p.task)
	}
}

// UntilWake is how long it is until the next program wakes, and most if none does before.
func (w *World) UntilWake(most time.Duration) time.Duration {
	for _, p := range w.programs.list {
		if !p.task.Ended() && p.wake > w.clock.elapsed {
			most = min(most, p.wake-w.clock.elapsed)
		}
	}
	return most
}

// Ended reports whether the program has come to its end.
func (p *Program) Ended() bool { return p.task.Ended() }

// Serves reports whether the program is only part of a client: it ends with what it is for.
func (p *Program) Serves() bool { return p.beside }

// Runnable reports whether a resume would get anywhere.
func (p *Program) Runnable() bool { return p.task.Runnable() }

// Resume lets it go on until it waits or ends.
func (p *Program) Resume() { p.w.tasks.Resume(p.task) }

// form is the form of values that the program sends in a session with a transaction, Structs or
// not: the same with each try, for a refusal of one may have been told although nobody heard it.
func (p *Program) form(txn string) bool {
	as, known := p.forms[txn]
	if !known {
		if p.forms == nil {
			p.forms = make(map[string]bool)
		}
		as = p.Structs()
		p.forms[txn] = as
	}
	return as
}

// Over reports whether the program is to end.
func (p *Program) Over() bool { return p.w.programs.over || p.task.Killed() }

// Sleep waits for simulated time to pass.
func (p *Program) Sleep(ctx context.Context, pause time.Duration) error {
	p.wake = p.w.clock.elapsed + pause
	if !p.task.Park(func() bool { return p.w.clock.elapsed >= p.wake || ctx.Err() != nil }) {
		return context.Canceled
	}
	p.wake = 0
	return ctx.Err()
}

// Within is a context that ends so far from now in simulated time.
func (p *Program) Within(ctx context.Context, d time.Duration) context.Context {
	return deadline{ctx, p.w, p.w.clock.elapsed + d}
}

// deadline is a context that ends at a moment of simulated time. Its Done is not closed
// then: programs wait by parking.
type deadline struct {
	context.Context
	w    *World
	ends time.Duration
}

func (c deadline) Err() error {
	if c.w.programs.over || c.w.clock.elapsed >= c.ends {
		return context.DeadlineExceeded
	}
	return c.Context.Err()
}

// Conn is the client's connection to the daemon.
func (p *Program) Conn() grpc.ClientConnInterface { return conn{p.w, p} }

// Ask makes a request and waits for its end, no longer than it has patience. It returns nil
// when the request does not fit the world, and for a watch, which goes on beside what follows.
func (p *Program) Ask(kind history.Kind, in history.Input, patience time.Duration) *history.Operation {
	return p.Send(step.Step{Verb: step.Call, Client: p.name, Kind: kind, In: in}, patience)
}

// Send is Ask for a call of any sort.
func (p *Program) Send(s step.Step, patience time.Duration) *history.Operation {
	w := p.w
	id := w.network.nextID()
	if s.ID, s.Node = id, p.asks(); w.Apply(s) != nil {
		return nil
	}
	c := w.network.calls[id]
	if c.watches() {
		return nil
	}
	ends := w.clock.elapsed + patience
	p.wake = ends
	p.task.Park(func() bool { return c.done || w.clock.elapsed >= ends })
	p.wake = 0
	if !c.done && !w.programs.over {
		_ = w.Apply(step.Step{Verb: step.Timeout, Of: id})
		p.turn()
	}
	p.turnFrom(c)
	return c.op
}

// Do makes a request of a client without a program, and carries it through.
func (w *World) Do(client string, kind history.Kind, in history.Input) (*history.Operation, error) {
	id := w.network.nextID()
	if err := w.Apply(step.Step{Verb: step.Call, Client: client, ID: id, Kind: kind, In: in, Wait: true}); err != nil {
		return nil, err
	}
	return w.network.calls[id].op, nil
}

// Stamp is a moment of the history that no other has, for what is recorded outside of it.
func (w *World) Stamp() int64 { return w.rec.stamp() }

// TxnName is what the history calls the transaction with an id.
func (w *World) TxnName(id string) string { return w.names.fromWire(id) }

// FreshTxn is a name that no transaction has.
func (w *World) FreshTxn() string { return w.names.fresh() }
