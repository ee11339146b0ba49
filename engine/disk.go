package engine

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/words"
)

// Pebble hangs when its disk is full: flushes are retried for ever, memtables fill up,
// commits wait. So writes are refused while there is still room for what is under way
// (the reserve), and a ballast file is removed if the disk fills up all the same.

// spaceWatch remembers the free space and when to look at the disk again.
type spaceWatch struct {
	reserve uint64        // free bytes below which writes are refused
	ballast uint64        // bytes of the ballast file
	low     bool          // there is little left before that: the operator was told
	since   uint64        // bytes written since the last look
	free    atomic.Uint64 // as of the last look, so that Status does not wait for a disk that does not answer
}

// init sets the reserve: the configured one, or a quarter of a small disk.
func (s *spaceWatch) init(configured uint64, u vfs.DiskUsage) {
	s.reserve = min(configured, u.TotalBytes/4)
	s.ballast = min(s.reserve/8, 8<<20) // a flush or two
	s.free.Store(u.AvailBytes)
}

// wrote counts bytes written and reports whether it is time to look at the disk.
func (s *spaceWatch) wrote(n int) bool {
	s.since += uint64(n)
	return s.since >= s.reserve/16
}

// checkSpace looks at the free space and starts or stops refusing writes.
func (e *Engine) checkSpace() {
	if e.space.reserve == 0 {
		return
	}
	e.space.since = 0
	u, err := e.env.FS.GetDiskUsage(e.opts.Dir)
	if err != nil {
		return
	}
	e.space.free.Store(u.AvailBytes)
	e.warnOfSpace(u)
	switch full := e.full.Load() != nil; {
	case u.AvailBytes < e.space.reserve && !full:
		e.refuseForSpace(u.AvailBytes)
	case u.AvailBytes >= e.space.reserve+e.space.reserve/8 && full: // with a margin, so that it does not flap
		e.full.Store(nil)
		e.layBallast()
		e.env.Log("space is back, writes are accepted again", "free_bytes", u.AvailBytes)
	}
}

// lowSpace is at how many times the reserve an operator is told, who can then still do something about it.
// deploy/alerts.yml has the same.
const lowSpace = 5

// warnOfSpace says once that the disk fills up, and once that it does no more.
func (e *Engine) warnOfSpace(u vfs.DiskUsage) {
	s := &e.space
	low := min(lowSpace*s.reserve, u.TotalBytes/2) // of a small disk the reserve is a quarter
	switch {
	case !s.low && u.AvailBytes < low:
		s.low = true
		e.env.Log("the disk fills up: writes are refused when less than the reserve is free", "free_bytes", u.AvailBytes, "reserve_bytes", s.reserve)
	case s.low && u.AvailBytes >= low+s.reserve/2: // with a margin, so that it does not flap
		s.low = false
		e.env.Log("there is space on the disk again", "free_bytes", u.AvailBytes, "reserve_bytes", s.reserve)
	}
}

func (e *Engine) refuseForSpace(free uint64) {
	e.reached.DiskReserve.Add(1)
	e.full.Store(words.Failf(ErrDiskFull, "the disk has %d bytes free, less than the reserve of %d: writes are refused, reads go on; free some space",
		free, e.space.reserve))
	e.env.Log("space is short, writes are refused", "free_bytes", free, "reserve_bytes", e.space.reserve)
}

func (e *Engine) ballastPath() string { return e.env.FS.PathJoin(e.opts.Dir, ballastName) }

// layBallast makes the ballast file if there is room for it. It is no error that it is
// missing: the reserve works without it.
func (e *Engine) layBallast() {
	u, err := e.env.FS.GetDiskUsage(e.opts.Dir)
	if err != nil || e.space.ballast == 0 || u.AvailBytes < 2*e.space.reserve {
		return
	}
	if _, err := e.env.FS.Stat(e.ballastPath()); err == nil {
		return
	}
	f, err := e.env.FS.Create(e.ballastPath(), vfs.WriteCategoryUnspecified)
	if err != nil {
		return
	}
	_ = f.Preallocate(0, int64(e.space.ballast))
	_ = f.Close()
}

// MakeRoom gives up the ballast of the store in dir, if there is one, when there is no more room on its disk than the
// largest has. It is for what is opened before the store, which needs some.
func MakeRoom(fs vfs.FS, dir string) {
	u, err := fs.GetDiskUsage(dir)
	if err != nil {
		return
	}
	var s spaceWatch
	if s.init(math.MaxUint64, u); u.AvailBytes < s.ballast {
		_ = fs.Remove(fs.PathJoin(dir, ballastName))
	}
}

// maxFlushFailures is how many flushes in a row may fail before the engine halts.
// Pebble retries at once and without end: reads and commits go on until memory is full,
// and then everything hangs.
const maxFlushFailures = 100

// flushWatch counts flushes that fail.
type flushWatch struct {
	mu       sync.Mutex
	last     error // how the last flush ended
	failures int   // in a row
}

// ended records the end of a flush. Pebble reports a flush of nothing as an error, too.
func (w *flushWatch) ended(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last = err; err == nil {
		w.failures = 0
	}
}

// failed counts a background error of Pebble if it is the one that a flush ended with.
func (w *flushWatch) failed(err error) (failures int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last != nil && errors.Is(err, w.last) {
		w.failures++
		return w.failures
	}
	return 0
}

// events handles Pebble's events from the background.
func (e *Engine) events() *pebble.EventListener {
	var flushes flushWatch
	return &pebble.EventListener{
		FlushEnd: func(info pebble.FlushInfo) {
			flushes.ended(info.Err)
			e.env.Trace("flush", 0, 0)
		},
		CompactionEnd: func(pebble.CompactionInfo) { e.env.Trace("compaction", 0, 0) },
		BackgroundError: func(err error) {
			failures := flushes.failed(err)
			noSpace := errors.Is(err, syscall.ENOSPC)
			if noSpace && e.full.Load() == nil {
				e.refuseForSpace(0)
			}
			if noSpace && failures <= 1 {
				_ = e.env.FS.Remove(e.ballastPath())
			}
			// On a full disk the engine waits for space, but not while it is opening: then
			// no operator has been told yet.
			if failures >= maxFlushFailures && !(noSpace && e.opened.Load()) {
				e.halt(words.Failf(ErrStorage, "writing tables fails: %v", err))
			}
		},
		WriteStallBegin: func(pebble.WriteStallBeginInfo) { e.stalls.begin(e.moment()) },
		WriteStallEnd:   func() { e.stalls.end(e.moment()) },
		// Pebble's own handler would end the process.
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			if e.corrupt.Load() == nil { // every reader meets it again
				e.env.Log("damage in a file of the store", "path", info.Path, "details", fmt.Sprint(info.Details))
			}
			e.noteCorruption(corruptFile(info.Path))
		},
	}
}
