//go:build race

package main

// underRace: a world is meant for one thread, which the race detector cannot see, and takes
// ten times as long under it. .ci/sim runs this package without.
const underRace = true
