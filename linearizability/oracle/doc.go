// Package oracle is the first judge of a history. It has the log folded to a model of the state
// at every commit (package model), finds from the clock at which points an operation can
// have taken effect (bounds.go), and decides from the log what became of requests whose
// outcome is unknown (txns.go, wants.go, applied.go). Then it compares every answer with the
// model, in time linear in the history: acknowledgements (acks.go), refusals (refusals.go),
// requests sent again (repeats.go, package request), reads (reads.go, listings.go, pages.go), what a transaction
// sees of its own writes (ownwrites.go), replays and watches (streams.go).
//
// A history need not be whole: it may begin in the middle, have gaps (visibility.go), know only
// some agents (covered.go), or be a section of a longer one (section.go).
//
// It trusts the log, and says nothing of a history without one. The other judge,
// linearizability/serial, does without; the two share the format of histories and no rule.
package oracle
