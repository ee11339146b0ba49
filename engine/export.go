package engine

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// A backup is made of rows as they are stored: what stands in them is no business of whoever
// keeps them, and a store that is made of them again is the same store. Export reads them, commit
// by commit; Restore makes a store of them (restore.go).

// Stretch is a part of a store's log.
type Stretch struct {
	StoreID string
	Format  int
	Epochs  []Epoch // the lineage of the store, oldest first
	// Features are what its rows use beyond the format as it began.
	Features []string
	// The commits after After up to To, and the log's hash chain at both.
	After, To         CommitTS
	AfterHash, ToHash [32]byte
	ToTime            time.Time // commit_time of To
	// OutcomesAfter: outcomes of commits up to here have been dropped.
	OutcomesAfter CommitTS
}

// Row is a row as it is stored: its key, and its body with its checksum.
type Row struct{ Key, Value []byte }

// Export reads the rows of a stretch of the log, as of the moment at which it began. It holds the
// store's files of then: the caller must Close it.
type Export struct {
	e       *Engine
	of      Stretch
	at      CommitTS // read up to here
	snap    *pebble.Snapshot
	db      *store
	moved   *rowIter // holds, as of To; nil: all were read
	begun   bool     // System was called
	went    went
	base    []string    // namespaces of whose base there may be more
	cursor  []byte      // where it goes on
	commits int         // of the next wave
	forks   []*fork     // whole ones, whose rows come next
	many    []*rangeAct // carried out, whose rows come after those
	copied  []byte      // the last key of the first of them
	known   map[AgentName]bool
}

// What is read at a time: whole commits, about as many as fill exportBytes.
const (
	exportBytes   = 512 << 10
	exportCommits = 256
	exportKnown   = 4096 // agents of whom it is remembered that they are not new
)

// Export begins to read what was committed after a commit. Errors: ErrInvalid when that has not
// happened yet; ErrOutOfRange when retention has dropped some of it: then only all of the store, after 0,
// is whole.
func (e *Engine) Export(after CommitTS) (*Export, error) {
	if f := e.failed.Load(); f != nil {
		return nil, f
	}
	for {
		x, err := e.export(after)
		if err != nil {
			return nil, e.noted(err)
		}
		if x.went.within(x.of.To) {
			return x, nil
		}
		// More was committed and went in between. Its commits are published by now.
		if err := x.Close(); err != nil {
			return nil, err
		}
	}
}

func (e *Engine) export(after CommitTS) (*Export, error) {
	// First: what is published is in what is read then.
	moved, at, err := e.heldRows([]byte{layout.HoldTag}, []byte{layout.HoldTag + 1})
	if err != nil {
		return nil, err
	}
	to := at.ts
	if after > to {
		_ = moved.close()
		return nil, words.Failf(ErrInvalid, "commit %d has not happened yet; the last is %d", after, to).With("field", "after_ts").With("last_commit_ts", to.String())
	}
	snap := e.db.NewSnapshot()
	x := &Export{e: e, snap: snap, db: &store{DB: e.db.DB, then: snap}, moved: moved, at: after, commits: 16, known: make(map[AgentName]bool)}
	x.of = Stretch{StoreID: e.identity.storeID, Format: e.identity.format, Epochs: e.meta.lineage.Epochs(), After: after, To: to}
	if err := x.begin(); err != nil {
		_ = x.Close()
		return nil, err
	}
	return x, nil
}

func (x *Export) begin() error {
	var err error
	if x.went, err = readWent(systemReader{x.snap}); err != nil {
		return err
	}
	if err := x.db.loadActs(); err != nil {
		return err
	}
	switch dropped := x.went.dropped(); {
	case x.of.After == 0:
		x.base = x.went.namespaces()
	case x.of.After < dropped:
		return words.Failf(ErrOutOfRange, "retention has dropped some of what was committed after commit %d, up to commit %d: begin a new backup, of the whole store", x.of.After, dropped).
			With("floor_ts", dropped.String())
	}
	from, _, err := x.markAt(x.of.After)
	if err != nil {
		return err
	}
	to, at, err := x.markAt(x.of.To)
	if err != nil {
		return err
	}
	x.of.AfterHash, x.of.ToHash, x.of.ToTime = from, to, at
	meta, err := readMeta(x.db, x.of.Format)
	x.of.OutcomesAfter, x.of.Features = min(meta.floor, x.of.To), meta.used
	return err
}

// markAt is the hash chain at a commit, and its time.
func (x *Export) markAt(ts CommitTS) (layout.ChainHash, time.Time, error) {
	if ts == 0 {
		return x.e.meta.base, time.Time{}, nil
	}
	row, err := readLogRow(x.db, ts)
	return row.Hash, row.CommitTime, err
}

// Of says what is exported.
func (x *Export) Of() Stretch { return x.of }

// At is the last commit that was read.
func (x *Export) At() CommitTS { return x.at }

// Close ends the export.
func (x *Export) Close() error { return errors.Join(x.endMoved(), storageOrNil(x.snap.Close())) }

// Next returns the rows of the next commits, whole ones in their order, until ctx ends; none when all
// were read. Of the whole store the base comes first: the records whose events retention has
// dropped. Of a commit the row of the log comes first, then for each of its agents its event and the
// records that it made, then the outcome, unless that has been dropped, and what lists the agents
// and namespaces that were new.
func (x *Export) Next(ctx context.Context) ([]Row, error) {
	if f := x.e.failed.Load(); f != nil {
		return nil, f
	}
	if rows, err := x.nextBase(ctx); err != nil || len(rows) > 0 {
		return rows, x.e.noted(err)
	}
	if rows, err := x.nextCopies(ctx); err != nil || len(rows) > 0 {
		return rows, x.e.noted(err)
	}
	if rows, err := x.nextMany(ctx); err != nil || len(rows) > 0 {
		return rows, x.e.noted(err)
	}
	w := exportWave{x: x}
	err := ctx.Err()
	if err == nil {
		err = w.readLog()
	}
	if err == nil {
		err = w.readEvents()
	}
	if err == nil {
		w.cutAtActs()
		err = w.readRows()
	}
	if err != nil {
		return nil, x.e.noted(err)
	}
	size := 0
	for _, r := range w.out {
		size += len(r.Key) + len(r.Value)
	}
	if n := len(w.commits); n > 0 {
		x.at = w.commits[n-1].ts
		x.commits = min(max(exportBytes*n/max(size, 1), 1), exportCommits)
	}
	return w.out, nil
}

// System returns the next rows of the system, with the names of their kind; none when all were
// returned. A change of them that is under way may be among them. After them come deadlines that
// were moved since the stretch began.
func (x *Export) System() ([]Row, error) {
	if x.begun {
		rows, err := x.nextMoved()
		return rows, x.e.noted(err)
	}
	x.begun = true
	it, err := newRowIter(x.db, []byte{systemTag}, []byte{systemTag + 1})
	if err != nil {
		return nil, err
	}
	var rows []Row
	for ok := it.first(); ok; ok = it.next() {
		rows = append(rows, rowOf(it.key(), it.body))
	}
	if err := it.close(); err != nil {
		return nil, x.e.noted(err)
	}
	if len(rows) > 0 {
		return rows, nil
	}
	return x.System()
}

// System is what a row of the system says, if r is one.
func (r Row) System() (SystemChange, error) {
	kind, name, ok := splitSystemKey(r.Key)
	if !ok {
		return SystemChange{}, layout.CorruptRow(r.Key, "no row of the system")
	}
	body, err := layout.OpenRow(r.Key, r.Value)
	return SystemChange{Kind: kind, Name: name, Body: bytes.Clone(body)}, err
}

// exportWave is what is read at a time.
type exportWave struct {
	x       *Export
	commits []exportCommit
	out     []Row
}

type exportCommit struct {
	ts     CommitTS
	row    layout.LogRow
	raw    Row
	events []layout.EventRow
	raws   []Row // of the events
}

func (w *exportWave) readLog() error {
	if w.x.at >= w.x.of.To {
		return nil
	}
	it, err := newRowIter(w.x.db, layout.LogKey(w.x.at+1), layout.Successor(layout.LogKey(w.x.of.To)))
	if err != nil {
		return err
	}
	want := w.x.at + 1
	for ok := it.first(); ok && len(w.commits) < w.x.commits; ok = it.next() {
		ts, good := layout.SplitLogKey(it.key())
		row, good2 := layout.ParseLogRow(it.body)
		if !good || !good2 || ts != want {
			it.corrupt()
			break
		}
		want++
		w.commits = append(w.commits, exportCommit{ts: ts, row: row, raw: rowOf(it.key(), it.body)})
		if w.x.forks = w.x.wholeForks(ts, &row); len(w.x.forks) > 0 {
			break
		}
	}
	if err := it.close(); err != nil {
		return err
	}
	if len(w.commits) == 0 {
		return layout.CorruptRow(layout.LogKey(want), "missing")
	}
	return nil
}

// rowOf is a copy of a row as it is stored.
func rowOf(key, body []byte) Row {
	key = bytes.Clone(key)
	return Row{key, layout.SealRow(key, append(make([]byte, 0, len(body)+layout.SealSize), body...))}
}

func (w *exportWave) readEvents() error {
	var keys rowKeys
	for i := range w.commits {
		c := &w.commits[i]
		for j := range c.row.Parts {
			keys.add(layout.AppendEventKey(keys.buf, c.row.Parts[j].Agent, c.ts))
		}
	}
	rows, err := keys.raw(w.x.db, !w.gone())
	if err != nil {
		return err
	}
	for i := range w.commits {
		c := &w.commits[i]
		n := len(c.row.Parts)
		c.raws, rows = rows[:n:n], rows[n:]
		for j, raw := range c.raws {
			ev, ok := layout.EventRow{}, true
			if raw.Value != nil {
				ev, ok = layout.ParseEventRow(raw.body())
			} else if c.ts >= w.x.went.pasts[c.row.Parts[j].Agent.Namespace].dropped {
				return layout.CorruptRow(raw.Key, "missing")
			}
			if !ok {
				return layout.CorruptRow(raw.Key, "malformed")
			}
			c.events = append(c.events, ev)
		}
	}
	return nil
}

// gone reports whether rows of the commits may have been dropped.
func (w *exportWave) gone() bool {
	return len(w.commits) > 0 && w.commits[0].ts <= w.x.went.dropped()
}

// addThere adds rows that are there. One that is not must have been dropped.
func (w *exportWave) addThere(namespace string, ts CommitTS, rows ...Row) error {
	for _, r := range rows {
		if r.Value != nil {
			w.out = append(w.out, r)
		} else if dropped := w.x.went.pasts[namespace].dropped; ts > dropped || ts == dropped && r.Key[0] != layout.RecordTag {
			return layout.CorruptRow(r.Key, "missing") // of that commit records may be, if the next is an act that is being dropped
		}
	}
	return nil
}

// readRows reads the records and what else the commits made, and puts all in order.
func (w *exportWave) readRows() error {
	var records, rest rowKeys
	var rests []int // how many of rest each commit has
	for i := range w.commits {
		c := &w.commits[i]
		for j := range c.row.Parts {
			a := c.row.Parts[j].Agent
			for k := range c.events[j].Ops {
				op := &c.events[j].Ops[k]
				records.add(layout.AppendRecordKey(records.buf, RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: op.Key}, op.Version))
			}
		}
		before := len(rest.ends)
		w.addRest(&rest, c)
		rests = append(rests, len(rest.ends)-before)
	}
	recs, err := records.raw(w.x.db, !w.gone())
	if err != nil {
		return err
	}
	others, err := rest.raw(w.x.db, false)
	if err != nil {
		return err
	}
	for i := range w.commits {
		c := &w.commits[i]
		w.out = append(w.out, c.raw)
		for j := range c.events {
			n, of := len(c.events[j].Ops), c.row.Parts[j].Agent.Namespace
			err := errors.Join(w.addThere(of, c.ts, c.raws[j]), w.addThere(of, c.ts, recs[:n]...))
			if err != nil {
				return err
			}
			recs = recs[n:]
		}
		for _, r := range others[:rests[i]] {
			if made, err := madeIn(r, c.ts); err != nil {
				return err
			} else if made && r.Key[0] == forkTag {
				if r, err = forkRow(r); err != nil {
					return err
				}
				w.out = append(w.out, r)
			} else if made && r.Key[0] == rangeTag {
				if r, err = rangeRow(r); err != nil {
					return err
				}
				w.out = append(w.out, r)
			} else if made {
				w.out = append(w.out, r)
			}
		}
		others = others[rests[i]:]
	}
	return nil
}

// addRest adds the keys of the outcome of a commit, and of what may list its agents as new.
func (w *exportWave) addRest(keys *rowKeys, c *exportCommit) {
	keys.add(layout.AppendTxnID(append(keys.buf, layout.OutcomeTag), c.row.TxnID))
	known := w.x.known
	if len(known) > exportKnown {
		clear(known)
	}
	var namespaces []string
	for i := range c.row.Parts {
		a := c.row.Parts[i].Agent
		if known[a] {
			continue
		}
		known[a] = true
		keys.add(layout.AppendNames(keys.buf, layout.AgentTag, a.Namespace, a.Agent))
		if whole := (AgentName{Namespace: a.Namespace}); !known[whole] {
			known[whole] = true
			namespaces = append(namespaces, a.Namespace)
		}
	}
	for i := range c.row.Parts {
		if f := w.x.db.forks.get(c.row.Parts[i].Agent); f != nil && f.at == c.ts {
			keys.add(layout.AppendNames(keys.buf, forkTag, f.agent.Namespace, f.agent.Agent))
		}
	}
	for i := range c.row.Parts {
		if a := c.row.Parts[i].Agent; manyIn(&c.events[i], a, c.ts) != nil {
			keys.add(layout.AppendNames(keys.buf, rangeTag, a.Namespace, a.Agent))
		}
	}
	for _, n := range namespaces {
		keys.add(layout.AppendNames(keys.buf, layout.NamespaceTag, n))
	}
}

// madeIn reports whether a row that holds a commit_ts was made by that commit.
func madeIn(r Row, ts CommitTS) (bool, error) {
	if r.Value == nil {
		return false, nil // an outcome that was dropped
	}
	d := layout.Decoder{Rest: r.body()}
	at := CommitTS(d.Uvarint())
	if d.Failed {
		return false, layout.CorruptRow(r.Key, "malformed")
	}
	return at == ts, nil
}

// body is the row without its checksum, which was checked.
func (r Row) body() []byte { return r.Value[:len(r.Value)-layout.SealSize] }

// raw reads the rows of the keys, in the order in which they were added. One that there is not
// has no value, or is an error if it must exist.
func (k *rowKeys) raw(db *store, must bool) ([]Row, error) {
	out := make([]Row, len(k.ends))
	if len(out) == 0 {
		return nil, nil
	}
	order := make([]int, len(out))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(k.key(a), k.key(b)) })
	it, err := db.rows(&pebble.IterOptions{LowerBound: k.key(order[0])})
	if err != nil {
		return nil, err
	}
	for _, i := range order {
		if must {
			if !it.reach(k.key(i)) {
				break
			}
		} else if !it.seek(k.key(i)) || !bytes.Equal(it.key(), k.key(i)) {
			if out[i].Key = k.key(i); it.err != nil {
				break
			}
			continue
		}
		out[i] = rowOf(it.key(), it.body)
	}
	return out, it.close()
}
