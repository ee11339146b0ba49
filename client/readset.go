package client

import (
	"context"
	"errors"
	"slices"
	"sync"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// What a transaction that is held in the client has read, and whether the daemon is one that
// validates it.

// readSet is what a transaction read at its snapshot.
type readSet struct {
	at     *CommitTS // nil: nothing was read yet
	order  []RecordName
	seen   map[RecordName]Version
	ranges []*readRange
	bytes  int
}

// readRange is a stretch of keys that a list has shown so far.
type readRange struct {
	agent       RecordName // without a key
	prefix      string
	first, last string // inclusive; empty: no bound
}

// snapshot makes at the snapshot, if there is none yet, and reports whether what was read at
// it is of the snapshot. Of several first reads that are under way at once, one is.
func (r *readSet) snapshot(at CommitTS) bool {
	if r.at == nil {
		r.at = &at
	}
	return *r.at == at
}

// point is where to read: at the snapshot, or now if there is none yet.
func (r *readSet) point() At {
	if r.at == nil {
		return At{}
	}
	return AtCommit(*r.at)
}

// add takes down that a record was at version v.
func (r *readSet) add(n RecordName, v Version) error {
	before, again := r.seen[n]
	switch {
	case again && before != v:
		return broken("key %q is at version %d at commit %d, and was at version %d there", n.Key, v, *r.at, before)
	case again:
		return nil
	case r.seen == nil:
		r.seen = make(map[RecordName]Version)
	}
	r.seen[n] = v
	r.order = append(r.order, n)
	r.bytes += readOverhead + nameBytes(n)
	return nil
}

// readOverhead is about what an entry of the read set takes in a request besides its names.
const readOverhead = 24

func nameBytes(n RecordName) int { return len(n.Namespace) + len(n.Agent) + len(n.Key) }

// list takes down that a list begins, of which nothing has been shown.
func (r *readSet) list(agent RecordName, prefix string) *readRange {
	l := &readRange{agent: agent, prefix: prefix}
	r.bytes += readOverhead + nameBytes(agent) + len(prefix) + maxKeyBytes
	r.ranges = append(r.ranges, l)
	return l
}

// maxKeyBytes is how long a key can be.
const maxKeyBytes = 1024

// shown takes down that the list has shown all keys up to this one.
func (l *readRange) shown(key string, reverse bool) {
	if reverse {
		l.first = key
	} else {
		l.last = key
	}
}

// whole takes down that the list has shown all there is.
func (l *readRange) whole() { l.first, l.last = "", "" }

func (r *readSet) empty() bool { return len(r.order)+len(r.ranges) == 0 }

// message is the read set as it is sent.
func (r *readSet) message() *pb.ReadSet {
	m := &pb.ReadSet{SnapshotTs: uint64(*r.at)}
	for _, n := range r.order {
		m.Keys = append(m.Keys, &pb.ReadKey{Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key, Version: uint64(r.seen[n])})
	}
	for _, l := range r.ranges {
		m.Ranges = append(m.Ranges, &pb.ReadRange{Namespace: l.agent.Namespace, AgentId: l.agent.Agent, Prefix: l.prefix, First: l.first, Last: l.last})
	}
	return m
}

// guarded adds to the preconditions of a request that carries reads an empty one. A daemon
// that does not know reads would commit without regard to them; the empty precondition is
// what it refuses.
func guarded(keys []*pb.KeyPrecondition) []*pb.KeyPrecondition {
	return append(slices.Clip(keys), &pb.KeyPrecondition{})
}

// abilities are what is known of the daemon, shared by the clients of a connection.
type abilities struct {
	mu    sync.Mutex
	known bool
	reads bool // it validates what a Transact says was read
}

// knowsReads reports whether the daemon validates read sets. It asks once: with a
// transaction that only says to have read nothing, which an older daemon takes for an empty
// one and refuses.
func (c *Client) knowsReads(ctx context.Context) (bool, error) {
	a := c.abilities
	a.mu.Lock()
	known, reads := a.known, a.reads
	a.mu.Unlock() // not held during a call
	if known {
		return reads, nil
	}
	return c.askForReads(ctx)
}

func (c *Client) askForReads(ctx context.Context) (bool, error) {
	_, err := ask(ctx, c, c.stub.Transact, &pb.TransactRequest{TxnId: c.newTxnID(), Reads: &pb.ReadSet{}})
	if err != nil && !errors.Is(err, ErrInvalid) {
		return false, err
	}
	a := c.abilities
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known, a.reads = true, err == nil
	return a.reads, nil
}
