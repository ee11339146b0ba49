package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
)

// getRow reads one row's body, copied; nil when there is none.
func getRow(r *store, key []byte) ([]byte, error) {
	row, closer, err := r.Get(key)
	r.reads.add(1, len(row))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, storageError(err)
	}
	defer closer.Close()
	body, err := layout.OpenRow(key, row)
	if err != nil {
		return nil, err
	}
	return append(make([]byte, 0, len(body)), body...), nil
}

// rowIter walks rows within bounds and checks each. Its body and key are valid until the
// next move.
type rowIter struct {
	it    *pebble.Iterator
	view  rowView // nil: it walks rows of the store as they are
	reads *reads  // what it reads is counted there when it is closed
	body  []byte
	err   error
	ctx   context.Context // of the request that reads; nil: never ends
	moves int
	bytes int
}

// rowView is what walks rows that are not all stored where they are shown. Each move fills in the body
// of the rowIter that it is of, or its error.
type rowView interface {
	first(i *rowIter) bool
	last(i *rowIter) bool
	step(i *rowIter, back bool) bool
	seek(i *rowIter, key []byte) bool
	before(i *rowIter, key []byte) bool
	shown() []byte // the key of the row
	close() error
}

// movesPerLook is how many rows are read between checks of ctx: less than a
// millisecond's worth.
const movesPerLook = 256

func endOf(ctx context.Context) error {
	if ctx == nil {
		return nil
	}
	return ctx.Err()
}

func newRowIter(r *store, lower, upper []byte) (*rowIter, error) {
	it, err := r.rows(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	return &it, nil
}

// at checks the row that the iterator was moved to. It returns false at the end and on an
// error, which is then in err.
func (i *rowIter) at(valid bool) bool {
	if i.err != nil {
		return false
	}
	if i.moves++; i.moves%movesPerLook == 0 {
		if i.err = endOf(i.ctx); i.err != nil {
			return false
		}
	}
	if !valid {
		if err := i.it.Error(); err != nil {
			i.err = storageError(err)
		}
		return false
	}
	row, err := i.it.ValueAndErr()
	if err != nil {
		i.err = storageError(err)
		return false
	}
	i.bytes += len(row)
	i.body, i.err = layout.OpenRow(i.it.Key(), row)
	return i.err == nil
}

func (i *rowIter) key() []byte {
	if i.view != nil {
		return i.view.shown()
	}
	return i.it.Key()
}

func (i *rowIter) first() bool {
	if i.view != nil {
		return i.view.first(i)
	}
	return i.at(i.it.First())
}

// firstAfter moves to the first row, or past it if it has that key: where a walk goes on that came to key. A
// bound right after a record's key would be after all versions of the record, since Pebble compares what is
// before the version first.
func (i *rowIter) firstAfter(key []byte) bool {
	ok := i.first()
	if ok && bytes.Equal(i.key(), key) {
		ok = i.next()
	}
	return ok
}

func (i *rowIter) last() bool {
	if i.view != nil {
		return i.view.last(i)
	}
	return i.at(i.it.Last())
}

func (i *rowIter) next() bool {
	if i.view != nil {
		return i.view.step(i, false)
	}
	return i.at(i.it.Next())
}

func (i *rowIter) previous() bool {
	if i.view != nil {
		return i.view.step(i, true)
	}
	return i.at(i.it.Prev())
}

func (i *rowIter) seek(key []byte) bool {
	if i.view != nil {
		return i.view.seek(i, key)
	}
	return i.at(i.it.SeekGE(key))
}

func (i *rowIter) before(key []byte) bool {
	if i.view != nil {
		return i.view.before(i, key)
	}
	return i.at(i.it.SeekLT(key))
}

// corrupt sets the error for a row with a right checksum and a malformed body.
func (i *rowIter) corrupt() bool {
	i.err = layout.CorruptRow(i.key(), "malformed")
	return false
}

func (i *rowIter) close() error {
	if i.view != nil {
		return cmp.Or(i.view.close(), i.err)
	}
	err := i.it.Close()
	i.reads.closed(i.moves, i.bytes)
	if i.err != nil {
		return i.err
	}
	if err != nil {
		return storageError(err)
	}
	return nil
}

// readHead finds the last commit in the log.
func readHead(r *store) (mark, time.Time, error) {
	it, err := newRowIter(r, []byte{layout.LogTag}, []byte{layout.LogTag + 1})
	if err != nil {
		return mark{}, time.Time{}, err
	}
	var head mark
	var at time.Time
	if it.last() {
		ts, ok := layout.SplitLogKey(it.key())
		row, ok2 := layout.ParseLogRow(it.body)
		if !ok || !ok2 || ts == 0 {
			it.corrupt()
		}
		head, at = mark{ts, row.Hash}, row.CommitTime
	}
	return head, at, it.close()
}

func readLogRow(r *store, ts CommitTS) (layout.LogRow, error) {
	key := layout.LogKey(ts)
	body, err := getRow(r, key)
	if err != nil {
		return layout.LogRow{}, err
	}
	row, ok := layout.ParseLogRow(body)
	if body == nil || !ok {
		return layout.LogRow{}, layout.CorruptRow(key, "missing or malformed")
	}
	return row, nil
}

func readEventRow(r *store, a AgentName, ts CommitTS) (layout.EventRow, error) {
	key := layout.EventKey(a, ts)
	body, err := getRow(r, key)
	if err != nil {
		return layout.EventRow{}, err
	}
	row, ok := layout.ParseEventRow(body)
	if body == nil || !ok {
		return layout.EventRow{}, layout.CorruptRow(key, "missing or malformed")
	}
	return row, nil
}

// dbState is the planner's view of the store: everything applied, published or not.
type dbState struct{ r *store }

var _ stateReader = (*stepState)(nil)

// stepState is dbState for the writer, which plans a step while nothing is applied: all look-ups
// of keys share an iterator, since opening one costs more than what it is asked, and so do those of what an
// agent had before. The step ends them.
type stepState struct {
	dbState
	e    *Engine
	hot  *hotRecords
	rows *rowIter // nil: none is open
	then *rowIter // those of an agent, whose name is thenOf; nil: none is open
	key  []byte

	thenOf AgentName
}

func (s *stepState) recordHead(prefix string) (keyHead, error) {
	if s.rows == nil {
		rows, err := s.r.rows(&pebble.IterOptions{UseL6Filters: true})
		if err != nil {
			return keyHead{}, err
		}
		s.rows = &rows
	}
	if s.r.forks.some.Load() || s.r.acts.some.Load() {
		var n RecordName
		layout.SplitNames([]byte(prefix), layout.RecordTag, &n.Namespace, &n.Agent, &n.Key)
		g := s.r.acts.get(n.AgentName())
		if f := s.r.forks.get(n.AgentName()); g != nil || f != nil && !f.whole {
			return s.derivedHead(n, g)
		}
	}
	var h keyHead
	s.key = append(s.key[:0], prefix...)
	if s.rows.at(s.rows.it.SeekPrefixGE(s.key)) {
		v, rec, ok := recordAt(s.rows)
		if ok {
			h = keyHead{version: v, tombstone: rec.Tombstone, held: rec.Hold.Kind}
		}
	}
	if s.rows.err != nil {
		return keyHead{}, s.endStep()
	}
	return h, nil
}

// derivedHead is recordHead of a key that an agent may have inherited, or an act under way deleted.
func (s *stepState) derivedHead(n RecordName, g *rangeAct) (h keyHead, err error) {
	prefix := layout.RecordPrefix(n)
	rows, err := s.r.recordRows(n.AgentName(), prefix, layout.Successor(prefix))
	if err != nil {
		return h, err
	}
	if rows.first() {
		if v, rec, ok := recordAt(rows); ok {
			h = keyHead{version: v, tombstone: rec.Tombstone, held: rec.Hold.Kind}
			h.acted = g != nil && rec.CommitTS == g.at
		}
	}
	return h, rows.close()
}

func (s *stepState) value(prefix string, v Version) ([]byte, layout.Gone, error) {
	s.key = append(s.key[:0], prefix...)
	if value, found := s.hot.value(s.key, v); found {
		return value, 0, nil
	}
	n, ok := layout.SplitPrefix(prefix)
	if !ok {
		return nil, 0, layout.CorruptRow(s.key, "malformed")
	}
	body, err := s.r.recordBody(n, v)
	if err != nil {
		return nil, 0, err
	}
	row, ok := layout.ParseRecordRow(body)
	if body == nil || !ok {
		return nil, 0, layout.CorruptRow(s.key, "missing or malformed")
	}
	return row.Value, row.Gone, nil // of a copy
}

func (s *stepState) endStep() (err error) {
	for _, rows := range []**rowIter{&s.rows, &s.then} {
		if *rows != nil {
			err = firstError(err, (*rows).close())
			*rows = nil
		}
	}
	return err
}

func (s dbState) agentHead(a AgentName) (layout.AgentHead, error) {
	return agentHeadAt(s.r, a, math.MaxUint64)
}

// hold reads the row of a hold; nil if there is none.
func (s dbState) hold(prefix string) (*layout.Hold, error) {
	key := layout.AppendHoldKey(nil, prefix)
	body, err := getRow(s.r, key)
	if body == nil || err != nil {
		return nil, err
	}
	h, ok := layout.ParseHold(body)
	if !ok {
		return nil, layout.CorruptRow(key, "malformed")
	}
	return &h, nil
}

func (s dbState) leases(a AgentName) (n int, err error) {
	prefix := append(layout.AgentPrefix(layout.HoldTag, a), leaseKey("")...)
	it, err := newRowIter(s.r, prefix, layout.Successor(prefix))
	if err != nil {
		return 0, err
	}
	for ok := it.first(); ok; ok = it.next() {
		n++
	}
	return n, it.close()
}

// agentHeadAt returns the agent's last commit that is not after ts; 0 if there is none.
func agentHeadAt(r *store, a AgentName, ts CommitTS) (head layout.AgentHead, err error) {
	prefix := layout.AgentPrefix(layout.EventTag, a)
	it, err := newRowIter(r, prefix, layout.Successor(prefix))
	if err != nil {
		return head, err
	}
	found := false
	if ts == math.MaxUint64 {
		found = it.last()
	} else {
		found = it.before(binary.BigEndian.AppendUint64(prefix, uint64(ts)+1))
	}
	if found {
		_, at, ok := layout.SplitEventKey(it.key())
		row, ok2 := layout.ParseEventRow(it.body)
		if !ok || !ok2 {
			it.corrupt()
		}
		head = layout.HeadOf(at, &row)
	}
	return head, it.close()
}

func (s dbState) agentHeadAt(a AgentName, ts CommitTS) (layout.AgentHead, error) {
	return agentHeadAt(s.r, a, ts)
}

func (s dbState) forks() *forks               { return &s.r.forks }
func (s dbState) acts() *rangeActs            { return &s.r.acts }
func (s dbState) cached(prefix string) string { return s.r.cached(prefix) }

func (s dbState) existing(a AgentName, prefix string, visit func(key string) bool) error {
	return s.keys(a, prefix, func(key string, exists bool) bool { return !exists || visit(key) })
}

func (s dbState) keys(a AgentName, prefix string, visit func(key string, exists bool) bool) error {
	base := layout.AgentPrefix(layout.RecordTag, a)
	lower := append(bytes.Clone(base), prefix...)
	upper := layout.Successor(lower)
	if prefix == "" {
		lower = append(lower, layout.LeastInName)
	}
	it, err := s.r.recordRows(a, lower, upper)
	if err != nil {
		return err
	}
	for ok := it.first(); ok; {
		name, _, good := layout.SplitRecordKey(it.key())
		_, row, good2 := recordAt(it)
		if !good || !good2 {
			it.corrupt()
			break
		}
		if !visit(name.Key, !row.Tombstone) {
			break
		}
		prefix := layout.RecordPrefix(name)
		for steps := 0; ; steps++ { // over older versions: mostly there are few, and steps cost less than a seek
			if ok = it.next(); !ok || !bytes.HasPrefix(it.key(), prefix) {
				break
			}
			if steps == linearProbe {
				ok = it.seek(layout.Successor(prefix))
				break
			}
		}
	}
	return it.close()
}

func (s dbState) lastKey(a AgentName, prefix, upTo string) (key string, err error) {
	lower := append(layout.AgentPrefix(layout.RecordTag, a), prefix...)
	it, err := s.r.recordRows(a, lower, layout.Successor(layout.RecordPrefix(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: upTo})))
	if err != nil {
		return "", err
	}
	if it.last() {
		name, _, ok := layout.SplitRecordKey(it.key())
		if key = name.Key; !ok {
			it.corrupt()
		}
	}
	return key, it.close()
}

func (s dbState) namespaceKnown(namespace string) (bool, error) {
	body, err := getRow(s.r, layout.AppendNames(nil, layout.NamespaceTag, namespace))
	return body != nil, err
}

func (s dbState) outcome(id TxnID) (layout.OutcomeRow, bool, error) {
	key := layout.OutcomeKey(id)
	body, err := getRow(s.r, key)
	if body == nil || err != nil {
		return layout.OutcomeRow{}, false, err
	}
	o, ok := layout.ParseOutcomeRow(body)
	if !ok {
		return layout.OutcomeRow{}, false, layout.CorruptRow(key, "malformed")
	}
	return o, true, nil
}

func (s dbState) floor(namespace string) CommitTS { return s.r.floor(namespace) }

// events reads the log of one agent.
func (s dbState) events(a AgentName, after, upTo CommitTS, visit func(CommitTS, *layout.EventRow) bool) (whole bool, err error) {
	it, err := newRowIter(s.r, layout.EventKey(a, after+1), layout.EventKey(a, upTo+1))
	if err != nil {
		return false, err
	}
	whole = true
	for ok := it.first(); ok; ok = it.next() {
		_, ts, good := layout.SplitEventKey(it.key())
		ev, good2 := layout.ParseEventRow(it.body)
		if !good || !good2 {
			it.corrupt()
			break
		}
		if !visit(ts, &ev) {
			whole = false
			break
		}
	}
	return whole, it.close()
}
