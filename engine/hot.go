package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"statehouse.dev/statehouse/engine/layout"
)

// hotRecords keeps records in memory that were read or written lately: of each the newest
// published version, or that there is none. A record that it has costs a read no iterator of
// Pebble, which is a third of what the server does for a read.
//
// What it has is exact for every snapshot that is not before the version's commit: publish
// tells it of a commit before the commit is published, so whoever can ask for a later version
// finds it here, and whoever reads at an earlier point is told that it is not here and goes to
// the store. So there is nothing to invalidate, and as-of reads, pages and transactions use it
// as they are.
//
// A reader that went to the store offers what it found ([hotRecords.fill]). Meanwhile a newer
// version may have been published, and even dropped here again: an offer counts only if nothing
// was published to the shard since the reader looked. The reader must have seen the newest row
// of the record that the store has, planned ones included.
//
// Each value was checked when it was read, or never was on disk, so what is served is right,
// whatever becomes of the row on disk. Damage there is met by whoever reads the row next, as
// with blocks in Pebble's own cache.
//
// A shard's lock is held for a look-up and never while anything is read or written.
type hotRecords struct {
	shards []hotShard // a power of two
	turned *atomic.Uint64
}

// hotShard has two generations, as cache has, bounded by bytes.
type hotShard struct {
	mu         sync.Mutex
	young, old map[string]hotRecord
	size       [2]int // bytes of young and old. Invariant: each at most room
	room       int
	changes    uint64 // versions published to it
	_          [64]byte
}

type hotRecord struct {
	version    Version // 0: never written
	exists     bool
	commitTS   CommitTS
	commitTime time.Time
	value      []byte // shared with whoever reads it
	hold       layout.RecordHold
}

func hotOf(r *Record) hotRecord {
	return hotRecord{r.Version, r.Exists, r.CommitTS, r.CommitTime, r.Value, r.hold}
}

func (h *hotRecord) record(name RecordName) Record {
	return Record{Name: name, Version: h.version, Exists: h.exists, CommitTS: h.commitTS, CommitTime: h.commitTime, Value: h.value, hold: h.hold}
}

const (
	mostHotShards = 16
	leastHotShard = 256 << 10 // bytes; with less room there are fewer shards
	hotOverhead   = 192       // bytes an entry takes beside its key and value
)

func newHotRecords(bytes int, turned *atomic.Uint64) *hotRecords {
	n := 1
	for n < mostHotShards && bytes/(2*n) >= leastHotShard {
		n *= 2
	}
	h := &hotRecords{shards: make([]hotShard, n), turned: turned}
	for i := range h.shards {
		h.shards[i].young, h.shards[i].room = make(map[string]hotRecord), bytes/n/2
	}
	return h
}

// shardOf is a function of the key alone: which entries are dropped must not depend on chance.
func shardOf[P string | []byte](h *hotRecords, prefix P) *hotShard {
	sum := uint32(2166136261) // FNV-1a
	for i := range len(prefix) {
		sum = (sum ^ uint32(prefix[i])) * 16777619
	}
	return &h.shards[(sum^sum>>16)&uint32(len(h.shards)-1)]
}

// hotMiss stands for a look-up that found nothing: the shard, and what had been published to it.
type hotMiss struct {
	shard   *hotShard
	changes uint64
}

// get returns a record as of a snapshot, by its prefix, or what fill wants to be given.
func (h *hotRecords) get(prefix []byte, at CommitTS) (rec hotRecord, found bool, miss hotMiss) {
	s := shardOf(h, prefix)
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, found = s.young[string(prefix)]
	if !found {
		if rec, found = s.old[string(prefix)]; found {
			h.put(s, string(prefix), rec)
		}
	}
	return rec, found && rec.commitTS <= at, hotMiss{s, s.changes}
}

// value returns the value of one version of a record, if that is what is here. Replays ask,
// which read each version once: nothing becomes younger by that.
func (h *hotRecords) value(prefix []byte, v Version) (value []byte, found bool) {
	s := shardOf(h, prefix)
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, found := s.young[string(prefix)]
	if !found {
		rec, found = s.old[string(prefix)]
	}
	return rec.value, found && rec.version == v && rec.exists
}

// fill offers the newest version of a record that the store has.
func (h *hotRecords) fill(m hotMiss, prefix []byte, rec hotRecord) {
	m.shard.mu.Lock()
	defer m.shard.mu.Unlock()
	if m.shard.changes != m.changes {
		return
	}
	if have, found := m.shard.young[string(prefix)]; found {
		assertf(have.version == rec.version, "version %d of %q is read, and %d was published", rec.version, prefix, have.version)
		return
	}
	h.put(m.shard, string(prefix), rec)
}

// publish tells it of a commit that is durable, before readers may see it.
func (h *hotRecords) publish(c *commit, db *store) {
	for i := range c.p.agents {
		part := &c.p.agents[i]
		for j := range part.ops {
			op := &part.ops[j]
			rec := hotRecord{version: op.Version, exists: !op.Tombstone, commitTS: c.ts, commitTime: c.time, hold: op.Held}
			if rec.exists {
				rec.value = op.value
			}
			h.replace(db.cached(op.prefix), rec)
		}
	}
}

func (h *hotRecords) replace(prefix string, rec hotRecord) {
	s := shardOf(h, prefix)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	have, found := s.young[prefix]
	if !found {
		have, found = s.old[prefix]
	}
	assertf(!found || rec.version == have.version+1, "version %d of %q is published after %d", rec.version, prefix, have.version)
	h.put(s, prefix, rec)
}

// forget drops what it has of a record of which a version is published that it is not told.
func (h *hotRecords) forget(prefix string) {
	s := shardOf(h, prefix)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	s.drop(s.young, &s.size[0], prefix)
	s.drop(s.old, &s.size[1], prefix)
}

// put makes rec the entry of prefix, or drops the one that there is if rec has no room.
func (h *hotRecords) put(s *hotShard, prefix string, rec hotRecord) {
	s.drop(s.young, &s.size[0], prefix)
	s.drop(s.old, &s.size[1], prefix)
	n := hotBytes(prefix, rec)
	if n > s.room {
		h.turned.Add(1)
		return
	}
	if s.size[0]+n > s.room {
		if len(s.old) > 0 {
			h.turned.Add(1)
		}
		s.old, s.young = s.young, make(map[string]hotRecord)
		s.size = [2]int{0, s.size[0]}
	}
	s.young[prefix] = rec
	s.size[0] += n
}

func (s *hotShard) drop(from map[string]hotRecord, size *int, prefix string) {
	if have, found := from[prefix]; found {
		*size -= hotBytes(prefix, have)
		delete(from, prefix)
	}
}

// hotBytes counts all that a value keeps in memory.
func hotBytes(prefix string, rec hotRecord) int { return len(prefix) + cap(rec.value) + hotOverhead }

// bytes is what its entries take.
func (h *hotRecords) bytes() (n int) {
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		n += s.size[0] + s.size[1]
		s.mu.Unlock()
	}
	return n
}
