package engine

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"statehouse.dev/statehouse/engine/layout"
)

// DiffSide is a state that is compared: an agent's, at a point.
type DiffSide struct {
	Agent AgentName
	At    Snapshot
	Empty bool // the state before the first commit, which no retention takes
}

// DiffOptions says what is compared.
type DiffOptions struct {
	From, To DiffSide
	Prefix   string // of keys
	After    string // the key after which a page goes on; "" starts
	Page     Page
	// Same reports whether two values that are not the same bytes are no difference; nil: none are.
	Same func(from, to []byte) bool
}

// Difference is a key whose state differs.
type Difference struct {
	Key      string
	From, To Record // Exists is false where it is absent
}

// Differences is a page of them, in byte order of the keys.
type Differences struct {
	Keys []Difference
	Next string // DiffOptions.After of the next page; "": this is the last
}

// Diff reads a page of the keys whose state differs. What a page looks at is bounded as for Find.
func (e *Engine) Diff(o DiffOptions) (Differences, error) {
	for _, side := range []*DiffSide{&o.From, &o.To} {
		s := ScanOptions{Agent: side.Agent, Prefix: o.Prefix, After: o.After}
		if err := s.normalize(); err != nil {
			return Differences{}, err
		}
		side.Agent = s.Agent
	}
	for {
		floors := [2]CommitTS{e.floor(o.From.Agent.Namespace), e.floor(o.To.Agent.Namespace)}
		d := differ{e: e, o: &o}
		err := d.diff()
		if floors != [2]CommitTS{e.floor(o.From.Agent.Namespace), e.floor(o.To.Agent.Namespace)} {
			continue // rows went meanwhile
		}
		for _, side := range []*DiffSide{&o.From, &o.To} {
			if !side.Empty {
				err = e.inRange(side.Agent.Namespace, side.At.ts, err)
			}
		}
		if err != nil {
			return Differences{}, e.noted(err)
		}
		return d.found, nil
	}
}

// differ gathers a page.
type differ struct {
	e       *Engine
	o       *DiffOptions
	related bool // both states have an agent's past in common
	found   Differences
	looked  looked
	size    int
}

// diff takes the short way where there is one: what did not change since both states were one
// is not looked at.
func (d *differ) diff() error {
	var apart []stretchOfEvents
	if apart, d.related = d.apart(); d.related {
		keys, few, err := d.changedIn(apart)
		if err != nil {
			return err
		}
		if few {
			return d.compareKeys(keys)
		}
	}
	return d.merge()
}

// stretchOfEvents are those of an agent after a commit and up to one.
type stretchOfEvents struct {
	agent       AgentName
	after, upTo CommitTS
}

// line is what a state came to be by: the events of its agent up to a point and, if that is a fork,
// those of its parent up to where it was forked, and so on.
func (d *differ) line(side *DiffSide) (line []stretchOfEvents) {
	at := stretchOfEvents{agent: side.Agent, upTo: side.At.ts}
	for !side.Empty {
		f := d.e.db.forks.get(at.agent)
		if f == nil {
			return append(line, at)
		}
		if at.after = f.at; at.upTo < at.after {
			return nil // it had not begun
		}
		line = append(line, at)
		at = stretchOfEvents{agent: f.parent, upTo: f.upTo}
	}
	return nil
}

// apart returns the events by which the two states can differ, if some agent is in the lines of both:
// most often it is one agent at two points, or a fork and its parent.
func (d *differ) apart() (events []stretchOfEvents, related bool) {
	from, to := d.line(&d.o.From), d.line(&d.o.To)
	for i := range from {
		j := slices.IndexFunc(to, func(s stretchOfEvents) bool { return s.agent == from[i].agent })
		if j < 0 {
			continue
		}
		low, high := from[i].upTo, to[j].upTo
		if low > high {
			low, high = high, low
		}
		return append(slices.Concat(from[:i], to[:j]), stretchOfEvents{from[i].agent, low, high}), true
	}
	return nil, false
}

// changedIn returns the keys that were written in some events, in their order, if few were: if a small
// part of what a page may look at has the events, and the operations in them. Each page walks them
// anew.
func (d *differ) changedIn(apart []stretchOfEvents) (keys []string, few bool, err error) {
	walked, most := 0, d.e.opts.Tuning.LookedRows/8
	for _, s := range apart {
		if s.after < s.upTo && s.after+1 < d.e.floor(s.agent.Namespace) {
			return nil, false, nil // events are missing
		}
		few, err = dbState{d.e.db}.events(s.agent, s.after, s.upTo, func(_ CommitTS, ev *layout.EventRow) bool {
			if _, act := ev.Fields.Get(layout.FieldAct); act {
				return false // of any number of keys
			}
			walked += 1 + len(ev.Ops)
			for i := range ev.Ops {
				if key := ev.Ops[i].Key; key > d.o.After && !hidden(key) && strings.HasPrefix(key, d.o.Prefix) {
					keys = append(keys, key)
				}
			}
			return walked <= most
		})
		if err != nil || !few {
			return nil, false, err
		}
	}
	d.looked.rows += walked
	slices.Sort(keys)
	return slices.Compact(keys), true, nil
}

func (d *differ) compareKeys(keys []string) error {
	last := d.o.After
	for _, key := range keys {
		if last != d.o.After && d.looked.enough(d.e) {
			d.found.Next = last
			return nil
		}
		from, err := d.read(&d.o.From, key)
		if err != nil {
			return err
		}
		to, err := d.read(&d.o.To, key)
		if err != nil {
			return err
		}
		if full := d.compare(last, from, to); full {
			return nil
		}
		last = key
	}
	return nil
}

func (d *differ) read(side *DiffSide, key string) (Record, error) {
	name := RecordName{Namespace: side.Agent.Namespace, Agent: side.Agent.Agent, Key: key}
	rec, err := side.At.get(name, layout.RecordPrefix(name))
	d.looked.rows, d.looked.bytes = d.looked.rows+1, d.looked.bytes+len(rec.Value)
	return rec, err
}

// compare adds a key to the page if its states differ. last is the key before it, which the page
// ends with if it has no room for this one. full reports whether the page ended.
func (d *differ) compare(last string, from, to Record) (full bool) {
	if !d.differ(&from, &to) {
		return false
	}
	key := cmp.Or(to.Name.Key, from.Name.Key)
	for _, side := range []*Record{&from, &to} {
		if !side.Exists {
			*side = Record{} // whatever a tombstone says
		}
	}
	next := len(key) + len(from.Value) + len(to.Value) + 2*rowOverhead
	if d.o.Page.full(len(d.found.Keys), d.size, next) {
		d.found.Next = last
		return true
	}
	d.found.Keys, d.size = append(d.found.Keys, Difference{key, from, to}), d.size+next
	return false
}

func (d *differ) differ(from, to *Record) bool {
	switch {
	case !from.Exists || !to.Exists:
		return from.Exists != to.Exists
	case d.sameVersion(from, to):
		return false
	case from.Value == nil || to.Value == nil: // erased, or pruned
		return true
	}
	return !bytes.Equal(from.Value, to.Value) && (d.o.Same == nil || !d.o.Same(from.Value, to.Value))
}

// sameVersion reports whether two states of a key are one version of one record.
func (d *differ) sameVersion(from, to *Record) bool {
	return d.related && from.Version == to.Version && from.CommitTS == to.CommitTS &&
		d.e.db.forks.owner(d.o.From.Agent, from.CommitTS) == d.e.db.forks.owner(d.o.To.Agent, to.CommitTS)
}
