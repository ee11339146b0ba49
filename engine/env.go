package engine

import (
	"context"
	"io"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/words"
)

// Env is everything that the engine and the server may ask of the outside world.
// OSEnv fills it from the operating system for production, the simulator from its
// world. No code below this seam reads a clock, draws a random number, opens a file,
// waits or exits in any other way.
type Env struct {
	// FS holds the data directory.
	FS vfs.FS
	// FileID identifies the file that a path leads to, following links. If nil, the engine
	// does not notice that its directory was moved or replaced.
	FileID func(path string) (FileID, error)
	// LockDir locks a directory itself, so that the lock survives changes to the files in
	// it. It fails with errors.ErrUnsupported if the file system cannot. May be nil.
	LockDir func(dir string) (io.Closer, error)
	// Now is the wall clock. It may jump; commit_time does not.
	Now func() time.Time
	// Rand fills p with random bytes: ids and jitter.
	Rand func(p []byte)
	// Await blocks until ready is closed or ctx ends, whose error it returns then.
	// It is the only place where a request may wait.
	Await func(ctx context.Context, ready <-chan struct{}) error
	// Halt is called once, when storage can no longer be trusted (G7). In production it
	// logs and exits, and does not return. If it returns, the engine acknowledges
	// nothing more.
	Halt func(reason error)
	// Log records an event for the operator. May be nil.
	Log func(event string, attrs ...any)
	// Trace, unless nil, is called for what the engine does to the disk: "plan" when
	// commits first to last are written, "settle" when they are durable and published,
	// "flush" and "compaction" (without commits) when those end. It must not block.
	Trace func(event string, first, last CommitTS)
	// Observe, unless nil, is told how long things take.
	Observe *Observer
}

// FileID distinguishes a file or directory from any other, also from one that takes its
// name later.
type FileID struct{ Device, Inode uint64 }

func (e *Env) validate() error {
	if e.FS == nil || e.Now == nil || e.Rand == nil || e.Await == nil || e.Halt == nil {
		return words.Failf(ErrInvalid, "the environment lacks a file system, clock, randomness, await or halt")
	}
	if e.Log == nil {
		e.Log = func(string, ...any) {}
	}
	if e.Trace == nil {
		e.Trace = func(string, CommitTS, CommitTS) {}
	}
	return nil
}
