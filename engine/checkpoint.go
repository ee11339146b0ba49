package engine

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A checkpoint is a data directory that has what this store has, made while it is open: tables are linked, so
// it costs little until they are compacted away here. Another machine takes its files, and has this store.

// Checkpoint makes one in dir, which must not be there: everything that was applied, durable. It returns the
// last commit. The rule of Plan applies.
func (e *Engine) Checkpoint(dir string) (CommitTS, error) {
	if err := e.Healthy(); err != nil {
		return 0, err
	}
	fs := e.env.FS
	if err := errors.Join(e.Flush(), makeDir(fs, dir)); err != nil {
		return 0, err
	}
	if err := e.db.Checkpoint(fs.PathJoin(dir, storeName), pebble.WithFlushedWAL()); err != nil {
		return 0, storageError(err)
	}
	if err := makeWitness(fs, fs.PathJoin(dir, witnessName), e.head); err != nil {
		return 0, openFailure(err, "the witness of a checkpoint cannot be made")
	}
	if err := writeFileAtomic(fs, fs.PathJoin(dir, identityName), e.identity.encode()); err != nil {
		return 0, openFailure(err, "the identity file of a checkpoint cannot be written")
	}
	return e.head.ts, nil
}

// Install puts the store in from, a checkpoint that is whole and durable, in the place of the one in dir, which
// no process has open and which need not be there. What else dir has stays. When it is interrupted it must be
// called again before anything else is done with either.
func Install(fs vfs.FS, from, dir string) error {
	if err := makeDir(fs, dir); err != nil {
		return err
	}
	// The mark of what was there excuses a loss, and there is none to excuse.
	if err := fs.Remove(fs.PathJoin(dir, unsyncedName)); err != nil && !isNotExist(err) {
		return openFailure(err, "%s cannot be removed", unsyncedName)
	}
	for _, name := range []string{storeName, witnessName, identityName} { // the last makes it a store
		err := replace(fs, fs.PathJoin(from, name), fs.PathJoin(dir, name))
		if err == nil {
			err = errors.Join(syncDir(fs, dir), syncDir(fs, from))
		}
		if err != nil {
			return openFailure(err, "%s cannot be put in its place", name)
		}
	}
	return nil
}

// replace renames a file or directory, in whose place there may be another. Nothing is to be renamed: that
// has been done.
func replace(fs vfs.FS, from, to string) error {
	if _, err := fs.Stat(from); isNotExist(err) {
		return nil
	}
	if err := fs.RemoveAll(to); err != nil {
		return err
	}
	return fs.Rename(from, to)
}
