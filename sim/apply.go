package sim

import (
	"errors"
	"fmt"
)

// ErrMisfit says that a step does not fit the world as it is: nothing was done. In a
// scenario that somebody wrote it is a mistake; in one that is being shrunk it is
// what becomes of a step that lost those before it.
var ErrMisfit = errors.New("the step does not fit")

func misfit(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMisfit, fmt.Sprintf(format, args...))
}

// Apply does one step. An error says why it could not be done; what goes wrong
// inside the world is not an error but what the world is for.
func (w *World) Apply(s Step) error {
	w.clock.elapsed += StepTime
	w.rec.trace.try(&s)
	if err := w.do(&s); err != nil {
		w.clock.elapsed -= StepTime // nothing was done, so no time has passed
		w.rec.trace.doesNotFit()
		return err
	}
	w.rec.trace.fits()
	w.reap() // first: a process that died in this step answers nobody any more
	w.runHandlers()
	if w.process != nil && w.process.image == nil {
		w.process.clean()
	}
	w.reap()
	for _, text := range w.faults.struck {
		w.rec.note("disk", "fault", text)
	}
	w.faults.struck = w.faults.struck[:0]
	wait := s.Verb == Call && s.Wait
	s.Wait = false // what that means follows, step by step
	w.rec.steps = append(w.rec.steps, s)
	s.Maybe = false // it says what a run must come to, not what it does
	w.rec.digest(s, &w.network)
	if wait {
		w.carryThrough(w.network.calls[s.ID])
	}
	return nil
}

func (w *World) do(s *Step) error {
	switch s.Verb {
	case Call:
		return w.doCall(s)
	case Deliver, Drop, Dup, Again, Reply, Lose, Timeout, Forge:
		return w.doNetwork(s)
	case Plan, Settle, Tick, Flush, Compact:
		return w.doEngine(s)
	case Start, Stop, Kill, Crash:
		return w.doProcess(s)
	case Advance:
		w.clock.elapsed += s.Duration
	case Jump:
		w.jump(s.Duration)
	default:
		return w.doDisk(s)
	}
	return nil
}

// carryThrough takes a call to its end, with whatever steps that needs.
func (w *World) carryThrough(c *call) {
	again := func(verb Verb) bool { return w.Apply(Step{Verb: verb, Of: c.op.ID}) == nil }
	if !c.arrived {
		again(Deliver)
	}
	for !c.done {
		if again(Reply) {
			continue
		}
		if c.watches() {
			return // it goes on until somebody ends it
		}
		if w.Apply(Step{Verb: w.writerNext()}) != nil {
			return
		}
	}
}

// writerNext is the step that the writer does next.
func (w *World) writerNext() Verb {
	if w.InFlight() {
		return Settle
	}
	return Plan
}
