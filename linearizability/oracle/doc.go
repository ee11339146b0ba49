// Package oracle is the first judge of a history. It folds the log to a model of the state
// at every commit (model.go, fold.go), decides from the log what became of requests whose
// outcome is unknown (txns.go), and compares every answer with that model, in time linear in
// the history: acknowledgements (acks.go), refusals (refusals.go), reads (reads.go), what a
// transaction sees of its own writes (own.go), replays and watches (streams.go).
//
// It trusts the log, and says nothing of a history without one. The other judge,
// linearizability/serial, does without; the two share the format of histories and no rule.
package oracle
