package footprint

import (
	"fmt"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Reads are what a transaction read at its snapshot.
type Reads struct {
	Epoch string // that the transaction began in; "": unknown

	at     *uint64 // nil: nothing was read yet
	order  []Name
	seen   map[Name]uint64
	ranges []*Range
	bytes  int
}

// Range is a stretch of keys that a list has shown so far.
type Range struct {
	agent       Name // without a key
	prefix      string
	first, last string // inclusive; empty: no bound
}

// Fix makes at the snapshot, if there is none yet, and reports whether what was read at
// it is of the snapshot. Of several first reads that are under way at once, one is.
func (r *Reads) Fix(at uint64) bool {
	if r.at == nil {
		r.at = &at
	}
	return *r.at == at
}

// At is the snapshot; fixed says that there is one.
func (r *Reads) At() (at uint64, fixed bool) {
	if r.at == nil {
		return 0, false
	}
	return *r.at, true
}

// Add takes down that a record was at version v of the snapshot. It fails if the record was
// at another one there before.
func (r *Reads) Add(n Name, v uint64) error {
	before, again := r.seen[n]
	switch {
	case again && before != v:
		return fmt.Errorf("key %q is at version %d at commit %d, and was at version %d there", n.Key, v, *r.at, before)
	case again:
		return nil
	case r.seen == nil:
		r.seen = make(map[Name]uint64)
	}
	r.seen[n] = v
	r.order = append(r.order, n)
	r.bytes += readOverhead + nameBytes(n)
	return nil
}

// readOverhead is about what an entry of the read set takes in a request besides its names.
const readOverhead = 24

func nameBytes(n Name) int { return len(n.Namespace) + len(n.Agent) + len(n.Key) }

// List takes down that a list begins, of which nothing has been shown.
func (r *Reads) List(agent Name, prefix string) *Range {
	l := &Range{agent: agent, prefix: prefix}
	r.bytes += readOverhead + nameBytes(agent) + len(prefix) + maxKeyBytes
	r.ranges = append(r.ranges, l)
	return l
}

// maxKeyBytes is how long a key can be.
const maxKeyBytes = 1024

// Shown takes down that the list has shown all keys up to this one.
func (l *Range) Shown(key string, reverse bool) {
	if reverse {
		l.first = key
	} else {
		l.last = key
	}
}

// Whole takes down that the list has shown all there is.
func (l *Range) Whole() { l.first, l.last = "", "" }

func (r *Reads) empty() bool { return len(r.order)+len(r.ranges) == 0 }

func (r *Reads) count() int { return len(r.order) + len(r.ranges) }

// message is the read set as it is sent.
func (r *Reads) message() *pb.ReadSet {
	m := &pb.ReadSet{SnapshotTs: *r.at, Epoch: r.Epoch}
	for _, n := range r.order {
		m.Keys = append(m.Keys, &pb.ReadKey{Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key, Version: r.seen[n]})
	}
	for _, l := range r.ranges {
		m.Ranges = append(m.Ranges, &pb.ReadRange{Namespace: l.agent.Namespace, AgentId: l.agent.Agent, Prefix: l.prefix, First: l.first, Last: l.last})
	}
	return m
}
