package engine

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/words"
)

// Options says where a store is and how it behaves. The zero value of a field
// means its default.
type Options struct {
	Dir    string // required
	Limits Limits
	// NoSync acknowledges commits when the operating system has them, before they are
	// on disk: a crash of the machine may lose the newest (G1 and G4 do not hold then).
	NoSync bool
	// Replicated says that a cluster keeps the store: its log makes commits durable before they are applied
	// here, which needs no sync then. Without it the directory of a cluster's member is refused.
	Replicated bool
	// Volatile says that the environment's file system ends with the process.
	Volatile bool
	// MustExist refuses to make a new store, so that a missing mount is not taken for
	// an empty directory.
	MustExist bool
	// AcceptMissingWitness opens a store whose witness is missing. The operator accepts
	// that the log may have lost its end.
	AcceptMissingWitness bool
	Tuning               Tuning
}

// Engine is the state machine over one store. Its methods may be called from any
// goroutine, except that only one goroutine at a time may call Plan, Settle, Step and
// Tick: Run does so in production, and a simulation has only one.
type Engine struct {
	env      Env
	opts     Options
	identity identity
	meta     meta // as of the start
	lock     io.Closer
	db       *store
	witness  *witness
	hot      *hotRecords
	txns     *txnTable
	watches  watches
	owner    owner
	place    atomic.Pointer[place]

	// Invariant: published <= durable <= planned (planner.head), asserted in publish.
	// Durable has no field: makeDurable syncs and publishes in one move.
	lastSync      atomic.Int64 // how long that of the last step took
	published     atomic.Uint64
	publishedTime atomic.Int64
	prunedTime    atomic.Int64 // commit_time of the last commit whose outcome was dropped; 0: none was

	// Used by the goroutine that steps, under stepMu; see stepSoon.
	stepMu      sync.Mutex
	head        mark        // the last commit that was applied. Invariant: published <= head <= planner.head
	running     atomic.Bool // Run is running: requests may step themselves
	state       *stepState  // what the planner reads
	planner     *planner
	inflight    *inflight
	unfired     error       // why the step has not ended what is due; nil: it has. No commit may come before that
	wakes       atomic.Bool // there may be wake-ups
	rows        rowWriter
	pruned      pruner
	space       spaceWatch
	placeLooked time.Time // when the directory's place was last checked

	system  systemRows
	chores  chores // of the goroutine that steps
	logs    struct{ renew atomic.Int32 }
	reached reached
	stalls  stalls

	mu        sync.Mutex
	queue     line
	undecided map[TxnID][]*proposal // Transacts queued or in a step; copies of one id together
	stopped   bool
	following atomic.Bool   // another machine plans: see follow.go. Written under mu
	wake      chan struct{} // holds a value when Run should look at the queue

	opened   atomic.Bool // set once, when Open succeeds
	haltOnce sync.Once
	halting  atomic.Bool             // set before failed: from here on nothing is acknowledged
	failed   atomic.Pointer[Failure] // set once: halted
	corrupt  atomic.Pointer[Failure] // set once: corrupt data was met
	full     atomic.Pointer[Failure] // set while space is short
}

func (e *Engine) now() time.Time { return time.Unix(0, e.env.Now().UnixNano()).UTC() }

// Published is the last commit that readers may see.
func (e *Engine) Published() CommitTS { return CommitTS(e.published.Load()) }

// PublishedTime is the commit_time of a commit that is published: of the last but for one that is being
// published now.
func (e *Engine) PublishedTime() time.Time { return time.Unix(0, e.publishedTime.Load()) }

// Limits are the limits in force.
func (e *Engine) Limits() Limits { return e.opts.Limits }

// Status is what an operator asks first.
type Status struct {
	Published      CommitTS
	LastCommitTime time.Time // zero before the first commit
	OpenTxns       int
	DiskUsed       uint64 // bytes of the store
	DiskFree       uint64 // bytes free on its disk, as of the last look
	Refused        error  // why writes are refused, nil while they are accepted
	Durable        bool
	StoreID        string
	Format         int
}

// Status reports the position and the condition of the store.
func (e *Engine) Status() Status {
	s := Status{
		Published: e.Published(),
		OpenTxns:  e.txns.count(),
		DiskUsed:  e.db.Metrics().DiskSpaceUsage(),
		DiskFree:  e.space.free.Load(),
		Refused:   e.refusal(),
		Durable:   (!e.opts.NoSync || e.opts.Replicated) && !e.opts.Volatile,
		StoreID:   e.identity.storeID,
		Format:    e.identity.format,
	}
	if s.Published > 0 {
		s.LastCommitTime = time.Unix(0, e.publishedTime.Load()).UTC()
	}
	return s
}

// Healthy is nil while storage can be trusted. A nearly full disk is healthy: reads
// go on, and writes are accepted again when there is space.
func (e *Engine) Healthy() error {
	if f := e.failed.Load(); f != nil {
		return f
	}
	if f := e.corrupt.Load(); f != nil {
		return f
	}
	return nil
}

// refusal is the reason why writes are refused now, or nil.
func (e *Engine) refusal() error {
	if err := e.Healthy(); err != nil {
		return err
	}
	if f := e.full.Load(); f != nil {
		return f
	}
	return nil
}

// halt ends the engine for good: storage can no longer be trusted (G7). failed is set
// only after Env.Halt was called.
func (e *Engine) halt(reason error) {
	e.haltOnce.Do(func() {
		e.halting.Store(true) // Halt may take a while, and meanwhile nothing may be acknowledged
		e.env.Halt(reason)
		// Clients need not know which file it was, nor where; the log does.
		e.failed.Store(words.Failf(ErrStorage, "storage failed: the daemon acknowledges nothing more and stops; its log tells why"))
	})
}

// noteCorruption records corruption that a read met. From then on writes are refused,
// since the state that they would build on is in doubt (G8).
func (e *Engine) noteCorruption(err error) {
	if !errors.Is(err, ErrDataLoss) {
		return
	}
	f := words.Failf(ErrDataLoss, "writes are refused since damage was met (%v): stop the daemon and run verify", err)
	if e.corrupt.CompareAndSwap(nil, f) {
		e.env.Log("damage on disk", "error", err.Error())
	}
}

// assertf panics if an invariant is broken. It stays on in production: going on would
// put wrong state on disk.
func assertf(ok bool, format string, args ...any) {
	if !ok {
		panic("statehouse: broken invariant: " + fmt.Sprintf(format, args...))
	}
}

// Close stops taking commits, answers those still queued, writes the witness and
// closes the store. No other method may be called during or after it.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.stopped = true
	e.mu.Unlock()
	if fl := e.inflight; fl != nil && fl.applied {
		e.Settle()
	} else if fl != nil { // whoever was to say whether it is applied has not
		e.inflight = nil
		e.answerUnknown(fl)
	}
	for e.failed.Load() == nil && e.chores.making == nil && e.hasQueued() && e.Step() {
	}
	e.db.releaseReaders()
	e.refuseQueued()
	var errs []error
	clean := e.failed.Load() == nil
	if clean && e.Published() > 0 {
		// Both pairs of the witness name the log's end, and everything is synced.
		errs = append(errs, e.db.LogData(nil, pebble.Sync), e.witness.record(e.head, 0), e.witness.sync())
	}
	errs = append(errs, e.witness.file.Close(), e.db.Close())
	if err := errors.Join(errs...); err == nil && clean && e.opts.NoSync {
		// Closing the log has synced it.
		errs = append(errs, removeUnsynced(e.env.FS, e.opts.Dir))
	}
	errs = append(errs, e.lock.Close())
	return errors.Join(errs...)
}
