package oracle

import (
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/model"
)

// sameMore holds a page to what it says of those after it. left is how many are
// left: one that is left for another page is there for certain.
func (j *judge) sameMore(op *history.Operation, shown, left int) (why, expected, got string) {
	switch {
	case op.In.Limit > 0 && uint64(shown) > op.In.Limit:
		return "the page is longer than its limit", fmt.Sprint(op.In.Limit), fmt.Sprint(shown)
	case j.intents && op.Out.More && shown > 0:
		return "", "", "" // its user did not ask for more, if there are
	case op.Out.More && (left == 0 || shown == 0):
		return "there is another page, it says, and there is none", "the last page", "more"
	case op.Out.More && op.In.Limit == 0 && op.In.PageOf == 0 && (op.Kind == history.ListKeys || op.Kind == history.Scan):
		return "it was asked for all", "all, or a refusal", fmt.Sprint(shown)
	case !op.Out.More && left > 0:
		return "it is the last page, it says, and there are more", fmt.Sprint(shown + left), fmt.Sprint(shown)
	}
	return "", "", ""
}

func (j *judge) rightList(op *history.Operation, ts uint64) (why, expected, got string) {
	if t := j.txns[op.In.TxnID]; t != nil && j.hidden(t) {
		return j.rightUnderHidden(op, ts)
	}
	if op.In.Delimiter != "" {
		return j.rightFolders(op, ts)
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
	if why, expected, got = j.sameMore(op, len(keys), left); why != "" {
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
	vs := j.model.Keys[op.In.Name()]
	first, left := uint64(1), j.model.At(op.In.Name(), ts).Num() // versions are dense: the entries are numbers in a row
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
		if j.model.Older(r.Name, number) && r.Version == number && r.CommitTS < vs[0].TS {
			continue // that is all that is known of it
		}
		var v *model.Version
		if at := number - vs[0].Number; number >= vs[0].Number && at < uint64(len(vs)) {
			v = &vs[at]
		}
		if why, expected, got = j.same(op, r, v, ts); why != "" {
			return why, expected, got
		}
		if v == nil {
			continue // and so is the record: the log is not dense, which is reported
		}
		if ev := v.Event; ev != nil && (ev.TxnID != r.TxnID || !j.sameProvenance(ev, r.Metadata, r.Principal, r.TraceID)) {
			return "the history names another transaction, or other metadata", fmt.Sprint(ev.TxnID, ev.Metadata), fmt.Sprint(r.TxnID, r.Metadata)
		}
	}
	return j.sameMore(op, len(recs), int(left)-len(recs))
}

func (j *judge) rightAgents(op *history.Operation, ts uint64) (why, expected, got string) {
	var want []history.Agent
	for a, commits := range j.model.Agents { // sorted below
		if a.Namespace == op.In.Namespace && strings.HasPrefix(a.Agent, op.In.Prefix) && commits[0] <= ts {
			want = append(want, history.Agent{Namespace: a.Namespace, Agent: a.Agent, FirstTS: commits[0], HeadTS: j.model.HeadAt(a, ts)})
			want[len(want)-1].HeadTime = j.model.TimeOf(want[len(want)-1].HeadTS)
		}
	}
	slices.SortFunc(want, func(x, y history.Agent) int { return strings.Compare(x.Agent, y.Agent) })
	if from := j.pageOf(op); from != nil && len(from.Out.Agents) > 0 {
		last := from.Out.Agents[len(from.Out.Agents)-1].Agent
		want = slices.DeleteFunc(want, func(a history.Agent) bool { return a.Agent <= last })
	}
	list := op.Out.Agents
	if len(list) > len(want) || !slices.EqualFunc(list, want[:len(list)], sameAgent) {
		return fmt.Sprintf("the agents are not those after commit %d", ts), fmt.Sprint(want), fmt.Sprint(list)
	}
	return j.sameMore(op, len(list), len(want)-len(list))
}

// sameAgent compares what is told of an agent with how it is. Older daemons do not tell the time of its
// head, and of the base it is not known.
func sameAgent(told, is history.Agent) bool {
	if told.HeadTime == 0 || is.HeadTime == 0 {
		told.HeadTime, is.HeadTime = 0, 0
	}
	return told == is
}

func (j *judge) rightSpaces(op *history.Operation, ts uint64) (why, expected, got string) {
	var want []string
	for ns, first := range j.model.Spaces { // sorted below
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
	return j.sameMore(op, len(list), len(want)-len(list))
}

// listedKey is a key that a list or scan can show.
type listedKey struct {
	key     string
	certain bool // it must be there; otherwise that depends on answers that were lost
}

// listing lists what a list or scan can show of the state as of ts, under the own
// writes of its transaction, from where the page begins.
func (j *judge) listing(op *history.Operation, ts uint64) []listedKey {
	a, in := history.AgentName{Namespace: op.In.Namespace, Agent: op.In.Agent}, &op.In
	t := j.txns[in.TxnID]
	keys := j.model.Sorted[a]
	if t != nil && len(t.staged) > 0 {
		keys = slices.Clone(keys)
		for _, s := range t.staged {
			if s.In.Namespace == a.Namespace && s.In.Agent == a.Agent {
				keys = append(keys, s.In.Key)
			}
		}
		slices.Sort(keys)
		keys = slices.Compact(keys)
	}
	after := j.pageStart(op)
	var out []listedKey
	for _, k := range keys {
		if !strings.HasPrefix(k, in.Prefix) || after != "" && (k == after || k < after != in.Reverse) {
			continue
		}
		n := history.Name{Namespace: a.Namespace, Agent: a.Agent, Key: k}
		own := t.own(n, op)
		can, must := false, true
		see := func(exists bool) { can, must = can || exists, must && exists }
		for _, w := range own.writes {
			see(w.Kind == history.StageWrite)
		}
		if !own.covers {
			see(j.model.At(n, ts).Exists())
		}
		if can {
			out = append(out, listedKey{k, must})
		}
	}
	if in.Reverse {
		slices.Reverse(out)
	}
	return out
}

// rightUnderHidden holds a listing to its snapshot where own writes may be missing from the
// history, so that any key may be there because of one, or be gone: the listing is in order and
// where it was asked for, and what has a version is right.
func (j *judge) rightUnderHidden(op *history.Operation, ts uint64) (why, expected, got string) {
	in, last := &op.In, j.pageStart(op)
	next := func(k string) bool {
		ok := strings.HasPrefix(k, in.Prefix) && (last == "" || k != last && k < last == in.Reverse)
		last = k
		return ok
	}
	for _, k := range op.Out.Keys {
		if !next(k) {
			return "the keys are not in order, or not those asked for", in.Prefix, k
		}
	}
	for i := range op.Out.Records {
		r := &op.Out.Records[i]
		if n := (history.Name{Namespace: in.Namespace, Agent: in.Agent, Key: r.Key}); r.Name != n || !next(r.Key) {
			return "the answer is about another record, or they are not in order", fmt.Sprint(n), fmt.Sprint(r.Name)
		}
		if why, expected, got = j.sameUnderOwn(op, r, ts); why != "" {
			return why, expected, got
		}
	}
	if n := uint64(len(op.Out.Keys) + len(op.Out.Records)); in.Limit > 0 && n > in.Limit {
		return "the page is longer than its limit", fmt.Sprint(in.Limit), fmt.Sprint(n)
	}
	return "", "", ""
}

func showListing(list []listedKey) string {
	var b strings.Builder
	for i := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(list[i].key)
		if !list[i].certain {
			b.WriteByte('?')
		}
	}
	return b.String()
}
