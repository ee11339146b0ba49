//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package engine

import "io"

// Without inodes and directory locks, only the lock file keeps a second process out.
var (
	osFileID  func(path string) (FileID, error)
	osLockDir func(dir string) (io.Closer, error)
)
