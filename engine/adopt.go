package engine

import (
	"bytes"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// A machine that follows applies steps that were planned elsewhere. It decides nothing and trusts nothing:
// the step must begin where the store is, and its rows must lead to where it says, link by link of the
// chain. Then its readers are told what the machine that planned it tells its own.

// adopted is what readers are told of a step that was planned elsewhere.
type adopted struct {
	chain   mark
	agents  []AgentName // of the commits' events
	records [][]byte    // prefixes
	forks   []*fork
	acts    []*rangeAct
	ended   []AgentName         // those whose act on many keys is carried out
	floors  map[string]CommitTS // that moved
	kinds   kinds               // of system rows
	pruned  CommitTS            // outcomes up to here go; 0: none do
	used    []string            // features, when there are more from here on
}

// Adopt applies a step that was planned elsewhere, makes it as durable as the store makes its own, and
// publishes it. A step that does not follow what is here, or is not what it says, halts: this store and that
// of whoever planned it are not the same. Rows that this machine alone keeps may join it. The rule of Plan
// applies.
func (e *Engine) Adopt(s *Step, own ...SystemChange) error {
	assertf(e.inflight == nil && e.following.Load(), "a step is in flight, or this machine leads")
	if f := e.failed.Load(); f != nil {
		return f
	}
	b := e.db.NewBatch()
	defer b.Close()
	found, err := e.examine(s, b)
	if err == nil {
		for _, c := range own {
			setSystem(b, c)
		}
		err = e.adopt(s, b, found)
	}
	if err != nil {
		e.halt(err)
		return e.failed.Load()
	}
	return nil
}

// Keep applies rows that this machine alone keeps, of a moment that has no step. A step may be in flight that
// is not applied. The rule of Plan applies.
func (e *Engine) Keep(own ...SystemChange) error {
	assertf(e.inflight == nil || !e.inflight.applied, "a step is applied, and not settled")
	if f := e.failed.Load(); f != nil {
		return f
	}
	b := e.db.NewBatch()
	defer b.Close()
	for _, c := range own {
		setSystem(b, c)
	}
	if err := e.db.Apply(b, pebble.Sync); err != nil {
		e.halt(words.Failf(ErrStorage, "applying a batch failed: %v", err))
	}
	if f := e.failed.Load(); f != nil {
		return f
	}
	return nil
}

// examine reads a step's rows into a batch and checks them.
func (e *Engine) examine(s *Step, b *pebble.Batch) (*adopted, error) {
	if s.First != e.head.ts+1 || s.Before != e.head.hash || s.Last+1 < s.First {
		return nil, words.Failf(ErrDataLoss, "a step of commits %d to %d after %.4x cannot follow commit %d of this store, %.4x: it was planned on another one", s.First, s.Last, s.Before, e.head.ts, e.head.hash)
	}
	found := &adopted{chain: e.head, floors: make(map[string]CommitTS)}
	if len(s.Batch) > 0 {
		if err := b.SetRepr(bytes.Clone(s.Batch)); err != nil {
			return nil, words.Failf(ErrDataLoss, "a step of commits %d to %d cannot be read: %v", s.First, s.Last, err)
		}
		if err := found.read(s, b); err != nil {
			return nil, err
		}
	}
	if found.chain != (mark{s.Last, s.After}) {
		return nil, words.Failf(ErrDataLoss, "a step says that it ends at commit %d, %.4x, and ends at %d, %.4x", s.Last, s.After, found.chain.ts, found.chain.hash)
	}
	return found, nil
}

func (a *adopted) read(s *Step, b *pebble.Batch) error {
	rows, n := b.Reader(), uint32(0)
	for {
		kind, key, value, ok, err := rows.Next()
		switch {
		case err != nil:
			return words.Failf(ErrDataLoss, "a step of commits %d to %d cannot be read: %v", s.First, s.Last, err)
		case !ok && n == b.Count():
			return nil
		case !ok:
			return words.Failf(ErrDataLoss, "a step of %d rows has %d", b.Count(), n)
		}
		if n++; !a.row(s, kind, key, value) {
			return layout.CorruptRow(key, "of a step that was planned elsewhere")
		}
	}
}

// row notes a row, and reports whether it is one that a step may have.
func (a *adopted) row(s *Step, kind pebble.InternalKeyKind, key, value []byte) (ok bool) {
	switch {
	case len(key) == 0:
		return false
	case kind == pebble.InternalKeyKindRangeDelete:
		return key[0] == stagedTag // what no reader looks at
	case key[0] == layout.RecordTag:
		a.records = append(a.records, key[:max(len(key)-layout.NumberSize, 0)])
	}
	switch kind {
	case pebble.InternalKeyKindDelete:
		return a.deleted(key)
	case pebble.InternalKeyKindSet:
		body, err := layout.OpenRow(key, value)
		return err == nil && a.set(s, key, body)
	}
	return false
}

func (a *adopted) deleted(key []byte) bool {
	if key[0] == systemTag {
		kind, _, ok := splitSystemKey(key)
		a.kinds.add(kind)
		return ok
	}
	if key[0] != rangeTag {
		return true
	}
	var n AgentName
	rest, ok := layout.SplitNames(key, rangeTag, &n.Namespace, &n.Agent)
	a.ended = append(a.ended, n)
	return ok && len(rest) == 0
}

func (a *adopted) set(s *Step, key, body []byte) (ok bool) {
	switch key[0] {
	case layout.LogTag:
		ts, ok := layout.SplitLogKey(key)
		row, ok2 := layout.ParseLogRow(body)
		if ok2 && ts < s.First { // one that is rewritten
			return ok
		}
		a.chain = mark{a.chain.ts + 1, row.Chain(a.chain.hash, ts)}
		return ok && ok2 && a.chain == mark{ts, row.Hash} && (ts != s.Last || row.CommitTime.Equal(s.Time))
	case layout.EventTag:
		n, ts, ok := layout.SplitEventKey(key)
		if ts >= s.First {
			a.agents = append(a.agents, n)
		}
		return ok
	case forkTag:
		f, ok := parseFork(key, body)
		a.forks = append(a.forks, f)
		return ok
	case rangeTag:
		g, ok := parseRangeAct(key, body)
		a.acts = append(a.acts, g)
		return ok
	case systemTag:
		kind, name, ok := splitSystemKey(key)
		a.kinds.add(kind)
		if kind != pastKind {
			return ok
		}
		p, ok2 := parsePast(body)
		if p.floor > 0 {
			a.floors[name] = p.floor
		}
		return ok && ok2
	case layout.MetaTag:
		if bytes.Equal(key, floorKey) {
			a.pruned, ok = parseFloor(body)
			return ok
		}
		if bytes.Equal(key, featuresKey) {
			a.used, ok = parseFeatures(body)
			return ok && knowFeatures(a.used) == nil
		}
	}
	return true
}

// adopt applies a step. Readers have the store as it was until it is published: see [systemRows] and
// [view].
func (e *Engine) adopt(s *Step, b *pebble.Batch, found *adopted) error {
	if b.Empty() {
		return nil
	}
	if found.pruned > 0 {
		row, err := readLogRow(e.db, found.pruned)
		if err != nil {
			return err
		}
		e.prunedTime.Store(row.CommitTime.UnixNano())
	}
	e.db.holdReaders()
	e.system.hold(e.db)
	e.head = found.chain
	if err := e.db.Apply(b, pebble.Sync); err != nil {
		return words.Failf(ErrStorage, "applying a batch failed: %v", err)
	}
	e.checkPlaceIfDue()
	commits := int(s.Last + 1 - s.First)
	if commits > 0 && !e.halting.Load() {
		if err := e.witness.record(e.head, commits); err != nil {
			return words.Failf(ErrStorage, "writing the witness failed: %v", err)
		}
	}
	if e.halting.Load() {
		return e.failed.Load()
	}
	e.db.releaseReaders()
	e.system.publish(func() { e.publishAdopted(s, found) })
	e.system.tell(found.kinds)
	e.env.Trace("adopt", s.First, s.Last)
	if e.space.wrote(b.Len()) {
		e.checkSpace()
	}
	return nil
}

// publishAdopted is publish of a step that was planned elsewhere.
func (e *Engine) publishAdopted(s *Step, found *adopted) {
	for _, prefix := range found.records {
		e.hot.forget(e.db.cached(string(prefix)))
	}
	if len(found.floors) > 0 {
		floors := make(map[string]CommitTS)
		if old := e.db.floors.Load(); old != nil {
			maps.Copy(floors, *old)
		}
		maps.Copy(floors, found.floors)
		e.db.floors.Store(&floors)
	}
	for _, f := range found.forks {
		e.db.forks.put(f)
	}
	if slices.Contains(found.used, featureWakes) {
		e.wakes.Store(true)
	}
	for _, g := range found.acts {
		e.db.acts.put(g)
	}
	for _, a := range found.ended {
		e.db.acts.end(a)
	}
	if s.Held || s.Last < s.First {
		return
	}
	before := e.Published()
	e.published.Store(uint64(s.Last))
	e.publishedTime.Store(s.Time.UnixNano())
	if before+1 < s.First {
		e.watches.wakeAll() // whose agents were in commits that were held
		return
	}
	e.watches.wakeFor(s.First, s.Last, found.agents)
}
