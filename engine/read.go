package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// At is a point of the total order to read at: after a commit, or after the last commit
// whose commit_time is not later than a time. The zero value is now.
type At struct {
	CommitTS *CommitTS
	Time     *time.Time
}

// Snapshot is a read view at a CommitTS. It holds nothing open and is valid as long as
// the engine is open, or until the floor of a namespace has moved past it.
type Snapshot struct {
	e   *Engine
	ts  CommitTS
	ctx context.Context // of the request that reads; nil: never ends
}

// Within returns the same view for a request: lists end with the error of ctx when ctx
// ends. A list may read any number of rows that it does not return.
func (s Snapshot) Within(ctx context.Context) Snapshot {
	s.ctx = ctx
	return s
}

// TS is the point the snapshot reads at.
func (s Snapshot) TS() CommitTS { return s.ts }

// Snapshot resolves a point of the order. Nothing after the last published commit can be
// read: a later commit_ts is ErrInvalid.
func (e *Engine) Snapshot(at At) (Snapshot, error) {
	if f := e.failed.Load(); f != nil {
		return Snapshot{}, f
	}
	published := e.Published()
	switch {
	case at.CommitTS != nil && at.Time != nil:
		return Snapshot{}, words.Failf(ErrInvalid, "a read is at a commit_ts or at a time, not both").With("field", "at")
	case at.CommitTS != nil:
		if *at.CommitTS > published {
			return Snapshot{}, words.Failf(ErrInvalid, "commit %d has not happened yet; the last is %d", *at.CommitTS, published).
				With("field", "at").With("last_commit_ts", published.String())
		}
		return Snapshot{e: e, ts: *at.CommitTS}, nil
	case at.Time != nil:
		ts, err := e.lastBefore(*at.Time, published)
		return Snapshot{e: e, ts: ts}, e.noted(err)
	}
	return Snapshot{e: e, ts: published}, nil
}

// CheckPublished refuses a read that must not be before a commit which has not happened yet.
func (e *Engine) CheckPublished(min CommitTS) error {
	if published := e.Published(); min > published {
		return words.Failf(ErrInvalid, "the read must not be before commit %d, which has not happened yet; the last is %d", min, published).
			With("field", "min_read_ts").With("last_commit_ts", published.String())
	}
	return nil
}

// lastBefore finds the last commit up to published whose time is not after t, by binary
// search: commit times never fall.
func (e *Engine) lastBefore(t time.Time, published CommitTS) (CommitTS, error) {
	low, high := CommitTS(0), published // the answer is in [low, high]
	for low < high {
		mid := low + (high-low+1)/2
		row, err := readLogRow(e.db, mid)
		if err != nil {
			return 0, err
		}
		if row.CommitTime.After(t) {
			high = mid - 1
		} else {
			low = mid
		}
	}
	return low, nil
}

// CommitTime returns the time of a commit that was made.
func (e *Engine) CommitTime(ts CommitTS) (time.Time, error) { return e.timeOf(ts) }

// timeOf returns a commit's time; zero for commit 0, which is none.
func (e *Engine) timeOf(ts CommitTS) (time.Time, error) {
	if ts == 0 {
		return time.Time{}, nil
	}
	row, err := readLogRow(e.db, ts)
	return row.CommitTime, e.noted(err)
}

// Get reads a record. A missing one is no error: Exists is false. For a deleted one,
// Version and CommitTS are the tombstone's.
func (s Snapshot) Get(name RecordName) (Record, error) {
	if err := name.Normalize(); err != nil {
		return Record{}, err
	}
	rec, err := s.get(name, layout.RecordPrefix(name))
	return rec, s.e.inRange(name.Namespace, s.ts, err)
}

func (s Snapshot) get(name RecordName, prefix []byte) (Record, error) {
	db, called := s.e.db, prefix
	if db.forks.some.Load() || db.acts.some.Load() {
		called = []byte(db.cached(string(prefix))) // first: it must not be of after what is read
		if a := name.AgentName(); db.derived(a) {
			return s.getDerived(db.forks.get(a), name, prefix, called)
		}
	}
	have, found, miss := s.e.hot.get(called, s.ts)
	if found {
		rec := have.record(name)
		return rec, s.e.expiry(&rec)
	}
	rows, err := s.e.db.rows(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return Record{}, err
	}
	rec, newest := Record{Name: name}, true // of all that the store has
	if rows.at(rows.it.SeekPrefixGE(prefix)) {
		s.visible(&rows, name, &rec, prefix)
		newest = rows.moves == 1 && rec.Version > 0
	}
	if err := rows.close(); err != nil {
		return rec, err
	}
	if newest {
		s.e.hot.fill(miss, called, hotOf(&rec))
	}
	return rec, s.e.expiry(&rec)
}

// getDerived is get of a record of an agent that began as a fork (f), or of which an act is under way.
func (s Snapshot) getDerived(f *fork, name RecordName, prefix, called []byte) (Record, error) {
	if f != nil && s.ts < f.at {
		return Record{Name: name}, nil
	}
	have, found, miss := s.e.hot.get(called, s.ts)
	if found {
		rec := have.record(name)
		return rec, s.e.expiry(&rec)
	}
	rows, err := s.e.db.recordRows(name.AgentName(), prefix, layout.Successor(prefix))
	if err != nil {
		return Record{}, err
	}
	rec, newest := Record{Name: name}, true // of all that it has
	if rows.first() {
		at, _, _ := recordAt(rows)
		newest = s.visible(rows, name, &rec, prefix) && rec.Version == at
	}
	if err := rows.close(); err != nil {
		return rec, err
	}
	if newest {
		s.e.hot.fill(miss, called, hotOf(&rec))
	}
	return rec, s.e.expiry(&rec)
}

// linearProbe is how many newer versions a read steps over before it searches.
const linearProbe = 8

// visible moves rows from a record's newest version to the newest one in the snapshot
// and fills rec. It reports whether there is one.
func (s Snapshot) visible(rows *rowIter, name RecordName, rec *Record, prefix []byte) bool {
	for range linearProbe {
		v, row, ok := recordAt(rows)
		if !ok {
			return false
		}
		if row.CommitTS <= s.ts {
			rec.fill(name, v, &row)
			return true
		}
		if v == 1 || !rows.next() {
			return false
		}
	}
	newest, _, ok := recordAt(rows)
	if !ok {
		return false
	}
	return s.search(rows, name, rec, prefix, newest)
}

// search finds the newest version up to high in the snapshot by binary search: versions
// are dense and their commit_ts rise.
func (s Snapshot) search(rows *rowIter, name RecordName, rec *Record, prefix []byte, high Version) bool {
	low := Version(0)
	key := make([]byte, 0, len(prefix)+layout.NumberSize)
	found := false
	for low < high {
		mid := low + (high-low+1)/2
		key = layout.AppendVersion(append(key[:0], prefix...), mid)
		there := rows.seek(key) && bytes.HasPrefix(rows.key(), prefix)
		if rows.err != nil {
			return false
		}
		v, row, ok := Version(0), layout.RecordRow{}, true
		if there {
			v, row, ok = recordAt(rows)
		}
		switch {
		case !ok:
			return false
		case v != mid && s.e.floor(name.Namespace) > 0: // dropped, and a newer one is in its place
			low, found = mid, false
		case v != mid:
			rows.err = layout.CorruptRow(key, "missing")
			return false
		case row.CommitTS > s.ts:
			high = mid - 1
		default:
			low, found = mid, true
			rec.fill(name, v, &row)
		}
	}
	if !found && low > 0 {
		rows.err = layout.CorruptRow(layout.AppendVersion(key[:len(prefix)], low), "missing")
	}
	return found
}

// recordAt parses the record row that rows is at.
func recordAt(rows *rowIter) (Version, layout.RecordRow, bool) {
	key := rows.key()
	row, ok := layout.ParseRecordRow(rows.body)
	if !ok || len(key) < layout.NumberSize {
		return 0, row, rows.corrupt()
	}
	return Version(^binary.BigEndian.Uint64(key[len(key)-layout.NumberSize:])), row, true
}

// fill copies a row into r.
func (r *Record) fill(name RecordName, v Version, row *layout.RecordRow) {
	r.Name, r.Version, r.CommitTS, r.CommitTime = name, v, row.CommitTS, row.CommitTime
	r.Exists = !row.Tombstone
	r.hold, r.ExpiresAt = row.Hold, time.Time{}
	r.Erased, r.Pruned = row.Gone == layout.GoneErased, row.Gone == layout.GonePruned
	r.Value = nil
	if r.Exists && row.Gone == 0 {
		r.Value = append(make([]byte, 0, len(row.Value)), row.Value...)
	}
}

// GetVersion reads one version of a record. Exists is false for a version that was a
// delete; a version that never was is ErrVersionNotFound.
func (e *Engine) GetVersion(name RecordName, v Version) (Record, error) {
	if f := e.failed.Load(); f != nil {
		return Record{}, f
	}
	if err := name.Normalize(); err != nil {
		return Record{}, err
	}
	body, err := e.db.recordBody(name, v)
	if err != nil {
		return Record{}, e.noted(err)
	}
	row, ok := layout.ParseRecordRow(body)
	if body != nil && !ok {
		return Record{}, e.noted(layout.CorruptRow(layout.RecordPrefix(name), "malformed"))
	}
	if body == nil || row.CommitTS < e.floor(name.Namespace) {
		if err := e.versionInRange(name, v); err != nil {
			return Record{}, err
		}
	}
	if body == nil || v == 0 || row.CommitTS > e.Published() {
		return Record{}, words.Failf(ErrVersionNotFound, "key %q of agent %q has no version %d", name.Key, name.Agent, v).
			With("key", name.Key).With("version", v.String())
	}
	rec := Record{}
	rec.fill(name, v, &row)
	return rec, e.ValueGone(&rec)
}

// HistoryEntry is one version of a record with its commit's provenance.
type HistoryEntry struct {
	Record
	TxnID    TxnID
	Metadata map[string]string
	// Who committed it, and the trace that it was part of; "": not known.
	Principal, TraceID string
	Cause              Cause // why the daemon made the commit by itself; 0: it did not
}

// History pages through a record's versions, newest first or oldest first. after is the
// last version of the page before, 0 for the first page. more reports whether there are
// more. The oldest one is that which is current at the floor.
func (s Snapshot) History(name RecordName, after Version, oldestFirst bool, p Page) (entries []HistoryEntry, more bool, err error) {
	if err := name.Normalize(); err != nil {
		return nil, false, err
	}
	for {
		base, floor, err := s.e.base(name)
		if err == nil {
			entries, more, err = s.history(name, after, max(base, 1), oldestFirst, p)
		}
		if err == nil || s.e.floor(name.Namespace) == floor { // else rows went meanwhile
			return entries, more, s.e.inRange(name.Namespace, s.ts, err)
		}
	}
}

func (s Snapshot) history(name RecordName, after, oldest Version, oldestFirst bool, p Page) (entries []HistoryEntry, more bool, err error) {
	prefix := layout.RecordPrefix(name)
	newest, err := s.get(name, prefix)
	if err != nil {
		return nil, false, err
	}
	v, step := newest.Version, Version(^uint64(0)) // step is -1
	if oldestFirst {
		v, step = oldest, 1
	}
	if after != 0 {
		v = after + step
	}
	if v < oldest || v > newest.Version {
		return nil, false, nil
	}
	if entries, more, err = s.versions(name, prefix, v, [2]Version{oldest, newest.Version}, oldestFirst, p); err == nil {
		err = s.e.provenance(name.AgentName(), entries)
	}
	if err != nil {
		return nil, false, err
	}
	size := 0
	for i := range entries {
		rec := &entries[i]
		if p.full(i, size, rec.size()) { // provenance counts, too
			return entries[:i], true, nil
		}
		by := layout.Provenance{Principal: rec.Principal, TraceID: rec.TraceID, Metadata: rec.Metadata}
		size += rec.size() + by.Size()
	}
	return entries, more, nil
}

// versions reads a record's versions from one on, as many as a page has room for.
func (s Snapshot) versions(name RecordName, prefix []byte, from Version, all [2]Version, oldestFirst bool, p Page) (entries []HistoryEntry, more bool, err error) {
	rows, err := s.e.db.recordRows(name.AgentName(), prefix, layout.Successor(prefix))
	if err != nil {
		return nil, false, err
	}
	rows.ctx = s.ctx
	move, step := rows.next, Version(^uint64(0))
	if oldestFirst {
		move, step = rows.previous, 1
	}
	size := 0
	ok := rows.seek(layout.AppendVersion(prefix[:len(prefix):len(prefix)], from))
	for v := from; v >= all[0] && v <= all[1]; v += step {
		if rows.err == nil {
			rows.err = endOf(s.ctx)
		}
		at, row, good := Version(0), layout.RecordRow{}, false
		if ok {
			at, row, good = recordAt(rows)
		}
		if rows.err == nil && (!good || at != v) { // versions are dense
			rows.err = layout.CorruptRow(layout.AppendVersion(prefix[:len(prefix):len(prefix)], v), "missing")
		}
		if rows.err != nil {
			break
		}
		e := HistoryEntry{}
		n := len(name.Key) + len(row.Value) + rowOverhead
		if more = p.full(len(entries), size, n); more {
			break
		}
		e.fill(name, v, &row)
		entries, size = append(entries, e), size+n
		ok = move()
	}
	return entries, more, rows.close()
}

// provenance fills in what the events of an agent say of the commits of entries. Of the event of a
// commit below the floor no more than its id may be left, which the log has, too.
func (e *Engine) provenance(a AgentName, entries []HistoryEntry) error {
	var keys rowKeys
	var of []*HistoryEntry
	floor := e.floor(a.Namespace)
	for i := range entries {
		entry := &entries[i]
		if entry.CommitTS >= floor {
			keys.add(layout.AppendEventKey(keys.buf, e.db.forks.owner(a, entry.CommitTS), entry.CommitTS))
			of = append(of, entry)
			continue
		}
		row, err := readLogRow(e.db, entry.CommitTS)
		if err != nil {
			return err
		}
		entry.TxnID = row.TxnID
	}
	return keys.read(e.db, func(i int, body []byte) bool {
		ev, ok := layout.ParseEventRow(body)
		of[i].TxnID, of[i].Metadata = ev.TxnID, ev.By.Metadata
		of[i].Principal, of[i].TraceID, of[i].Cause = ev.By.Principal, ev.By.TraceID, ev.Own.Cause
		return ok
	})
}
