//go:build race

package main

// The daemon is built as its tests are: under the race detector a race that a test
// provokes in it is reported by the daemon itself, and ends the test (daemon_test.go).
func init() {
	raceEnabled = true
	buildFlags = append(buildFlags, "-race")
}
