// Package request puts requests in the form in which two that ask for the same are equal.
//
// A client that has lost an answer sends its request again, and may spell it otherwise: values
// encoded anew, keys and conditions in another order or twice. It is the same request if it
// sets the same keys to the same values on the same conditions, having read the same. The
// oracle compares requests under one id so, by a rule of its own and not by the daemon's
// fingerprints.
package request

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"statehouse.dev/statehouse/history"
)

// Form is what a transact asks for, whatever way it is put: the last write of each
// key, the conditions, and what was read, each once. Metadata is not asked for, and a timeout
// may differ.
type Form struct {
	writes map[history.Name]string // what it becomes
	keys   []history.KeyCondition
	heads  []history.HeadCondition
	reads  history.Reads
	asked  []string // operations in their order, if the daemon evaluates one
}

// Of is what a transact asks for.
func Of(op *history.Operation) Form {
	r := Form{writes: make(map[history.Name]string), keys: slices.Clone(op.In.Keys), heads: slices.Clone(op.In.Heads), reads: orderedReads(op.In.Reads)}
	for i := range op.In.Writes {
		w := &op.In.Writes[i]
		r.writes[w.Name] = "deleted" // not absent, which is refused
		if !w.Delete {
			r.writes[w.Name] = history.Normal(w.Value)
		}
		if with := w.Arguments(); w.With != nil || w.Op != "" {
			r.writes[w.Name] += spelled(&with)
		}
		if history.EvaluatesAny(op.In.Writes) {
			r.asked = append(r.asked, string(w.Op)+w.Namespace+"/"+w.Agent+"/"+w.Key+r.writes[w.Name])
		}
		if w.Expected != nil {
			r.keys = append(r.keys, history.KeyCondition{Name: w.Name, Expected: *w.Expected})
		}
	}
	slices.SortFunc(r.keys, func(a, b history.KeyCondition) int {
		return cmp.Or(history.CompareNames(a.Name, b.Name), strings.Compare(a.Lease, b.Lease), cmp.Compare(a.Expected, b.Expected))
	})
	slices.SortFunc(r.heads, func(a, b history.HeadCondition) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Agent, b.Agent), cmp.Compare(a.Expected, b.Expected))
	})
	r.keys, r.heads = slices.Compact(r.keys), slices.Compact(r.heads)
	return r
}

// spelled are arguments, of which equal ones are equal text. Numbers are as they were sent.
func spelled(a *history.Arguments) string {
	number := func(p *uint64) string {
		if p == nil {
			return "-"
		}
		return strconv.FormatUint(*p, 10)
	}
	b := *a
	b.At, b.DueIn = nil, nil
	return fmt.Sprintf("%+v %s %s", b, number(a.At), number(a.DueIn))
}

// Equal reports whether both ask for the same.
func (r Form) Equal(s Form) bool {
	return maps.Equal(r.writes, s.writes) && slices.Equal(r.keys, s.keys) && slices.Equal(r.heads, s.heads) && sameReads(r.reads, s.reads) && slices.Equal(r.asked, s.asked)
}

// orderedReads is a read set in the form in which two that ask for the same are equal.
func orderedReads(r *history.Reads) history.Reads {
	if r == nil || len(r.Keys)+len(r.Ranges) == 0 {
		return history.Reads{}
	}
	keys, ranges := slices.Clone(r.Keys), slices.Clone(r.Ranges)
	slices.SortFunc(keys, func(a, b history.KeyVersion) int {
		return cmp.Or(history.CompareNames(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	slices.SortFunc(ranges, func(a, b history.Range) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Agent, b.Agent),
			strings.Compare(a.Prefix, b.Prefix), strings.Compare(a.First, b.First), strings.Compare(a.Last, b.Last))
	})
	return history.Reads{Snapshot: r.Snapshot, Keys: slices.Compact(keys), Ranges: slices.Compact(ranges)}
}

func sameReads(a, b history.Reads) bool {
	return a.Snapshot == b.Snapshot && slices.Equal(a.Keys, b.Keys) && slices.Equal(a.Ranges, b.Ranges)
}
