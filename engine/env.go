package engine

import (
	"context"
	"io"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Env is everything the engine and the server may ask of the outside world.
// Production fills it from the operating system (OSEnv), the simulator from its
// world; nothing below this seam reads a clock, draws a random number, opens a
// file, waits or exits in any other way.
type Env struct {
	// FS holds the data directory.
	FS vfs.FS
	// FileID identifies what a path leads to, following links. With nil the engine does
	// not notice that its directory was moved or replaced.
	FileID func(path string) (FileID, error)
	// LockDir locks a directory itself, whatever is done to the files in it. It fails
	// with errors.ErrUnsupported where the file system cannot. May be nil.
	LockDir func(dir string) (io.Closer, error)
	// Now is the wall clock. It may jump; commit_time does not.
	Now func() time.Time
	// Rand fills p with random bytes: ids and jitter.
	Rand func(p []byte)
	// Await blocks until ready is closed or ctx ends, whose error it returns then.
	// It is the only place where a request may wait.
	Await func(ctx context.Context, ready <-chan struct{}) error
	// Halt is called when storage can no longer be trusted (G7). In production it
	// logs and exits, and does not return. Where it does return, the engine
	// acknowledges nothing any more.
	Halt func(reason error)
	// Log tells of what an operator should know. May be nil.
	Log func(event string, attrs ...any)
	// Trace, unless nil, is told what the engine does to the disk: "plan", commits
	// first to last are written; "settle", they are synced and everybody may read
	// them; "flush" and "compaction" have ended, of no commits. It must not wait.
	Trace func(event string, first, last CommitTS)
}

// FileID is what tells a file or directory from any other, also from one that takes
// its name later.
type FileID struct{ Device, Inode uint64 }

func (e *Env) validate() error {
	if e.FS == nil || e.Now == nil || e.Rand == nil || e.Await == nil || e.Halt == nil {
		return failf(ErrInvalid, "the environment lacks a file system, clock, randomness, await or halt")
	}
	if e.Log == nil {
		e.Log = func(string, ...any) {}
	}
	if e.Trace == nil {
		e.Trace = func(string, CommitTS, CommitTS) {}
	}
	return nil
}
