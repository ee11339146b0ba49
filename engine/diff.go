package engine

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
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
	e      *Engine
	o      *DiffOptions
	found  Differences
	looked looked
	size   int
}

// diff takes the short way where there is one: what did not change between two points of an agent
// is not looked at.
func (d *differ) diff() error {
	if d.ofOneAgent() && !d.o.From.Empty && !d.o.To.Empty {
		keys, few, err := d.changedBetween()
		if err != nil {
			return err
		}
		if few {
			return d.compareKeys(keys)
		}
	}
	return d.merge()
}

func (d *differ) ofOneAgent() bool { return d.o.From.Agent == d.o.To.Agent }

// changedBetween returns the keys that were written between the two points, in their order, if few
// are: if a small part of what a page may look at has the events, and the operations in them. Each
// page walks them anew.
func (d *differ) changedBetween() (keys []string, few bool, err error) {
	low, high := d.o.From.At.ts, d.o.To.At.ts
	if low > high {
		low, high = high, low
	}
	walked, most := 0, d.e.opts.Tuning.LookedRows/8
	few, err = dbState{d.e.db}.events(d.o.To.Agent, low, high, func(_ CommitTS, ev *eventRow) bool {
		if _, act := ev.fields.get(fieldAct); act {
			return false // of any number of keys
		}
		walked += 1 + len(ev.ops)
		for i := range ev.ops {
			if key := ev.ops[i].key; key > d.o.After && !hidden(key) && strings.HasPrefix(key, d.o.Prefix) {
				keys = append(keys, key)
			}
		}
		return walked <= most
	})
	d.looked.rows += walked
	slices.Sort(keys)
	return slices.Compact(keys), few, err
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
	name := RecordName{side.Agent.Namespace, side.Agent.Agent, key}
	rec, err := side.At.get(name, recordPrefix(name))
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
	case d.ofOneAgent() && from.Version == to.Version:
		return false
	case from.Value == nil || to.Value == nil: // erased, or pruned
		return true
	}
	return !bytes.Equal(from.Value, to.Value) && (d.o.Same == nil || !d.o.Same(from.Value, to.Value))
}
