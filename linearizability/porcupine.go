package linearizability

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// This file is the second judge. It shares nothing with the oracle but the history:
// it searches for an order of the operations that explains the answers (Wing and
// Gong, 1993; Lowe, 2017), and does not believe the log to have it. Where there are
// too many operations for a search it takes the log's help to cut them into windows;
// on samples of a few keys it does without, so that a log that lies cannot hide.

// unit is what takes effect at one point: a read, or a commit with what it read,
// the conditions it was made on, and what it wrote. Attempts under one transaction
// id are one unit, since it may take effect only once.
type unit struct {
	op        *Operation
	call, ret int64 // ret is math.MaxInt64 while nobody knows whether it happened
	reads     map[Name]cell
	demands   map[Name]uint64 // the version that a key must be at; 0: it does not exist
	writes    map[Name]cell
	ts        uint64 // commit_ts by the log, 0 if it is not there
}

// cell is the state of a key.
type cell struct {
	version uint64
	exists  bool
	value   string
}

func (j *judge) cellOf(r *Record) cell {
	if !r.Exists {
		return cell{version: r.Version}
	}
	return cell{r.Version, true, j.form(r.Value)}
}

// form is the canonical form of a value, remembered.
func (j *judge) form(value string) string {
	form, ok := j.forms[value]
	if !ok {
		form = canonical(value)
		j.forms[value] = form
	}
	return form
}

// units lists what a history holds for the search.
func (j *judge) units(h *History) []*unit {
	var list []*unit
	for _, op := range h.Operations {
		if plain := op.In.TxnID == "" && op.In.At == nil && op.In.AtTime == 0 && !op.In.NoValues; !plain || op.Outcome != OK {
			continue
		}
		if op.Kind == Get || op.Kind == BatchGet {
			u := &unit{op: op, call: op.Call, ret: op.Return, reads: make(map[Name]cell)}
			for i := range op.Out.Records {
				u.reads[op.Out.Records[i].Name] = j.cellOf(&op.Out.Records[i])
			}
			list = append(list, u)
		}
	}
	for _, t := range slices.SortedFunc(maps.Values(j.txns), func(a, b *txn) int { return a.first - b.first }) {
		if u := j.unitOf(t); u != nil {
			list = append(list, u)
		}
	}
	return list
}

// unitOf is a transaction as one unit; nil if it certainly did nothing.
func (j *judge) unitOf(t *txn) *unit {
	u := &unit{ret: math.MaxInt64, reads: make(map[Name]cell), demands: make(map[Name]uint64), writes: make(map[Name]cell)}
	unknown := false
	for _, op := range t.attempts {
		if u.op == nil {
			u.op, u.call = op, op.Call
		}
		if op.Outcome == OK && op.Return < u.ret {
			u.op, u.ret = op, op.Return
		}
		unknown = unknown || op.Outcome == Unknown || op.Outcome == Fail && !final[op.Error.Code]
	}
	if u.op == nil || u.ret == math.MaxInt64 && !unknown {
		return nil
	}
	want, conditions := t.wanted(u.op)
	for n, w := range want { // into a map: order cannot matter
		if c := (cell{exists: !w.Delete}); w.Delete {
			u.writes[n] = c
		} else {
			c.value = j.form(w.Value)
			u.writes[n] = c
		}
	}
	for _, v := range u.op.Out.Versions {
		c := u.writes[v.Name]
		c.version = v.Version
		u.writes[v.Name] = c
	}
	for _, w := range conditions {
		u.demands[w.Name] = *w.Expected
	}
	for _, k := range u.op.In.Keys {
		u.demands[k.Name] = k.Expected
	}
	for _, r := range t.reads {
		if (r.Kind == Get || r.Kind == BatchGet) && r.Outcome == OK && r.Call < u.op.Call {
			for i := range r.Out.Records {
				if n := r.Out.Records[i].Name; len(t.own(n, r).writes) == 0 {
					u.reads[n] = j.cellOf(&r.Out.Records[i])
				}
			}
		}
	}
	if ev := j.m.byTxn[t.id]; ev != nil {
		u.ts = ev.CommitTS
	}
	if len(u.writes) == 0 && t.begin != nil { // it takes effect where it read
		u.call, u.ret = t.begin.Call, t.begin.Return
	}
	return u
}

// touches tells whether a unit has to do with one of some keys.
func (u *unit) touches(keys []Name) bool {
	return slices.ContainsFunc(keys, func(n Name) bool {
		_, read := u.reads[n]
		_, demands := u.demands[n]
		_, writes := u.writes[n]
		return read || demands || writes
	})
}

// state of some keys, in their order. Known is false until an answer told it.
type state [maxSampleKeys]struct {
	known bool
	cell
}

const maxSampleKeys = 4

// search looks for an order of the units that explains what they tell of the keys.
func search(keys []Name, units []*unit, from state, timeout time.Duration) porcupine.CheckResult {
	steps := 0
	model := porcupine.Model{
		Init: func() any { return from },
		Step: func(s, in, _ any) (bool, any) {
			if steps++; steps > maxSteps {
				return false, s
			}
			u := in.(*unit)
			if ok, next := u.apply(keys, s.(state)); ok {
				return true, next
			}
			return u.ret == math.MaxInt64, s // one that was never answered may have been refused
		},
	}
	ops := make([]porcupine.Operation, len(units))
	for i, u := range units {
		ops[i] = porcupine.Operation{Input: u, Call: u.call, Return: u.ret}
	}
	r := porcupine.CheckOperationsTimeout(model, ops, timeout)
	if steps > maxSteps { // one partition, so one search: nobody else counts
		return porcupine.Unknown
	}
	return r
}

// maxSteps bounds a search in steps, so that its verdict does not depend on how busy
// the machine is.
const maxSteps = 1 << 20

// apply is the sequential model: what a unit needs and does.
func (u *unit) apply(keys []Name, s state) (bool, state) {
	for i, n := range keys {
		at := &s[i]
		if seen, ok := u.reads[n]; ok {
			if at.known && at.cell != seen {
				return false, s
			}
			at.known, at.cell = true, seen
		}
		if v, ok := u.demands[n]; ok && at.known && v != at.version && (v != 0 || at.exists) {
			return false, s
		}
		if w, ok := u.writes[n]; ok {
			switch {
			case at.known && w.version != 0 && w.version != at.version+1:
				return false, s
			case at.known:
				w.version = at.version + 1
				at.cell = w
			case w.version != 0: // else nobody was told what it made of what nobody knew
				at.known, at.cell = true, w
			}
		}
	}
	return true, s
}

// searchAll has Porcupine judge a history.
func (j *judge) searchAll(h *History, o Options) {
	units := j.units(h)
	byKey := make(map[Name][]*unit)
	for _, u := range units {
		for _, n := range u.names() {
			byKey[n] = append(byKey[n], u)
		}
	}
	names := slices.SortedFunc(maps.Keys(byKey), Name.compare)
	if h.Complete {
		for _, n := range names {
			j.searchWindows(n, byKey[n], o)
		}
	}
	j.searchSamples(h, names, byKey, o)
}

// names lists the keys of a unit.
func (u *unit) names() []Name {
	all := make(map[Name]bool)
	for n := range u.reads {
		all[n] = true
	}
	for n := range u.demands {
		all[n] = true
	}
	for n := range u.writes {
		all[n] = true
	}
	return slices.SortedFunc(maps.Keys(all), Name.compare)
}

// windowSize is how many operations a window has at least, where there are as many.
// A search costs little for each operation, and something for itself.
const windowSize = 40

// maxUnknown is how many unknown commits a search without the log can bear: each may
// have happened at any time since, or never.
const maxUnknown = 6

// searchWindows judges one key. The log tells which of the unknown commits
// happened, by when (somebody knew of them, or of later ones), and what the key was
// wherever nothing was under way.
func (j *judge) searchWindows(n Name, units []*unit, o Options) {
	var list []*unit
	for _, u := range units {
		resolved := *u
		if u.ret == math.MaxInt64 {
			if u.ts == 0 {
				continue // it never happened
			}
			resolved.ret = j.b.known(u.ts)
		}
		list = append(list, &resolved)
	}
	sort.SliceStable(list, func(i, k int) bool { return list[i].call < list[k].call })
	last, from, before := int64(math.MinInt64), 0, uint64(j.m.base)
	head := before
	for i := 0; i <= len(list); i++ {
		if i == len(list) || i >= from+windowSize && list[i].call > last {
			j.verdict(search([]Name{n}, list[from:i], j.stateAt(n, before), o.PorcupineTimeout), []Name{n}, list[from:i], "with the log's help")
			from, before = i, head
		}
		if i < len(list) {
			last = max(last, list[i].ret)
			if _, writes := list[i].writes[n]; writes {
				head = max(head, list[i].ts)
			}
		}
	}
}

func (j *judge) stateAt(n Name, ts uint64) (s state) {
	s[0].known = true
	if v := j.m.at(n, ts); v.exists() {
		s[0].cell = cell{v.number, true, j.form(v.value)}
	} else {
		s[0].version = v.num()
	}
	return s
}

// known is when it was first known to somebody that ts was committed.
func (b *bounds) known(ts uint64) int64 {
	i := sort.Search(len(b.proofs), func(i int) bool { return b.proofs[i].ts >= ts })
	if i == len(b.proofs) {
		return math.MaxInt64
	}
	return b.proofs[i].time
}

// searchSamples judges a few keys together, without the log: what an unknown commit
// did is left open.
func (j *judge) searchSamples(h *History, names []Name, byKey map[Name][]*unit, o Options) {
	if len(names) == 0 {
		return
	}
	pick := o.Seed
	for range o.Samples {
		pick = pick*6364136223846793005 + 1442695040888963407 // Knuth's MMIX: any spread will do
		keys := []Name{names[(pick>>33)%uint64(len(names))]}
		var list []*unit
		for k := uint64(1); ; k++ {
			grown := touching(keys, byKey)
			if unknown := count(grown, func(u *unit) bool { return u.ret == math.MaxInt64 }); len(grown) > o.SampleSize || unknown > maxUnknown {
				keys = keys[:len(keys)-1]
				break
			}
			list = grown
			if len(keys) == maxSampleKeys || k == uint64(len(names)) {
				break
			}
			if next := names[((pick>>33)+k)%uint64(len(names))]; !slices.Contains(keys, next) {
				keys = append(keys, next)
			}
		}
		if len(keys) == 0 {
			continue
		}
		var empty state
		if h.Header.Base == nil {
			for i := range keys {
				empty[i].known = true
			}
		}
		j.verdict(search(keys, list, empty, o.PorcupineTimeout), keys, list, "without the log")
	}
}

func touching(keys []Name, byKey map[Name][]*unit) []*unit {
	var list []*unit
	for i, n := range keys {
		for _, u := range byKey[n] {
			if !u.touches(keys[:i]) {
				list = append(list, u)
			}
		}
	}
	return list
}

func count[T any](list []T, f func(T) bool) (n int) {
	for _, x := range list {
		if f(x) {
			n++
		}
	}
	return n
}

func (j *judge) verdict(r porcupine.CheckResult, keys []Name, units []*unit, how string) {
	j.stats.Searched += len(units)
	switch r {
	case porcupine.Unknown:
		j.stats.Unjudged++
	case porcupine.Illegal:
		op := units[len(units)-1].op
		j.breaks(op, "G3", "not-linearizable", "", "", "no order of the %d operations from #%d on explains what was told of %s (Porcupine, %s)",
			len(units), units[0].op.ID, keyNames(keys), how)
	}
}

func keyNames(keys []Name) string {
	var list []string
	for _, n := range keys {
		list = append(list, fmt.Sprintf("key %q of agent %q", n.Key, n.Agent))
	}
	return strings.Join(list, ", ")
}
