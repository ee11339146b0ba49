package engine

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// What requests hold of the engine, and what they read of its store, in numbers. An
// operator sees with them what is leaking, or what a request costs; see also Status.

// Held is what requests hold at a moment. Of each group the first field counts those that
// hold it: when it is zero and no step is under way, so is the group, and when no request is
// and no transaction open, all is.
type Held struct {
	Txns struct {
		Open      int // or committing
		Deadlines int // of those that are open
		Bytes     int // staged and read by them
	}
	Commits struct {
		Queued    int // that wait for the writer, changes of system rows among them
		Bytes     int // of those
		Undecided int // ids of one-shot commits that wait or are in a step
	}
	Watches struct {
		Open   int
		Topics int // that they are about
	}
	Iterators struct {
		Open int
	}
}

// Held reports what is held now.
func (e *Engine) Held() Held {
	var h Held
	h.Txns.Open, h.Txns.Deadlines, h.Txns.Bytes = e.txns.usage()
	e.mu.Lock()
	h.Commits.Queued, h.Commits.Bytes, h.Commits.Undecided = e.queue.len()+len(e.system.queue), e.queue.bytes, len(e.undecided)
	e.mu.Unlock()
	h.Watches.Open, h.Watches.Topics = e.watches.usage()
	h.Iterators.Open = int(e.db.reads.open.Load())
	return h
}

// Table is one of those that remember something for a while.
type Table struct {
	Name    string
	Entries int
	Room    int // entries that it takes before it forgets the oldest
	Most    int // entries that the limits allow for
}

// Tables lists them. The rule of Flush applies.
func (e *Engine) Tables() []Table {
	pl, l, t := e.planner, &e.opts.Limits, &e.opts.Tuning
	cached := max(l.CachedVersions, leastCached(&e.opts))
	return []Table{
		e.txns.ended(),
		{Name: "bytes of records", Entries: e.hot.bytes(), Room: t.RecordBytes, Most: t.RecordBytes},
		tableOf("decisions", pl.decisions, l.FinishedTxns),
		tableOf("keys", pl.keys, cached), tableOf("agents", pl.agents, cached), tableOf("outcomes", pl.outcomes, cached),
		tableOf("sequences", pl.evaluated.sequences, max(l.CachedAgents, 1)),
	}
}

// tableOf describes a cache that has two generations of at most limit entries.
func tableOf[K comparable, V any](name string, c *cache[K, V], limit int) Table {
	return Table{Name: name, Entries: len(c.young) + len(c.old), Room: 2 * c.limit, Most: 2 * limit}
}

// Reads is what has been read of the store since it was opened.
type Reads struct {
	Steps int64 // look-ups of a row, and moves of iterators to one
	Bytes int64 // of the rows
}

// Reads reports what has been read. What an open iterator has read is not in it yet.
func (e *Engine) Reads() Reads {
	return Reads{Steps: e.db.reads.steps.Load(), Bytes: e.db.reads.bytes.Load()}
}

// store is Pebble's, with what is read of it counted.
type store struct {
	*pebble.DB
	then  *pebble.Snapshot // what is read is the store as it was then; nil: as it is
	reads reads
	view  view
	// floors are the first commits that can be read, by namespace; nil: there are none.
	floors atomic.Pointer[map[string]CommitTS]
	forks  forks
	acts   rangeActs
}

func openPebble(dir string, o *pebble.Options) (*store, error) {
	db, err := pebble.Open(dir, o)
	if err != nil {
		return nil, err
	}
	return &store{DB: db}, nil
}

// reads counts look-ups at once and what an iterator reads when it is closed: a row more
// costs nothing.
type reads struct {
	open         atomic.Int64 // iterators
	steps, bytes atomic.Int64
}

func (r *reads) add(steps, bytes int) {
	r.steps.Add(int64(steps))
	r.bytes.Add(int64(bytes))
}

func (r *reads) closed(steps, bytes int) {
	r.open.Add(-1)
	r.add(steps, bytes)
}

// rows walks rows as o says. The caller must close it.
func (s *store) rows(o *pebble.IterOptions) (rowIter, error) {
	it, err := s.NewIter(o)
	if err != nil {
		return rowIter{}, storageError(err)
	}
	s.reads.open.Add(1)
	return rowIter{it: it, reads: &s.reads}, nil
}
