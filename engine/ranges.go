package engine

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"
)

// What a transaction listed must not have changed until it commits: not even by a key
// that is new. The agents' events are the index of changes, and each of them is looked
// at once, whatever was listed of its agent and however often: the work grows with the
// events plus the listings.

// listed is what a transaction listed of one agent, and how far it is known to hold.
type listed struct {
	agent AgentName
	// Invariant: sorted, and with keys between each and the next.
	intervals []interval
	// Invariant: nothing in intervals changed after the snapshot and up to here.
	checked CommitTS
}

// interval is the keys from one up to, and without, another.
type interval struct {
	from, to string // to == "": without end
}

// interval is the keys that r contains.
func (r *readRange) interval() interval {
	s := interval{from: max(r.prefix, r.first), to: string(successor([]byte(r.prefix)))}
	if past := r.last + "\x00"; r.last != "" && (s.to == "" || past < s.to) {
		s.to = past // names have no U+0000, so nothing is between
	}
	return s
}

// listedOf puts ranges together by agent, and those of an agent that touch into one.
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

// add takes intervals in the order of their starts.
func (l *listed) add(s interval) {
	if s.to != "" && s.from >= s.to {
		return // of no key
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

// changed finds the first change of what was listed.
func (l *listed) changed(ops []eventRowOp) *eventRowOp {
	for i := range ops {
		if l.contains(ops[i].key) {
			return &ops[i]
		}
	}
	return nil
}

// plannedChange is changed, of a part of a commit that is no event yet.
func (l *listed) plannedChange(ops []partOp) *eventRowOp {
	for i := range ops {
		if l.contains(ops[i].key) {
			return &ops[i].eventRowOp
		}
	}
	return nil
}

// errUnchecked says that what a proposal listed is checked in part, and that the
// proposal has to be taken once more.
var errUnchecked = errors.New("what the transaction listed is checked in part")

// checkListed moves what p listed on to upTo, by the events that s shows. It answers a
// conflict, or errUnchecked when it has looked at budget keys before it was done.
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
		var change *eventRowOp
		whole, err := s.events(l.agent, l.checked, upTo, func(ts CommitTS, ops []eventRowOp) bool {
			budget -= 1 + len(ops)
			if change = l.changed(ops); change == nil {
				l.checked = ts
			}
			return change == nil && budget > 0
		})
		switch {
		case err != nil:
			return err
		case change != nil:
			return p.listingChanged(l.agent, change.key, change.version)
		case !whole:
			return errUnchecked
		}
		l.checked = upTo
	}
	return nil
}

// checkedUpTo is the commit up to which everything that p listed is checked.
func (p *proposal) checkedUpTo() CommitTS {
	least := CommitTS(math.MaxUint64)
	for i := range p.listed {
		least = min(least, p.listed[i].checked)
	}
	return least
}

func (p *proposal) listingChanged(a AgentName, key string, v Version) *Failure {
	f := conflict(RecordName{a.Namespace, a.Agent, key}, 0, v)
	for i := range p.ranges {
		if r := &p.ranges[i]; r.agent == a && r.contains(key) {
			return f.with("range", r.prefix)
		}
	}
	return f
}
