package oracle

import "statehouse.dev/statehouse/history"

// Section marks a history as a section of a longer one, which is judged section by section.
// Such a history is an ordinary one that begins in the middle: its base is the state
// there, and its operations are those of the section and the earlier ones on which they rest.
// What a history that begins in the middle leaves open, the earlier sections may answer.
type Section struct {
	// Middle: the longer history itself begins in the middle.
	Middle bool
	// Judged reports whether an earlier section has had an operation; Log is how far the log
	// was judged with it. What was judged is not judged again.
	Judged func(*history.Operation) bool
	Log    uint64
	// Asked reports whether requests in a transaction may have been made that the section does
	// not have.
	Asked func(txnID string) bool
	// Known is the last commit that an answer in an earlier section had shown before a time,
	// and the operation that was answered so; 0: there is none.
	Known func(time int64) (commitTS uint64, op int)
}

func (p *Section) judged(op *history.Operation) bool { return p != nil && p.Judged(op) }
