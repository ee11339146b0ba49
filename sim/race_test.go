//go:build race

package sim

// underRace: a world is meant for one thread. What Pebble's goroutines tell it through
// the disk's hooks is not synchronised in a way that the race detector could see.
const underRace = true
