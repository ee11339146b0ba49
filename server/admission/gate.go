package admission

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"statehouse.dev/statehouse/engine"
)

// Options of a Gate. The zero value of a field means its default.
type Options struct {
	Most    int // requests under way at once; 768
	Running int // of those, that do not wait for the disk; 32
	// Target is how long requests may wait when they always do, Interval how long before that
	// counts; 50 ms and 100 ms.
	Target, Interval time.Duration

	Now   func() time.Time
	Await func(ctx context.Context, ready <-chan struct{}) error
	// Refused is called with each refusal, Overloaded when those of a share begin, and Full
	// with each request that has to wait; may be nil.
	Refused, Overloaded, Full func()
}

func (o *Options) setDefaults() {
	o.Most = cmp.Or(o.Most, 768)
	o.Running = cmp.Or(o.Running, 32)
	o.Target = cmp.Or(o.Target, 50*time.Millisecond)
	o.Interval = cmp.Or(o.Interval, 100*time.Millisecond)
	for _, f := range []*func(){&o.Refused, &o.Overloaded, &o.Full} {
		if *f == nil {
			*f = func() {}
		}
	}
}

// Waiter is a request that waits for its turn.
type Waiter interface {
	// Begin is called once: with nil when it is its turn, which it has until Leave, or with why
	// it has none.
	Begin(refused error)
}

// Gate lets requests in.
type Gate struct {
	o Options

	mu      sync.Mutex
	taken   int // requests under way
	running int // of those, that run
	waiting int // for their turn
	lanes   map[string]*lane
	turns   []*lane // those in which someone waits; the first is next
}

// lane is where requests of a share wait.
type lane struct {
	share string
	under int // way
	queue []place

	// CoDel.
	least      time.Duration // that one has waited, in the interval
	ends       time.Time     // the interval
	overloaded time.Time     // since when; zero: it is not
}

type place struct {
	w     Waiter
	since time.Time
}

// NewGate makes a gate through which nothing has come.
func NewGate(o Options) *Gate {
	o.setDefaults()
	return &Gate{o: o, lanes: make(map[string]*lane)}
}

// Enter reports whether a request may begin at once. Else w is told.
func (g *Gate) Enter(share string, w Waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lane(share)
	if g.waiting == 0 && g.room() {
		g.begin(l)
		l.least = 0
		return true
	}
	g.o.Full()
	if len(l.queue) == 0 {
		g.turns = append(g.turns, l)
	}
	l.queue = append(l.queue, place{w, g.o.Now()})
	g.waiting++
	return false
}

func (g *Gate) room() bool { return g.taken < g.o.Most && g.running < g.o.Running }

func (g *Gate) begin(l *lane) {
	g.taken++
	g.running++
	l.under++
}

// Pause says that a request that was let in runs no more, but waits for the disk: others may
// run meanwhile. It goes on when it likes.
func (g *Gate) Pause() {
	g.mu.Lock()
	g.running--
	told := g.admitLocked()
	g.mu.Unlock()
	tell(told)
}

func (g *Gate) lane(share string) *lane {
	l := g.lanes[share]
	if l == nil {
		l = &lane{share: share}
		g.lanes[share] = l
	}
	return l
}

// Leave ends what Enter, or Begin, let in. paused: it has called Pause.
func (g *Gate) Leave(share string, paused bool) {
	g.mu.Lock()
	g.taken--
	if !paused {
		g.running--
	}
	l := g.lanes[share]
	l.under--
	g.forget(l)
	told := g.admitLocked()
	g.mu.Unlock()
	tell(told)
}

// verdict is what a waiter is to be told.
type verdict struct {
	w       Waiter
	refused error
}

func tell(told []verdict) {
	for _, v := range told {
		v.w.Begin(v.refused)
	}
}

// admitLocked lets in those whose turn it is, and finds those who have waited for too long.
func (g *Gate) admitLocked() (told []verdict) {
	if g.waiting == 0 {
		return nil
	}
	now := g.o.Now()
	for g.waiting > 0 && g.room() {
		l := g.turns[0]
		g.turns = g.turns[1:]
		p := l.queue[0]
		l.queue[0] = place{} // the array lives on
		l.queue = l.queue[1:]
		g.waiting--
		if len(l.queue) > 0 {
			g.turns = append(g.turns, l)
		}
		v := verdict{w: p.w}
		if l.late(now, now.Sub(p.since), &g.o) {
			g.o.Refused()
			v.refused = overloaded(now.Sub(l.overloaded))
			g.forget(l)
		} else {
			g.begin(l)
		}
		told = append(told, v)
	}
	return told
}

// late reports whether a request that has waited for so long is refused.
func (l *lane) late(now time.Time, waited time.Duration, o *Options) bool {
	if now.Before(l.ends) {
		l.least = min(l.least, waited)
	} else {
		switch {
		case l.ends.IsZero() || l.least <= o.Target || now.Sub(l.ends) > o.Interval:
			l.overloaded = time.Time{}
		case l.overloaded.IsZero():
			l.overloaded = now
			o.Overloaded()
		}
		l.least, l.ends = waited, now.Add(o.Interval)
	}
	return !l.overloaded.IsZero() && waited > 2*o.Target
}

// forget drops a lane that nothing is in.
func (g *Gate) forget(l *lane) {
	if l.under == 0 && len(l.queue) == 0 {
		delete(g.lanes, l.share)
	}
}

// overloaded refuses a request. The longer it has been so, the later it is to come back.
func overloaded(since time.Duration) error {
	f := &engine.Failure{Kind: engine.ErrOverloaded, Message: "more is asked of the daemon than it can do in time; nothing was applied: retry later"}
	return f.RetryAfter(min(max(since, 100*time.Millisecond), 2*time.Second))
}

// Usage is how many requests are under way, and how many wait.
func (g *Gate) Usage() (taken, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.taken, g.waiting
}

// Wait is Enter for a request that has a goroutine to wait in. It calls waits before it does,
// and what that returned after.
func (g *Gate) Wait(ctx context.Context, share string, waits func() (done func())) error {
	w := &waiter{done: make(chan struct{})}
	if g.Enter(share, w) {
		return nil
	}
	defer waits()()
	if err := g.o.Await(ctx, w.done); err != nil {
		g.giveUp(share, w)
		return err
	}
	return w.refused
}

type waiter struct {
	done    chan struct{}
	refused error
}

func (w *waiter) Begin(refused error) {
	w.refused = refused
	close(w.done)
}

// giveUp takes a waiter out of the queue, or gives back what it got meanwhile.
func (g *Gate) giveUp(share string, w *waiter) {
	g.mu.Lock()
	l := g.lanes[share]
	if l != nil {
		if i := slices.IndexFunc(l.queue, func(p place) bool { return p.w == Waiter(w) }); i >= 0 {
			l.queue = slices.Delete(l.queue, i, i+1)
			g.waiting--
			if len(l.queue) == 0 {
				g.turns = slices.DeleteFunc(g.turns, func(t *lane) bool { return t == l })
				g.forget(l)
			}
			g.mu.Unlock()
			return
		}
	}
	g.mu.Unlock()
	<-w.done // whoever took it out of the queue is about to tell it
	if w.refused == nil {
		g.Leave(share, false)
	}
}
