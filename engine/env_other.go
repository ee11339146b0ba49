//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package engine

import "io"

// Where the system has neither inodes nor locks of directories, the lock file is what
// keeps a second process out.
var (
	osFileID  func(path string) (FileID, error)
	osLockDir func(dir string) (io.Closer, error)
)
