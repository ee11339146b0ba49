//go:build !race

package linearizability

const underRace = false
