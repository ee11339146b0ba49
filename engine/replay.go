package engine

import (
	"math"
	"strings"
	"time"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Filter selects the part of the log that a replay or watch reads.
type Filter struct {
	Namespace string
	Agent     string // "" with AllAgents
	AllAgents bool
	Whole     bool   // every namespace; Namespace and Agent are ignored
	KeyPrefix string // only operations on such keys, only commits that have one
	KeysOnly  bool   // leave values out

	// AllOperations shows operations on hidden records, too, with their keys as they are stored
	// (SplitHidden). Lease, unless "", leaves only those on the lease of that name.
	AllOperations bool
	Lease         string
	Due           bool // only operations on wake-ups
}

// shows reports whether an operation on a key is selected.
func (f *Filter) shows(key string) bool {
	switch {
	case f.Lease != "":
		return key == leaseKey(f.Lease)
	case f.Due:
		kind, name := SplitHidden(key)
		return kind == HiddenDue && strings.HasPrefix(name, f.KeyPrefix)
	case !hidden(key):
		return strings.HasPrefix(key, f.KeyPrefix)
	case !f.AllOperations:
		return false
	}
	_, name := SplitHidden(key)
	return strings.HasPrefix(name, f.KeyPrefix)
}

func (f *Filter) normalize() error {
	if f.Lease != "" {
		if f.AllAgents || f.Whole {
			return words.Failf(ErrInvalid, "a lease is of one agent").With("field", "lease")
		}
		if err := words.CheckName("lease", f.Lease, MaxLeaseBytes); err != nil {
			return err
		}
	}
	if f.Whole {
		return nil
	}
	if f.AllAgents {
		if f.Agent != "" {
			return words.Failf(ErrInvalid, "agent_id must be empty when all agents are asked for").With("field", "agent_id")
		}
		if f.Namespace == "" {
			f.Namespace = DefaultNamespace
		}
		return words.CheckName("namespace", f.Namespace, MaxNamespaceBytes)
	}
	a := AgentName{Namespace: f.Namespace, Agent: f.Agent}
	err := a.Normalize()
	f.Namespace = a.Namespace
	return err
}

// Range bounds a replay. Both ends are inclusive; an unset one is open: without a start it begins
// at the floor of the namespace.
type Range struct {
	Namespace        string
	From, To         *CommitTS
	FromTime, ToTime *time.Time
}

// Cursor is a resumable place in the log: the last commit that was read.
type Cursor = CommitTS

// What is counted towards the bytes of a chunk.
const (
	eventBytes = 96 // about what an event takes besides its id, operations and metadata
	opBytes    = 32 // and an operation besides its key and value
)

// Chunk bounds what one call of ReplayChunk returns. Zero means the maximum, which is in
// Tuning. The first event always fits.
type Chunk struct {
	Events int
	Bytes  int // of names, values and metadata, about
	// Admit, unless nil, is called with the size of the values before they are read, while
	// nothing is held open. Its error ends the call.
	Admit func(bytes int) error
	// Inside is where to go on in the commit after the cursor: the Rest of the event that was read
	// last. nil: what acts come to is not cut, however much it is.
	Inside *Inside
}

// ReplayRange resolves the bounds of a replay to commits that are published now.
// first > last means that there are none.
func (e *Engine) ReplayRange(r Range) (first, last CommitTS, err error) {
	if f := e.failed.Load(); f != nil {
		return 0, 0, f
	}
	first, last = 1, e.Published()
	if r.From != nil {
		first = max(first, *r.From)
	}
	if r.To != nil {
		last = min(last, *r.To)
	}
	if r.FromTime != nil {
		before, err := e.lastBefore(r.FromTime.Add(-1), e.Published())
		if err != nil {
			return 0, 0, e.noted(err)
		}
		first = max(first, before+1)
	}
	if r.ToTime != nil {
		upTo, err := e.lastBefore(*r.ToTime, e.Published())
		if err != nil {
			return 0, 0, e.noted(err)
		}
		last = min(last, upTo)
	}
	if r.Namespace == "" {
		r.Namespace = DefaultNamespace
	}
	floor := e.floor(r.Namespace)
	switch {
	case first < floor && (r.From != nil || r.FromTime != nil):
		return 0, 0, belowFloor(r.Namespace, first, floor)
	case last < floor:
		return 0, 0, belowFloor(r.Namespace, last, floor)
	}
	return max(first, floor), last, nil
}

// Replay is ReplayChunk with the largest chunks, or with at most limit events if limit
// is not 0.
func (e *Engine) Replay(f Filter, after Cursor, last CommitTS, limit int) (events []Event, cursor Cursor, err error) {
	return e.ReplayChunk(f, after, last, Chunk{Events: limit})
}

// ReplayChunk reads the next events with after < commit_ts <= last that match f, as
// many as make a chunk, and returns the cursor to continue from: everything up to it has
// been read. cursor == last means that the replay is done. Nothing is held open between
// calls, so a slow reader costs nothing between chunks.
func (e *Engine) ReplayChunk(f Filter, after Cursor, last CommitTS, c Chunk) (events []Event, cursor Cursor, err error) {
	if err := f.normalize(); err != nil {
		return nil, after, err
	}
	if fail := e.failed.Load(); fail != nil {
		return nil, after, fail
	}
	last = min(last, e.Published())
	if after >= last {
		return nil, max(after, last), nil
	}
	t := &e.opts.Tuning
	if c.Events <= 0 || c.Events > t.ChunkEvents {
		c.Events = t.ChunkEvents
	}
	if c.Bytes <= 0 || c.Bytes > t.ChunkBytes {
		c.Bytes = t.ChunkBytes
	}
	for {
		floors := e.db.floors.Load()
		r := &replayer{e: e, f: &f, chunk: c, cursor: after}
		err := r.read(last)
		if f.Whole && err != nil && e.db.floors.Load() != floors {
			continue // rows went meanwhile
		}
		if !f.Whole {
			err = e.inRange(f.Namespace, after+1, err)
		}
		if err != nil {
			return nil, after, e.noted(err)
		}
		r.count(last)
		return r.events, r.cursor, nil
	}
}

func (r *replayer) read(last CommitTS) (err error) {
	if r.f.AllAgents || r.f.Whole {
		err = r.readLog(last)
	} else {
		err = r.readAgent(last)
	}
	if err == nil && r.chunk.Admit != nil {
		err = r.chunk.Admit(r.values)
	}
	if err == nil && !r.f.KeysOnly {
		err = r.fillValues()
	}
	return err
}

// count counts the bound that ended a chunk before last.
func (r *replayer) count(last CommitTS) {
	t, reached := &r.e.opts.Tuning, &r.e.reached
	switch {
	case r.cursor == last:
	case len(r.events) >= t.ChunkEvents:
		reached.ChunkEvents.Add(1)
	case r.rows >= t.ChunkRows:
		reached.ChunkRows.Add(1)
	case len(r.events) < r.chunk.Events:
		reached.ChunkBytes.Add(1)
	}
}

// replayer gathers one chunk.
type replayer struct {
	e      *Engine
	f      *Filter
	chunk  Chunk
	rows   int   // read
	bytes  int   // of names, values and metadata in events
	values int   // bytes of values among them
	sizes  []int // of the values, one for each operation in events
	events []Event
	cursor Cursor
	err    error // of what an act comes to
}

func (r *replayer) full() bool {
	return len(r.events) >= r.chunk.Events || r.bytes >= r.chunk.Bytes
}

// done reports whether the chunk is full, or has been looked for long enough.
func (r *replayer) done() bool { return r.full() || r.looked() }

func (r *replayer) looked() bool { return r.rows >= r.e.opts.Tuning.ChunkRows }

// readAgent walks one agent's events: one scan.
func (r *replayer) readAgent(last CommitTS) error {
	a := AgentName{Namespace: r.f.Namespace, Agent: r.f.Agent}
	upper := layout.Successor(layout.AgentPrefix(layout.EventTag, a))
	if last < math.MaxUint64 {
		upper = layout.EventKey(a, last+1)
	}
	it, err := newRowIter(r.e.db, layout.EventKey(a, r.cursor+1), upper)
	if err != nil {
		return err
	}
	ok := it.first()
	for ; ok && !r.done(); ok = it.next() {
		_, ts, good := layout.SplitEventKey(it.key())
		row, good2 := layout.ParseEventRow(it.body)
		if !good || !good2 {
			it.corrupt()
			break
		}
		r.rows++
		before := *r
		all := r.addCommit(ts, []AgentName{a}, []layout.EventRow{row})
		if it.err = r.err; it.err != nil || r.tooMuch(&before) || !all {
			break
		}
		r.cursor = ts
	}
	if !ok {
		r.cursor = last
	}
	return it.close()
}

// readLog walks the log and reads the events of the namespace, or all, in waves: those of
// the commits that should fill the chunk are read together, in the order of their keys.
func (r *replayer) readLog(last CommitTS) error {
	it, err := newRowIter(r.e.db, layout.LogKey(r.cursor+1), layout.Successor(layout.LogKey(last)))
	if err != nil {
		return err
	}
	more, all := it.first(), true
	for more && all && !r.done() {
		var w wave
		if more, err = r.gather(it, &w); err == nil {
			all, err = r.addWave(&w)
		}
		if err != nil {
			_ = it.close()
			return err
		}
	}
	if !more && all {
		r.cursor = last
	}
	return it.close()
}

// A wave is some commits of the log, and the keys of the events that are asked for.
type wave struct {
	commits []waveCommit
	agents  []AgentName // of the events, one commit's after the other's
	keys    rowKeys     // likewise
}

type waveCommit struct {
	ts     CommitTS
	events int
}

// waveSize is about how many events the chunk has room for yet, by those that it has.
func (r *replayer) waveSize() int {
	const (
		presumed = 512 // bytes an event
		maxWave  = 1024
	)
	each := presumed
	if n := len(r.events); n > 0 {
		each = max(r.bytes/n, 1)
	}
	return max(min((r.chunk.Bytes-r.bytes)/each, r.chunk.Events-len(r.events), maxWave), 1)
}

// gather moves it over the commits of a wave. more reports whether there are others.
func (r *replayer) gather(it *rowIter, w *wave) (more bool, err error) {
	size := r.waveSize()
	for more = true; more && len(w.agents) < size && !r.looked(); more = it.next() {
		ts, good := layout.SplitLogKey(it.key())
		row, good2 := layout.ParseLogRow(it.body)
		if !good || !good2 {
			it.corrupt()
			return false, it.err
		}
		before := len(w.agents)
		for i := range row.Parts {
			if a := row.Parts[i].Agent; a.Namespace == r.f.Namespace || r.f.Whole && a.Namespace != "" && ts >= r.e.floor(a.Namespace) {
				w.agents = append(w.agents, a)
				w.keys.add(layout.AppendEventKey(w.keys.buf, a, ts))
			}
		}
		w.commits = append(w.commits, waveCommit{ts, len(w.agents) - before})
		r.rows += 1 + len(w.agents) - before
	}
	return more, it.err
}

// addWave reads the wave's events and adds them, as many as the chunk has room for. all
// reports whether it had room for all.
func (r *replayer) addWave(w *wave) (all bool, err error) {
	rows := make([]layout.EventRow, len(w.agents))
	err = w.keys.read(r.e.db, func(i int, body []byte) (ok bool) {
		rows[i], ok = layout.ParseEventRow(body)
		return ok
	})
	if err != nil {
		return false, err
	}
	at := 0
	for _, c := range w.commits {
		if r.full() {
			return false, nil
		}
		before := *r
		whole := r.addCommit(c.ts, w.agents[at:at+c.events], rows[at:at+c.events])
		at += c.events
		if r.err != nil || r.tooMuch(&before) || !whole {
			return false, r.err
		}
		r.cursor = c.ts
	}
	return true, nil
}

// tooMuch reports whether the commit added since before exceeds the chunk, and removes it
// if so. The first event never does.
func (r *replayer) tooMuch(before *replayer) bool {
	if len(before.events) == 0 || len(r.events) == len(before.events) || r.bytes <= r.chunk.Bytes {
		return false
	}
	*r = *before
	return true
}

// add appends an agent's part of a commit.
func (r *replayer) add(ts CommitTS, a AgentName, row *layout.EventRow) {
	ops := make([]EventOp, 0, len(row.Ops))
	for i := range row.Ops {
		if op := &row.Ops[i]; r.f.shows(op.Key) {
			ops = append(ops, EventOp{
				Name: RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: op.Key}, Version: op.Version, Tombstone: op.Tombstone,
				Erased: op.Gone == layout.GoneErased, Pruned: op.Gone == layout.GonePruned,
			})
			r.bytes += len(op.Key) + opBytes
			size := op.Size
			if op.Gone != 0 {
				size = 0
			}
			r.sizes = append(r.sizes, size)
			if !r.f.KeysOnly {
				r.bytes += size
				r.values += size
			}
		}
	}
	if len(ops) > 0 {
		r.addOps(ts, row, ops)
	}
}

// addOps appends operations of a commit, to the commit's event if it is there already.
func (r *replayer) addOps(ts CommitTS, row *layout.EventRow, ops []EventOp) {
	if n := len(r.events); n > 0 && r.events[n-1].CommitTS == ts {
		ev := &r.events[n-1]
		ev.Ops = append(ev.Ops, ops...)
		if row.By.State == layout.ProvenanceThere { // all parts say the same, unless it was erased from one
			ev.Metadata, ev.Principal, ev.TraceID = row.By.Metadata, row.By.Principal, row.By.TraceID
		}
		return
	}
	r.bytes += eventBytes + len(row.TxnID) + row.By.Size()
	r.events = append(r.events, Event{CommitTS: ts, CommitTime: row.CommitTime, TxnID: row.TxnID, Metadata: row.By.Metadata, Principal: row.By.Principal, TraceID: row.By.TraceID, Cause: row.Own.Cause, Ops: ops})
}

// fillValues fetches the values of a chunk: those that are in memory, by name, from there.
func (r *replayer) fillValues() error {
	var keys rowKeys
	var ops []*EventOp
	var of []CommitTS
	left, at := 0, 0 // bytes of the values that are not in memory; the operation
	for i := range r.events {
		for j := range r.events[i].Ops {
			op, size := &r.events[i].Ops[j], r.sizes[at]
			if at++; op.Tombstone || op.Erased || op.Pruned || op.Value != nil || op.Fork != nil || op.Many {
				continue
			}
			n := len(keys.buf)
			key := layout.AppendRecordKey(keys.buf, op.Name, op.Version)
			if value, found := r.e.hot.value(key[n:len(key)-layout.NumberSize], op.Version); found {
				op.Value, keys.buf = value, key[:n]
				continue
			}
			keys.add(key)
			ops, of = append(ops, op), append(of, r.events[i].CommitTS)
			left += size
		}
	}
	values := make([]byte, 0, left) // what comes and goes together is allocated at once
	return keys.read(r.e.db, func(i int, body []byte) bool {
		row, ok := layout.ParseRecordRow(body)
		if !ok || row.CommitTS != of[i] || row.Tombstone {
			return false
		}
		if row.Gone != 0 {
			ops[i].Erased, ops[i].Pruned = row.Gone == layout.GoneErased, row.Gone == layout.GonePruned
			return true
		}
		from := len(values)
		values = append(values, row.Value...)
		ops[i].Value = values[from:len(values):len(values)]
		return true
	})
}
