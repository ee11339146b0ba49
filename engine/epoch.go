package engine

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// A commit_ts alone does not name a commit: a store that is restored from a backup counts on
// from the commit that it was restored to, and gives the numbers after it to other commits.
// So each restore begins an epoch, and a commit_ts together with its epoch names one commit.

// Epoch is the store's epoch, 12 hex digits, and the commit after which it began: 0 if the
// store was never restored.
func (e *Engine) Epoch() (name string, began CommitTS) {
	c := e.meta.lineage.Current()
	return c.Name.String(), c.Began
}

// CheckEpoch refuses a commit_ts, cursor or page that was learnt in another epoch and means
// another commit in this one, with ErrEpoch. Of an earlier epoch everything up to the commit
// at which it ended is the same. An empty epoch is that of a client that saved none: whatever
// all epochs share is right for it.
func (e *Engine) CheckEpoch(name string, ts CommitTS) error {
	l := e.meta.lineage
	if name == "" {
		name = l[0].Name.String()
	}
	if upTo, known := l.Shared(name); known && ts <= upTo {
		return nil
	}
	c := l.Current()
	return words.Failf(ErrEpoch, "the store was restored as of commit %d and began epoch %s there: commit %d of epoch %q is another one here, or none; "+
		"read the state anew and go on from what it says", c.Began, c.Name, ts, name).
		With("epoch", c.Name.String()).With("began_ts", c.Began.String())
}

// BeginEpoch begins a new epoch in a store that no process has open, at its last commit: what
// is done with a store that was restored before anything is committed to it.
func BeginEpoch(env Env, dir string) (name string, began CommitTS, err error) {
	e, err := Open(env, Options{Dir: dir, MustExist: true, Tuning: Tuning{ManualCompaction: true}})
	if err != nil {
		return "", 0, err
	}
	next := layout.NewEpoch(env.Rand, e.Published())
	body := append(e.meta.lineage, next).Append(nil)
	err = storageOrNil(e.db.Set(epochKey, layout.SealRow(epochKey, body), pebble.Sync))
	return next.Name.String(), next.Began, errors.Join(err, e.Close())
}
