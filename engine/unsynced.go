package engine

import (
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Running without syncs (Options.NoSync). A commit is written to the operating system
// before it is acknowledged, so a crash of the process loses nothing. A crash of the
// machine can lose the newest commits, and only those. Three things see to that:
//
//   - Pebble commits as usual and waits for the sync of its log; lazyFS makes that sync
//     do nothing. Pebble's own NoSync would leave commits in the memory of the process.
//   - A log is synced when it is closed. Pebble closes a log before it begins the next or
//     flushes its content, so at most the newest log is unsynced: a prefix of the commits
//     survives, never a later one without an earlier one.
//   - A mark in the data directory says since which commit the store runs without syncs.
//     With it, a log that ends before a commit that the witness names is not corrupt, and
//     a log in which a crash left a hole ends there (prefixFS).

// unsyncedName is the mark's file. It exists from before the first commit that is
// acknowledged without a sync until everything is durable again.
const unsyncedName = "unsynced"

const unsyncedText = "Statehouse ran without syncs\ndurable %d\nhash %x\n"

func encodeUnsynced(m mark) []byte {
	text := fmt.Sprintf(unsyncedText, m.ts, m.hash[:])
	return fmt.Appendf(nil, "%schecksum %08x\n", text, crc32.Checksum([]byte(text), layout.Castagnoli))
}

// readUnsynced returns the commit up to which everything was durable when the store last
// began to run without syncs, or nil if everything is durable.
func readUnsynced(fs vfs.FS, dir string) (*mark, error) {
	data, err := readFile(fs, fs.PathJoin(dir, unsyncedName))
	if data == nil || err != nil {
		return nil, err
	}
	var m mark
	var hash string
	_, err = fmt.Sscanf(string(data), "Statehouse ran without syncs\ndurable %d\nhash %s\n", &m.ts, &hash)
	if err == nil {
		var n int
		n, err = hex.Decode(m.hash[:], []byte(hash)[:min(len(hash), 2*len(m.hash))])
		if err == nil && n == len(m.hash) && string(encodeUnsynced(m)) == string(data) {
			return &m, nil
		}
	}
	return nil, words.Failf(ErrDataLoss, "%s is damaged: it does not check", fs.PathJoin(dir, unsyncedName))
}

func writeUnsynced(fs vfs.FS, dir string, m mark) error {
	return writeFileAtomic(fs, fs.PathJoin(dir, unsyncedName), encodeUnsynced(m))
}

// removeUnsynced removes the mark durably. Without the sync a crash could bring it back,
// and it would then excuse a real loss.
func removeUnsynced(fs vfs.FS, dir string) error {
	if err := fs.Remove(fs.PathJoin(dir, unsyncedName)); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

func isLog(fs vfs.FS, name string) bool { return strings.HasSuffix(fs.PathBase(name), ".log") }

// lazyFS syncs logs when they are closed and not before.
type lazyFS struct{ vfs.FS }

func (l lazyFS) wrap(f vfs.File, name string) vfs.File {
	if f == nil || !isLog(l, name) {
		return f
	}
	return lazyLog{f}
}

func (l lazyFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.FS.Create(name, c)
	return l.wrap(f, name), err
}

func (l lazyFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.FS.ReuseForWrite(oldname, newname, c)
	return l.wrap(f, newname), err
}

func (l lazyFS) Unwrap() vfs.FS { return l.FS }

type lazyLog struct{ vfs.File }

func (lazyLog) Sync() error                { return nil }
func (lazyLog) SyncData() error            { return nil }
func (lazyLog) SyncTo(int64) (bool, error) { return false, nil }

func (f lazyLog) Close() error {
	err := f.File.Sync()
	if cerr := f.File.Close(); err == nil {
		err = cerr
	}
	return err
}

// prefixFS ends each log before its first broken record. After a crash of the machine an
// unsynced log ends there, whatever the system wrote after it; Pebble, which takes the log
// for synced, would call it corrupt. If a synced log is corrupt, what is cut off is a hole
// before the next log, which inspect finds.
type prefixFS struct{ vfs.FS }

func (p prefixFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := p.FS.Open(name, opts...)
	if err != nil || !isLog(p, name) {
		return f, err
	}
	size, err := goodPrefix(f, p.PathBase(name))
	_ = f.Close()
	if err != nil {
		return nil, err
	}
	if f, err = p.FS.Open(name, opts...); err != nil {
		return nil, err
	}
	return &prefixFile{File: f, rest: io.LimitReader(f, size)}, nil
}

func (p prefixFS) Unwrap() vfs.FS { return p.FS }

type prefixFile struct {
	vfs.File
	rest io.Reader
}

func (f *prefixFile) Read(b []byte) (int, error) { return f.rest.Read(b) }

// goodPrefix returns the size of the records that can be read from the start of a log.
func goodPrefix(f io.Reader, base string) (size int64, err error) {
	stem, _, _ := strings.Cut(strings.TrimSuffix(base, ".log"), "-")
	number, err := strconv.ParseUint(stem, 10, 64)
	if err != nil {
		return 0, nil // not one of Pebble's logs: Pebble will not read it either
	}
	in := &errReader{r: f}
	logs := numbered(record.NewReader, in, number)
	for {
		size = logs.Offset()
		r, err := logs.Next()
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if in.err != nil {
			return 0, in.err // the disk failed, so the log may be right
		}
		if err != nil {
			return size, nil
		}
	}
}

// errReader remembers an error of its reader that is not io.EOF.
type errReader struct {
	r   io.Reader
	err error
}

func (e *errReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil && err != io.EOF {
		e.err = err
	}
	return n, err
}

// numbered calls open with a number of a type that Pebble does not export.
func numbered[N ~uint64](open func(io.Reader, N) *record.Reader, r io.Reader, number uint64) *record.Reader {
	return open(r, N(number))
}
