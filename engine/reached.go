package engine

import (
	"maps"
	"reflect"
	"sync/atomic"
)

// reached counts how often each bound of Limits and Tuning was reached since the start, in a
// field of the bound's name: a request was refused, an entry of a cache dropped, a step, chunk
// or interval was full. None of that happens often enough to cost anything.
type reached struct {
	ValueBytes, TxnOps, TxnBytes, TxnReads, OpenTxns, StagedBytes, QueuedCommits, QueuedTime, MetadataBytes atomic.Uint64

	TxnTimeout, MaxTxnTimeout, OutcomeAge, OutcomeCount, FinishedTxns, CachedVersions, CachedAgents, DiskReserve atomic.Uint64

	RecordBytes, StepLookups, FiredHolds, StepBytes, LeftToWriter, MarkEvery, WitnessEvery, ChunkEvents, ChunkBytes, ChunkRows, LookedRows, LookedBytes atomic.Uint64

	outcomes, holds, leases, sequences atomic.Uint64 // of caches whose size is no bound of its own
}

// Reached reports how often each bound was reached since the start, by the name of its field
// in Limits or Tuning: what an operator looks at before raising one. Bounds that were not
// reached are left out.
func (e *Engine) Reached() map[string]uint64 {
	counts := Counts(&e.reached)
	maps.DeleteFunc(counts, func(_ string, n uint64) bool { return n == 0 })
	return counts
}

// Bounds is Reached with those that were not reached.
func (e *Engine) Bounds() map[string]uint64 { return Counts(&e.reached) }

// Counts lists the counters by the name of their field in the struct that counters points to.
func Counts(counters any) map[string]uint64 {
	counts := make(map[string]uint64)
	v := reflect.ValueOf(counters).Elem()
	for i := range v.NumField() {
		if !v.Type().Field(i).IsExported() {
			continue
		}
		counts[v.Type().Field(i).Name] = v.Field(i).Addr().Interface().(*atomic.Uint64).Load()
	}
	return counts
}
