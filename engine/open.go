package engine

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Open opens the store in opts.Dir, and makes one there when the directory is
// missing or empty (unless opts.MustExist). It recovers from whatever a crash
// left, and refuses a log that has lost its tail. Errors: ErrInvalid, ErrNoStore,
// ErrUnusable, ErrLocked, ErrFormat, ErrDataLoss, ErrStorage.
func Open(env Env, opts Options) (*Engine, error) {
	if err := env.validate(); err != nil {
		return nil, err
	}
	opts.Limits.setDefaults()
	if err := opts.Limits.validate(); err != nil {
		return nil, err
	}
	e := &Engine{env: env, opts: opts, wake: make(chan struct{}, 1), undecided: make(map[TxnID][]*proposal), txns: newTxnTable(opts.Limits)}
	if err := prepareDir(env.FS, opts.Dir, opts.MustExist); err != nil {
		return nil, err
	}
	lock, err := env.FS.Lock(env.FS.PathJoin(opts.Dir, lockName))
	if err != nil {
		return nil, failf(ErrLocked, "%s is in use by another process (or cannot be locked): %v", opts.Dir, err)
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
	id, err := readIdentity(fs, fs.PathJoin(dir, identityName))
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
	storeDir := fs.PathJoin(dir, storeName)
	if id != nil {
		if err := e.inspect(storeDir); err != nil {
			return err
		}
	}
	o := storeOptions(guardFS{fs, e.halt}, e.opts.Tuning, pebbleLog{e.env.Log, e.halt}, e.events())
	o.ErrorIfNotExists = id != nil // a lost marker must not look like a new store
	if e.db, err = pebble.Open(storeDir, o); err != nil {
		e.db = nil
		return openError(storeDir, err)
	}
	head, lastTime, err := readHead(e.db)
	if err != nil {
		return err
	}
	if id == nil {
		if id, err = e.create(head); err != nil {
			return err
		}
	}
	e.identity = *id
	marks, turn, err := readWitness(fs, fs.PathJoin(dir, witnessName))
	if err != nil {
		return storageError(err)
	}
	if err := checkWitness(e.db, head, marks); err != nil {
		return err
	}
	if e.witness, err = openWitness(fs, fs.PathJoin(dir, witnessName), turn); err != nil {
		return storageError(err)
	}
	e.published.Store(uint64(head.ts))
	e.publishedTime.Store(lastTime.UnixNano())
	e.planner = newPlanner(dbState{e.db}, head, lastTime, e.opts.Limits)
	if e.pruned.floor, err = readFloor(e.db); err != nil {
		return err
	}
	if e.pruned.floor > 0 {
		row, err := readLogRow(e.db, e.pruned.floor)
		if err != nil {
			return err
		}
		e.prunedTime.Store(row.commitTime.UnixNano())
	}
	e.layBallast()
	e.checkSpace()
	return nil
}

// prepareDir makes sure dir can hold a store, each obstacle with its own words.
func prepareDir(fs vfs.FS, dir string, mustExist bool) error {
	if dir == "" {
		return failf(ErrInvalid, "no data directory is given")
	}
	info, err := fs.Stat(dir)
	switch {
	case isNotExist(err) && mustExist:
		return failf(ErrNoStore, "%s does not exist, and a store must (is a mount missing?)", dir)
	case isNotExist(err):
		return makeDir(fs, dir)
	case err != nil:
		return failf(ErrUnusable, "%s cannot be looked at: %v", dir, err)
	case !info.IsDir():
		return failf(ErrUnusable, "%s is a file, not a directory", dir)
	}
	names, err := fs.List(dir)
	if err != nil {
		return failf(ErrUnusable, "%s cannot be listed: %v", dir, err)
	}
	isStore := slices.Contains(names, identityName)
	if mustExist && !isStore {
		return failf(ErrNoStore, "%s holds no store, and one must be there", dir)
	}
	if !isStore {
		for _, n := range names {
			if n != storeName && n != witnessName && n != ballastName && n != lockName && n != identityName+".tmp" {
				return failf(ErrUnusable, "%s holds %q, which is not of a Statehouse store: choose an empty directory", dir, n)
			}
		}
		// An attempt that was killed may have made dir, or directories above it, and
		// not synced their names. Not all of them need be ours to sync.
		for at := dir; at != fs.PathDir(at); at = fs.PathDir(at) {
			_ = syncDir(fs, fs.PathDir(at))
		}
	}
	return checkWritable(fs, dir)
}

// makeDir makes dir and what is missing above it, and makes their names durable:
// a synced file is lost all the same when the name of its directory is not there.
func makeDir(fs vfs.FS, dir string) error {
	above := []string{fs.PathDir(dir)}
	for at := above[0]; at != fs.PathDir(at); {
		if _, err := fs.Stat(at); !isNotExist(err) {
			break
		}
		at = fs.PathDir(at)
		above = append(above, at)
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return failf(ErrUnusable, "%s cannot be made: %v", dir, err)
	}
	for _, at := range above {
		if err := syncDir(fs, at); err != nil {
			return failf(ErrUnusable, "%s, which %s is in, cannot be synced: %v", at, dir, err)
		}
	}
	return nil
}

func checkWritable(fs vfs.FS, dir string) error {
	probe := fs.PathJoin(dir, lockName)
	f, err := fs.OpenReadWrite(probe, vfs.WriteCategoryUnspecified)
	if err != nil {
		return failf(ErrUnusable, "%s is not writable: %v", dir, err)
	}
	_ = f.Close()
	return nil
}

func openError(dir string, err error) error {
	switch {
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return failf(ErrDataLoss, "%s has lost its files: the directory says it is a store, but Pebble finds none", dir)
	case pebble.IsCorruptionError(err):
		return failf(ErrDataLoss, "%s is damaged: %v", dir, err)
	}
	return failf(ErrStorage, "%s cannot be opened: %v", dir, err)
}

// create finishes a new store. The identity file comes last: a crash before it
// leaves an attempt that the next open takes up again.
func (e *Engine) create(head mark) (*identity, error) {
	fs, dir := e.env.FS, e.opts.Dir
	if head.ts != 0 {
		return nil, failf(ErrDataLoss, "%s holds %d commits but its file %s is missing", dir, head.ts, identityName)
	}
	// The first WAL of a store is made in an older format, in which damage goes
	// unnoticed: write something and leave that WAL behind.
	key := []byte{metaTag, 'f'}
	if err := e.db.Set(key, sealRow(key, []byte{FormatVersion}), pebble.Sync); err != nil {
		return nil, storageError(err)
	}
	if err := e.db.Flush(); err != nil {
		return nil, storageError(err)
	}
	id := &identity{format: FormatVersion, storeID: string(newTxnID(e.now(), e.env.Rand))}
	if err := writeFileAtomic(fs, fs.PathJoin(dir, identityName), id.encode()); err != nil {
		return nil, failf(ErrStorage, "the identity file cannot be written: %v", err)
	}
	e.env.Log("made a new store", "dir", dir, "store", id.storeID)
	return id, nil
}

// checkWitness refuses a log that ends before, or differs from, what the witness
// saw: commits that were acknowledged are gone or changed.
func checkWitness(r pebble.Reader, head mark, marks []mark) error {
	for _, m := range marks {
		if m.ts == 0 {
			continue
		}
		if m.ts > head.ts {
			return failf(ErrDataLoss, "the log ends at commit %d but the witness saw commit %d: acknowledged commits are lost", head.ts, m.ts).
				with("log_head", head.ts.String()).with("witness_head", m.ts.String())
		}
		row, err := readLogRow(r, m.ts)
		if err != nil {
			return err
		}
		if row.hash != m.hash {
			return failf(ErrDataLoss, "commit %d is not the one the witness saw: the log was changed", m.ts)
		}
	}
	return nil
}

// pruner remembers how far outcomes have been dropped. See outcome.go.
type pruner struct {
	floor   CommitTS // outcomes of commits up to here are gone
	nextDue int64    // commit_time of floor+1 in Unix nanoseconds; 0: not read yet
}

var floorKey = []byte{metaTag, 'o'}

func readFloor(r pebble.Reader) (CommitTS, error) {
	body, err := getRow(r, floorKey)
	if body == nil || err != nil {
		return 0, err
	}
	v, n := binary.Uvarint(body)
	if n <= 0 {
		return 0, damagedRow(floorKey, "malformed")
	}
	return CommitTS(v), nil
}
