//go:build unix

package main

import (
	"math"
	"syscall"
)

// openFiles is how many descriptors this process may have. The runtime has raised the
// soft limit to the hard one before main.
func openFiles() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil || uint64(l.Cur) > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(l.Cur)
}
