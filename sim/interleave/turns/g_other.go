//go:build !amd64 && !arm64

package turns

import (
	"bytes"
	"runtime"
	"strconv"
)

// self is the number of the goroutine that calls it.
func self() uintptr {
	var buf [64]byte
	fields := bytes.Fields(buf[:runtime.Stack(buf[:], false)])
	n, _ := strconv.ParseUint(string(fields[1]), 10, 64) // "goroutine 7 [running]:"
	return uintptr(n)
}
