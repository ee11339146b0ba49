package engine

import (
	"cmp"
	"errors"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// What evaluated operations need of the planner, and what their requests are answered.

// evaluated is what the planner keeps for evaluations.
type evaluated struct {
	bytes, keys int // what this step's came to

	// planned finds the operation of this step on a key, in the commits up to indexed. It is made when a
	// value is first asked for, since most steps need none.
	planned map[string]*partOp
	indexed int

	// sequences are the last numbers of sequences that were appended to lately, by what the record
	// prefixes of their keys begin with. Whatever is planned keeps them current.
	sequences *cache[string, uint64]
}

// beginStep forgets the commits of the last step, which the store has.
func (pl *planner) beginStep() {
	pl.step, pl.looking = pl.step[:0], false
	pl.evaluated.bytes, pl.evaluated.keys = 0, 0
	pl.evaluated.planned, pl.evaluated.indexed = nil, 0
}

// record is the planned state of a key with its value.
func (pl *planner) record(prefix string) (seen, error) {
	h, err := pl.keyHead(prefix)
	s := seen{keyHead: h, exists: h.exists()}
	if err != nil || !s.exists {
		return s, err
	}
	if op := pl.plannedOp(prefix); op != nil {
		assertf(op.Version == h.version, "version %d of %q is planned, and %d was", h.version, prefix, op.Version)
		s.value, s.gone = op.value, op.Gone
		return s, nil
	}
	s.value, s.gone, err = pl.state.value(prefix, h.version)
	return s, err
}

// plannedOp returns the last operation on a key that is planned in this step; nil if there is none.
func (pl *planner) plannedOp(prefix string) *partOp {
	x := &pl.evaluated
	if x.planned == nil && len(pl.step) > 0 {
		x.planned = make(map[string]*partOp)
	}
	for ; x.indexed < len(pl.step); x.indexed++ {
		for _, part := range pl.step[x.indexed].p.agents {
			for i := range part.ops {
				x.planned[part.ops[i].prefix] = &part.ops[i]
			}
		}
	}
	return x.planned[prefix]
}

// checkOp checks a write of Transact.
func (e *Engine) checkOp(w *Write) (err error) {
	if w.Eval == nil {
		return e.checkWrite(w)
	}
	if err := w.checkTTL(); err != nil {
		return err
	}
	if w.Tombstone {
		return words.Failf(ErrInvalid, "an operation is a delete, or is evaluated, not both").With("field", "operations")
	}
	if w.Eval.hasValue() {
		if err := e.checkValueOf(w); err != nil {
			return err
		}
	} else if len(w.Value) > 0 {
		return words.Failf(ErrInvalid, "the operation takes no value").With("field", "value")
	}
	if err := cmp.Or(e.resolveFork(w), e.resolveRestore(w)); err != nil {
		return err
	}
	w.Eval, err = w.Eval.check(w, &e.opts.Limits)
	return err
}

// results makes the answers of a commit's operations, from the commit as it was planned or from the log.
type results struct {
	e        *Engine
	p        *proposal
	own      bool // p became the commit
	ts       CommitTS
	versions []KeyVersion

	at        map[RecordName]int      // of versions
	values    [][]byte                // of p's operations, in the order of versions
	last      map[RecordName]*askedOp // the last operation on each key
	sequences map[string][]KeyVersion // what is left of the keys that appends of a prefix got
}

// withResults adds the operations' results to the answer of p.
func (e *Engine) withResults(p *proposal, r CommitResult) (CommitResult, error) {
	if p.asked == nil {
		return r, nil
	}
	x := results{e: e, p: p, own: p.became == r.CommitTS, ts: r.CommitTS, versions: r.Versions}
	r.Results = make([]OpResult, 0, len(p.asked))
	for i := range p.asked {
		op := &p.asked[i]
		var one OpResult
		var err error
		if op.eval == nil {
			one = x.of(op.name)
		} else if one, err = op.eval.result(&x, op); err != nil {
			return CommitResult{}, inDoubt(e.noted(err))
		}
		r.Results = append(r.Results, one)
	}
	return r, nil
}

// of is the result of what became of a key.
func (x *results) of(name RecordName) OpResult {
	if x.at == nil {
		x.at = make(map[RecordName]int, len(x.versions))
		for i := range x.versions {
			x.at[x.versions[i].Name] = i
		}
	}
	if i, found := x.at[name]; found {
		return OpResult{Name: name, Version: x.versions[i].Version}
	}
	return OpResult{Name: name}
}

// changed is the result of an operation that changed a value.
func (x *results) changed(op *askedOp) (OpResult, error) {
	r := x.of(op.name)
	if x.last == nil {
		x.last = make(map[RecordName]*askedOp, len(x.p.asked))
		for i := range x.p.asked {
			x.last[x.p.asked[i].name] = &x.p.asked[i]
		}
	}
	if x.last[op.name] != op {
		return r, nil
	}
	var err error
	r.Value, err = x.value(op.name, r.Version)
	return r, err
}

func (x *results) value(name RecordName, v Version) ([]byte, error) {
	if x.own {
		if x.values == nil {
			for _, part := range x.p.agents {
				for i := range part.ops {
					x.values = append(x.values, part.ops[i].value)
				}
			}
		}
		return x.values[x.at[name]], nil
	}
	rec, err := x.e.GetVersion(name, v)
	return rec.Value, lastingError(err) // if it has gone meanwhile, there is none
}

// valueAt is the value of a record of the engine's own that the commit wrote.
func (x *results) valueAt(v KeyVersion) ([]byte, error) {
	if x.own {
		x.of(v.Name) // finds where it is
		return x.value(v.Name, v.Version)
	}
	rec, err := Snapshot{e: x.e, ts: x.ts}.get(v.Name, layout.RecordPrefix(v.Name))
	return rec.Value, lastingError(err)
}

// lastingError is err unless it says that what was asked for has gone meanwhile.
func lastingError(err error) error {
	if errors.Is(err, ErrDataLoss) || errors.Is(err, ErrStorage) {
		return err
	}
	return nil
}

// checkTogether refuses operations of a request after which the log would not tell what came of
// each: a write of a key that an append might get, or of one that another may leave as it is.
func checkTogether(writes []*Write) error {
	named := make(map[RecordName]int)
	for _, w := range writes {
		named[w.Name]++
	}
	for _, w := range writes {
		if _, is := w.Eval.(IfAbsent); is && named[w.Name] > 1 {
			return words.Failf(ErrInvalid, "key %q is written if it is absent, and named by another operation of the transaction", w.Name.Key).With("field", "if_absent")
		}
	}
	if err := cmp.Or(checkActs(writes), checkClaims(writes)); err != nil {
		return err
	}
	return checkSequences(writes)
}
