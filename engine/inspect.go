package engine

import (
	"errors"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// An existing store is opened read-only first. Pebble takes corruption near the end of
// its manifest for the manifest's end: it opens with the tables of an earlier time,
// applies the logs that are still there, so that the newest commits are present and
// older ones are not, and removes the tables that it does not know. A read-only open
// destroys nothing, so what it finds wrong is found again the next time.

// minCommitBytes is a lower bound of a commit's size in a log.
const minCommitBytes = 128

// inspect refuses a store whose log has lost its end or has a hole, or whose tables are
// not those that it wrote.
func (e *Engine) inspect(storeDir string, id *identity, ev *evidence) error {
	fs := e.env.FS
	logBytes, err := logFileBytes(fs, storeDir)
	if err != nil {
		return openFailure(err, "%s cannot be looked at", storeDir)
	}
	t := Tuning{MemTableBytes: e.opts.Tuning.MemTableBytes, CacheBytes: 8 << 20, ManualCompaction: true}
	db, err := openToRead(fs, storeDir, id, ev, t, pebbleLog{e.env.Log, e.halt})
	if err != nil {
		return err
	}
	var head mark
	if err = checkFeatures(db); err == nil {
		head, _, err = readHead(db)
	}
	if err == nil && ev.witnessMissing(head) && !e.opts.AcceptMissingWitness {
		err = missingWitness(fs.PathJoin(e.opts.Dir, witnessName))
	}
	if err == nil {
		_, err = ev.check(db, head)
	}
	if err == nil {
		err = checkDense(db, head, logBytes/minCommitBytes+1)
	}
	if err == nil {
		_, err = readMeta(db, id.format)
	}
	if err == nil {
		err = new(chores).load(systemReader{db.DB}) // whatever is read at the start
	}
	if err == nil {
		err = new(forks).load(db)
	}
	return errors.Join(err, db.Close())
}

// openToRead opens a store without changing it and checks that its files belong to it.
// Its errors name the file that is wrong.
func openToRead(fs vfs.FS, storeDir string, id *identity, ev *evidence, t Tuning, log pebbleLog) (*store, error) {
	switch _, err := fs.Stat(storeDir); {
	case isNotExist(err):
		return nil, lostFiles(storeDir)
	case err != nil:
		return nil, openFailure(err, "%s cannot be looked at", storeDir)
	}
	read := &readingFS{FS: ev.view(fs)}
	events := &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}} // the read reports it, too
	o := storeOptions(read, t, log, events)
	o.ReadOnly, o.ErrorIfNotExists = true, true
	db, err := openPebble(storeDir, o)
	if err != nil {
		log.log("the store does not open", "error", err.Error())
		return nil, openError(storeDir, read.file(), err)
	}
	if err := checkOwner(db.DB, id); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// readingFS remembers the log, manifest or options file that was opened last. Pebble
// reads them one after the other, so when it fails that is the corrupt one.
type readingFS struct {
	vfs.FS
	last atomic.Pointer[string]
}

func (r *readingFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	base := r.PathBase(name)
	if isLog(r, name) || strings.HasPrefix(base, "MANIFEST-") || strings.HasPrefix(base, "OPTIONS-") {
		r.last.Store(&base)
	}
	return r.FS.Open(name, opts...)
}

func (r *readingFS) Unwrap() vfs.FS { return r.FS }

func (r *readingFS) file() string {
	if last := r.last.Load(); last != nil {
		return *last
	}
	return ""
}

// logFileBytes is the total size of Pebble's logs, which bounds the commits in them.
func logFileBytes(fs vfs.FS, storeDir string) (total uint64, err error) {
	names, err := fs.List(storeDir)
	if isNotExist(err) {
		return 0, nil // openToRead reports it
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

// checkDense walks back from the head over count commits: as many as the logs can hold
// and one more, which is in a table. A hole between tables and logs is among them.
func checkDense(r *store, head mark, count uint64) error {
	it, err := newRowIter(r, []byte{layout.LogTag}, []byte{layout.LogTag + 1})
	if err != nil {
		return err
	}
	want := head.ts
	for ok := it.last(); ok && want > 0 && count > 0; ok = it.previous() {
		if ts, good := layout.SplitLogKey(it.key()); !good || ts != want {
			break
		}
		want--
		count--
	}
	if err := it.close(); err != nil {
		return err
	}
	if want > 0 && count > 0 {
		return words.Failf(ErrDataLoss, "commit %d is missing from the log, which goes on to commit %d: older tables are lost", want, head.ts)
	}
	return nil
}
