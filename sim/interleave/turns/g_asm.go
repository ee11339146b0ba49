//go:build amd64 || arm64

package turns

// self is the address of the goroutine that calls it. It tells the threads of a run from
// Pebble's goroutines, and is asked at every point of a schedule: runtime.Stack, which
// also knows, takes longer than all the rest.
func self() uintptr
