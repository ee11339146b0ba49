package oracle

import (
	"statehouse.dev/statehouse/history"
)

// stretch is the range of keys that a page covered.
func (j *judge) stretch(op *history.Operation) (first, last string) {
	after, end := j.pageStart(op), ""
	if op.Out.More {
		end = op.Out.LastShown()
	}
	if op.In.Reverse {
		return end, after
	}
	return after, end
}

// pageOf is the operation whose answer this one continues.
func (j *judge) pageOf(op *history.Operation) *history.Operation {
	if from := j.ops[op.In.PageOf]; from == nil || from.Call >= op.Call { // it must not go in circles
		return nil // of none, or not of an earlier one
	}
	return j.ops[op.In.PageOf]
}

// firstPage is the operation whose pages this one goes on with; without an earlier one, itself.
func (j *judge) firstPage(op *history.Operation) *history.Operation {
	for from := j.pageOf(op); from != nil; from = j.pageOf(op) {
		op = from
	}
	return op
}

// pageStart is the last name of the page before.
func (j *judge) pageStart(op *history.Operation) string {
	if from := j.pageOf(op); from != nil {
		return from.Out.LastShown()
	}
	return ""
}

// pageLost reports whether one of the pages before this one is not in the history.
func (j *judge) pageLost(op *history.Operation) bool {
	for op.In.PageOf != 0 {
		from := j.ops[op.In.PageOf]
		if from == nil {
			return !j.visibility.whole() || op.In.PageOf == history.PageMissing
		}
		if from.Call >= op.Call {
			return false // see pageOf
		}
		op = from
	}
	return false
}

// sameList reports whether two requests are for pages of one list. Keys with and without their
// values are.
func sameList(a, b *history.Operation) bool {
	listed := func(k history.Kind) history.Kind {
		if k == history.Scan {
			return history.ListKeys
		}
		return k
	}
	x, y := &a.In, &b.In
	return listed(a.Kind) == listed(b.Kind) && x.Name() == y.Name() && x.Prefix == y.Prefix && x.Reverse == y.Reverse && x.OldestFirst == y.OldestFirst && x.TxnID == y.TxnID
}
