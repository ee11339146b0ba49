// Package programs is what is interleaved: small programs of a few threads on the real
// engine, the real senders of streams and the real recorder, each with what must hold of
// them in every interleaving. Above all every call must return: a program in which a thread
// waits for what will not come is a deadlock (package turns).
//
// The engine stands on Pebble and a file system in memory. What it asks of Pebble is one
// step of the schedule. A clock does not go on by itself, and nothing may need it to, but
// where a program says otherwise.
package programs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/interleave/turns"
)

// Program is one of them.
type Program struct {
	Name   string
	About  string
	Points int // that a run of it passes, about: see turns.Policy
	run    func(w *world)
}

// All lists the programs.
func All() []Program {
	return []Program{
		{"commits", "clients commit and read at once what they were told", 150, commits},
		{"watches", "watches follow what clients commit, and see each commit once", 100, watches},
		{"halt", "the disk fails while clients commit: each is answered, and none with a success that is not there", 120, halts},
		{"transactions", "copies of a commit, an abort, stages and the timeout of one transaction", 100, transactions},
		{"copies", "copies of one commit, some given up, and questions about it", 150, copies},
		{"close", "the engine closes while commits wait", 60, closes},
		{"semaphore", "requests wait for room, give up and give back", 40, semaphore},
		{"limiter", "requests enter and leave a limiter", 25, limits},
		{"streams", "a stream's sender, a client that reads slowly, and what ends them", 150, streams},
		{"budget", "answers take room, are sent, or end with their connections", 40, budget},
		{"capture", "requests are recorded while the ring is written, stopped and started", 250, recording},
	}
}

// Run carries out one schedule of p.
func (p *Program) Run(seed uint64, traced bool) (*turns.Finding, int) {
	w := &world{rand: rand.New(rand.NewPCG(seed, 1)), memory: newMemory()}
	w.env = w.newEnv()
	f, points := turns.Run(func() { p.run(w) }, turns.Policy{Seed: seed, Points: p.Points}, traced)
	if f == nil {
		w.undo()
	}
	return f, points
}

// world is what a program runs in.
type world struct {
	rand    *rand.Rand // of the program; a thread draws from one of its own
	memory  *memory
	env     engine.Env
	e       *engine.Engine
	time    atomic.Int64 // ms; each look at the clock takes one
	halted  atomic.Bool
	mayHalt bool
	undone  []func()
}

func (w *world) newEnv() engine.Env {
	env := engine.MemoryEnv(func(reason error) {
		if !w.mayHalt {
			turns.Fail("the engine halted: %v", reason)
		}
		w.halted.Store(true)
	}, nil)
	var mu sync.Mutex
	ids := rand.New(rand.NewPCG(w.rand.Uint64(), 2))
	env.Rand = func(p []byte) {
		mu.Lock()
		defer mu.Unlock()
		for i := range p {
			p[i] = byte(ids.Uint32())
		}
	}
	env.Now = func() time.Time { return time.UnixMilli(1_800_000_000_000 + w.time.Add(1)) }
	return env
}

// open opens the engine. It is closed when the schedule is over.
func (w *world) open(o engine.Options) {
	o.Dir, o.Tuning = "data", engine.Tuning{MemTableBytes: 256 << 10, CacheBytes: 1 << 20, ManualCompaction: true}
	e, err := engine.Open(w.env, o)
	w.must("opening", err)
	w.e = e
	w.undone = append(w.undone, func() { _ = e.Close() })
}

func (w *world) undo() {
	for _, f := range w.undone {
		f()
	}
}

func (w *world) must(what string, err error) {
	if err != nil {
		turns.Fail("%s: %v", what, err)
	}
}

// while runs the engine's loop while body runs.
func (w *world) while(body func()) {
	ctx, stop := context.WithCancel(context.Background())
	var loop turns.WaitGroup
	loop.Go(func() { w.e.Run(ctx) })
	body()
	turns.Point()
	stop()
	loop.Wait()
}

// together runs functions in threads of their own, and waits for them.
func together(fs ...func()) {
	var all turns.WaitGroup
	for _, f := range fs {
		all.Go(f)
	}
	all.Wait()
}

// few is a number from 1 on, mostly 1: most mistakes need two threads and one commit, and the
// fewer choices there are, the sooner they are hit.
func (w *world) few(most int) int {
	if w.rand.IntN(3) > 0 {
		return 1
	}
	return 1 + w.rand.IntN(most)
}

// ticks makes a thread that fires the engine's ticker a few times, or none. A tick hides
// what is lost, so most schedules have none.
func (w *world) ticks() func() {
	n := max(w.rand.IntN(6)-3, 0)
	return func() {
		for range n {
			turns.Tick()
		}
	}
}

// cancelled makes a context and a thread that ends it.
func (w *world) cancelled() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	return ctx, func() {
		turns.Point()
		cancel()
	}
}

func name(agent, key int) engine.RecordName {
	return engine.RecordName{Agent: fmt.Sprintf("a%d", agent), Key: fmt.Sprintf("k%d", key)}
}

func write(n engine.RecordName, value int) engine.Write {
	return engine.Write{Name: n, Value: fmt.Appendf(nil, `{"n":%d}`, value)}
}

// acked holds an acknowledged commit of one write to what it must be by now: published,
// readable, and known by its id (G1, G4, G6).
func (w *world) acked(id engine.TxnID, wrote engine.Write, r engine.CommitResult) {
	if p := w.e.Published(); p < r.CommitTS {
		turns.Fail("G4: %s was acknowledged as commit %d before that was published: the last published is %d", id, r.CommitTS, p)
	}
	s, err := w.e.Snapshot(engine.At{CommitTS: &r.CommitTS})
	w.must("a read after the answer", err)
	rec, err := s.Get(wrote.Name)
	w.must("a read after the answer", err)
	if string(rec.Value) != string(wrote.Value) || len(r.Versions) != 1 || rec.Version != r.Versions[0].Version {
		turns.Fail("G4: %s wrote %s and was acknowledged as commit %d; a read there finds %s at version %d", id, wrote.Value, r.CommitTS, rec.Value, rec.Version)
	}
	o, err := w.e.Outcome(id)
	w.must("outcome", err)
	if o.State != engine.TxnCommitted || o.Result.CommitTS != r.CommitTS {
		turns.Fail("G6: %s was acknowledged as commit %d; its outcome is %v at %d", id, r.CommitTS, o.State, o.Result.CommitTS)
	}
}

// log is the whole log, which must be dense, each id at most once in it.
func (w *world) log() (ids map[engine.TxnID]engine.CommitTS) {
	ids = make(map[engine.TxnID]engine.CommitTS)
	last := w.e.Published()
	events, _, err := w.e.Replay(engine.Filter{Whole: true}, 0, last, 0)
	w.must("replay", err)
	for i := range events {
		ev := &events[i]
		if ev.CommitTS != engine.CommitTS(i+1) {
			turns.Fail("G5: event %d of the log is of commit %d", i+1, ev.CommitTS)
		}
		if ids[ev.TxnID] != 0 {
			turns.Fail("G6: %s was committed twice, as %d and %d", ev.TxnID, ids[ev.TxnID], ev.CommitTS)
		}
		ids[ev.TxnID] = ev.CommitTS
	}
	if last != engine.CommitTS(len(events)) {
		turns.Fail("G5: the log has %d events, and commit %d is published", len(events), last)
	}
	return ids
}

// definite reports whether err says that nothing was applied, ever.
func definite(err error) bool {
	var f *engine.Failure
	return errors.As(err, &f) && !f.InDoubt && !errors.Is(err, engine.ErrOutcomeUnknown)
}
