package engine

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// The ranges that a transaction listed must not change before it commits, not even by a
// new key. The agents' events are the index of changes. Each event is checked once against
// all ranges of its agent, so the work grows with the events plus the listings, not with
// their product.

// listed is the keys of one agent that a transaction listed.
type listed struct {
	agent AgentName
	// Invariant: sorted, disjoint and not adjacent.
	intervals []interval
	// Invariant: no key in intervals changed after the snapshot and up to this commit.
	checked CommitTS
}

// interval is the keys in [from, to).
type interval struct {
	from, to string // to == "": no upper end
}

// interval returns the keys that r contains.
func (r *readRange) interval() interval {
	s := interval{from: max(r.prefix, r.first, firstKey), to: string(layout.Successor([]byte(r.prefix)))}
	if after := r.last + "\x00"; r.last != "" && (s.to == "" || after < s.to) {
		s.to = after // names have no U+0000, so no name is between
	}
	return s
}

// listedOf groups ranges by agent and merges those that touch.
func listedOf(ranges []readRange, snapshot CommitTS) []listed {
	if len(ranges) == 0 {
		return nil
	}
	type one struct {
		agent AgentName
		keys  interval
	}
	sorted := make([]one, len(ranges))
	for i := range ranges {
		sorted[i] = one{ranges[i].agent, ranges[i].interval()}
	}
	slices.SortFunc(sorted, func(a, b one) int {
		return cmp.Or(compareAgents(a.agent, b.agent), strings.Compare(a.keys.from, b.keys.from))
	})
	var all []listed
	for _, r := range sorted {
		if n := len(all); n == 0 || all[n-1].agent != r.agent {
			all = append(all, listed{agent: r.agent, checked: snapshot})
		}
		all[len(all)-1].add(r.keys)
	}
	return all
}

// add adds an interval that starts at or after the last one.
func (l *listed) add(s interval) {
	if s.to != "" && s.from >= s.to {
		return // empty
	}
	if n := len(l.intervals); n > 0 {
		if last := &l.intervals[n-1]; last.to == "" || s.from <= last.to {
			if s.to == "" || last.to != "" && s.to > last.to {
				last.to = s.to
			}
			return
		}
	}
	l.intervals = append(l.intervals, s)
}

func (l *listed) contains(key string) bool {
	i, found := slices.BinarySearchFunc(l.intervals, key, func(s interval, key string) int { return strings.Compare(s.from, key) })
	if found {
		return true
	}
	return i > 0 && (l.intervals[i-1].to == "" || key < l.intervals[i-1].to)
}

// changed returns the first operation on a listed key. An act may have changed any that it is about.
func (l *listed) changed(ev *layout.EventRow) *layout.EventRowOp {
	if x, _ := actOf(ev, l.agent, 0); x != nil {
		for _, s := range l.intervals {
			if x.many == nil || x.many.meets(s) {
				return &layout.EventRowOp{Key: s.from}
			}
		}
	}
	for i := range ev.Ops {
		if l.contains(ev.Ops[i].Key) {
			return &ev.Ops[i]
		}
	}
	return nil
}

// plannedChange is changed for a planned commit, which is no event yet.
func (l *listed) plannedChange(ops []partOp) *layout.EventRowOp {
	for i := range ops {
		if l.contains(ops[i].Key) {
			return &ops[i].EventRowOp
		}
	}
	return nil
}

// errUnchecked says that a proposal's ranges are checked in part, and that the proposal
// must be queued again.
var errUnchecked = errors.New("what the transaction listed is checked in part")

// checkListed checks the ranges of p against the events up to upTo. It returns a conflict,
// or errUnchecked after budget keys.
func (p *proposal) checkListed(s stateReader, upTo CommitTS, budget int) error {
	for i := range p.listed {
		l := &p.listed[i]
		if l.checked >= upTo {
			continue
		}
		if budget <= 0 {
			return errUnchecked
		}
		budget--
		var change *layout.EventRowOp
		from := l.checked
		whole, err := s.events(l.agent, l.checked, upTo, func(ts CommitTS, ev *layout.EventRow) bool {
			budget -= 1 + len(ev.Ops)
			if change = l.changed(ev); change == nil {
				l.checked = ts
			}
			return change == nil && budget > 0
		})
		switch {
		case err != nil:
			return err
		case change != nil:
			return p.listingChanged(l.agent, change.Key, change.Version)
		case from+1 < s.floor(l.agent.Namespace): // asked last: then no event was missing
			return words.Failf(ErrOutOfRange, "what changed since commit %d, which the transaction read at, is no longer kept of namespace %q: begin again", p.snapshot, l.agent.Namespace).
				With("namespace", l.agent.Namespace).With("floor_ts", s.floor(l.agent.Namespace).String())
		case !whole:
			return errUnchecked
		}
		l.checked = upTo
	}
	return nil
}

// checkedUpTo is the commit up to which all ranges of p are checked.
func (p *proposal) checkedUpTo() CommitTS {
	least := CommitTS(math.MaxUint64)
	for i := range p.listed {
		least = min(least, p.listed[i].checked)
	}
	return least
}

func (p *proposal) listingChanged(a AgentName, key string, v Version) *Failure {
	f := conflict(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: key}, 0, v)
	for i := range p.ranges {
		if r := &p.ranges[i]; r.agent == a && r.contains(key) {
			return f.With("range", r.prefix)
		}
	}
	return f
}
