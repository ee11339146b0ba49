package sim

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/sim/step"
)

// What requests hold they give back (G9): locks, slots, bytes, iterators, files. Each is
// a number in server.Held, and a new one there is held to this by itself.

// checkHeld holds the daemon to that after every step.
func (w *World) checkHeld() {
	p := w.process
	if p == nil || p.image != nil || p.inflight || p.service == nil {
		return
	}
	held, idle := p.service.Held(), len(w.handlers) == 0
	if held == (server.Held{}) || held == w.held && !idle { // as most steps leave it
		return
	}
	w.held = held
	w.checkGroups(reflect.ValueOf(held), func(group string, leader int) bool {
		switch group {
		case "Iterators": // no handler waits with one
			return true
		case "Txns", "Commits": // they outlast a request
			return leader == 0 && p.member == nil // whose step may be in flight
		}
		return idle
	})
}

// checkGroups reports what is held of the groups of which nothing should be. A group's
// first field counts those who hold it.
func (w *World) checkGroups(held reflect.Value, free func(group string, leader int) bool) {
	for i := range held.NumField() {
		field, name := held.Field(i), held.Type().Field(i)
		if name.Anonymous {
			w.checkGroups(field, free)
		} else if leader := int(field.Field(0).Int()); !field.IsZero() && free(name.Name, leader) && !w.leaked {
			w.leaked = true // once: it stays so
			w.rec.violate("G9", "leak", 0, fmt.Sprintf("nothing is under way that could hold it, yet of %s is held %+v", name.Name, field))
		}
	}
}

// longestTxn is longer than a transaction may stay open, whatever the clock does meanwhile.
const longestTxn = 48 * time.Hour

// checkRest holds the daemon to giving everything back when all that is under way has
// ended: the transactions of a run expire, too.
func (w *World) checkRest() {
	if w.process == nil || w.machine.pristine != nil { // a corrupt store is only read: what waits for the writer waits
		return
	}
	_ = w.Apply(step.Step{Verb: step.Advance, Duration: longestTxn})
	_ = w.Apply(step.Step{Verb: step.Tick})
	for w.WriterAsked() && w.Apply(step.Step{Verb: w.writerNext()}) == nil { // what the tick has asked of it
	}
	if p := w.process; p != nil && !p.inflight && len(w.handlers) == 0 {
		w.checkGroups(reflect.ValueOf(p.service.Held()), func(string, int) bool { return true })
	}
}

// checkTables holds the tables of what is over to their limits.
func (w *World) checkTables(p *process) {
	if p.image != nil || w.leaked {
		return
	}
	for _, t := range p.service.Engine().Tables() {
		if t.Entries > t.Most || t.Room > t.Most {
			w.leaked = true
			w.rec.violate("G9", "table-grows", 0, fmt.Sprintf("the table of %s has %d entries and forgets none up to %d, the limit is %d", t.Name, t.Entries, t.Room, t.Most))
		}
	}
}

// checkClosed holds a process that has ended in order to leaving nothing behind.
func (w *World) checkClosed(p *process, err error) {
	if err != nil {
		p.log("closing failed", "error", err.Error())
	}
	if err != nil && !p.troubled {
		w.rec.violate("G9", "close-fails", 0, "nothing went wrong with the disk, yet closing the store fails: "+step.FirstLine(err.Error()))
	}
	// Pebble forgets to close a table that it could not write.
	open := slices.DeleteFunc(w.machine.disk.OpenFiles(), func(path string) bool { return w.reasons.struckAt[path] && strings.HasSuffix(path, ".sst") })
	if len(open) > 0 {
		w.rec.violate("G9", "leak", 0, fmt.Sprintf("the store is closed, yet these files are open: %v", open))
	}
	w.quiesce()
	if w.peers != nil {
		return // others' goroutines come and go
	}
	if now := runtime.NumGoroutine() - w.coroutines(); now > p.goroutines {
		w.rec.violate("G9", "leak", 0, fmt.Sprintf("the process has ended, yet %d of its goroutines have not", now-p.goroutines))
	}
}

// coroutines counts those that have not ended, which are goroutines to the runtime.
func (w *World) coroutines() int {
	n := len(w.handlers)
	for _, p := range w.programs.list {
		if !p.task.Ended() {
			n++
		}
	}
	return n
}
