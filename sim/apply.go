package sim

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim/simdisk"
)

// errSkip says that a step does not fit the world as it is: nothing was done. In a
// story that somebody wrote it is a mistake; in one that is being shrunk it is
// what becomes of a step that lost those before it.
var errSkip = errors.New("the step does not fit")

func skip(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errSkip, fmt.Sprintf(format, args...))
}

// Apply does one step. An error says why it could not be done; what goes wrong
// inside the world is not an error but what the world is for.
func (w *World) Apply(s Step) error {
	w.elapsed += stepTime
	w.trying(&s)
	if err := w.do(&s); err != nil {
		w.elapsed -= stepTime // nothing was done, so no time has passed
		w.pending = ""
		return err
	}
	w.sayStep()
	w.reap() // first: a process that died in this step answers nobody any more
	w.runHandlers()
	if w.daemon != nil && w.daemon.image == nil {
		w.daemon.clean()
	}
	w.reap()
	for _, text := range w.struck {
		w.note("disk", "fault", text)
	}
	w.struck = w.struck[:0]
	wait := s.Verb == Call && s.Wait
	s.Wait = false // what that means follows, step by step
	w.steps = append(w.steps, s)
	s.Maybe = false // it says what a run must come to, not what it does
	w.digest(s)
	if wait {
		w.carryThrough(w.calls[s.ID])
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
		return w.doLife(s)
	case Advance:
		w.elapsed += s.Duration
	case Jump:
		w.jumped += s.Duration
		w.note("clock", "jump", s.Duration.String())
		w.stats.Faults["clock jump"]++
	default:
		return w.doDisk(s)
	}
	return nil
}

func (w *World) doCall(s *Step) error {
	if s.ID == 0 {
		s.ID = w.nextID()
	}
	if w.calls[s.ID] != nil {
		return skip("there is a call #%d already", s.ID)
	}
	if c := w.last[s.Client]; c != nil && !c.done && !c.stream() {
		return skip("client %s waits for an answer already", s.Client)
	}
	if _, err := w.issue(s.Client, s.ID, s.Kind, s.In); err != nil {
		return skip("%v", err)
	}
	return nil
}

// nextID is an id that no call has, nor any in a step to come.
func (w *World) nextID() int {
	id := len(w.order) + 1
	for w.calls[id] != nil || w.reserved[id] {
		id++
	}
	return id
}

func (w *World) doNetwork(s *Step) error {
	c := w.calls[s.Of]
	if s.Of == 0 {
		c = w.last[s.Client]
	}
	switch {
	case c == nil:
		return skip("there is no such call")
	case s.Verb == Deliver && c.arrived, s.Verb == Drop && c.arrived, s.Verb == Dup && c.stream():
		return skip("the request is not under way")
	case s.Verb == Again && c.copies == 0:
		return skip("no duplicate is under way")
	case (s.Verb == Lose || s.Verb == Timeout || s.Verb == Forge) && c.done:
		return skip("its client does not wait")
	}
	s.Of, s.Client = c.op.ID, ""
	switch s.Verb {
	case Deliver:
		w.deliver(c)
	case Drop:
		c.arrived = true
		w.lost(c, errReset, "request lost")
	case Dup:
		c.copies++
	case Again:
		w.deliverCopy(c)
	case Reply:
		if !w.reply(c) {
			return skip("no answer is under way")
		}
	case Lose:
		what := "answer lost"
		if c.stream() {
			what = "stream cut"
		}
		w.lost(c, errReset, what)
	case Timeout:
		w.lost(c, errLate, "client gave up")
	case Forge:
		return w.forge(c)
	}
	return nil
}

// lost ends a call for its client without an answer.
func (w *World) lost(c *call, err error, what string) {
	if c.answered && c.err == nil && (c.op.Kind == history.Commit || c.op.Kind == history.Transact) {
		w.probe("answer of a commit lost")
	}
	c.msgs = nil
	w.finish(c, nil, err)
	w.note("network", what, fmt.Sprintf("#%d", c.op.ID))
	w.stats.Faults[what]++
}

func (w *World) doEngine(s *Step) error {
	d := w.daemon
	if d == nil {
		return skip("no daemon runs")
	}
	switch s.Verb {
	case Plan:
		if w.inflight {
			return skip("a step is in flight")
		}
		if w.pristine != nil {
			return skip("the store was harmed: from here on it is only read")
		}
		d.syncs.set(false)
		d.act(func() { w.inflight = d.service.Engine().Plan() })
		if w.inflight {
			w.rest() // the log is written until its sync stands at the gate
		} else {
			d.syncs.set(true)
		}
		if !w.inflight && d.image == nil {
			w.checkAnswered()
			return skip("nothing waits for the writer")
		}
		w.unflushed++
	case Settle:
		if !w.inflight {
			return skip("nothing is in flight")
		}
		w.inflight = false
		d.syncs.set(true)
		d.act(func() { d.service.Engine().Settle() })
	case Tick:
		d.act(func() { d.service.Engine().Tick() })
	case Flush:
		if err := w.maintain(d, "flush", d.service.Engine().Flush); err != nil {
			return err
		}
	case Compact:
		if err := w.maintain(d, "compact", d.service.Engine().Compact); err != nil {
			return err
		}
	}
	text := ""
	if s.Verb == Settle && d.image == nil {
		text = fmt.Sprintf("published %d", d.service.Engine().Published())
	}
	w.note("daemon", string(s.Verb), text)
	return nil
}

// roomToMaintain is what a flush and a compaction of a run's store need at most.
// With less, Pebble tries its flush again and again until space comes back, which
// no step can give it meanwhile.
const roomToMaintain = 256 << 10

func (w *World) maintain(d *daemon, what string, f func() error) error {
	if u, err := w.disk.GetDiskUsage("/"); err == nil && u.AvailBytes < roomToMaintain {
		return skip("a %s needs %d bytes free, the disk has %d", what, roomToMaintain, u.AvailBytes)
	}
	if w.inflight {
		w.probe(what + " while a sync is in flight")
	}
	d.syncs.set(true)
	d.act(func() {
		if err := f(); err != nil {
			w.logged(what, "error", err.Error())
		}
		d.service.Engine().AwaitCleaning()
	})
	w.unflushed = 0
	if d.image != nil {
		w.probe("process died inside " + what)
	}
	return nil
}

// queued tells whether a request waits for the writer.
func (w *World) queued() bool {
	for _, c := range w.handlers {
		if c.op.Kind == history.Commit || c.op.Kind == history.Transact || c.op.Kind == history.Abort {
			return true
		}
	}
	return false
}

// checkAnswered holds the writer to its duty: when nothing is queued and nothing in
// flight, no commit may be waiting for it (G9).
func (w *World) checkAnswered() {
	for _, c := range w.handlers {
		if waits := c.op.Kind == history.Commit || c.op.Kind == history.Transact; waits && !c.handler.runnable() && !c.unanswered {
			c.unanswered = true
			w.violate("G9", "no-answer", c.op.ID, fmt.Sprintf("call #%d waits for the writer, which has nothing to do: it will never be answered", c.op.ID))
		}
	}
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
		if c.stream() && c.op.Kind == history.Watch {
			return // it goes on until somebody ends it
		}
		next := Plan
		if w.inflight {
			next = Settle
		}
		if w.Apply(Step{Verb: next}) != nil {
			return
		}
	}
}

// doDisk does what happens to the disk.
func (w *World) doDisk(s *Step) error {
	switch s.Verb {
	case Fault:
		if s.Fault.Kind == simdisk.PowerCut {
			w.powerCut = s.Crash
		}
		if err := w.disk.Arm(s.Fault); err != nil {
			return skip("%v", err)
		}
		w.arm(s.Fault)
	case Heal:
		w.disk.Heal()
		w.disarm()
	case Capacity:
		w.disk.SetCapacity(s.Bytes)
		w.capacity = s.Bytes
		w.note("disk", "capacity", "")
	case Room:
		u, err := w.disk.GetDiskUsage("/")
		if err != nil {
			return skip("%v", err)
		}
		return w.doDisk(&Step{Verb: Capacity, Bytes: int64(u.UsedBytes) + s.Bytes})
	case Rot, Truncate, Remove:
		return w.damage(s)
	default:
		return skip("unknown verb %q", s.Verb)
	}
	return nil
}

// damage harms a file on the medium. While the daemon runs it would be harm to
// its page cache, which no rule of disks allows.
func (w *World) damage(s *Step) error {
	if w.daemon != nil {
		return skip("the daemon runs")
	}
	if w.powerLost {
		return skip("the power failed: what the witness still knows may be older than the log, so harm could go unnoticed (docs/GUARANTEES.md, G8)")
	}
	var paths []simdisk.FileStat
	for _, f := range w.disk.Files() {
		if string(f.Class) == s.File && (f.Size > 0 || s.Verb == Remove) { // markers are empty: they can be lost, not rot
			paths = append(paths, f)
		}
	}
	if s.Nth < 1 || s.Nth > len(paths) {
		return skip("there are %d files of class %s", len(paths), s.File)
	}
	f := paths[s.Nth-1]
	offset := min(int64(s.Where*float64(f.Size)), f.Size-1)
	if w.pristine == nil {
		w.pristine = w.disk.Clone()
	}
	var err error
	switch s.Verb {
	case Rot:
		err = w.disk.Damage(f.Path, offset, s.Bit)
	case Truncate:
		err = w.disk.Truncate(f.Path, offset)
	case Remove:
		err = w.disk.RemoveFile(f.Path)
	}
	if err != nil {
		return skip("%v", err)
	}
	w.stats.Faults[string(s.Verb)+" "+s.File]++
	w.note("disk", string(s.Verb), fmt.Sprintf("%s offset %d of %d", f.Path, offset, f.Size))
	return nil
}

// digest adds a step, and what the history gained with it, to the sum by which
// two runs are compared.
func (w *World) digest(s Step) {
	h := fnv.New64a()
	fmt.Fprintf(h, "%x %s %d %d", w.sum, s, w.events, len(w.handlers))
	for _, c := range w.order[max(0, len(w.order)-8):] {
		fmt.Fprintf(h, "|%d %s %d %d %x", c.op.ID, c.op.Outcome, c.op.Return, len(c.op.Batches), c.given)
	}
	w.sum = h.Sum64()
	w.digests = append(w.digests, w.sum)
}

// Sum is the digest of everything that has happened.
func (w *World) Sum() uint64 { return w.sum }

// Steps are those that were applied.
func (w *World) Steps() []Step { return slices.Clone(w.steps) }
