package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// restoringName is a file that stands in a directory from the first act of a restore to its last.
// A directory with it and without an identity is no store, whatever else it holds.
const restoringName = "RESTORING"

// Restore makes a store of the rows of a backup. Nothing counts before Finish, which writes the
// identity file last: a restore that is interrupted leaves a directory that neither a daemon nor another
// restore takes.
type Restore struct {
	e       *Engine
	check   *Checker
	floor   CommitTS // outcomes of commits up to here are left out
	batch   *pebble.Batch
	until   CommitTS  // the last commit to restore; 0: any
	by      time.Time // and its latest time; zero: any
	stopped bool      // it was reached
	from    Stretch
	lineage layout.Lineage

	// first is what was gone of the first stretch; nil: there was no other one yet.
	first  *went
	erased CommitTS // the last commit of an erasure whose taking out was done again
	system []SystemChange
	// Forgotten names the namespaces whose retention is not restored: see Finish.
	Forgotten []string
}

// RestoreOptions say what is restored, and where.
type RestoreOptions struct {
	Dir   string
	First Stretch // of the backup; it begins the log
	// OutcomesAfter is the last one of any stretch of the backup that is used.
	OutcomesAfter CommitTS
	// Until and By end the restore at a commit, or with the last commit of a time; zero: all.
	Until CommitTS
	By    time.Time
}

// BeginRestore begins a store in a directory that does not exist yet, or is empty.
func BeginRestore(env Env, o RestoreOptions) (*Restore, error) {
	if err := env.validate(); err != nil {
		return nil, err
	}
	switch {
	case o.First.After != 0:
		return nil, words.Failf(ErrInvalid, "the backup begins after commit %d: what came before is in an earlier one", o.First.After)
	case o.First.Format != FormatVersion:
		return nil, words.Failf(ErrFormat, "the backup is of a store of format %d, and this build restores format %d", o.First.Format, FormatVersion)
	}
	if err := knowFeatures(o.First.Features); err != nil {
		return nil, err
	}
	l, ok := layout.LineageOf(o.First.Epochs)
	if !ok {
		return nil, words.Failf(ErrDataLoss, "the backup does not say which epochs its store had")
	}
	r := &Restore{lineage: l, check: NewChecker(o.First), floor: o.OutcomesAfter, until: o.Until, by: o.By, from: o.First}
	e := &Engine{env: env, opts: Options{Dir: o.Dir, Tuning: Tuning{MemTableBytes: maxMemTable, CacheBytes: 8 << 20}}}
	e.opts.Tuning.setDefaults()
	r.e = e
	if err := claimEmpty(&env, o.Dir); err != nil {
		return nil, err
	}
	lock, err := lockStore(&e.env, o.Dir)
	if err != nil {
		return nil, err
	}
	e.lock = lock
	e.owner.set(o.First.StoreID)
	e.rows.used = features // of all segments; what is not used does no harm
	storeDir := env.FS.PathJoin(o.Dir, storeName)
	po := storeOptions(guardFS{FS: env.FS, halt: e.halt}, e.opts.Tuning, pebbleLog{env.Log, e.halt}, nil)
	po.BlockPropertyCollectors = []func() pebble.BlockPropertyCollector{e.owner.collector}
	po.ErrorIfExists = true
	if e.db, err = openPebble(storeDir, po); err != nil {
		_ = lock.Close()
		return nil, openError(storeDir, "", err)
	}
	r.batch = e.db.NewBatch()
	return r, nil
}

// claimEmpty makes a directory, or takes an empty one, and marks it as one that is being restored.
func claimEmpty(env *Env, dir string) error {
	if dir == "" {
		return words.Failf(ErrInvalid, "no data directory is given")
	}
	fs := env.FS
	info, err := fs.Stat(dir)
	switch {
	case isNotExist(err):
		if err := makeDir(fs, dir); err != nil {
			return err
		}
	case err != nil:
		return openFailure(err, "%s cannot be looked at", dir)
	case !info.IsDir():
		return words.Failf(ErrUnusable, "%s is a file, not a directory", dir)
	}
	names, err := fs.List(dir)
	if err != nil {
		return openFailure(err, "%s cannot be listed", dir)
	}
	names = slices.DeleteFunc(names, ofSystem)
	switch {
	case slices.Contains(names, identityName):
		return words.Failf(ErrUnusable, "%s holds a store, and a restore writes over none: choose a new directory", dir)
	case slices.Contains(names, restoringName):
		return interruptedRestore(dir)
	case len(names) > 0:
		return words.Failf(ErrUnusable, "%s is not empty (it holds %q): choose a new directory", dir, names[0])
	}
	if err := writeFileAtomic(fs, fs.PathJoin(dir, restoringName), []byte("Statehouse is being restored here.\n")); err != nil {
		return words.Failf(ErrStorage, "%s is not writable: %v", dir, err)
	}
	return nil
}

func interruptedRestore(dir string) *Failure {
	return words.Failf(ErrUnusable, "%s holds a restore that did not end: remove the directory and restore again", dir)
}

// Continue goes on with the next stretch of the backup.
func (r *Restore) Continue(of Stretch) error {
	if r.first == nil {
		first := r.check.went
		r.first = &first
	}
	r.system = nil // the next one's replace them
	return r.check.Continue(of)
}

// Stopped reports whether the last commit to restore was reached.
func (r *Restore) Stopped() bool { return r.stopped }

// Head is the last commit that was restored.
func (r *Restore) Head() CommitTS { return r.check.head.ts }

// Commits adds rows of whole commits, as far as they are to be restored. Each is checked first.
func (r *Restore) Commits(rows []Row) error {
	for len(rows) > 0 && !r.stopped {
		ts, at, err := r.check.Next(rows)
		if err != nil {
			return err
		}
		if r.until > 0 && ts > r.until || !r.by.IsZero() && at.After(r.by) {
			r.stopped = true
			break
		}
		n, err := r.check.Commit(rows)
		if err != nil {
			return err
		}
		if ts > 0 && r.check.manyAt == ts {
			if err := r.carryOut(); err != nil {
				return err
			}
		}
		for _, row := range rows[:n] {
			if row.Key[0] == layout.OutcomeTag && ts <= r.floor && madeBy(outcomeID(row.Key), at.Add(clockSlack)) {
				continue // as the store that was backed up had dropped it, or would have
			}
			_ = r.batch.Set(row.Key, row.Value, nil)
			switch row.Key[0] {
			case forkTag:
				r.tookFork(row)
			case rangeTag:
				r.tookRange(row)
			}
		}
		rows = rows[n:]
		if r.check.erasure > r.erased {
			if err := r.takeOut(r.check.erasure); err != nil {
				return err
			}
		}
		if r.batch.Len() >= exportBytes {
			if err := r.apply(); err != nil {
				return err
			}
		}
	}
	return nil
}

// AddSystem adds rows of the system, which come before the commits of their stretch. Of two of a name
// the later one counts.
func (r *Restore) AddSystem(changes ...SystemChange) error {
	for _, c := range changes {
		if c.Kind != movedKind {
			r.system = append(r.system, c)
		} else if err := r.addMoved(c.Body); err != nil {
			return err
		}
	}
	return r.check.System(changes...)
}

func outcomeID(key []byte) TxnID {
	d := layout.Decoder{Rest: key[1:]}
	return d.TxnID()
}

func (r *Restore) apply() error {
	err := r.e.db.Apply(r.batch, pebble.NoSync)
	_ = r.batch.Close()
	r.batch = r.e.db.NewBatch()
	return storageOrNil(err)
}

// Finish ends the restore with its last commit, in a new epoch. Only now is there a store. When it
// ends before the stretch does, the rows of the system are of later: what was asked to be kept of a
// namespace may have been asked for later, too, and would take what the restore is to bring back. So
// it is Forgotten.
func (r *Restore) Finish() (epoch string, at time.Time, err error) {
	if !r.stopped {
		if err := r.check.Ended(); err != nil {
			return "", at, err
		}
	}
	e, head := r.e, r.check.head
	at = r.check.last
	if head.ts == 0 {
		return "", at, words.Failf(ErrInvalid, "no commit would be restored")
	}
	if err := r.check.EndsAt(head.ts); err != nil {
		return "", at, err
	}
	if err := r.finishSystem(); err != nil {
		return "", at, err
	}
	if err := r.finishHolds(); err != nil {
		return "", at, err
	}
	if floor := min(r.floor, head.ts); floor > 0 {
		r.set(floorKey, binary.AppendUvarint(nil, uint64(floor)))
	}
	if err := r.apply(); err != nil {
		return "", at, err
	}
	next := layout.NewEpoch(e.env.Rand, head.ts)
	if err := e.beginStore(r.from.StoreID, head, r.lineage.Restored(head.ts, next), r.from.AfterHash); err != nil {
		return "", at, err
	}
	fs := e.env.FS
	if err := fs.Remove(fs.PathJoin(e.opts.Dir, restoringName)); err != nil {
		return "", at, words.Failf(ErrStorage, "the store is whole, but its file %s cannot be removed: %v", restoringName, err)
	}
	return next.Name.String(), at, storageOrNil(syncDir(fs, e.opts.Dir))
}

func (r *Restore) set(key, body []byte) { _ = r.batch.Set(key, layout.SealRow(key, body), nil) }

// Close ends the restore, finished or not.
func (r *Restore) Close() error {
	_ = r.batch.Close()
	err := errors.Join(r.e.db.Close(), r.e.lock.Close())
	if err != nil {
		return fmt.Errorf("the restored store does not close: %w", err)
	}
	return nil
}
