// Package serial is the second judge of a history. It states what the clients were told as
// constraints on a sequential model (constraints.go, transactions.go, refused.go), and has
// Porcupine search for an order of them which the model and the clock allow (check.go,
// search.go; Wing and Gong 1993, Lowe 2017).
//
// It judges commits with their conditions and times, refusals on them, reads of the present and
// the past, and what transactions read. Streams, reads as of a time, and how a request that is
// sent again is answered are left to the first judge, linearizability/oracle. The two share the
// format of histories and no rule.
//
// The cost of a search explodes with the commits of unknown outcome, not with length. So a
// history is judged twice: all of it, in windows (window.go) that begin in the state which the
// log shows (logstate.go), and with every outcome that the log decides; and some small samples
// of it without the log (samples.go), for a log can lie.
//
// A search is bounded in steps of the model, not in seconds: the verdict must not depend on
// the machine.
package serial
