package live

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// fault is something done to the daemon.
type fault struct {
	at   time.Duration
	kind string        // kill, stop, term
	hold time.Duration // how long it stays stopped, or down
	// again: a killed one is killed once more while it comes back, after so long; a
	// stopped one is killed instead of being let go. 0: neither.
	again time.Duration
}

// plan draws what is done to the daemon, and when.
func plan(rng *rand.Rand, o *Options) []fault {
	var list []fault
	add := func(n int, kind string, hold, again time.Duration) {
		for range n {
			f := fault{at: o.For/20 + draw(rng, o.For*9/10), kind: kind, hold: draw(rng, hold)}
			if again > 0 && rng.IntN(4) == 0 {
				f.again = 1 + draw(rng, again)
			}
			list = append(list, f)
		}
	}
	add(o.Kills, "kill", 100*time.Millisecond, 80*time.Millisecond)
	add(o.Stops, "stop", 1500*time.Millisecond, 1)
	add(o.Terms, "term", 0, 0)
	slices.SortFunc(list, func(a, b fault) int { return int(a.at - b.at) })
	return list
}

func draw(rng *rand.Rand, below time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(max(below, 1))))
}

// until waits for a moment.
func until(ctx context.Context, moment time.Time) {
	t := time.NewTimer(time.Until(moment))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// harass does it. It ends early when the daemon does not come back.
func (r *run) harass(ctx context.Context, faults []fault) {
	for i := range faults {
		f := &faults[i]
		until(ctx, r.begun.Add(f.at))
		if ctx.Err() != nil || r.died() {
			return
		}
		if !r.strike(ctx, f) {
			return
		}
	}
	r.died()
}

// strike does one fault, and reports whether the daemon serves after it.
func (r *run) strike(ctx context.Context, f *fault) bool {
	switch f.kind {
	case "stop":
		r.rec.Note("daemon", "stop", fmt.Sprintf("SIGSTOP for %v", f.hold.Round(time.Millisecond)))
		r.count(func(s *Stats) { s.Stops++ })
		if err := r.daemon.signal(sigStop); err != nil {
			return !r.died()
		}
		until(ctx, time.Now().Add(f.hold))
		if f.again == 0 {
			r.rec.Note("daemon", "continue", "SIGCONT")
			return r.daemon.signal(sigCont) == nil || !r.died()
		}
		r.kill("SIGKILL while stopped")
	case "kill":
		r.kill("SIGKILL")
		until(ctx, time.Now().Add(f.hold))
		if f.again > 0 {
			if err := r.daemon.launch(); err != nil {
				r.violate("G1", "does-not-come-back", "%v", err)
				return false
			}
			until(ctx, time.Now().Add(f.again))
			select {
			case <-r.daemon.ended:
				r.violate("G1", "does-not-come-back", "the daemon was killed, and ends when started again: %s", r.daemon.said.last())
				return false
			default:
			}
			r.kill("SIGKILL while it comes back")
		}
	case "term":
		r.rec.Note("daemon", "stop", "SIGTERM")
		r.count(func(s *Stats) { s.Terms++ })
		if err := r.daemon.terminate(r.o.Patience); err != nil {
			r.violate("G9", "does-not-end", "the daemon was told to end: %v", err)
			return false
		}
	}
	return r.start(ctx)
}

func (r *run) kill(how string) {
	r.rec.Note("daemon", "kill", how)
	r.daemon.kill()
	r.heard()
	r.count(func(s *Stats) { s.Kills++ })
}

// start starts the daemon again. That it comes back is guaranteed (G1).
func (r *run) start(ctx context.Context) bool {
	if err := r.daemon.start(ctx, r.o.Patience); err != nil {
		if ctx.Err() == nil {
			r.violate("G1", "does-not-come-back", "the daemon does not come back: %v", err)
			r.heard()
		}
		return false
	}
	r.rec.Note("daemon", "start", "it serves")
	r.count(func(s *Stats) { s.Processes++ })
	return true
}

// died reports whether the daemon has ended without a signal to: on a healthy disk it must
// not.
func (r *run) died() bool {
	d := r.dead()
	if d == nil {
		return false
	}
	r.violate("G7", "died", "the daemon ended by itself, with exit code %d: %s", d.code(), d.said.last())
	r.daemon = d
	r.heard()
	return true
}

// heard looks at what the daemon said in its last moments.
func (r *run) heard() {
	if text := r.daemon.said.panicked(); text != "" {
		r.violate("G7", "panic", "the daemon said: %s", text)
	}
}
