package engine

import (
	"bytes"
	"encoding/binary"
	"slices"

	"statehouse.dev/statehouse/engine/layout"
)

// The segments of a backup were written at different times, and the earlier ones hold what went
// since: values that were erased, versions that retention dropped. A restore does again what the
// store had done, with the daemon's own pieces, so that nothing comes back.

// System implements SystemReader: the rows that were added since the last stretch began.
func (r *Restore) System(kind, name string) ([]byte, error) {
	for _, c := range slices.Backward(r.system) {
		if c.Kind == kind && c.Name == name {
			return bytes.Clone(c.Body), nil
		}
	}
	return nil, nil
}

// SystemRows implements SystemReader, as System does.
func (r *Restore) SystemRows(kind, after string, limit int) (rows []SystemRow, err error) {
	for _, c := range r.system {
		if c.Kind == kind && c.Name > after && (limit == 0 || len(rows) < limit) {
			rows = append(rows, SystemRow{c.Name, bytes.Clone(c.Body)})
		}
	}
	return rows, nil
}

// takeOut takes out what was before the tombstones of a commit of an erasure.
func (r *Restore) takeOut(ts CommitTS) error {
	if err := r.settleActs(); err != nil {
		return err
	}
	x := &erasure{erasureMark: erasureMark{commit: ts}}
	for x.commit != 0 {
		if _, err := r.piece(func(w *piece) error { return w.takeOut(x) }); err != nil {
			return err
		}
	}
	r.erased = ts
	return nil
}

// piece does a piece of a chore and reports whether there is more.
func (r *Restore) piece(do func(*piece) error) (more bool, err error) {
	if err := r.apply(); err != nil {
		return false, err
	}
	w := &piece{e: r.e, batch: r.batch, left: r.e.opts.Tuning.PieceRows, bytes: pieceBytes}
	if err := do(w); err != nil {
		return false, err
	}
	for _, ev := range w.events {
		w.rows.set(w.batch, layout.EventKey(ev.agent, ev.ts), ev.row.Append(w.rows.body[:0]))
	}
	for _, f := range w.settled {
		f()
	}
	return w.more, nil
}

// retain drops and prunes what the first stretch had and the last had no more.
func (r *Restore) retain(namespace string, p past) error {
	if r.first == nil {
		return nil
	}
	if err := r.settleActs(); err != nil {
		return err
	}
	s := &space{namespace: namespace, maxVersions: p.keeping, past: past{floor: p.dropped, dropped: r.first.pasts[namespace].dropped, keeping: p.keeping}}
	for _, do := range []func(*piece) error{
		func(w *piece) error { return w.drop(s) },
		func(w *piece) error { return w.prune(s, p.pruned) },
	} {
		for more := true; more; {
			var err error
			if more, err = r.piece(do); err != nil {
				return err
			}
		}
	}
	return nil
}

// finishSystem makes the rows of the system those of a store that ends at the last commit that was
// restored.
func (r *Restore) finishSystem() error {
	head, went := r.check.head.ts, r.check.went
	for _, c := range r.system {
		switch c.Kind {
		case retentionKind:
			if r.stopped {
				r.Forgotten = append(r.Forgotten, c.Name)
				continue
			}
		case pastKind:
			p := went.pasts[c.Name]
			if err := r.retain(c.Name, p); err != nil {
				return err
			}
			if p.floor > head {
				p.floor = p.dropped // of which all is there
			}
			c.Body = p.append(nil)
		case erasureKind:
			// It begins again. What it has erased it passes over, and what was taken out is.
			x, err := parseErasure(c.Name, c.Body)
			if err != nil {
				return err
			}
			x.erasureMark, x.began = erasureMark{}, min(x.began, head)
			c.Body = x.append(nil)
		case erasedKind, importKind: // what an import had staged is in no backup
			continue
		}
		setSystem(r.batch, c)
	}
	if erased := max(went.erased, r.erased); erased > 0 {
		setSystem(r.batch, SystemChange{Kind: erasedKind, Name: erasedName, Body: binary.AppendUvarint(nil, uint64(erased))})
	}
	return nil
}
