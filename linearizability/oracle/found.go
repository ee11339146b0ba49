package oracle

import (
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/evaluate"
	"statehouse.dev/statehouse/linearizability/oracle/model"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// What is found by filters, listed as folders, compared, and told of where an agent comes from.

func (j *judge) violateAt(guarantee, check string, ev *history.Event, format string, args ...any) {
	j.violate(verdict.Violation{Guarantee: guarantee, Check: check, CommitTS: ev.CommitTS, Sentence: fmt.Sprintf(format, args...)})
}

// rightFind compares a page of a find with the records that its conditions select. A page may end
// anywhere: then what it leaves is for the next one.
func (j *judge) rightFind(op *history.Operation, ts uint64) (why, expected, got string) {
	want := j.selected(op, ts)
	if first := j.firstPage(op); first != op {
		want = want[min(len(want), j.foundBefore(op)):]
	}
	recs := op.Out.Records
	if len(recs) > len(want) || len(recs) < len(want) && !op.Out.More {
		return fmt.Sprintf("the records are not those that the conditions select after commit %d", ts), showNames(want), showRecords(recs)
	}
	for i := range recs {
		r := &recs[i]
		if r.Name != want[i] {
			return fmt.Sprintf("the records are not those that the conditions select after commit %d", ts), showNames(want), showRecords(recs)
		}
		v := j.model.At(r.Name, ts)
		if why, expected, got = j.same(op, r, v, ts); why != "" {
			return why, expected, got
		}
		if op.In.WithMetadata && v.Event != nil && !j.sameProvenance(v.Event, r.Metadata, v.Event.Principal, v.Event.TraceID) {
			return "it shows other metadata than those of the last commit", fmt.Sprint(v.Event.Metadata), fmt.Sprint(r.Metadata)
		}
	}
	if op.In.Limit > 0 && uint64(len(recs)) > op.In.Limit {
		return "the page is longer than its limit", fmt.Sprint(op.In.Limit), fmt.Sprint(len(recs))
	}
	return "", "", ""
}

// foundBefore is how many records the pages before have shown.
func (j *judge) foundBefore(op *history.Operation) (n int) {
	for from := j.pageOf(op); from != nil; from = j.pageOf(from) {
		n += len(from.Out.Records)
	}
	return n
}

// selected are the records that a find selects, in its order.
func (j *judge) selected(op *history.Operation, ts uint64) []history.Name {
	in := &j.firstPage(op).In
	var list []history.Name
	for n := range j.model.Keys { // sorted below
		if n.Namespace != in.Namespace || !in.AllAgents && n.Agent != in.Agent || !strings.HasPrefix(n.Key, in.Prefix) || model.Hidden(n) {
			continue
		}
		v := j.model.At(n, ts)
		if !v.Exists() {
			continue
		}
		var metadata map[string]string
		if v.Event != nil {
			metadata = v.Event.Metadata
		}
		if !slices.ContainsFunc(in.Where, func(f history.Filter) bool { return !evaluate.Meets(&f, v.Value, v.Lost, metadata, v.Event != nil) }) {
			list = append(list, n)
		}
	}
	slices.SortFunc(list, func(x, y history.Name) int {
		if in.ByChange {
			if a, b := j.model.At(x, ts).CommitTS(), j.model.At(y, ts).CommitTS(); a != b {
				return int(b) - int(a)
			}
		}
		return history.CompareNames(x, y)
	})
	return list
}

// folder is what a key is listed as: a folder, or itself.
func folder(in *history.Input, key string) (shown string, is bool) {
	rest := key[len(in.Prefix):]
	if i := strings.Index(rest, in.Delimiter); i >= 0 {
		return in.Prefix + rest[:i+len(in.Delimiter)], true
	}
	return key, false
}

// rightFolders compares a listing by a delimiter with the keys that exist.
func (j *judge) rightFolders(op *history.Operation, ts uint64) (why, expected, got string) {
	in := &op.In
	var want []string
	isFolder := make(map[string]bool)
	for _, n := range j.model.Under(history.AgentName{Namespace: in.Namespace, Agent: in.Agent}, in.Prefix) {
		if !j.model.At(n, ts).Exists() {
			continue
		}
		shown, is := folder(in, n.Key)
		isFolder[shown] = is
		want = append(want, shown)
	}
	slices.Sort(want)
	want = slices.Compact(want)
	if in.Reverse {
		slices.Reverse(want)
	}
	shown := 0
	for from := j.pageOf(op); from != nil; from = j.pageOf(from) {
		shown += len(from.Out.Keys) + len(from.Out.Folders)
	}
	want = want[min(shown, len(want)):]
	n := len(op.Out.Keys) + len(op.Out.Folders)
	var keys, folders []string
	for _, s := range want[:min(n, len(want))] {
		if isFolder[s] {
			folders = append(folders, s)
		} else {
			keys = append(keys, s)
		}
	}
	if n > len(want) || !slices.Equal(keys, op.Out.Keys) || !slices.Equal(folders, op.Out.Folders) {
		return fmt.Sprintf("the keys and folders are not those after commit %d", ts), fmt.Sprint(keys, folders), fmt.Sprint(op.Out.Keys, op.Out.Folders)
	}
	return j.sameMore(op, n, len(want)-n)
}

// rightDiff compares a page of a diff with the states of both its sides, now being ts. At commit 0 there
// was nothing.
func (j *judge) rightDiff(op *history.Operation, ts uint64) (why, expected, got string) {
	in, out := &j.firstPage(op).In, &op.Out
	from := history.AgentName{Namespace: in.Namespace, Agent: in.Agent}
	to, toAt := from, history.Point{}
	if in.Versus != nil {
		if toAt = *in.Versus; toAt.Agent != "" {
			to = history.AgentName{Namespace: toAt.Namespace, Agent: toAt.Agent}
		}
	}
	point := func(at *uint64, time int64) uint64 {
		switch {
		case at != nil:
			return *at
		case time != 0:
			return j.model.TimeAt(time, ts)
		}
		return ts // now
	}
	fromTS, toTS := point(in.At, in.AtTime), point(toAt.At, toAt.AtTime)
	if out.FromTS != fromTS || out.ToTS != toTS {
		return "it compares other points", fmt.Sprint(fromTS, toTS), fmt.Sprint(out.FromTS, out.ToTS)
	}
	if unknown := func(ts uint64) bool { return ts > 0 && ts < j.model.Base }; unknown(fromTS) || unknown(toTS) {
		return "", "", "" // what was then
	}
	state := func(a history.AgentName, k string, ts uint64) *model.Version {
		if ts == 0 {
			return nil
		}
		return j.model.At(history.Name{Namespace: a.Namespace, Agent: a.Agent, Key: k}, ts)
	}
	before := func(k string) *model.Version { return state(from, k, fromTS) }
	after := func(k string) *model.Version { return state(to, k, toTS) }
	last := ""
	for page := j.pageOf(op); page != nil && last == ""; page = j.pageOf(page) {
		if n := len(page.Out.Diffs); n > 0 {
			last = page.Out.Diffs[n-1].Key
		}
	}
	var want []string
	for _, n := range slices.Concat(j.model.Under(from, in.Prefix), j.model.Under(to, in.Prefix)) {
		if x, y := before(n.Key), after(n.Key); n.Key > last && j.differ(x, y, from == to) {
			want = append(want, n.Key)
		}
	}
	slices.Sort(want)
	want = slices.Compact(want)
	for i := range out.Diffs {
		d := &out.Diffs[i]
		if i >= len(want) || want[i] != d.Key {
			return "the keys are not those that differ", fmt.Sprint(want), fmt.Sprint(diffKeys(out.Diffs))
		}
		if why := j.sameDiff(op, d, before(d.Key), after(d.Key)); why != "" {
			return why, before(d.Key).Show() + "; " + after(d.Key).Show(), fmt.Sprintf("%+v", *d)
		}
	}
	if len(out.Diffs) < len(want) && !out.More {
		return "it ends before all keys that differ are shown", fmt.Sprint(want), fmt.Sprint(diffKeys(out.Diffs))
	}
	return "", "", ""
}

func (j *judge) differ(x, y *model.Version, sameAgent bool) bool {
	switch {
	case x.Exists() != y.Exists():
		return true
	case !x.Exists():
		return false
	case x.Lost || y.Lost:
		return !sameAgent || x.Number != y.Number
	}
	return !evaluate.SameText(x.Value, y.Value)
}

// sameDiff compares what is shown of a key with its versions on both sides, and with each other.
func (j *judge) sameDiff(op *history.Operation, d *history.KeyDiff, x, y *model.Version) string {
	side := func(r *history.Record, v *model.Version) bool {
		if !v.Exists() {
			return !r.Exists
		}
		return r.Exists && r.Version == v.Number && r.CommitTS == v.CommitTS() &&
			(r.Erased || r.Pruned || op.In.NoValues && r.Value == "" || shownAs(&op.In, r.Value, r.Inexact, v.Value))
	}
	if !side(&d.Before, x) || !side(&d.After, y) {
		return fmt.Sprintf("key %q is shown otherwise than it was", d.Key)
	}
	if !x.Exists() || !y.Exists() || x.Lost || y.Lost || history.IsBytes(x.Value) || history.IsBytes(y.Value) {
		if d.Patch != "" {
			return fmt.Sprintf("key %q has a patch, and no two values", d.Key)
		}
		return ""
	}
	if strings.HasPrefix(x.Value, "digest:") {
		return ""
	}
	if patched, ok := evaluate.Patched(x.Value, d.Patch); !ok || !evaluate.SameText(patched, y.Value) {
		return fmt.Sprintf("the patch of key %q does not make the one value of the other", d.Key)
	}
	return ""
}

func diffKeys(list []history.KeyDiff) (keys []string) {
	for i := range list {
		keys = append(keys, list[i].Key)
	}
	return keys
}

// rightAgent compares what is told of an agent and of where it comes from.
func (j *judge) rightAgent(op *history.Operation, ts uint64) (why, expected, got string) {
	a, out := history.AgentName{Namespace: op.In.Namespace, Agent: op.In.Agent}, &op.Out
	show := func(a history.AgentName) history.Agent {
		head := j.model.HeadAt(a, ts)
		return history.Agent{Namespace: a.Namespace, Agent: a.Agent, FirstTS: j.model.Agents[a][0], HeadTS: head, HeadTime: j.model.TimeOf(head)}
	}
	var want []history.Agent
	if j.model.HeadAt(a, ts) > 0 {
		want = append(want, show(a))
	}
	if !slices.EqualFunc(out.Agents, want, sameAgent) {
		return fmt.Sprintf("the agent is not as it was after commit %d", ts), fmt.Sprint(want), fmt.Sprint(out.Agents)
	}
	var origin history.Origin
	if f := j.model.Forks[a]; f != nil && f.TS <= ts {
		origin = history.Origin{Namespace: f.Parent.Namespace, Agent: f.Parent.Agent, CommitTS: f.At, ForkedTS: f.TS, ForkedAt: j.model.TimeOf(f.TS)}
	}
	if told := out.Origin; j.model.Base == 0 && (told == nil && origin != (history.Origin{}) || told != nil && *told != origin) {
		return "it was forked from something else", fmt.Sprintf("%+v", origin), fmt.Sprintf("%+v", told)
	}
	var forks []history.AgentName
	for child, f := range j.model.Forks { // sorted below
		if f.Parent == a && f.TS <= ts {
			forks = append(forks, child)
		}
	}
	slices.SortFunc(forks, func(x, y history.AgentName) int {
		if d := int(j.model.Forks[x].TS) - int(j.model.Forks[y].TS); d != 0 {
			return d
		}
		return history.CompareNames(history.Name{Namespace: x.Namespace, Agent: x.Agent}, history.Name{Namespace: y.Namespace, Agent: y.Agent})
	})
	var list []history.Agent
	for _, f := range forks {
		list = append(list, show(f))
	}
	if j.model.Base == 0 && !slices.EqualFunc(out.Forks, list, sameAgent) {
		return "its forks are others", fmt.Sprint(list), fmt.Sprint(out.Forks)
	}
	return "", "", ""
}

func showNames(list []history.Name) string {
	var words []string
	for _, n := range list {
		words = append(words, n.Agent+"/"+n.Key)
	}
	return strings.Join(words, " ")
}

func showRecords(list []history.Record) string {
	var words []string
	for i := range list {
		words = append(words, list[i].Agent+"/"+list[i].Key)
	}
	return strings.Join(words, " ")
}
