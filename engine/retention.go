package engine

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Retention is how much of a namespace's past is kept. There are two bounds, and they differ in
// what they take. MaxAge moves the namespace's floor: nothing before it can be read, and its rows
// go. MaxVersions takes values: the events stay, and say that the values were pruned. Neither
// touches the current version of a key.
type Retention struct {
	Namespace string
	// MaxAge: the commit that was the last one this long before the newest stays readable, and so
	// does everything after it. 0: all of it.
	MaxAge time.Duration
	// MaxVersions of a key keep their values; 0: all do.
	MaxVersions uint64
	// Floor is the first commit that can be read; 0: all can.
	Floor CommitTS
}

// minAge is the least MaxAge. A transaction whose snapshot falls below the floor fails, and none
// that is younger than this does.
const minAge = time.Minute

// retentionKind is the kind of the system rows that hold what was asked for, by namespace;
// pastKind that of those that hold what has been done of it.
const (
	retentionKind = "retention"
	pastKind      = "past"
)

// SetRetention changes what is kept of a namespace. What exceeds it goes piece by piece, beside
// other work. What went does not come back when more is asked for again.
func (e *Engine) SetRetention(ctx context.Context, r Retention) (Retention, error) {
	if r.Namespace == "" {
		r.Namespace = DefaultNamespace
	}
	if err := words.CheckName("namespace", r.Namespace, MaxNamespaceBytes); err != nil {
		return Retention{}, err
	}
	if r.MaxAge < 0 || r.MaxAge > 0 && r.MaxAge < minAge {
		return Retention{}, words.Failf(ErrInvalid, "max_age is %v, less than the least of %v", r.MaxAge, minAge).With("field", "max_age")
	}
	change := SystemChange{Kind: retentionKind, Name: r.Namespace, Body: r.append(nil)}
	err := e.UpdateSystem(ctx, SystemUpdate{
		Decide:  func(time.Time, SystemReader) ([]SystemChange, error) { return []SystemChange{change}, nil },
		Applied: func() { e.chores.space(r.Namespace).set(&r); e.chores.eager = true },
	})
	r.Floor = e.floor(r.Namespace)
	return r, err
}

// Retentions lists the namespaces of which something was asked to be kept, in byte order.
func (e *Engine) Retentions() ([]Retention, error) {
	rows, err := e.SystemRows(retentionKind, "", 0)
	list := make([]Retention, len(rows))
	for i := range rows {
		if err == nil {
			list[i], err = parseRetention(rows[i].Name, rows[i].Body)
		}
		list[i].Floor = e.floor(rows[i].Name)
	}
	return list, e.noted(err)
}

func (r *Retention) append(dst []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(r.MaxAge)), r.MaxVersions)
}

func parseRetention(namespace string, body []byte) (Retention, error) {
	d := layout.Decoder{Rest: body}
	r := Retention{Namespace: namespace, MaxAge: time.Duration(d.Uvarint()), MaxVersions: d.Uvarint()}
	if !d.End() {
		return r, layout.CorruptRow(systemKey(retentionKind, namespace), "malformed")
	}
	return r, nil
}

// A space is a namespace and what is kept of its past. Only the goroutine that steps uses it.
type space struct {
	namespace   string
	maxAge      time.Duration
	maxVersions uint64
	past
	due   time.Time // no floor moves while the last commit is before this
	swept sweep
}

// past is what has been done of a retention, durably.
type past struct {
	floor CommitTS // the first commit that can be read; 0: all can
	// dropped: whatever commits up to here superseded is gone. Invariant: at most floor.
	dropped CommitTS
	// pruned: the values that commits up to here pushed out are gone, with keeping versions of a
	// key kept; 0: none were ever asked for.
	pruned  CommitTS
	keeping uint64
}

func (p *past) append(dst []byte) []byte {
	for _, v := range []uint64{uint64(p.floor), uint64(p.dropped), uint64(p.pruned), p.keeping} {
		dst = binary.AppendUvarint(dst, v)
	}
	return dst
}

func parsePast(body []byte) (p past, ok bool) {
	d := layout.Decoder{Rest: body}
	p = past{floor: CommitTS(d.Uvarint()), dropped: CommitTS(d.Uvarint()), pruned: CommitTS(d.Uvarint()), keeping: d.Uvarint()}
	return p, d.End() && p.dropped <= p.floor
}

// readPasts reads how far retention has come, by namespace.
func readPasts(r SystemReader) (map[string]past, error) {
	rows, err := r.SystemRows(pastKind, "", 0)
	if err != nil {
		return nil, err
	}
	pasts := make(map[string]past, len(rows))
	for i := range rows {
		p, ok := parsePast(rows[i].Body)
		if !ok {
			return nil, layout.CorruptRow(systemKey(pastKind, rows[i].Name), "malformed")
		}
		pasts[rows[i].Name] = p
	}
	return pasts, nil
}

// set takes over what was asked for.
func (s *space) set(r *Retention) {
	s.maxAge, s.maxVersions, s.due = r.MaxAge, r.MaxVersions, time.Time{}
}

// space finds or makes a namespace's.
func (c *chores) space(namespace string) *space {
	i, found := slices.BinarySearchFunc(c.spaces, namespace, func(s *space, n string) int { return cmp.Compare(s.namespace, n) })
	if !found {
		c.spaces = slices.Insert(c.spaces, i, &space{namespace: namespace})
	}
	return c.spaces[i]
}

// load reads what was asked for and what has been done of it.
func (c *chores) load(rows SystemReader) error {
	pasts, err := readPasts(rows)
	if err != nil {
		return err
	}
	for namespace, p := range pasts { // each becomes one of a sorted list: order cannot matter
		c.space(namespace).past = p
	}
	asked, err := rows.SystemRows(retentionKind, "", 0)
	if err != nil {
		return err
	}
	for _, row := range asked {
		r, err := parseRetention(row.Name, row.Body)
		if err != nil {
			return err
		}
		c.space(row.Name).set(&r)
	}
	if err := c.loadImports(rows); err != nil {
		return err
	}
	return c.loadErasures(rows)
}

// moveFloor moves a namespace's floor to the last commit that was maxAge old when the newest was
// made. That commit stays readable, whatever time passed before the next: so a snapshot that is
// younger than maxAge never falls below the floor. shown is the last commit in the store.
func (w *piece) moveFloor(s *space, shown CommitTS) error {
	pl := w.e.planner
	if s.maxAge == 0 || pl.lastTime.Before(s.due) {
		return nil
	}
	upTo, err := w.e.lastBefore(pl.lastTime.Add(-s.maxAge), shown)
	if err != nil {
		return err
	}
	if upTo > s.floor {
		s.floor = upTo
		w.mark(s)
	}
	// The next commit may become the floor when it is old enough. Where commits are many the
	// floor moves in strides.
	if upTo < shown {
		row, err := readLogRow(w.e.db, upTo+1)
		if err != nil {
			return err
		}
		s.due = row.CommitTime.Add(s.maxAge + s.maxAge/floorStrides)
	}
	return nil
}

// floorStrides is in how many strides a floor follows the newest commit over MaxAge.
const floorStrides = 64
