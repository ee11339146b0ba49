package bench

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync is what a commit waits for.
func datasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
