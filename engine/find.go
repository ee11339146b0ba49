package engine

import (
	"bytes"
	"encoding/binary"
	"strings"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Finding looks at every record in scope: there is no index but the order of keys and, for what
// was changed last, the log (findchanged.go). What a page may look at is bounded (Tuning.LookedRows,
// LookedBytes), so it always returns: perhaps without a record, and then with a place to go on
// from.

// FindOptions selects records by what is in them.
type FindOptions struct {
	Namespace string
	Agent     string // "" with AllAgents
	AllAgents bool
	Prefix    string // of the key
	// Changed lists by last change, the newest first; otherwise by agent and key. Of one agent only.
	Changed bool
	After   string // Found.Next of the page before; "" starts
	// Value and Metadata, unless nil, are asked about each record's value (nil: it is not there any
	// more) and about the metadata of its last commit. Those that are not known meet no Metadata.
	Value    func(text []byte) bool
	Metadata func(map[string]string) bool
	// WithMetadata also answers the metadata of the records' last commits.
	WithMetadata bool
	KeysOnly     bool // leave values out
	Page         Page
}

// Found is a page of what was found.
type Found struct {
	Records  []Record
	Metadata []map[string]string // one a record, of WithMetadata
	Scanned  int                 // records that exist and were looked at
	Next     string              // where the next page goes on; "": this is the last
}

func (o *FindOptions) normalize() error {
	f := Filter{Namespace: o.Namespace, Agent: o.Agent, AllAgents: o.AllAgents}
	if err := f.normalize(); err != nil {
		return err
	}
	o.Namespace = f.Namespace
	if o.Changed && o.AllAgents {
		return words.Failf(ErrInvalid, "records are listed by last change of one agent, not of all of a namespace").With("field", "order")
	}
	return checkPrefix(o.Prefix)
}

// Find reads a page of records.
func (s Snapshot) Find(o FindOptions) (Found, error) {
	if err := o.normalize(); err != nil {
		return Found{}, err
	}
	for {
		f := finder{s: s, o: &o, floor: s.e.floor(o.Namespace)}
		err := f.find()
		if s.e.floor(o.Namespace) != f.floor {
			continue // rows went meanwhile
		}
		if err = s.e.inRange(o.Namespace, s.ts, err); err != nil {
			return Found{}, err
		}
		return f.found, nil
	}
}

// looked is what was read for a page.
type looked struct{ rows, bytes int }

// enough reports whether a page has looked at as much as one may.
func (l *looked) enough(e *Engine) bool {
	t := &e.opts.Tuning
	switch {
	case l.rows >= t.LookedRows:
		e.reached.LookedRows.Add(1)
	case l.bytes >= t.LookedBytes:
		e.reached.LookedBytes.Add(1)
	default:
		return false
	}
	return true
}

// finder gathers a page.
type finder struct {
	s      Snapshot
	o      *FindOptions
	floor  CommitTS // of the namespace, when the page began
	found  Found
	looked looked
	size   int // of found.Records
	memo   provenanceMemo
}

func (f *finder) find() error {
	switch {
	case f.o.Changed:
		return f.findChanged()
	case f.o.AllAgents:
		return f.findInAll()
	}
	after, err := f.keyAfter(f.o.Agent)
	if err != nil {
		return err
	}
	_, err = f.findIn(f.o.Agent, after, nil)
	return err
}

// placeOf is a place in the order of agents and keys: after a key, or, without one, before the
// agent's first.
func placeOf(agent, key string) string { return agent + "\x00" + key }

// keyAfter is the key that a page goes on after, in the agent that it goes on in.
func (f *finder) keyAfter(agent string) (after string, err error) {
	if f.o.After == "" {
		return "", nil
	}
	of, after, found := strings.Cut(f.o.After, "\x00")
	if !found || of != agent {
		return "", wrongPlace()
	}
	return after, checkAfter(after, f.o.Prefix, MaxKeyBytes)
}

func wrongPlace() error {
	return words.Failf(ErrInvalid, "the page token is not one of this list").With("field", "page_token")
}

// findInAll finds in one agent of the namespace after the other.
func (f *finder) findInAll() error {
	base, after := layout.AppendNames(nil, layout.AgentTag, f.o.Namespace), ""
	lower := base
	if f.o.After != "" {
		agent, _, _ := strings.Cut(f.o.After, "\x00")
		if words.CheckName("agent_id", agent, MaxAgentBytes) != nil {
			return wrongPlace()
		}
		var err error
		if after, err = f.keyAfter(agent); err != nil {
			return err
		}
		lower = append(append(bytes.Clone(base), agent...), layout.Terminator)
	}
	agents, err := newRowIter(f.s.e.db, lower, layout.Successor(base))
	if err != nil {
		return err
	}
	agents.ctx = f.s.ctx
	records, err := newRowIter(f.s.e.db, nil, nil)
	if err != nil {
		_ = agents.close()
		return err
	}
	records.ctx = f.s.ctx
	err = f.eachAgent(agents, records, len(base), after)
	return firstError(err, records.close(), agents.close())
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *finder) eachAgent(agents, records *rowIter, base int, after string) error {
	for ok := agents.first(); ok; ok = agents.next() {
		agent, _, found := strings.Cut(string(agents.key()[base:]), "\x00")
		first, n := binary.Uvarint(agents.body)
		if !found || n <= 0 {
			agents.corrupt()
			return nil
		}
		if f.looked.rows > 0 && f.looked.enough(f.s.e) {
			f.found.Next = placeOf(agent, after)
			return nil
		}
		f.looked.rows++
		if CommitTS(first) > f.s.ts {
			continue
		}
		f.memo = nil
		if whole, err := f.findIn(agent, after, records); err != nil || !whole {
			return err
		}
		after = ""
	}
	return nil
}

// findIn finds in one agent, after a key. rows, unless nil, is an iterator to use. whole reports
// whether there is nothing left of the agent.
func (f *finder) findIn(agent, after string, rows *rowIter) (whole bool, err error) {
	o := &ScanOptions{Agent: AgentName{Namespace: f.o.Namespace, Agent: agent}, Prefix: f.o.Prefix, After: after, KeysOnly: f.o.KeysOnly}
	place := func(key string) string { return placeOf(agent, key) }
	if f.s.e.db.derived(o.Agent) {
		rows = nil // it may have rows elsewhere
	}
	return f.scan(o, rows, place, nil)
}

// scan considers the records that a scan lists, of those that of selects (nil: all). place is
// where a page goes on that looked at a key last.
func (f *finder) scan(o *ScanOptions, rows *rowIter, place func(key string) string, of func(*Record) bool) (whole bool, err error) {
	if f.s.e.db.derived(o.Agent) {
		rows = nil // which walks the rows of one agent
	}
	c, err := f.s.cursorOn(o, rows)
	if err != nil {
		return false, err
	}
	c.wanted = f.o.Value
	whole, err = f.walk(c, place, of)
	if rows == nil {
		return whole, firstError(err, c.rows.close())
	}
	return whole, firstError(err, rows.err)
}

func (f *finder) walk(c *scanCursor, place func(key string) string, of func(*Record) bool) (whole bool, err error) {
	rows, read, last := c.rows.moves, c.rows.bytes, c.o.After
	for {
		exists, ok := c.step()
		f.looked.rows, f.looked.bytes = f.looked.rows+c.rows.moves-rows, f.looked.bytes+c.rows.bytes-read
		rows, read = c.rows.moves, c.rows.bytes
		if !ok {
			return true, nil // or there is an error in c.rows
		}
		if exists && (of == nil || of(&c.rec)) {
			if fits, err := f.consider(&c.rec, !c.unwanted); err != nil || !fits {
				f.found.Next = place(last)
				return false, err
			}
		}
		if last = c.rec.Name.Key; f.full() {
			f.found.Next = place(last)
			return false, nil
		}
	}
}

// full reports whether the page ends here.
func (f *finder) full() bool {
	return f.o.Page.Items > 0 && len(f.found.Records) >= f.o.Page.Items || f.looked.enough(f.s.e)
}

// consider adds a record to the page if it is selected. wanted reports whether its value is. fits is
// false if the page has no room for it.
func (f *finder) consider(rec *Record, wanted bool) (fits bool, err error) {
	var by map[string]string
	if wanted && (f.o.Metadata != nil || f.o.WithMetadata) {
		known := false
		if by, known, err = f.metadata(rec); err != nil {
			return false, err
		}
		wanted = f.o.Metadata == nil || known && f.o.Metadata(by)
	}
	if wanted {
		next := rec.size()
		if f.o.WithMetadata {
			next += (&layout.Provenance{Metadata: by}).Size()
		}
		if f.o.Page.full(len(f.found.Records), f.size, next) {
			return false, nil
		}
		if f.o.WithMetadata {
			f.found.Metadata = append(f.found.Metadata, by)
		}
		f.found.Records, f.size = append(f.found.Records, *rec), f.size+next
	}
	f.found.Scanned++
	return true, nil
}
