// Package evaluate says what must come of an operation that the daemon evaluates: which keys it
// changes and to what, what its client is told, or that it is refused. It knows the state only as
// the model of the log has it, and no answer.
//
//   - [Of] evaluates a whole transact against the state after a commit.
//   - add.go, merge.go and pointer.go compute values; filter.go decides conditions of finds, patch.go
//     applies what a diff was answered with.
//
// Values are trees here (encoding/json), numbers exact. It is slow, and written apart from the
// engine, which edits text.
package evaluate
