package serial

import (
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
)

// What a transact says that its transaction read: the keys are sights of the state that it
// commits in. What it listed is not in the request, but that nothing of it was changed since
// the snapshot: no commit placed in between does anything there.

// listing is what a transaction has listed that its client holds.
type listing struct {
	*constraint
	since  uint64
	ranges []history.Range
}

// wantsReads adds what a transact read to what must be so for it to commit.
func (c *constraints) wantsReads(a *constraint, r *history.Reads) {
	if r == nil {
		return
	}
	for _, k := range r.Keys {
		a.sees = append(a.sees, sight{k.Name, facts{known: knowsVersion, version: k.Version}})
	}
	if len(r.Ranges) > 0 {
		c.listings = append(c.listings, listing{a, r.Snapshot, r.Ranges})
	}
}

// checkListings holds the listings to the commits between their snapshots and their places,
// once all that is placed is in order.
func (c *constraints) checkListings() {
	for _, l := range c.listings {
		if !l.placed {
			continue
		}
		i, _ := slices.BinarySearchFunc(c.placed, l.since+1, func(a *constraint, ts uint64) int {
			if a.point < ts {
				return -1
			}
			return 1
		})
		for ; i < len(c.placed) && c.placed[i].point <= l.point; i++ {
			b := c.placed[i]
			if !b.commit || b == l.constraint {
				continue
			}
			if n, in := l.touched(b); in {
				c.breaks(l.constraint, "G3", "listing-changed", "it committed at %d, and #%d changed key %q of agent %q, which it had listed at %d, at %d",
					l.point, b.op.ID, n.Key, n.Agent, l.since, b.point)
				break
			}
		}
	}
}

// touched is a key in the listing that a commit is known to change.
func (l *listing) touched(b *constraint) (history.Name, bool) {
	for i := range b.does {
		e := &b.does[i]
		if e.head || e.blur {
			continue
		}
		for k := range l.ranges {
			if l.ranges[k].Contains(e.name) {
				return e.name, true
			}
		}
	}
	return history.Name{}, false
}

// readsOf names a read set, however it is put.
func readsOf(r *history.Reads) string {
	if r == nil || len(r.Keys)+len(r.Ranges) == 0 {
		return ""
	}
	list := make([]string, 0, len(r.Keys)+len(r.Ranges))
	for _, k := range r.Keys {
		list = append(list, fmt.Sprintf("%q at %d", []string{k.Namespace, k.Agent, k.Key}, k.Version))
	}
	for _, l := range r.Ranges {
		list = append(list, fmt.Sprintf("%q", []string{l.Namespace, l.Agent, l.Prefix, l.First, l.Last}))
	}
	slices.Sort(list)
	return fmt.Sprint(r.Snapshot, strings.Join(slices.Compact(list), ""))
}
