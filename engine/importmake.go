package engine

import (
	"bytes"
	"context"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// How the commits of an import are made: see imports.go.

// beginMaking begins to make the commits of an import. From the next step on nothing else is planned
// until they are there; the commits planned in this one are published as ever.
func (e *Engine) beginMaking(b *pebble.Batch, x *staging) {
	if x.Events == 0 {
		x.State = ImportDone
		x.save(b)
		e.chores.removeImport(x)
		x.tell(x.Import, nil)
		return
	}
	x.State, x.from = ImportMaking, e.planner.head.ts
	x.First = x.from + 1
	x.save(b)
	e.chores.making, e.chores.eager = x, true
}

func (c *chores) removeImport(x *staging) {
	for i, other := range c.imports {
		if other == x {
			c.imports = append(c.imports[:i:i], c.imports[i+1:]...)
			break
		}
	}
	if c.making == x {
		c.making = nil
	}
}

// loadImports reads the imports under way.
func (c *chores) loadImports(r SystemReader) error {
	rows, err := r.SystemRows(importKind, "", 0)
	if err != nil {
		return err
	}
	for _, row := range rows {
		x, err := parseImport(row.Name, row.Body)
		if err != nil {
			return err
		}
		if x.State != ImportDone {
			c.imports = append(c.imports, x)
		}
		if x.State == ImportMaking {
			c.making, c.eager = x, true
		}
	}
	return nil
}

// resumeImport goes back to where an import was whose commits were being made. None of them is
// published.
func (e *Engine) resumeImport() error {
	x := e.chores.making
	if x == nil {
		return nil
	}
	it, err := newRowIter(e.db, stagedPrefix(x.ID, stagedEventTag), stagedPrefix(x.ID, stagedEventTag+1))
	if err != nil {
		return err
	}
	if it.first() {
		x.made = stagedNumber(it.key()) - 1
	} else if it.err == nil {
		it.err = layout.CorruptRow(stagedPrefix(x.ID, stagedEventTag), "missing")
	}
	if err := it.close(); err != nil {
		return err
	}
	at, err := e.timeOf(x.from)
	e.published.Store(uint64(x.from))
	e.publishedTime.Store(at.UnixNano())
	return err
}

func stagedNumber(key []byte) uint64 {
	_, _, rest, ok := splitStagedKey(key)
	if !ok || len(rest) != layout.NumberSize {
		return 0
	}
	n := uint64(0)
	for _, b := range rest {
		n = n<<8 | uint64(b)
	}
	return n
}

// makeImport plans the next commits of an import, as many as a step may plan, and drops what was
// staged of them.
func (w *piece) makeImport(x *staging, now time.Time) error {
	t := &w.e.opts.Tuning
	w.left, w.bytes, w.held = t.StepLookups, t.StepBytes, true
	first := x.made + 1
	it, err := newRowIter(w.e.db, stagedKey(x.ID, first), stagedPrefix(x.ID, stagedEventTag+1))
	if err != nil {
		return err
	}
	ok := it.first()
	for ; ok && !w.full() && len(w.e.planner.step) < t.ImportCommits; ok = it.next() {
		if it.err = w.makeEvent(x, it, now); it.err == errPieceFull {
			it.err = nil
			break
		} else if it.err != nil {
			break
		}
	}
	made := len(w.e.planner.step) > 0
	if err := it.close(); err != nil && !made {
		return err
	} else if err != nil {
		// What was planned is applied, with its rows gone. The next piece meets the error again.
		w.e.env.Log("an import is held up", "import", x.ID, "error", w.e.noted(err).Error())
		ok = true
	}
	_ = w.batch.DeleteRange(stagedKey(x.ID, first), stagedKey(x.ID, x.made+1), nil)
	x.Last = w.e.planner.head.ts
	if w.more = ok; !ok {
		w.endImport(x)
	}
	told := x.Import
	w.settled = append(w.settled, func() { x.tell(told, nil) })
	return nil
}

// endImport ends an import with the piece that makes its last commits.
func (w *piece) endImport(x *staging) {
	w.held = false
	x.State = ImportDone
	x.dropStaged(w.batch)
	x.save(w.batch)
	w.settled = append(w.settled, func() { w.e.chores.removeImport(x) })
}

// makeEvent makes the commit of the event that it is at; before it, if numbers are kept, those of
// which nothing came.
func (w *piece) makeEvent(x *staging, it *rowIter, now time.Time) error {
	ev, ok := parseImportEvent(bytes.Clone(it.body))
	if !ok || stagedNumber(it.key()) != x.made+1 {
		return layout.CorruptRow(it.key(), "malformed, or not the next")
	}
	at := now
	if x.Keep && !ev.CommitTime.IsZero() {
		at = ev.CommitTime
	}
	pl := w.e.planner
	for x.Keep && pl.head.ts+1 < ev.CommitTS {
		if w.full() || len(pl.step) >= w.e.opts.Tuning.ImportCommits {
			return errPieceFull
		}
		if _, err := pl.accept(w.emptyCommit(at), at); err != nil {
			return err
		}
		w.looked(1, eventBytes)
	}
	p, err := w.importProposal(x, &ev, at)
	if err != nil {
		return err
	}
	if _, err := pl.plan(p, at); err != nil {
		return err
	}
	if x.pruned {
		w.allowPruned(p)
	}
	x.made++
	w.looked(p.lookups(0, 0, 0), len(it.body))
	return nil
}

// emptyCommit stands where a commit was of which nothing was exported.
func (w *piece) emptyCommit(at time.Time) *proposal {
	p := newProposal(w.e.newIDAt(at), nil, Conditions{})
	p.imported = true
	return p
}

// newIDAt makes an id as old as its commit: it is forgotten with others of that age.
func (e *Engine) newIDAt(at time.Time) TxnID {
	if last := e.planner.lastTime; at.Before(last) {
		at = last
	}
	return layout.NewTxnID(at, e.env.Rand)
}

func (w *piece) importProposal(x *staging, ev *ImportEvent, at time.Time) (*proposal, error) {
	writes := make([]*Write, len(ev.Ops))
	lost := make(map[RecordName]layout.Gone)
	for i := range ev.Ops {
		op := &ev.Ops[i]
		writes[i] = &Write{Name: op.Name, Value: op.Value, Tombstone: op.Tombstone, normal: goneOf(op) != 0}
		if g := goneOf(op); g != 0 {
			lost[op.Name] = g
		}
	}
	id, kept, err := w.idOf(x, ev, at)
	if err != nil {
		return nil, err
	}
	c := Conditions{Metadata: ev.Metadata, Principal: ev.Principal, TraceID: ev.TraceID}
	if !x.Keep {
		c.Metadata = x.origin(ev)
	}
	p := newProposal(id, writes, c)
	p.imported = true
	if kept {
		// Whoever sends it again, to the store that it has moved to, is answered. What its conditions were is not known.
		p.fingerprint = layout.Digest{}
	}
	for i := range p.agents {
		part := &p.agents[i]
		for j := range part.ops {
			op := &part.ops[j]
			op.Gone = lost[RecordName{Namespace: part.agent.Namespace, Agent: part.agent.Agent, Key: op.Key}]
		}
	}
	return p, nil
}

// idOf is the id of an event's commit: the one that it had, if numbers are kept and no other has it.
func (w *piece) idOf(x *staging, ev *ImportEvent, at time.Time) (id TxnID, kept bool, err error) {
	if x.Keep && ev.TxnID != "" {
		_, taken, err := w.e.planner.outcome(ev.TxnID)
		if err != nil || !taken {
			return ev.TxnID, err == nil, err
		}
	}
	return w.e.newIDAt(at), false, nil
}

// origin is the metadata of an event's commit.
func (x *staging) origin(ev *ImportEvent) map[string]string {
	m := make(map[string]string, len(ev.Metadata)+4)
	for k, v := range ev.Metadata { // into another map: in any order
		m[k] = v
	}
	if m[MetadataImport] != "" {
		return m
	}
	m[MetadataImport], m[MetadataImportTS] = x.ID, ev.CommitTS.String()
	if !ev.CommitTime.IsZero() {
		m[MetadataImportTime] = ev.CommitTime.UTC().Format(time.RFC3339Nano)
	}
	if ev.TxnID != "" {
		m[MetadataImportTxn] = string(ev.TxnID)
	}
	return m
}

// allowPruned notes that values of a namespace may be pruned that its retention did not prune here:
// it keeps all versions, and verify and backups know that some came without a value.
func (w *piece) allowPruned(p *proposal) {
	for i := range p.agents {
		if s := w.e.chores.space(p.agents[i].agent.Namespace); s.keeping == 0 {
			s.keeping = math.MaxUint64
			w.mark(s)
		}
	}
}

// errPieceFull ends a piece between two commits.
var errPieceFull = words.Failf(ErrLimit, "the piece is full")

// updateRows has the writer change rows that are not of the system, with those that are.
func (e *Engine) updateRows(ctx context.Context, rows func(time.Time, *pebble.Batch) error) error {
	return e.UpdateSystem(ctx, SystemUpdate{rows: rows})
}
