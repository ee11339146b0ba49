package oracle

import (
	"maps"
	"slices"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/model"
)

// What was shown once changes only to erased and to pruned. The log says whether it may have: an
// erasure leaves a delete that says so above all that it took, and retention prunes no current
// version. That a value is gone may be said by the log alone, which is read after all answers: what is
// gone in one of them is gone there, too.

// erasedAfter reports whether the log has an erasure of a key above a version.
func (j *judge) erasedAfter(n history.Name, number uint64) bool {
	return slices.ContainsFunc(j.model.Keys[n], func(v model.Version) bool { return v.Number > number && v.Erasure })
}

// mayBeGone reports whether a version of a key that had a value may be shown without it.
func (j *judge) mayBeGone(n history.Name, number uint64, erased, pruned bool) bool {
	if erased {
		return !pruned && j.erasedAfter(n, number)
	}
	vs := j.model.Keys[n]
	return len(vs) > 0 && vs[len(vs)-1].Number > number
}

// sameValue compares what was shown of a value, or that it is gone, with what was written. lost: the
// log does not have it any more.
func (j *judge) sameValue(in *history.Input, n history.Name, number uint64, shown string, inexact, erased, pruned bool, written string, lost bool) bool {
	switch {
	case erased || pruned:
		return lost && shown == "" && !inexact && j.mayBeGone(n, number, erased, pruned)
	case in.NoValues:
		return shown == "" && !inexact
	case lost:
		return shown != ""
	}
	return shownAs(in, shown, inexact, written)
}

// sameProvenance compares what was shown of a commit with what the log says of it. An erasure takes it
// with the values.
func (j *judge) sameProvenance(whole *history.Event, metadata map[string]string, principal, traceID string) bool {
	if maps.Equal(whole.Metadata, metadata) && whole.Principal == principal && whole.TraceID == traceID {
		return true
	}
	none := func(m map[string]string, p, t string) bool { return len(m) == 0 && p == "" && t == "" }
	return (none(metadata, principal, traceID) || none(whole.Metadata, whole.Principal, whole.TraceID)) &&
		slices.ContainsFunc(whole.Ops, func(o history.EventOp) bool { return j.erasedAfter(o.Name, o.Version) })
}
