package engine

import (
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// Looking before touching. Pebble takes damage near the end of its manifest for
// the manifest's end: it opens with the tables of an earlier time, lays the logs
// that are still there on top, so that the newest commits are present and older
// ones are not, and removes the tables that it no longer knows. So an existing
// store is opened read-only first, and what is found wrong then has destroyed
// nothing and is found again the next time.

// minCommitBytes is less than the smallest commit takes in a log.
const minCommitBytes = 128

// inspect refuses a store whose log has lost its tail or has a hole.
func (e *Engine) inspect(storeDir string) error {
	fs := e.env.FS
	logBytes, err := logFileBytes(e, storeDir)
	if err != nil {
		return storageError(err)
	}
	marks, _, err := readWitness(fs, fs.PathJoin(e.opts.Dir, witnessName))
	if err != nil {
		return storageError(err)
	}
	t := Tuning{MemTableBytes: e.opts.Tuning.MemTableBytes, CacheBytes: 8 << 20, ManualCompaction: true}
	events := &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}} // a read answers it, too
	o := storeOptions(fs, t, pebbleLog{e.env.Log, e.halt}, events)
	o.ReadOnly, o.ErrorIfNotExists = true, true
	db, err := pebble.Open(storeDir, o)
	if err != nil {
		return openError(storeDir, err)
	}
	head, _, err := readHead(db)
	if err == nil {
		err = checkWitness(db, head, marks)
	}
	if err == nil {
		err = checkDense(db, head, logBytes/minCommitBytes+1)
	}
	if err == nil {
		_, err = readFloor(db)
	}
	return errors.Join(err, db.Close())
}

// logFileBytes is the size of Pebble's logs: what can be laid on top of tables.
func logFileBytes(e *Engine, storeDir string) (total uint64, err error) {
	fs := e.env.FS
	names, err := fs.List(storeDir)
	if isNotExist(err) {
		return 0, nil // Pebble says it better
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		info, err := fs.Stat(fs.PathJoin(storeDir, name))
		if err != nil {
			return 0, err
		}
		total += uint64(info.Size())
	}
	return total, err
}

// checkDense walks back from the head over as many commits as logs may hold, and
// one more, which is in a table: a hole between tables and logs is among those.
func checkDense(r pebble.Reader, head mark, count uint64) error {
	it, err := newRowIter(r, []byte{logTag}, []byte{logTag + 1})
	if err != nil {
		return err
	}
	want := head.ts
	for ok := it.last(); ok && want > 0 && count > 0; ok = it.previous() {
		if ts, good := splitLogKey(it.key()); !good || ts != want {
			break
		}
		want--
		count--
	}
	if err := it.close(); err != nil {
		return err
	}
	if want > 0 && count > 0 {
		return failf(ErrDataLoss, "commit %d is missing from the log, which goes on to commit %d: older tables are lost", want, head.ts)
	}
	return nil
}
