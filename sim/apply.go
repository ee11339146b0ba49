package sim

import (
	"errors"
	"fmt"

	"statehouse.dev/statehouse/sim/step"
)

// ErrMisfit says that a step does not fit the world as it is: nothing was done. In a
// written scenario that is a mistake; in a run that is being shrunk it is what becomes of a
// step that lost those before it.
var ErrMisfit = errors.New("the step does not fit")

func misfit(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMisfit, fmt.Sprintf(format, args...))
}

// Apply does one step. An error says why it could not be done; what goes wrong
// inside the world is not an error but what the world is for.
func (w *World) Apply(s step.Step) error {
	defer w.about(w.nodeOf(&s))()
	if s.Verb == step.Flow && w.peers != nil {
		w.flow()
		return nil
	}
	w.clock.elapsed += StepTime
	w.reasons.Look(w.now(), w.room())
	if w.before != nil {
		w.before(s)
	}
	w.rec.trace.try(&s)
	if err := w.do(&s); err != nil {
		w.clock.elapsed -= StepTime // nothing was done, so no time has passed
		w.rec.trace.doesNotFit()
		return err
	}
	w.rec.trace.fits()
	w.each(w.reap) // first: a process that died in this step answers no request any more
	w.runHandlers()
	w.each(func() { w.afterStep(&s) })
	wait := s.Verb == step.Call && s.Wait
	s.Wait = false // what that means follows, step by step
	w.rec.steps = append(w.rec.steps, s)
	s.Maybe = false // it says what a run must come to, not what it does
	w.rec.digest(s, &w.network, w.handling())
	if wait {
		w.carryThrough(w.network.calls[s.ID])
	}
	return nil
}

// afterStep lets a node do what it does between steps, and looks at what it holds.
func (w *World) afterStep(s *step.Step) {
	if w.process != nil && w.process.image == nil {
		w.process.clean()
		if s.Verb == step.Tick {
			w.holdRevoked()
		}
		w.goOnDraining()
		w.checkHeld()
	}
	w.reap()
	for _, text := range w.faults.struck {
		w.rec.note(w.lane("disk"), "fault", text)
	}
	w.faults.struck = w.faults.struck[:0]
}

func (w *World) do(s *step.Step) error {
	if w.peers == nil && (s.Node != "" || s.Verb == step.Flow) {
		return misfit("the daemon is alone")
	}
	if w.peers != nil {
		if err := w.fitsCluster(s); err != nil {
			return err
		}
		if memberSteps[s.Verb] || s.Peer != "" {
			return w.doMember(s)
		}
	}
	switch s.Verb {
	case step.Call:
		return w.doCall(s)
	case step.Deliver, step.Drop, step.Dup, step.Again, step.Reply, step.Lose, step.Timeout, step.Expire, step.Forge:
		return w.doNetwork(s)
	case step.Plan, step.Settle, step.Tick, step.Flush, step.Compact:
		return w.doEngine(s)
	case step.Start, step.Drain, step.Stop, step.Kill, step.Crash:
		return w.doProcess(s)
	case step.Revoke:
		if w.peers != nil {
			return w.revokeAt(s.Token)
		}
		return w.revoke(s.Token)
	case step.Import:
		return w.importSome(s.Nth)
	case step.Advance:
		w.clock.elapsed += s.Duration
	case step.Jump:
		w.jump(s.Duration)
	default:
		return w.doDisk(s)
	}
	return nil
}

// carryThrough takes a call to its end, with whatever steps that needs.
func (w *World) carryThrough(c *Call) {
	again := func(verb step.Verb) bool { return w.Apply(step.Step{Verb: verb, Of: c.op.ID}) == nil }
	if w.peers != nil {
		w.carryThroughNodes(c)
		return
	}
	if !c.arrived {
		again(step.Deliver)
	}
	for !c.done {
		if again(step.Reply) {
			continue
		}
		if c.watches() {
			return // it goes on until a step ends it
		}
		if w.Apply(step.Step{Verb: w.writerNext()}) != nil {
			return
		}
	}
}

// writerNext is the step that the writer does next.
func (w *World) writerNext() step.Verb {
	if w.InFlight() {
		return step.Settle
	}
	return step.Plan
}
