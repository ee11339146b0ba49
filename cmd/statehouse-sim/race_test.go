//go:build race

package main

// underRace: a world is meant for one thread, which the race detector cannot see; .ci/sim
// runs the tests that generate worlds in their own process.
const underRace = true
