//go:build race

package linearizability

// underRace: a judge is one thread, but for Porcupine's search.
const underRace = true
