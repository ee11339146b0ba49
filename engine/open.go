package engine

import (
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Open opens the store in opts.Dir, and makes one there when the directory is
// missing or empty (unless opts.MustExist). It recovers from any crash, and refuses a
// log that has lost its end. Errors: ErrInvalid, ErrNoStore,
// ErrUnusable, ErrLocked, ErrFormat, ErrDataLoss, ErrStorage.
func Open(env Env, opts Options) (*Engine, error) {
	if err := env.validate(); err != nil {
		return nil, err
	}
	opts.NoSync = opts.NoSync || opts.Replicated
	opts.Limits.setDefaults()
	opts.Tuning.setDefaults()
	if err := errors.Join(opts.Limits.validate(), opts.Tuning.validate()); err != nil {
		return nil, err
	}
	e := &Engine{env: env, opts: opts, wake: make(chan struct{}, 1), undecided: make(map[TxnID][]*proposal)}
	e.hot = newHotRecords(opts.Tuning.RecordBytes, &e.reached.RecordBytes)
	e.txns, e.watches.markEvery = newTxnTable(opts.Limits, &e.reached), CommitTS(opts.Tuning.MarkEvery)
	if err := prepareDir(env.FS, opts.Dir, opts.MustExist); err != nil {
		return nil, err
	}
	if !opts.Replicated {
		if err := refuseMember(env.FS, opts.Dir); err != nil {
			return nil, err
		}
	}
	lock, err := lockStore(&e.env, opts.Dir)
	if err != nil {
		return nil, err
	}
	e.lock = lock
	if err := e.openLocked(); err != nil {
		if e.witness != nil {
			_ = e.witness.file.Close()
		}
		if e.db != nil {
			_ = e.db.Close()
		}
		_ = lock.Close()
		return nil, err
	}
	e.opened.Store(true)
	return e, nil
}

func (e *Engine) openLocked() error {
	fs, dir := e.env.FS, e.opts.Dir
	id, err := readIdentityOf(fs, dir)
	if err != nil {
		return err
	}
	usage, err := fs.GetDiskUsage(dir)
	if err == nil {
		e.space.init(e.opts.Limits.DiskReserve, usage)
		if usage.AvailBytes < e.space.ballast { // Pebble cannot open without writing
			_ = fs.Remove(e.ballastPath())
		}
	}
	if e.opts.Tuning.MemTableBytes == 0 {
		e.opts.Tuning.MemTableBytes = memTableBytes(usage.TotalBytes)
	}
	if err := e.holdPlace(lockName); err != nil {
		return err
	}
	e.rows.rand = e.env.Rand
	head, lastTime, err := e.openStore(id)
	if err != nil {
		return err
	}
	if err := e.holdPlace(lockName, storeName, witnessName); err != nil {
		return err
	}
	e.head = head
	e.published.Store(uint64(head.ts))
	e.publishedTime.Store(lastTime.UnixNano())
	e.state = &stepState{dbState: dbState{e.db}, hot: e.hot, e: e}
	if err := e.db.loadActs(); err != nil {
		return err
	}
	if err := e.begin(&e.meta, lastTime); err != nil {
		return err
	}
	e.layBallast()
	e.checkSpace()
	return nil
}

// openStore opens Pebble's store, or makes one if there is no identity, and compares its
// log with the evidence beside it.
func (e *Engine) openStore(id *identity) (head mark, lastTime time.Time, err error) {
	fs, dir := e.env.FS, e.opts.Dir
	storeDir := fs.PathJoin(dir, storeName)
	ev, err := readEvidence(fs, dir)
	if err != nil {
		return head, lastTime, err
	}
	switch {
	case id == nil && ev.sawCommits():
		return head, lastTime, identityMissing(dir)
	case id != nil:
		e.owner.set(id.storeID)
		if err := e.inspect(storeDir, id, &ev); err != nil {
			return head, lastTime, err
		}
	}
	o := storeOptions(e.storeFS(&ev), e.opts.Tuning, pebbleLog{e.env.Log, e.halt}, e.events())
	o.BlockPropertyCollectors = []func() pebble.BlockPropertyCollector{e.owner.collector}
	o.ErrorIfNotExists = id != nil // a lost marker must not look like a new store
	if e.db, err = openPebble(storeDir, o); err != nil {
		return head, lastTime, openError(storeDir, "", err)
	}
	if head, lastTime, err = readHead(e.db); err != nil {
		return head, lastTime, err
	}
	if id == nil {
		if id, err = e.create(head, &ev); err != nil {
			return head, lastTime, err
		}
	}
	e.identity = *id
	if e.meta, err = readMeta(e.db, id.format); err != nil {
		return head, lastTime, err
	}
	e.rows.used = e.meta.used
	lost, err := ev.check(e.db, head)
	if err == nil {
		err = e.settle(&ev, head, lost)
	}
	return head, lastTime, err
}

// storeFS is the file system that Pebble uses.
func (e *Engine) storeFS(ev *evidence) vfs.FS {
	fs := vfs.FS(guardFS{logsFS{placedFS{ev.view(e.env.FS), e.inPlace}, &e.logs.renew}, e.halt, e.env.Observe})
	if e.opts.NoSync {
		fs = lazyFS{fs}
	}
	return fs
}

// create finishes a new store. It writes the identity file last: after a crash before
// that the next Open starts again from what is there.
func (e *Engine) create(head mark, ev *evidence) (*identity, error) {
	fs, dir := e.env.FS, e.opts.Dir
	if head.ts != 0 {
		return nil, identityMissing(dir)
	}
	// An interrupted creation may have written tables under an id.
	storeID, err := adoptedOwner(e.db.DB)
	if err != nil {
		return nil, err
	}
	if storeID == "" {
		storeID = string(layout.NewTxnID(e.now(), e.env.Rand))
	}
	e.owner.set(storeID)
	if err := e.beginStore(storeID, head, layout.Lineage{layout.NewEpoch(e.env.Rand, 0)}, layout.ChainHash{}); err != nil {
		return nil, err
	}
	if ev.witness, err = readWitness(fs, fs.PathJoin(dir, witnessName)); err != nil {
		return nil, openFailure(err, "the witness cannot be read")
	}
	id := &identity{format: FormatVersion, storeID: storeID}
	e.env.Log("made a new store", "dir", dir, "store", id.storeID)
	return id, nil
}

// beginStore makes a store of what was written: up to a commit, or nothing yet. Everything is
// durable before the identity file is written, with which the store begins to be one.
func (e *Engine) beginStore(storeID string, head mark, l layout.Lineage, base layout.ChainHash) error {
	fs, dir := e.env.FS, e.opts.Dir
	// Pebble writes the first WAL of a store in an older format, in which corruption goes
	// unnoticed: write rows and flush, so that a new WAL is begun.
	if err := writeMeta(e.db.DB, l, base, e.rows.used); err != nil {
		return err
	}
	if err := makeWitness(fs, fs.PathJoin(dir, witnessName), head); err != nil {
		return openFailure(err, "the witness cannot be made")
	}
	id := identity{format: FormatVersion, storeID: storeID}
	if err := writeFileAtomic(fs, fs.PathJoin(dir, identityName), id.encode()); err != nil {
		return words.Failf(ErrStorage, "the identity file cannot be written: %v", err)
	}
	return nil
}

// pruner remembers how far outcomes have been dropped. See outcome.go.
type pruner struct {
	floor   CommitTS // outcomes of commits up to here are gone
	nextDue int64    // commit_time of floor+1 in Unix nanoseconds; 0: not read yet
}
