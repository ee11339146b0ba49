package engine

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Tuning trades memory and latency for throughput: no client depends on it, and no answer
// but its length. The zero value of a field means its default. The simulator draws it, since
// what happens at such a bound must be right wherever the bound is (docs/SIMULATION.md).
type Tuning struct {
	MemTableBytes    uint64 // 0: by the size of the disk
	CacheBytes       int64  // 0: 256 MiB
	RecordBytes      int    // of records held in memory beside the cache, by name; 64 MiB
	OpenFiles        int    // tables held open at once; 0: 4096
	ManualCompaction bool   // no background flush or compaction but by Flush and Compact

	// Bounds of one step. The defaults keep a batch under half of Pebble's smallest memtable
	// in the common case, and the wait for an answer short.
	StepLookups int // keys that planning reads; 8,192
	ErasedKeys  int // keys that a commit of an erasure deletes; 128
	FiredHolds  int // holds that are due, of which the daemon makes its own commits; 256
	PieceRows   int // rows that chores look at in a step; 512
	DeletedKeys int // of more that a delete or restore of many comes to it is an act; Limits.TxnOps, which is the most
	// ImportCommits is how many commits of an import are made; 8,192.
	ImportCommits int
	StepBytes     int // of names and values; 2 MiB
	// LeftToWriter is how many commits a transaction that listed keys leaves the writer to
	// look at; 128.
	LeftToWriter int

	MarkEvery    int // commits that do not concern a Watch before it is woken; 256
	WitnessEvery int // commits between syncs of the witness; 4,096

	// Bounds of one chunk of a replay.
	ChunkEvents int // 4,096
	ChunkBytes  int // of names, values and metadata, about; 1 MiB
	ChunkRows   int // rows read, matching or not; 8,192

	// Bounds of what one page of Find or Diff looks at, whatever it finds.
	LookedRows  int // 32,768
	LookedBytes int // 16 MiB
}

// WithDefaults is t with the zero values of its bounds replaced.
func (t Tuning) WithDefaults() Tuning {
	t.setDefaults()
	return t
}

func (t *Tuning) setDefaults() {
	def := func(p *int, v int) { *p = cmp.Or(*p, v) }
	def(&t.RecordBytes, 64<<20)
	def(&t.StepLookups, 8192)
	def(&t.ErasedKeys, 128)
	def(&t.FiredHolds, 256)
	def(&t.PieceRows, 512)
	def(&t.DeletedKeys, math.MaxInt)
	def(&t.ImportCommits, 8192)
	def(&t.StepBytes, 2<<20)
	def(&t.LeftToWriter, 128)
	def(&t.MarkEvery, MarkEvery)
	def(&t.WitnessEvery, 4096)
	def(&t.ChunkEvents, 4096)
	def(&t.ChunkBytes, 1<<20)
	def(&t.ChunkRows, 8192)
	def(&t.LookedRows, 32<<10)
	def(&t.LookedBytes, 16<<20)
}

func (t *Tuning) validate() error {
	if min(t.RecordBytes, t.StepLookups, t.ErasedKeys, t.FiredHolds, t.PieceRows, t.DeletedKeys, t.ImportCommits, t.StepBytes, t.LeftToWriter, t.MarkEvery, t.WitnessEvery, t.ChunkEvents, t.ChunkBytes, t.ChunkRows, t.LookedRows, t.LookedBytes) < 1 {
		return words.Failf(ErrInvalid, "a bound of the tuning is negative")
	}
	return nil
}

const (
	// PebbleFormat is Pebble's own format version. In the WAL of an older one a flipped bit
	// goes unnoticed. It is pinned, since tests rest on how this version behaves.
	PebbleFormat = pebble.FormatMajorVersion(24)

	besideTables = 10 // files that Pebble subtracts from its own limit

	defaultCache = 256 << 20

	maxMemTable = 4 << 20
	minMemTable = 1 << 20
	memTables   = 4 // at most: writes stop when so many wait to be flushed

	// MemTablesBytes is what Pebble's memtables and batches take at most, beside its cache.
	MemTablesBytes = (memTables + 2) * maxMemTable
)

// Files is the number of file descriptors that a store takes at most, with t as it is.
func (t Tuning) Files() int {
	const besides = 40 // logs, manifests, tables that are being written, the witness, directories
	return max(cmp.Or(t.OpenFiles, MostOpenFiles), LeastOpenFiles) + besides
}

// MostOpenFiles is how many tables are held open by default, LeastOpenFiles how many
// Pebble holds open at least.
const (
	MostOpenFiles  = 4096
	LeastOpenFiles = 64
)

// storeOptions are the options every open of the store shares.
func storeOptions(fs vfs.FS, t Tuning, log pebble.Logger, events *pebble.EventListener) *pebble.Options {
	o := &pebble.Options{
		FS:                          blockFS{fs},
		Comparer:                    layout.Comparer,
		FormatMajorVersion:          PebbleFormat,
		Logger:                      log,
		EventListener:               events,
		CacheSize:                   t.CacheBytes,
		MemTableSize:                t.MemTableBytes,
		MemTableStopWritesThreshold: memTables,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       1000,
		LBaseMaxBytes:               64 << 20,
		MaxOpenFiles:                cmp.Or(t.OpenFiles, MostOpenFiles) + besideTables,
		DisableAutomaticCompactions: t.ManualCompaction,
		DisableTableStats:           t.ManualCompaction,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
	}
	if o.CacheSize == 0 {
		o.CacheSize = defaultCache
	}
	if t.ManualCompaction {
		o.Experimental.FileCacheShards = 1
		o.Experimental.ReadSamplingMultiplier = -1
	}
	// Old versions are read as often as new ones: keep them out of value blocks.
	o.Experimental.SpanPolicyFunc = func([]byte) (pebble.SpanPolicy, []byte, error) {
		return pebble.SpanPolicy{DisableValueSeparationBySuffix: true}, nil, nil
	}
	// L0 is rewritten soon: not worth compressing.
	compression := pebble.DBCompressionFastest
	compression.Levels[0] = pebble.DBCompressionNone.Levels[0]
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return compression })
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].FilterType = pebble.TableFilter
		o.Levels[i].BlockSize = 8 << 10
		o.Levels[i].IndexBlockSize = 256 << 10
	}
	return o
}

// memTableBytes is smaller on a small disk: Pebble preallocates the WAL by it, and a
// flush needs as much again.
func memTableBytes(diskTotal uint64) uint64 {
	if diskTotal == 0 {
		return maxMemTable
	}
	return min(max(diskTotal/64, minMemTable), maxMemTable)
}

// pebbleLog logs Pebble's errors. Fatalf never returns to Pebble, which would go on with
// a commit that is not durable.
type pebbleLog struct {
	log  func(string, ...any)
	halt func(error)
}

func (l pebbleLog) Infof(string, ...any) {}
func (l pebbleLog) Errorf(format string, args ...any) {
	l.log("storage", "message", fmt.Sprintf(format, args...))
}
func (l pebbleLog) Fatalf(format string, args ...any) {
	l.halt(words.Failf(ErrStorage, format, args...))
	// Only reached if Halt does not exit: in a simulated process, which is dead.
	select {}
}

// Flush writes memtables to tables, so that a restart has nothing to replay. It may be
// called by the goroutine that steps, or while none does.
func (e *Engine) Flush() error { return storageOrNil(e.db.Flush()) }

// Compact flushes and compacts the whole store. The rule of Flush applies.
func (e *Engine) Compact() error {
	if err := e.Flush(); err != nil {
		return err
	}
	return storageOrNil(e.db.Compact(context.Background(), []byte{0}, []byte{0xff}, false))
}

// AwaitCleaning waits until Pebble has removed its obsolete files, which it does in the
// background. It is for callers that look at what is on the disk.
func (e *Engine) AwaitCleaning() { e.db.TestOnlyWaitForCleaning() }

func storageOrNil(err error) error {
	if err == nil {
		return nil
	}
	return storageError(err)
}
