package engine

import (
	"cmp"
	"time"
)

// StoreStats is what an operator sees of the storage under the engine: of the tree of tables,
// the work in its background, and its log.
type StoreStats struct {
	Levels []LevelStats // from the newest

	Compactions, Compacting int64 // done, and under way
	CompactionTime          time.Duration
	CompactionDebt          uint64 // bytes to rewrite until the tree is in order, about
	Flushes                 int64

	MemTables              int64
	MemTableBytes          uint64
	CacheBytes, CacheLimit int64
	CacheHits, CacheMisses int64
	TablesOpen             int64 // held open

	LogFiles                 int64
	LogBytes                 uint64 // on disk
	LogWritten, LogAskedFor  uint64 // bytes since the start: with what stands around rows, and without
	Stalls                   int64  // that writes had to wait for a flush or a compaction
	StallTime                time.Duration
	Acts                     int           // on many keys, that are being carried out
	QueueAge                 time.Duration // of the oldest commit that waits for the writer
	Iterators, ReadRows      int64
	ReadBytes                int64
	RecordBytes, RecordLimit int // of records in memory, beside the cache
	DiskReserve              uint64
}

// LevelStats is of one level of the tree.
type LevelStats struct {
	Tables, Bytes int64
	Sublevels     int32   // that a read looks into
	Score         float64 // past 1 it waits to be compacted
	Written       uint64  // bytes of tables, by flushes and compactions
}

// StoreStats reports what the storage is at and has done since the start.
func (e *Engine) StoreStats() StoreStats {
	m := e.db.Metrics()
	s := StoreStats{
		Compactions: m.Compact.Count, Compacting: m.Compact.NumInProgress, CompactionTime: m.Compact.Duration, CompactionDebt: m.Compact.EstimatedDebt,
		Flushes: m.Flush.Count, MemTables: m.MemTable.Count, MemTableBytes: m.MemTable.Size,
		CacheBytes: m.BlockCache.Size, CacheLimit: cmp.Or(e.opts.Tuning.CacheBytes, defaultCache), CacheHits: m.BlockCache.Hits, CacheMisses: m.BlockCache.Misses, TablesOpen: m.FileCache.TableCount,
		LogFiles: m.WAL.Files, LogBytes: m.WAL.PhysicalSize, LogWritten: m.WAL.BytesWritten, LogAskedFor: m.WAL.BytesIn,
		Stalls: e.stalls.count.Load(), StallTime: time.Duration(e.stalls.total.Load()), QueueAge: e.queueAge(),
		Iterators: e.db.reads.open.Load(), ReadRows: e.db.reads.steps.Load(), ReadBytes: e.db.reads.bytes.Load(),
		Acts:        len(e.db.acts.all()),
		RecordBytes: e.hot.bytes(), RecordLimit: e.opts.Tuning.RecordBytes, DiskReserve: e.space.reserve,
	}
	for i := range m.Levels {
		l := &m.Levels[i]
		s.Levels = append(s.Levels, LevelStats{
			Tables: l.TablesCount, Bytes: l.TablesSize, Sublevels: l.Sublevels, Score: l.Score, Written: l.TableBytesFlushed + l.TableBytesCompacted,
		})
	}
	return s
}
