package engine

import (
	"context"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
)

// DiskPart is something that takes space, and how much.
type DiskPart struct {
	Name  string
	Bytes uint64
}

// DiskUsage is what takes space in the data directory. What tables hold is estimated from
// their sizes: rows that were overwritten or dropped count until a compaction leaves them out.
type DiskUsage struct {
	Parts []DiskPart
	Total uint64
	Free  uint64 // on the disk
}

// partsOfStore are the rows of the store, by their tags.
var partsOfStore = []struct {
	name string
	tags string
}{
	{"values", string(rune(layout.RecordTag))}, // of all versions
	{"history", string(rune(layout.EventTag))},
	{"log", string(rune(layout.LogTag))},
	{"outcomes", string(rune(layout.OutcomeTag))},
	{"indexes", string([]rune{layout.AgentTag, forkTag, rangeTag, layout.NamespaceTag, layout.HoldTag, layout.TimerTag, readyTag})},
	{"system", string([]rune{layout.MetaTag, systemTag})},
	{"imports", string(rune(stagedTag))}, // under way
}

// DiskUsage reports what takes space.
func (e *Engine) DiskUsage() (DiskUsage, error) {
	var u DiskUsage
	add := func(name string, bytes uint64) {
		u.Parts = append(u.Parts, DiskPart{name, bytes})
		u.Total += bytes
	}
	for _, part := range partsOfStore {
		bytes := uint64(0)
		for _, tag := range []byte(part.tags) {
			n, err := e.db.EstimateDiskUsage([]byte{tag}, []byte{tag + 1})
			if err != nil {
				return u, storageError(err)
			}
			bytes += n
		}
		add(part.name, bytes)
	}
	m := e.db.Metrics()
	// Of the log that is written now Pebble knows what is in it, and not its file.
	add("write-ahead log", max(m.WAL.PhysicalSize, m.WAL.Size))
	add("obsolete files", m.Table.ObsoleteSize+m.Table.ZombieSize+m.WAL.ObsoletePhysicalSize)
	fs, dir := e.env.FS, e.opts.Dir
	for _, part := range []string{"capture", ballastName} {
		bytes, err := sizeOf(fs, fs.PathJoin(dir, part))
		if err != nil {
			return u, openFailure(err, "%s cannot be looked at", part)
		}
		add(part, bytes)
	}
	u.Free = e.space.free.Load()
	if d, err := fs.GetDiskUsage(dir); err == nil {
		u.Free = d.AvailBytes
	}
	return u, nil
}

// sizeOf adds up the files under a path; nothing is there, nothing is added.
func sizeOf(fs vfs.FS, path string) (bytes uint64, err error) {
	info, err := fs.Stat(path)
	if isNotExist(err) {
		return 0, nil
	}
	if err != nil || !info.IsDir() {
		if err == nil {
			bytes = uint64(info.Size())
		}
		return bytes, err
	}
	names, err := fs.List(path)
	for _, name := range names {
		if err != nil {
			break
		}
		var n uint64
		n, err = sizeOf(fs, fs.PathJoin(path, name))
		bytes += n
	}
	return bytes, err
}

// compactionStride is about how many bytes are compacted between reports.
const compactionStride = 64 << 20

// CompactAll rewrites the store's files, so that what was erased, pruned, dropped or overwritten
// before the call is in none of them. It takes as long as reading and writing all of it does, and as
// much free space; other work goes on meanwhile. report, unless nil, is told the bytes done, of how
// many; its error ends the compaction.
//
// The manifest names keys at which tables begin and end, until the next start.
func (e *Engine) CompactAll(ctx context.Context, report func(done, total uint64) error) error {
	if err := e.refusal(); err != nil {
		return err
	}
	if err := e.Flush(); err != nil {
		return err
	}
	bounds, err := e.strides()
	if err != nil {
		return err
	}
	total, done := uint64(0), uint64(0)
	sizes := make([]uint64, len(bounds)-1)
	for i := range sizes {
		if sizes[i], err = e.db.EstimateDiskUsage(bounds[i], bounds[i+1]); err != nil {
			return storageError(err)
		}
		total += sizes[i]
	}
	for i, size := range sizes {
		if err := e.db.Compact(ctx, bounds[i], bounds[i+1], false); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return storageError(err)
		}
		done += size
		if report != nil {
			if err := report(done, total); err != nil {
				return err
			}
		}
	}
	return e.renewLogs()
}

// strides cuts the store into stretches that are compacted one after the other.
func (e *Engine) strides() ([][]byte, error) {
	bounds := [][]byte{{0}}
	levels, err := e.db.SSTables()
	if err != nil {
		return nil, storageError(err)
	}
	size := uint64(0)
	for _, table := range levels[len(levels)-1] { // in the order of their keys
		if size += table.Size; size >= compactionStride {
			if last := bounds[len(bounds)-1]; layout.Comparer.Compare(table.Largest.UserKey, last) > 0 {
				bounds = append(bounds, table.Largest.UserKey)
			}
			size = 0
		}
	}
	return append(bounds, []byte{0xff}), nil
}

// renewLogs leaves behind all logs that there are: Pebble keeps those that it needs no more and
// writes the next ones over them, and what they held stands behind what is written until then.
func (e *Engine) renewLogs() error {
	e.logs.renew.Add(1)
	defer e.logs.renew.Add(-1)
	for range memTables + 2 { // it keeps one more than memtables, and writes one
		if err := e.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// logsFS makes a new log of one that is to be written over, while logs are renewed.
type logsFS struct {
	vfs.FS
	renew *atomic.Int32
}

func (l logsFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if l.renew.Load() == 0 {
		return l.FS.ReuseForWrite(oldname, newname, c)
	}
	if err := l.FS.Remove(oldname); err != nil {
		return nil, err
	}
	return l.FS.Create(newname, c)
}

func (l logsFS) Unwrap() vfs.FS { return l.FS }
