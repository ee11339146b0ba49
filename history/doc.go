// Package history is what clients asked Statehouse and were told: its types, how they are
// kept as JSON lines, and when two of them are the same.
//
// It is format and nothing else. It knows neither who recorded a history nor who judges it
// (linearizability), so that the daemon can record without linking a judge, and so that what
// the judges share is no rule of theirs.
//
//   - [History] holds the [Operation] of every client in the order of their calls, the log as
//     an observer read it, notes and gaps.
//   - [Kind] is a method of the contract, and [Info] what is known of it whatever it is spoken
//     over: the table of operations that recording, scenarios and this package read. The other
//     half of it, which knows messages, is in record.
//   - [Reader] and [Writer] move it as JSON lines, [ReadHistory] reads all of it; [ReadIndex] finds
//     what has to be known of a file that is longer than memory.
//   - [Canonical], [Normal] and [Rounded] are the forms in which values are compared.
//   - [History.Rebuild] makes a log of what clients saw, for a history that has none.
//
// The packages below it fill and rewrite histories: record (calls on the wire), capture (the
// daemon's ring of files), redact (fit to be given away), bundle (an agent's past in one
// file), edn (Jepsen's format). docs/HISTORY.md describes the format for other programs.
package history
