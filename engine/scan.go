package engine

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Page bounds one answer of a list. Zero means no bound of that kind.
type Page struct {
	Items int
	Bytes int // of names and values, about
}

// full reports whether an item of next bytes exceeds a page that has items of size
// bytes. The first item always fits.
func (p Page) full(items, size, next int) bool {
	return p.Items > 0 && items >= p.Items || p.Bytes > 0 && size+next > p.Bytes && items > 0
}

// rowOverhead is about what an item takes in an answer besides its name and value.
const rowOverhead = 64

// ScanOptions selects the records of an agent that a scan lists.
type ScanOptions struct {
	Agent    AgentName
	Prefix   string // of the key; may end inside a character
	After    string // resume after this key; "" starts
	Reverse  bool   // from last to first
	KeysOnly bool   // leave values out
	Page     Page
}

func (o *ScanOptions) normalize() error {
	if err := o.Agent.Normalize(); err != nil {
		return err
	}
	if err := checkPrefix(o.Prefix); err != nil {
		return err
	}
	return checkAfter(o.After, o.Prefix, MaxKeyBytes)
}

func checkPrefix(prefix string) error {
	if strings.IndexByte(prefix, 0) >= 0 || len(prefix) > MaxKeyBytes {
		return words.Failf(ErrInvalid, "the prefix can be of no key: it has U+0000 or is longer than %d bytes", MaxKeyBytes).With("field", "prefix")
	}
	return nil
}

// checkAfter refuses to resume after a name that no page of this prefix can have ended
// with. A name with U+0000 would make a bound that is no key, whose order in Pebble is
// undefined.
func checkAfter(after, prefix string, longest int) error {
	if after != "" && (!strings.HasPrefix(after, prefix) || strings.IndexByte(after, 0) >= 0 || len(after) > longest) {
		return words.Failf(ErrInvalid, "the page token is of another prefix, or of no name that there can be").With("field", "page_token")
	}
	return nil
}

// Scan lists the records that exist under a prefix, in byte order. more reports whether
// there are more after this page.
func (s Snapshot) Scan(o ScanOptions) (records []Record, more bool, err error) {
	if err := o.normalize(); err != nil {
		return nil, false, err
	}
	c, err := s.cursor(&o)
	if err != nil {
		return nil, false, err
	}
	size := 0
	for c.next() {
		next := c.rec.size()
		if o.Page.full(len(records), size, next) {
			more = true
			break
		}
		records = append(records, c.rec)
		size += next
	}
	return records, more, s.e.inRange(o.Agent.Namespace, s.ts, c.rows.close())
}

func (r *Record) size() int { return len(r.Name.Key) + len(r.Value) + rowOverhead }

// scanCursor walks an agent's existing records in either direction.
type scanCursor struct {
	s      Snapshot
	o      *ScanOptions
	rows   *rowIter
	base   []byte // record prefix of the agent: tag, namespace, agent
	key    []byte // record prefix of the current key
	moved  bool
	more   bool   // in reverse: rows is at a next key already
	beyond []byte // the next key is on the other side of it, unless it is nil
	probe  int    // versions to step over before a seek
	value  []byte // of a version that may not be the one; used again
	rec    Record
	bounds struct{ lower, upper []byte }
	// wanted, unless nil, is asked about the value of each record that exists before it is
	// copied; nil is one that is not there any more. One that is not wanted is left out of rec.
	wanted   func(value []byte) bool
	unwanted bool // the record is not
}

func (s Snapshot) cursor(o *ScanOptions) (*scanCursor, error) { return s.cursorOn(o, nil) }

// cursorOn is cursor on an iterator that was used for another one, unless that is nil.
func (s Snapshot) cursorOn(o *ScanOptions, rows *rowIter) (*scanCursor, error) {
	c := &scanCursor{s: s, o: o, probe: linearProbe, base: layout.AgentPrefix(layout.RecordTag, o.Agent)}
	c.bounds.lower = append(bytes.Clone(c.base), max(o.Prefix, firstKey)...)
	c.bounds.upper = layout.Successor(append(bytes.Clone(c.base), o.Prefix...))
	if o.After != "" {
		after := append(append(bytes.Clone(c.base), o.After...), layout.Terminator)
		if o.Reverse {
			c.bounds.upper = after
		} else {
			c.bounds.lower = maxKey(c.bounds.lower, layout.Successor(after))
		}
	}
	c.bounds.upper = maxKey(c.bounds.lower, c.bounds.upper) // where it is before the first key
	if !s.e.db.forks.begun(o.Agent, s.ts) {
		c.bounds.upper = c.bounds.lower // nothing yet
	}
	if rows != nil {
		rows.it.SetBounds(c.bounds.lower, c.bounds.upper)
		c.rows = rows
		return c, nil
	}
	rows, err := s.e.db.recordRows(o.Agent, c.bounds.lower, c.bounds.upper)
	if err != nil {
		return nil, err
	}
	rows.ctx = s.ctx
	c.rows = rows
	return c, nil
}

func maxKey(a, b []byte) []byte {
	if bytes.Compare(a, b) < 0 {
		return b
	}
	return a
}

// next moves to the next record that exists in the snapshot.
func (c *scanCursor) next() bool {
	for {
		exists, ok := c.step()
		if exists || !ok {
			return ok
		}
	}
}

// step moves to the next key. exists reports whether a record of it exists in the snapshot, ok
// whether there was another key.
func (c *scanCursor) step() (exists, ok bool) {
	if !c.advance() {
		return false, false
	}
	name, ok := c.enter()
	if !ok {
		return false, false
	}
	seen := false
	if c.o.Reverse {
		seen = c.oldestFirst(name)
	} else {
		seen = c.visible(name)
	}
	if seen && c.rec.Exists {
		c.rows.err = c.s.e.expiry(&c.rec)
	}
	return seen && c.rec.Exists, c.rows.err == nil
}

// enter makes the key that rows is at the current one.
func (c *scanCursor) enter() (name RecordName, ok bool) {
	i := bytes.IndexByte(c.rows.key()[len(c.base):], layout.Terminator)
	if i < 0 {
		return name, c.rows.corrupt()
	}
	c.key = append(c.key[:0], c.rows.key()[:len(c.base)+i+1]...)
	name = RecordName{Namespace: c.o.Agent.Namespace, Agent: c.o.Agent.Agent, Key: string(c.key[len(c.base) : len(c.key)-1])}
	c.rec.Name, c.rec.Exists, c.rec.CommitTS = name, false, 0
	return name, true
}

// mostCopied is how many bytes of older versions are copied for nothing before a seek costs
// less.
const mostCopied = 16 << 10

// oldestFirst is visible for lists in reverse, which meet the oldest version of a key first.
// Mostly there are few, and steps to the newest cost less than a seek. It leaves rows at the
// key before.
func (c *scanCursor) oldestFirst(name RecordName) (seen bool) {
	c.more = false
	var found Record
	for versions, copied := 0, 0; versions < c.probe && copied <= mostCopied; versions++ {
		v, row, ok := recordAt(c.rows)
		if !ok {
			return false
		}
		if row.CommitTS <= c.s.ts {
			if seen = true; c.o.KeysOnly {
				row.Value = nil
			}
			// Into a buffer: a newer version may follow.
			c.value = append(c.value[:0], row.Value...)
			copied += len(row.Value)
			row.Value = nil
			found.fill(name, v, &row)
			found.Value = nil
		}
		c.more = c.rows.previous()
		if c.more && bytes.HasPrefix(c.rows.key(), c.key) {
			continue
		}
		if c.rec = found; found.Exists && !found.Erased && !found.Pruned && !c.o.KeysOnly {
			c.rec.Value = append(make([]byte, 0, len(c.value)), c.value...)
		}
		c.probe = min(2*c.probe, linearProbe)
		return seen && c.rows.err == nil
	}
	c.probe = max(c.probe/2, 1) // where one key has many versions the next mostly has, too
	if !c.rows.seek(c.key) {
		return false
	}
	seen = c.visible(name)
	c.more = c.rows.err == nil && c.rows.before(c.key)
	return seen && c.rows.err == nil
}

func (c *scanCursor) visible(name RecordName) bool {
	c.unwanted = false
	if !c.o.KeysOnly && c.wanted == nil {
		return c.s.visible(c.rows, name, &c.rec, c.key)
	}
	// Without copying a value that is not wanted.
	if v, row, ok := recordAt(c.rows); ok && row.CommitTS <= c.s.ts {
		if c.ask(!row.Tombstone, row.Value); c.o.KeysOnly || c.unwanted {
			row.Value = nil
		}
		c.rec.fill(name, v, &row)
		return true
	}
	seen := c.rows.err == nil && c.s.visible(c.rows, name, &c.rec, c.key)
	if c.ask(seen && c.rec.Exists, c.rec.Value); c.o.KeysOnly || c.unwanted {
		c.rec.Value = nil
	}
	return seen
}

func (c *scanCursor) ask(exists bool, value []byte) {
	c.unwanted = exists && c.wanted != nil && !c.wanted(value)
}

// advance moves to any version of the next key.
func (c *scanCursor) advance() bool {
	first := !c.moved
	c.moved = true
	beyond := c.beyond
	c.beyond = nil
	switch {
	case beyond != nil && c.o.Reverse:
		return c.rows.before(beyond)
	case beyond != nil:
		return c.rows.seek(beyond)
	case first && c.o.Reverse:
		return c.rows.last()
	case first:
		return c.rows.first()
	case c.o.Reverse:
		return c.more
	}
	// Skip the older versions: mostly there are few, and steps cost less than a seek.
	for range linearProbe {
		if !c.rows.next() {
			return false
		}
		if !bytes.HasPrefix(c.rows.key(), c.key) {
			return true
		}
	}
	return c.rows.seek(layout.Successor(c.key))
}

// AgentInfo is an agent with its first and last commit, without the daemon's own.
type AgentInfo struct {
	Name        AgentName
	First, Head CommitTS
	HeadTime    time.Time // commit_time of Head
}

// Agents pages through a namespace's agents in byte order.
func (s Snapshot) Agents(namespace, prefix, after string, p Page) (agents []AgentInfo, more bool, err error) {
	if namespace == "" {
		namespace = DefaultNamespace
	}
	if err := words.CheckName("namespace", namespace, MaxNamespaceBytes); err != nil {
		return nil, false, err
	}
	if err := checkAfter(after, prefix, MaxAgentBytes); err != nil {
		return nil, false, err
	}
	base := layout.AppendNames(nil, layout.AgentTag, namespace)
	more, err = s.names(base, prefix, after, p, func(agent string, first CommitTS) error {
		name := AgentName{Namespace: namespace, Agent: agent}
		head, err := agentHeadAt(s.e.db, name, s.ts)
		var at time.Time
		if err == nil {
			at, err = s.e.timeOf(head.User)
		}
		agents = append(agents, AgentInfo{name, first, head.User, at})
		return err
	})
	return agents, more, s.e.inRange(namespace, s.ts, err)
}

// Agent is an agent with its first and last commit; nil: it has none.
func (s Snapshot) Agent(a AgentName) (*AgentInfo, error) {
	if err := a.Normalize(); err != nil {
		return nil, err
	}
	body, err := getRow(s.e.db, layout.AgentPrefix(layout.AgentTag, a))
	d := layout.Decoder{Rest: body}
	first := CommitTS(d.Uvarint())
	if err != nil || body == nil || first > s.ts {
		return nil, s.e.inRange(a.Namespace, s.ts, err)
	}
	if !d.End() {
		return nil, s.e.noted(layout.CorruptRow(layout.AgentPrefix(layout.AgentTag, a), "malformed"))
	}
	head, err := agentHeadAt(s.e.db, a, s.ts)
	var at time.Time
	if err == nil {
		at, err = s.e.timeOf(head.User)
	}
	return &AgentInfo{a, first, head.User, at}, s.e.inRange(a.Namespace, s.ts, err)
}

// Namespaces pages through the namespaces in byte order.
func (s Snapshot) Namespaces(after string, p Page) (names []string, more bool, err error) {
	if err := checkAfter(after, "", MaxNamespaceBytes); err != nil {
		return nil, false, err
	}
	more, err = s.names([]byte{layout.NamespaceTag}, "", after, p, func(n string, _ CommitTS) error {
		names = append(names, n)
		return nil
	})
	return names, more, s.e.noted(err)
}

// names lists the names of rows under base that the snapshot sees.
func (s Snapshot) names(base []byte, prefix, after string, p Page, add func(string, CommitTS) error) (more bool, err error) {
	lower := append(bytes.Clone(base), prefix...)
	upper := layout.Successor(lower)
	if after != "" {
		lower = layout.Successor(append(append(bytes.Clone(base), after...), layout.Terminator))
	}
	it, err := newRowIter(s.e.db, lower, upper)
	if err != nil {
		return false, err
	}
	it.ctx = s.ctx
	items, size := 0, 0
	for ok := it.first(); ok; ok = it.next() {
		first, n := binary.Uvarint(it.body)
		name, _, found := strings.Cut(string(it.key()[len(base):]), "\x00")
		if n <= 0 || !found {
			it.corrupt()
			break
		}
		if CommitTS(first) > s.ts {
			continue
		}
		next := len(name) + rowOverhead
		if p.full(items, size, next) {
			more = true
			break
		}
		if err := add(name, CommitTS(first)); err != nil {
			_ = it.close()
			return false, err
		}
		items++
		size += next
	}
	return more, it.close()
}

// sortedOwn returns a transaction's own writes after o.After in scan order.
func sortedOwn(ws []*Write, o *ScanOptions) []*Write {
	ws = slices.DeleteFunc(ws, func(w *Write) bool {
		return o.After != "" && (w.Name.Key == o.After || (w.Name.Key < o.After) != o.Reverse)
	})
	slices.SortFunc(ws, func(a, b *Write) int {
		c := strings.Compare(a.Name.Key, b.Name.Key)
		if o.Reverse {
			return -c
		}
		return c
	})
	return ws
}
