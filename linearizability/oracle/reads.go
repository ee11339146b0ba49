package oracle

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
)

// checkRead finds a point at which the answer was right.
func (j *judge) checkRead(op *history.Operation) {
	low, high, early, ok := j.points(op)
	if !ok {
		return
	}
	if op.Kind == history.Begin {
		if s := op.Out.SnapshotTS; s < low && early {
			j.count(op, &j.stats.BeforeBase)
		} else if s < low {
			j.breaks(op, "G3", "stale-snapshot", fmt.Sprintf("at least %d", low), fmt.Sprint(s), "a transaction begins before commits that were known already")
		} else if s > high {
			j.breaks(op, "G4", "ghost-snapshot", fmt.Sprintf("at most %d", high), fmt.Sprint(s), "a transaction begins after commits that had not happened")
		}
		return
	}
	if r := op.Out.ReadTS; op.HasReadTS() && op.In.AtTime == 0 {
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
		if op.In.AtTime != 0 {
			if at = j.model.timeAt(op.In.AtTime, ts); op.HasReadTS() && op.Out.ReadTS != at {
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
	if early && op.NewestCommit() < j.model.base {
		j.count(op, &j.stats.BeforeBase)
		return
	}
	promise, check := j.classify(op, low)
	j.breaks(op, promise, check, expected, got, "%s (between commits %d and %d)", why, low, high)
}

// points are those at which a read can have been right, if nothing else is known of
// it, and whether it can have been before the base; not ok: there is none to judge it
// at, which is reported or counted.
func (j *judge) points(op *history.Operation) (low, high uint64, early, ok bool) {
	low, high = j.window(op)
	early = j.early(op.Call)
	if j.pageLost(op) {
		j.count(op, &j.stats.Dangling)
		return 0, 0, false, false
	}
	switch from := j.pageOf(op); {
	case from != nil:
		for j.pageOf(from) != nil { // the first page's window is the chain's
			from = j.pageOf(from)
		}
		low, high = j.window(from)
		early = j.early(from.Call)
		if from.HasReadTS() {
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
		if low > j.model.head {
			return 0, 0, false, false // reported
		}
	case op.In.At != nil:
		if *op.In.At > high {
			j.breaks(op, "G4", "read-of-the-future", "", "", "it read as of commit %d, which had not happened", *op.In.At)
			return 0, 0, false, false
		}
		low, high, early = *op.In.At, *op.In.At, false
	}
	past := op.In.AtTime != 0 && j.model.timeAt(op.In.AtTime, j.model.head) == j.model.base && op.Out.ReadTS <= j.model.base
	if low < j.model.base || past && j.model.base > 0 {
		j.count(op, &j.stats.BeforeBase)
		return 0, 0, false, false
	}
	return low, high, early, true
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

// classify names what is wrong with a read that is right nowhere.
func (j *judge) classify(op *history.Operation, low uint64) (promise, check string) {
	for i := range op.Out.Records {
		r := &op.Out.Records[i]
		if r.CommitTS > j.model.head {
			return "G4", "ghost-read"
		}
		if r.CommitTS == 0 {
			continue
		}
		known := false
		for _, v := range j.model.keys[r.Name] {
			known = known || v.ts == r.CommitTS && v.number == r.Version
		}
		if !known {
			return "G4", "ghost-read"
		}
	}
	return "G3", "wrong-read"
}

// right tells why an answer is not what was true at ts; "" when it is.
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
	case history.ListAgents:
		return j.rightAgents(op, ts)
	case history.ListSpaces:
		return j.rightSpaces(op, ts)
	}
	return "", "", ""
}

// same compares a record with a version.
func (j *judge) same(op *history.Operation, r *history.Record, v *version, ts uint64) (why, expected, got string) {
	ok := r.Exists == v.exists() && r.Version == v.num()
	switch {
	case v == nil:
		ok = ok && r.CommitTS == 0 && r.CommitTime == 0
	default:
		ev := j.model.event(v.ts)
		time := v.time
		if ev != nil {
			time = ev.CommitTime
		}
		ok = ok && r.CommitTS == v.ts && (time == 0 || time == r.CommitTime)
	}
	if !v.exists() || op.In.NoValues {
		ok = ok && r.Value == "" && !r.Inexact
	} else {
		ok = ok && sameRead(&op.In, r.Value, r.Inexact, v.value)
	}
	if ok {
		return "", "", ""
	}
	return fmt.Sprintf("key %q of agent %q is shown otherwise than it was after commit %d", r.Key, r.Agent, ts), v.show(), showRecord(r)
}

// sameMore holds a page to what it says of those after it. left is how many are
// left: one that is left for another page is there for certain.
func sameMore(op *history.Operation, shown, left int) (why, expected, got string) {
	switch {
	case op.In.Limit > 0 && uint64(shown) > op.In.Limit:
		return "the page is longer than its limit", fmt.Sprint(op.In.Limit), fmt.Sprint(shown)
	case op.Out.More && (left == 0 || shown == 0):
		return "there is another page, it says, and there is none", "the last page", "more"
	case op.Out.More && op.In.Limit == 0 && op.In.PageOf == 0 && (op.Kind == history.ListKeys || op.Kind == history.Scan):
		return "it was asked for all", "all, or a refusal", fmt.Sprint(shown)
	case !op.Out.More && left > 0:
		return "it is the last page, it says, and there are more", fmt.Sprint(shown + left), fmt.Sprint(shown)
	}
	return "", "", ""
}

func (j *judge) rightVersion(op *history.Operation, ts uint64) (why, expected, got string) {
	if len(op.Out.Records) != 1 || op.Out.Records[0].Name != op.In.Name() {
		return "the answer is about another record", fmt.Sprint(op.In.Name()), fmt.Sprint(op.Out.Records)
	}
	r := &op.Out.Records[0]
	if n := op.In.KeyVersion; j.model.older(r.Name, n) {
		j.count(op, &j.stats.BeforeBase)
		if r.Version == n && r.CommitTS < j.model.keys[r.Name][0].ts {
			return "", "", ""
		}
	}
	for i := range j.model.keys[r.Name] {
		if v := &j.model.keys[r.Name][i]; v.number == op.In.KeyVersion && v.ts <= ts {
			return j.same(op, r, v, ts)
		}
	}
	return "there is no such version", "nothing", showRecord(r)
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

func (j *judge) rightList(op *history.Operation, ts uint64) (why, expected, got string) {
	if t := j.txns[op.In.TxnID]; t != nil && j.hidden(t) {
		return j.rightUnderHidden(op, ts)
	}
	keys := op.Out.Keys
	for i := range op.Out.Records {
		r := &op.Out.Records[i]
		if n := (history.Name{Namespace: op.In.Namespace, Agent: op.In.Agent, Key: r.Key}); r.Name != n {
			return "the answer is about another record", fmt.Sprint(n), fmt.Sprint(r.Name)
		}
		keys = append(keys, r.Key)
	}
	want := j.listing(op, ts)
	at, left := 0, 0
	for i := range want {
		w := &want[i]
		switch {
		case at < len(keys) && keys[at] == w.key:
			at++
		case at == len(keys) && (w.certain || op.Out.More):
			left++ // for the next page
		case w.certain:
			return fmt.Sprintf("the keys are not those after commit %d", ts), showListing(want), strings.Join(keys, " ")
		}
	}
	if at < len(keys) {
		return fmt.Sprintf("the keys are not those after commit %d", ts), showListing(want), strings.Join(keys, " ")
	}
	if why, expected, got = sameMore(op, len(keys), left); why != "" {
		return why, expected, got
	}
	for i := range op.Out.Records {
		if why, expected, got = j.sameUnderOwn(op, &op.Out.Records[i], ts); why != "" {
			return why, expected, got
		}
	}
	return "", "", ""
}

func (j *judge) rightHistory(op *history.Operation, ts uint64) (why, expected, got string) {
	vs := j.model.keys[op.In.Name()]
	first, left := uint64(1), j.model.at(op.In.Name(), ts).num() // versions are dense: the entries are numbers in a row
	if !op.In.OldestFirst {
		first = left
	}
	if from := j.pageOf(op); from != nil && len(from.Out.Records) > 0 {
		last := from.Out.Records[len(from.Out.Records)-1].Version
		if op.In.OldestFirst {
			first, left = last+1, left-min(left, last)
		} else {
			left = min(left, max(last, 1)-1)
			first = left
		}
	}
	recs := op.Out.Records
	if uint64(len(recs)) > left {
		return fmt.Sprintf("the history has another length than after commit %d", ts), fmt.Sprint(left), fmt.Sprint(len(recs))
	}
	for i := range recs {
		r, number := &recs[i], first+uint64(i)
		if !op.In.OldestFirst {
			number = first - uint64(i)
		}
		if r.Name != op.In.Name() {
			return "the answer is about another record", fmt.Sprint(op.In.Name()), fmt.Sprint(r.Name)
		}
		if j.model.older(r.Name, number) && r.Version == number && r.CommitTS < vs[0].ts {
			continue // that is all that is known of it
		}
		var v *version
		if at := number - vs[0].number; number >= vs[0].number && at < uint64(len(vs)) {
			v = &vs[at]
		}
		if why, expected, got = j.same(op, r, v, ts); why != "" {
			return why, expected, got
		}
		if v == nil {
			continue // and so is the record: the log is not dense, which is reported
		}
		if ev := v.event; ev != nil && (ev.TxnID != r.TxnID || !maps.Equal(ev.Metadata, r.Metadata)) {
			return "the history names another transaction, or other metadata", fmt.Sprint(ev.TxnID, ev.Metadata), fmt.Sprint(r.TxnID, r.Metadata)
		}
	}
	return sameMore(op, len(recs), int(left)-len(recs))
}

func (j *judge) rightAgents(op *history.Operation, ts uint64) (why, expected, got string) {
	var want []history.Agent
	for a, commits := range j.model.agents { // sorted below
		if a.Namespace == op.In.Namespace && strings.HasPrefix(a.Agent, op.In.Prefix) && commits[0] <= ts {
			want = append(want, history.Agent{Namespace: a.Namespace, Agent: a.Agent, FirstTS: commits[0], HeadTS: j.model.headAt(a, ts)})
		}
	}
	slices.SortFunc(want, func(x, y history.Agent) int { return strings.Compare(x.Agent, y.Agent) })
	if from := j.pageOf(op); from != nil && len(from.Out.Agents) > 0 {
		last := from.Out.Agents[len(from.Out.Agents)-1].Agent
		want = slices.DeleteFunc(want, func(a history.Agent) bool { return a.Agent <= last })
	}
	list := op.Out.Agents
	if len(list) > len(want) || !slices.Equal(list, want[:len(list)]) {
		return fmt.Sprintf("the agents are not those after commit %d", ts), fmt.Sprint(want), fmt.Sprint(list)
	}
	return sameMore(op, len(list), len(want)-len(list))
}

func (j *judge) rightSpaces(op *history.Operation, ts uint64) (why, expected, got string) {
	var want []string
	for ns, first := range j.model.spaces { // sorted below
		if first <= ts {
			want = append(want, ns)
		}
	}
	slices.Sort(want)
	if from := j.pageOf(op); from != nil {
		last := from.Out.LastShown()
		want = slices.DeleteFunc(want, func(s string) bool { return s <= last })
	}
	list := op.Out.Keys
	if len(list) > len(want) || !slices.Equal(list, want[:len(list)]) {
		return fmt.Sprintf("the namespaces are not those after commit %d", ts), fmt.Sprint(want), fmt.Sprint(list)
	}
	return sameMore(op, len(list), len(want)-len(list))
}
