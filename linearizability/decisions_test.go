package linearizability

import (
	"slices"
	"testing"

	"statehouse.dev/statehouse/history"
)

// TestDecisions: when commits were decided follows from answers that show the last
// commit of their moment, and from no others.
func TestDecisions(t *testing.T) {
	one := uint64(1)
	h := &history.History{
		Log: []history.Event{{CommitTS: 1}, {CommitTS: 2}, {CommitTS: 3}, {CommitTS: 4}},
		Operations: []*history.Operation{
			{Kind: history.Begin, Call: 5, Return: 6, Outcome: history.OK, Out: history.Output{SnapshotTS: 1}},
			{Kind: history.Transact, Call: 3, Return: 4, Outcome: history.Unknown, In: history.Input{TxnID: "t2"}},
			{Kind: history.Transact, Call: 10, Return: 45, Outcome: history.OK, In: history.Input{TxnID: "t2"}, Out: history.Output{CommitTS: 2, Versions: make([]history.KeyVersion, 1)}},
			{Kind: history.Get, Call: 30, Return: 31, Outcome: history.OK, Out: history.Output{ReadTS: 3}},
			{Kind: history.Watch, Call: 1, Outcome: history.Unknown, Batches: []history.Batch{{Time: 40, Cursor: 4}}},
			// Of these none tells anything.
			{Kind: history.Get, Call: 50, Return: 51, Outcome: history.OK, In: history.Input{At: &one}, Out: history.Output{ReadTS: 1}},
			{Kind: history.Get, Call: 50, Return: 51, Outcome: history.OK, In: history.Input{AtTime: 1}, Out: history.Output{ReadTS: 1}},
			{Kind: history.Get, Call: 50, Return: 51, Outcome: history.OK, In: history.Input{TxnID: "t9"}, Out: history.Output{ReadTS: 1}},
			{Kind: history.Scan, Call: 50, Return: 51, Outcome: history.OK, In: history.Input{PageOf: 4}, Out: history.Output{ReadTS: 1}},
			{Kind: history.Commit, Call: 50, Return: 51, Outcome: history.OK, In: history.Input{TxnID: "t8"}, Out: history.Output{CommitTS: 1}},
			{Kind: history.Get, Call: 50, Return: 51, Outcome: history.Fail},
		},
	}
	if got, want := decisions(h), []span{{0, 6}, {5, 31}, {5, 31}, {30, 40}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
