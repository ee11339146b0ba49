package engine

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/words"
)

// How long a disk operation may take before it is logged, and before the engine halts.
const (
	slowDisk = 5 * time.Second
	lostDisk = 60 * time.Second
)

// OSEnv is the outside world of production: the operating system's files, watched for
// stalls, its clock and its randomness. halt must not return. Call the returned
// function after Engine.Close.
func OSEnv(halt func(error), log func(string, ...any)) (Env, func()) {
	fs, closer := vfs.WithDiskHealthChecks(vfs.Default, slowDisk, nil, func(info vfs.DiskSlowInfo) {
		if info.Duration >= lostDisk {
			halt(words.Failf(ErrStorage, "the disk has not answered for %v: %s", info.Duration, info.String()))
			return
		}
		log("disk is slow", "operation", info.String())
	})
	return withOSTime(Env{FS: fs, FileID: osFileID, LockDir: osLockDir, Halt: halt, Log: log}), func() { _ = closer.Close() }
}

// OSFiles are the operating system's files as they are: for what is not the store, and is not to end
// the process when its disk hangs.
func OSFiles(env Env) Env {
	env.FS = vfs.Default
	return env
}

// MemoryEnv keeps everything in memory, for development.
func MemoryEnv(halt func(error), log func(string, ...any)) Env {
	return withOSTime(Env{FS: vfs.NewMem(), Halt: halt, Log: log})
}

func withOSTime(e Env) Env {
	e.Now = time.Now
	e.Rand = func(p []byte) { _, _ = rand.Read(p) } // crypto/rand.Read never fails
	e.Await = func(ctx context.Context, ready <-chan struct{}) error {
		select {
		case <-ready:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return e
}
