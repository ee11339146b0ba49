// Package statehouse is the root of Statehouse, a strongly consistent state and
// memory engine for AI agents. It holds no code: the README says what Statehouse
// is, docs/ARCHITECTURE.md where everything stands, and house_test.go keeps it
// standing there.
package statehouse
