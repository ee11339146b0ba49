package oracle

import (
	"fmt"
	"slices"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/model"
)

// checkRead finds a point at which the answer was right.
func (j *judge) checkRead(op *history.Operation) {
	if from := j.pageOf(op); from != nil && !sameList(from, op) {
		j.breaks(op, "G3", "page-of-another", "a refusal", "ok", "it went on with a page of #%d, which asked for something else", from.ID)
		return
	}
	low, high, early, ok := j.points(op)
	if !ok {
		return
	}
	if op.Kind == history.Begin {
		if op.In.Timeout != nil { // its client holds it: the first answer to a read is its snapshot
			last := j.txns[op.Out.TxnID].lastRead()
			if last == nil {
				return
			}
			high = j.bounds.high(last.Return, j.model.Head)
		}
		if s := op.Out.SnapshotTS; s < low && early {
			j.count(op, &j.stats.BeforeBase)
		} else if s < low {
			j.breaks(op, "G3", "stale-snapshot", fmt.Sprintf("at least %d", low), fmt.Sprint(s), "a transaction begins before commits that were known already")
		} else if s > high {
			j.breaks(op, "G4", "ghost-snapshot", fmt.Sprintf("at most %d", high), fmt.Sprint(s), "a transaction begins after commits that had not happened")
		}
		return
	}
	asOf := j.firstPage(op).In.AtTime // a page is at the point of the first
	if op.Kind == history.Diff {
		asOf = 0 // it names its points
	}
	if r := op.Out.ReadTS; j.showsReadTS(op) && asOf == 0 {
		switch {
		case r > high:
			j.breaks(op, "G4", "ghost-read", fmt.Sprintf("at most %d", high), fmt.Sprint(r), "it read at commit %d, which had not happened", r)
			return
		case r < low && early:
			j.count(op, &j.stats.BeforeBase)
			return
		case r < low:
			j.breaks(op, "G3", "stale-read", fmt.Sprintf("at least %d", low), fmt.Sprint(r), "it read at commit %d, when commit %d was known already", r, low)
			return
		}
		low, high = r, r
	}
	why, expected, got := "", "", ""
	for ts := low; ts <= high; ts++ {
		at := ts
		if asOf != 0 {
			if at = j.model.TimeAt(asOf, ts); j.showsReadTS(op) && op.Out.ReadTS != at {
				why, expected, got = "it read at another commit than the time says", fmt.Sprint(at), fmt.Sprint(op.Out.ReadTS)
				continue
			}
		}
		w, e, g := j.rightChain(op, at)
		if w == "" {
			return
		}
		if why == "" || ts == high {
			why, expected, got = w, e, g
		}
	}
	if early && op.NewestCommit() < j.model.Base {
		j.count(op, &j.stats.BeforeBase)
		return
	}
	guarantee, check := j.classify(op, low)
	j.breaks(op, guarantee, check, expected, got, "%s (between commits %d and %d)", why, low, high)
}

// showsReadTS reports whether the answer says which commit was read at. The user of a client
// is told it of records only.
func (j *judge) showsReadTS(op *history.Operation) bool {
	list := op.Kind == history.ListKeys || op.Kind == history.Scan && len(op.Out.Records) == 0
	return op.HasReadTS() && !(j.intents && (list || onlyAbsent(op) || ownBeforeSnapshot(op)))
}

// ownBeforeSnapshot reports whether all that a read in a transaction showed are own writes,
// before any read of its client, which holds it, has fixed a snapshot.
func ownBeforeSnapshot(op *history.Operation) bool {
	return op.In.TxnID != "" && op.Out.ReadTS == 0 && !slices.ContainsFunc(op.Out.Records, func(r history.Record) bool { return !looksOwn(&r) })
}

// onlyAbsent reports whether all that a client's user was told is that there are no such
// records: neither when, nor whether there ever were.
func onlyAbsent(op *history.Operation) bool {
	return op.Out.ReadTS == 0 && !slices.ContainsFunc(op.Out.Records, func(r history.Record) bool { return r.Exists || !looksOwn(&r) })
}

// points are the first and the last point at which a read can have been right, as far as
// anything but its answer says. early: it can have been before the base, too. Not ok: there is
// no point to judge it at, which is reported or counted.
func (j *judge) points(op *history.Operation) (low, high uint64, early, ok bool) {
	low, high = j.window(op)
	early = j.early(op.Call)
	if j.pageLost(op) {
		j.count(op, &j.stats.Dangling)
		return 0, 0, false, false
	}
	switch from := j.firstPage(op); {
	case from != op: // its window is the chain's
		low, high = j.window(from)
		early = j.early(from.Call)
		if j.showsReadTS(from) {
			low, high, early = from.Out.ReadTS, min(from.Out.ReadTS, high), false
		}
	case op.In.TxnID != "":
		t := j.txns[op.In.TxnID]
		if t == nil || t.begin == nil {
			if !j.visibility.whole() {
				j.count(op, &j.stats.Dangling)
			}
			return 0, 0, false, false
		}
		low, high, early = t.begin.Out.SnapshotTS, t.begin.Out.SnapshotTS, false
		if low > j.model.Head {
			return 0, 0, false, false // reported
		}
	case op.Kind == history.Diff: // what it compares with now has no point of its own
		if at := latest(&op.In); at > high {
			return j.ofTheFuture(op, at)
		}
	case op.In.MaxStale > 0 && op.In.At == nil:
		low, early = max(op.In.MinRead, j.model.Base), op.In.MinRead < j.model.Base
	case op.In.At != nil:
		if *op.In.At > high {
			return j.ofTheFuture(op, *op.In.At)
		}
		low, high, early = *op.In.At, *op.In.At, false
	}
	asOf := j.firstPage(op).In.AtTime
	past := asOf != 0 && j.model.TimeAt(asOf, j.model.Head) == j.model.Base && op.Out.ReadTS <= j.model.Base
	if low < j.model.Base || past && j.model.Base > 0 {
		j.count(op, &j.stats.BeforeBase)
		return 0, 0, false, false
	}
	return low, high, early, true
}

// latest is the last commit that the request of a diff names.
func latest(in *history.Input) (at uint64) {
	if in.At != nil {
		at = *in.At
	}
	if in.Versus != nil && in.Versus.At != nil {
		at = max(at, *in.Versus.At)
	}
	return at
}

func (j *judge) ofTheFuture(op *history.Operation, at uint64) (low, high uint64, early, ok bool) {
	j.breaks(op, "G4", "read-of-the-future", "", "", "it read as of commit %d, which had not happened", at)
	return 0, 0, false, false
}

// rightChain holds all pages up to this one to one point.
func (j *judge) rightChain(op *history.Operation, ts uint64) (why, expected, got string) {
	for from := j.pageOf(op); from != nil; from = j.pageOf(from) {
		if why, expected, got = j.right(from, ts); why != "" {
			return "its pages are not of one point: " + why, expected, got
		}
	}
	return j.right(op, ts)
}

// classify names the guarantee and the check that a read breaks which is right nowhere.
func (j *judge) classify(op *history.Operation, low uint64) (guarantee, check string) {
	for i := range op.Out.Records {
		r := &op.Out.Records[i]
		if r.CommitTS > j.model.Head {
			return "G4", "ghost-read"
		}
		if r.CommitTS == 0 {
			continue
		}
		known := false
		for _, v := range j.model.Keys[r.Name] {
			known = known || v.CommitTS() == r.CommitTS && v.Number == r.Version
		}
		if !known {
			return "G4", "ghost-read"
		}
	}
	return "G3", "wrong-read"
}

// right says why an answer is not what was true at ts; "": it is.
func (j *judge) right(op *history.Operation, ts uint64) (why, expected, got string) {
	switch op.Kind {
	case history.Get, history.BatchGet:
		return j.rightGets(op, ts)
	case history.GetVersion:
		return j.rightVersion(op, ts)
	case history.ListKeys, history.Scan:
		return j.rightList(op, ts)
	case history.KeyHistory:
		return j.rightHistory(op, ts)
	case history.Find:
		return j.rightFind(op, ts)
	case history.Diff:
		return j.rightDiff(op, ts)
	case history.GetAgent:
		return j.rightAgent(op, ts)
	case history.ListLeases:
		return j.rightLeases(op, ts)
	case history.ListAgents:
		return j.rightAgents(op, ts)
	case history.ListSpaces:
		return j.rightSpaces(op, ts)
	}
	return "", "", ""
}

// same compares a record with a version.
func (j *judge) same(op *history.Operation, r *history.Record, v *model.Version, ts uint64) (why, expected, got string) {
	ok := r.Exists == v.Exists() && r.Version == v.Num()
	switch {
	case j.intents && onlyAbsent(op):
		ok = !v.Exists()
	case v == nil:
		ok = ok && r.CommitTS == 0 && r.CommitTime == 0
	default:
		time := v.Time
		if v.Event != nil {
			time = v.Event.CommitTime
		}
		ok = ok && r.CommitTS == v.CommitTS() && (time == 0 || time == r.CommitTime)
	}
	ok = ok && j.sameHold(op, r, v)
	if !v.Exists() {
		ok = ok && r.Value == "" && !r.Inexact && !r.Pruned && (!r.Erased || v != nil && v.Erasure)
	} else {
		ok = ok && j.sameValue(&op.In, r.Name, r.Version, r.Value, r.Inexact, r.Erased, r.Pruned, v.Value, v.Lost)
	}
	if ok {
		return "", "", ""
	}
	return fmt.Sprintf("key %q of agent %q is shown otherwise than it was after commit %d", r.Key, r.Agent, ts), v.Show(), model.ShowRecord(r)
}

func (j *judge) rightVersion(op *history.Operation, ts uint64) (why, expected, got string) {
	if len(op.Out.Records) != 1 || op.Out.Records[0].Name != op.In.Name() {
		return "the answer is about another record", fmt.Sprint(op.In.Name()), fmt.Sprint(op.Out.Records)
	}
	r := &op.Out.Records[0]
	if n := op.In.KeyVersion; j.model.Older(r.Name, n) {
		j.count(op, &j.stats.BeforeBase)
		if r.Version == n && r.CommitTS < j.model.Keys[r.Name][0].CommitTS() {
			return "", "", ""
		}
	}
	for i := range j.model.Keys[r.Name] {
		if v := &j.model.Keys[r.Name][i]; v.Number == op.In.KeyVersion && v.TS <= ts {
			return j.same(op, r, v, ts)
		}
	}
	return "there is no such version", "nothing", model.ShowRecord(r)
}

func (j *judge) rightGets(op *history.Operation, ts uint64) (why, expected, got string) {
	names := op.In.Names
	if op.Kind == history.Get {
		names = []history.Name{op.In.Name()}
	}
	if len(op.Out.Records) != len(names) {
		return "the answer has another number of records", fmt.Sprint(len(names)), fmt.Sprint(len(op.Out.Records))
	}
	for i := range op.Out.Records {
		r := &op.Out.Records[i]
		if r.Name != names[i] {
			return "the answer is about another record", fmt.Sprint(names[i]), fmt.Sprint(r.Name)
		}
		if why, expected, got = j.sameUnderOwn(op, r, ts); why != "" {
			return why, expected, got
		}
	}
	return "", "", ""
}
