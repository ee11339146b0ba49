//go:build race

package main

// The daemon is built under the race detector, too, where there is time: Pebble then
// checks its own invariants at every step, which makes it some thirty times slower.
// A race is reported in its log, which daemon_test.go looks at. Where there is none, tests of
// the daemon's process have nothing for the detector to see: "make race" runs them without.
func init() {
	raceEnabled = true
	if sweep {
		buildFlags = append(buildFlags, "-race")
	}
}
