package footprint

import (
	"slices"
	"strings"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Writes are what a transaction has staged: of each key the last write or delete, and the
// conditions of all of them. From the first operation on that the daemon evaluates it is every
// operation, since they take effect in their order.
type Writes struct {
	ops       []*pb.TransactOperation // in the order first staged
	last      map[Name]int            // of each key the last one in ops
	evaluated []*pb.TransactOperation // those that the daemon evaluates
	replaced  []*pb.KeyPrecondition   // conditions of writes that were staged again
	wants     int                     // conditions of writes
	bytes     int                     // of names and values
}

func nameOf(o *pb.TransactOperation) Name { return Name{o.Namespace, o.AgentId, o.Key} }

// Stage stages a write or delete, in place of an earlier one of the key. A transaction may
// have most of them, and most conditions of them.
func (w *Writes) Stage(o *pb.TransactOperation, most int) error {
	n := nameOf(o)
	at, again := w.last[n]
	again = again && len(w.evaluated) == 0 && !isEvaluated(o)
	bytes := w.bytes + opBytes(o)
	if again {
		bytes -= opBytes(w.ops[at])
	}
	switch {
	case !again && len(w.ops) >= most:
		return &Limit{"operations of a transaction", len(w.ops) + 1, most}
	case o.ExpectedVersion != nil && w.wants >= most:
		return &Limit{"preconditions of a transaction", w.wants + 1, most}
	case bytes > maxBytes:
		return &Limit{"bytes of a transaction", bytes, maxBytes}
	case w.last == nil:
		w.last = make(map[Name]int)
	}
	if o.ExpectedVersion != nil {
		w.wants++
	}
	w.bytes = bytes
	if again {
		old := w.ops[at]
		if w.ops[at] = o; old.ExpectedVersion != nil { // it holds still, though the write is replaced
			w.replaced = append(w.replaced, &pb.KeyPrecondition{Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key, ExpectedVersion: *old.ExpectedVersion})
		}
		return nil
	}
	w.ops, w.last[n] = append(w.ops, o), len(w.ops)
	if isEvaluated(o) {
		w.evaluated = append(w.evaluated, o)
	}
	return nil
}

func opBytes(o *pb.TransactOperation) int {
	n := nameBytes(nameOf(o)) + len(o.ValueJson) + len(o.MergeJson)
	if p := o.Put; p != nil {
		n += len(p.ValueJson) + len(p.ValueBytes) + len(p.ContentType)
	}
	return n
}

// isEvaluated reports whether the daemon evaluates an operation, so that no one knows before the
// commit what comes of it.
func isEvaluated(o *pb.TransactOperation) bool {
	switch {
	case o.Put != nil:
		return o.Put.Append || o.Put.IfAbsent
	case len(o.ValueJson) > 0 || o.Delete:
		return false
	}
	return true
}

// Evaluated reports whether there is an operation that the daemon evaluates.
func (w *Writes) Evaluated() bool { return len(w.evaluated) > 0 }

// Unknown returns an operation that the daemon evaluates, and of which a read of the keys of an agent under a prefix,
// or of one key, would have to show what comes of it; nil if there is none.
func (w *Writes) Unknown(n Name, one bool) *pb.TransactOperation {
	for i := len(w.evaluated) - 1; i >= 0; i-- {
		o := w.evaluated[i]
		if o.Namespace != n.Namespace || o.AgentId != n.Agent {
			continue
		}
		switch {
		case !one && strings.HasPrefix(o.Key, n.Key), makesKeys(o) && strings.HasPrefix(n.Key, o.Key) && (!one || mayMake(o, n.Key)):
			return o
		case o.Key == n.Key && w.ops[w.last[n]] == o: // and no plain write after it
			return o
		}
	}
	return nil
}

// makesKeys reports whether an operation is about keys that begin with its own.
func makesKeys(o *pb.TransactOperation) bool {
	return o.GetPut().GetAppend() || o.Put == nil && o.Increment == nil && len(o.MergeJson) == 0
}

// mayMake reports whether a key may be one of them.
func mayMake(o *pb.TransactOperation, key string) bool {
	const digits = 16
	rest := key[len(o.Key):]
	return !o.GetPut().GetAppend() || len(rest) == digits && strings.Trim(rest, "0123456789") == ""
}

// Empty reports whether nothing was staged.
func (w *Writes) Empty() bool { return len(w.ops) == 0 }

// Of is what was staged last under a name; nil: nothing.
func (w *Writes) Of(n Name) *pb.TransactOperation {
	if at, found := w.last[n]; found {
		return w.ops[at]
	}
	return nil
}

// In are the own writes where a list of an agent's keys lists, to be put between what is
// stored there.
func (w *Writes) In(agent Name, prefix string, reverse bool) *Merge {
	m := &Merge{reverse: reverse}
	for i, o := range w.ops {
		if o.Namespace == agent.Namespace && o.AgentId == agent.Agent && strings.HasPrefix(o.Key, prefix) && w.last[nameOf(o)] == i {
			m.left = append(m.left, o)
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
