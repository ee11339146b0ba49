package footprint

import (
	"slices"
	"strings"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Writes are what a transaction has staged: of each key the last write or delete, and the
// conditions of all of them.
type Writes struct {
	order    []Name // in the order first staged
	byName   map[Name]*pb.TransactOperation
	replaced []*pb.KeyPrecondition // conditions of writes that were staged again
	wants    int                   // conditions of writes
	bytes    int                   // of names and values
}

func nameOf(o *pb.TransactOperation) Name { return Name{o.Namespace, o.AgentId, o.Key} }

// Stage stages a write or delete, in place of an earlier one of the key. A transaction may
// have most of them, and most conditions of them.
func (w *Writes) Stage(o *pb.TransactOperation, most int) error {
	n := nameOf(o)
	old, again := w.byName[n]
	bytes := w.bytes + opBytes(o)
	if again {
		bytes -= opBytes(old)
	}
	switch {
	case !again && len(w.order) >= most:
		return &Limit{"operations of a transaction", len(w.order) + 1, most}
	case o.ExpectedVersion != nil && w.wants >= most:
		return &Limit{"preconditions of a transaction", w.wants + 1, most}
	case bytes > maxBytes:
		return &Limit{"bytes of a transaction", bytes, maxBytes}
	case w.byName == nil:
		w.byName = make(map[Name]*pb.TransactOperation)
	}
	if o.ExpectedVersion != nil {
		w.wants++
	}
	if again && old.ExpectedVersion != nil { // it holds still, though the write is replaced
		w.replaced = append(w.replaced, &pb.KeyPrecondition{Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key, ExpectedVersion: *old.ExpectedVersion})
	}
	if !again {
		w.order = append(w.order, n)
	}
	w.byName[n], w.bytes = o, bytes
	return nil
}

func opBytes(o *pb.TransactOperation) int { return nameBytes(nameOf(o)) + len(o.ValueJson) }

// Empty reports whether nothing was staged.
func (w *Writes) Empty() bool { return len(w.order) == 0 }

// Of is what was staged under a name; nil: nothing.
func (w *Writes) Of(n Name) *pb.TransactOperation { return w.byName[n] }

// In are the own writes where a list of an agent's keys lists, to be put between what is
// stored there.
func (w *Writes) In(agent Name, prefix string, reverse bool) *Merge {
	m := &Merge{reverse: reverse}
	for _, n := range w.order {
		if n.Namespace == agent.Namespace && n.Agent == agent.Agent && strings.HasPrefix(n.Key, prefix) {
			m.left = append(m.left, w.byName[n])
		}
	}
	slices.SortFunc(m.left, func(a, b *pb.TransactOperation) int { return m.compare(a.Key, b.Key) })
	return m
}

// Merge puts own writes between stored records, and in place of those of the same key.
type Merge struct {
	reverse bool
	left    []*pb.TransactOperation
}

func (m *Merge) compare(a, b string) int {
	if m.reverse {
		return strings.Compare(b, a)
	}
	return strings.Compare(a, b)
}

// Left is how many own writes have not been shown, and may hide a stored record yet.
func (m *Merge) Left() int { return len(m.left) }

// UpTo are the own writes to show up to a stored record, and whether one of them, or a
// delete, hides it.
func (m *Merge) UpTo(key string) (show []*pb.TransactOperation, hidden bool) {
	for len(m.left) > 0 && m.compare(m.left[0].Key, key) < 0 {
		show = m.next(show)
	}
	if len(m.left) > 0 && m.left[0].Key == key {
		return m.next(show), true
	}
	return show, false
}

// Rest are the own writes to show after the last stored record.
func (m *Merge) Rest() (show []*pb.TransactOperation) {
	for len(m.left) > 0 {
		show = m.next(show)
	}
	return show
}

func (m *Merge) next(show []*pb.TransactOperation) []*pb.TransactOperation {
	o := m.left[0]
	if m.left = m.left[1:]; !o.Delete {
		show = append(show, o)
	}
	return show
}
