//go:build !unix

package live

import "syscall"

// Where a process cannot be stopped, stops are passed over: sending these fails.
const (
	sigStop = syscall.Signal(-1)
	sigCont = syscall.Signal(-1)
)
