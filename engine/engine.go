package engine

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Options says where a store is and how it behaves. The zero value of a field
// means its default.
type Options struct {
	Dir    string // required
	Limits Limits
	// NoSync acknowledges commits before they are on disk: a crash of the machine
	// may lose them (G1 does not hold). For development.
	NoSync bool
	// Volatile says that the file system of the environment is gone with the process.
	Volatile bool
	// MustExist refuses to make a store where there is none, so that a mount that
	// is missing is not taken for a new store.
	MustExist bool
	Tuning    Tuning
}

// Engine is the state machine over one store. Its methods may be called from any
// goroutine, but Plan, Settle, Step and Tick only by one at a time: in production
// Run sees to that, in a simulation there is only one.
type Engine struct {
	env      Env
	opts     Options
	identity identity
	lock     io.Closer
	db       *pebble.DB
	witness  *witness
	txns     *txnTable
	changed  broadcast

	// Invariant: published <= durable <= planned (planner.head). Durable has no
	// field: Settle makes it and publishes in one move.
	published     atomic.Uint64
	publishedTime atomic.Int64
	prunedTime    atomic.Int64 // commit_time of the last commit whose outcome was dropped; 0: none was

	// Of whoever steps; see stepSoon.
	stepMu   sync.Mutex
	running  atomic.Bool // Run is on: requests may step themselves
	planner  *planner
	inflight *inflight
	rows     rowWriter
	pruned   pruner
	space    spaceWatch

	mu          sync.Mutex
	queue       []*proposal
	queuedBytes int
	undecided   map[TxnID]int // one-shot proposals queued or in a step, by id
	stopped     bool
	wake        chan struct{} // holds a token when Run is to look at the queue

	opened   atomic.Bool // set once, when Open succeeds
	haltOnce sync.Once
	failed   atomic.Pointer[Failure] // set once: halted
	damaged  atomic.Pointer[Failure] // set once: damage was met
	full     atomic.Pointer[Failure] // set while space is short
}

func (e *Engine) now() time.Time { return time.Unix(0, e.env.Now().UnixNano()).UTC() }

// Published is the last commit that everybody may read.
func (e *Engine) Published() CommitTS { return CommitTS(e.published.Load()) }

// Limits are the limits in force.
func (e *Engine) Limits() Limits { return e.opts.Limits }

// Status is what an operator asks first.
type Status struct {
	Published      CommitTS
	LastCommitTime time.Time // zero before the first commit
	OpenTxns       int
	DiskUsed       uint64 // bytes of the store
	DiskFree       uint64 // bytes free beside it, as of the last look
	Refused        error  // why writes are refused, nil while they are accepted
	Durable        bool
	StoreID        string
	Format         int
}

// Status reports how far the store is and how it fares.
func (e *Engine) Status() Status {
	s := Status{
		Published: e.Published(),
		OpenTxns:  e.txns.count(),
		DiskUsed:  e.db.Metrics().DiskSpaceUsage(),
		DiskFree:  e.space.free.Load(),
		Refused:   e.refusal(),
		Durable:   !e.opts.NoSync && !e.opts.Volatile,
		StoreID:   e.identity.storeID,
		Format:    e.identity.format,
	}
	if s.Published > 0 {
		s.LastCommitTime = time.Unix(0, e.publishedTime.Load()).UTC()
	}
	return s
}

// Healthy is nil while the engine serves reads and writes as promised. A nearly
// full disk does not make it unhealthy: reads go on, and it heals by itself.
func (e *Engine) Healthy() error {
	if f := e.failed.Load(); f != nil {
		return f
	}
	if f := e.damaged.Load(); f != nil {
		return f
	}
	return nil
}

// refusal is why writes are not taken now, or nil.
func (e *Engine) refusal() error {
	if err := e.Healthy(); err != nil {
		return err
	}
	if f := e.full.Load(); f != nil {
		return f
	}
	return nil
}

// halt ends the engine for good: storage can no longer be trusted (G7). Whoever
// sees that it has failed knows that Halt was called.
func (e *Engine) halt(reason error) {
	e.haltOnce.Do(func() {
		e.env.Halt(reason)
		e.failed.Store(failf(ErrStorage, "halted: %v", reason))
	})
}

// noteDamage remembers damage met by a read: from then on writes are refused,
// for what they would stand on is in doubt (G8).
func (e *Engine) noteDamage(err error) {
	if !errors.Is(err, ErrDataLoss) {
		return
	}
	f := failf(ErrDataLoss, "writes are refused since damage was met: %v; stop the daemon and run verify", err)
	if e.damaged.CompareAndSwap(nil, f) {
		e.env.Log("damage on disk", "error", err.Error())
	}
}

// assertf holds an invariant. It stays on in production: going on past a broken
// one would put wrong state on disk.
func assertf(ok bool, format string, args ...any) {
	if !ok {
		panic("statehouse: broken invariant: " + fmt.Sprintf(format, args...))
	}
}

// submit queues a proposal for the writer and sees to it that it is taken.
func (e *Engine) submit(p *proposal) error {
	if err := e.enqueue(p); err != nil {
		return err
	}
	e.stepSoon()
	return nil
}

func (e *Engine) enqueue(p *proposal) error {
	if len(p.agents) > 0 {
		if err := e.refusal(); err != nil {
			// What was committed is answered again even now.
			switch _, found, lookErr := e.committed(p.id); {
			case lookErr != nil:
				return inDoubt(err)
			case !found:
				return err
			}
		}
	}
	size := p.bytes()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return failf(ErrStopped, "the daemon is stopping; nothing was applied: retry when it is back")
	}
	if len(e.queue) >= e.opts.Limits.QueuedCommits {
		return limitErr("commits waiting for the writer", len(e.queue)+1, e.opts.Limits.QueuedCommits)
	}
	// One that fits its own limits has room in an empty queue, whatever it comes to.
	if len(e.queue) > 0 && e.queuedBytes+size > e.opts.Limits.StagedBytes {
		return limitErr("bytes waiting for the writer", e.queuedBytes+size, e.opts.Limits.StagedBytes)
	}
	e.queue = append(e.queue, p)
	e.queuedBytes += size
	if !p.interactive {
		e.undecided[p.id]++
	}
	return nil
}

// takeQueued takes what one step may hold from the queue's front.
func (e *Engine) takeQueued() []*proposal {
	e.mu.Lock()
	defer e.mu.Unlock()
	n, size, lookups := 0, 0, 0
	for n < len(e.queue) && (n == 0 || size < maxStepBytes && lookups < maxStepLookups) {
		size += e.queue[n].bytes()
		lookups += e.queue[n].lookups()
		n++
	}
	taken := e.queue[:n:n]
	if n == len(e.queue) {
		e.queue, e.queuedBytes = nil, 0
	} else {
		e.queue = e.queue[n:]
		e.queuedBytes -= size
	}
	return taken
}

// Close stops taking commits, answers those still queued, writes the witness and
// closes the store. Nobody may call the engine during or after it.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.stopped = true
	e.mu.Unlock()
	if e.inflight != nil {
		e.Settle()
	}
	for e.failed.Load() == nil && e.Step() {
	}
	e.refuseQueued()
	var errs []error
	if e.failed.Load() == nil && e.Published() > 0 {
		// One word for a clean end: the log as it is, in both slots' reach and synced.
		errs = append(errs, e.db.LogData(nil, pebble.Sync), e.witness.record(e.planner.head, 0), e.witness.sync())
	}
	errs = append(errs, e.witness.file.Close(), e.db.Close(), e.lock.Close())
	return errors.Join(errs...)
}

// isUndecided tells whether a one-shot commit of that id waits for the writer or
// for the disk, so that Outcome does not call never seen what is about to be there.
func (e *Engine) isUndecided(id TxnID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.undecided[id] > 0
}

func (e *Engine) decidedLocked(p *proposal) {
	if p.interactive {
		return // the transaction table knows
	}
	if e.undecided[p.id]--; e.undecided[p.id] == 0 {
		delete(e.undecided, p.id)
	}
}

// refuseQueued answers what the writer will never take.
func (e *Engine) refuseQueued() {
	e.mu.Lock()
	left := e.queue
	e.queue, e.queuedBytes = nil, 0
	for _, p := range left {
		e.decidedLocked(p)
	}
	e.mu.Unlock()
	for _, p := range left {
		p.ticket.answer(CommitResult{}, failf(ErrStopped, "the daemon stopped before this commit was taken; nothing was applied"))
	}
}

// broadcast wakes everybody who waits for a change.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{} // nil while nobody waits
}

func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) broadcast() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
