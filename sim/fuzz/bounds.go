package fuzz

import (
	"math/rand/v2"
	"time"

	"statehouse.dev/statehouse/sim/bounds"
)

// ms is a step of the clock.
const ms = int(time.Millisecond)

// span is where a bound is drawn from: tiny, where every request comes by it, or small, where
// some do.
type span struct {
	bound       *int
	least       int
	tiny, small int // the largest of each kind
}

func (s *span) draw(r *rand.Rand) {
	if r.IntN(3) > 0 {
		*s.bound = s.least + r.IntN(s.tiny-s.least+1)
	} else {
		*s.bound = s.tiny + r.IntN(s.small-s.tiny+1)
	}
}

// quiet lists the bounds that no client notices: what does not fit comes later.
func quiet(b *bounds.Bounds) []span {
	return []span{
		{&b.CachedVersions, 1, 4, 40}, {&b.CachedAgents, 1, 2, 6},
		{&b.RecordBytes, 1, 1200, 6000},
		{&b.StepLookups, 1, 8, 60}, {&b.StepBytes, 1, 600, 3000}, {&b.LeftToWriter, 1, 4, 20},
		{&b.MarkEvery, 1, 4, 40}, {&b.WitnessEvery, 1, 4, 40},
		{&b.ChunkEvents, 1, 4, 20}, {&b.ChunkBytes, 1, 300, 2000}, {&b.ChunkRows, 1, 4, 30},
		{&b.PageBytes, 1, 300, 1000}, {&b.HistoryPage, 1, 4, 10}, {&b.NamesPage, 1, 3, 8}, {&b.BatchBytes, 1, 300, 2000},
		{&b.SessionRequests, 1, 2, 5}, {&b.SessionBytes, 1, 100, 1000}, {&b.SessionFrame, 1, 100, 1000},
	}
}

// refusing lists the bounds past which a request is refused. The least are such that every
// workload gets something done.
func refusing(b *bounds.Bounds) []span {
	return []span{
		{&b.OpenTxns, 1, 3, 6}, {&b.ValueBytes, 20, 40, 200}, {&b.TxnOps, 2, 4, 8}, {&b.TxnBytes, 60, 150, 500}, {&b.TxnReads, 2, 4, 8},
		{&b.StagedBytes, 800, 2000, 4000}, {&b.QueuedCommits, 1, 2, 4}, {&b.MetadataBytes, 14, 20, 40},
		{&b.QueuedTime, ms, 20 * ms, 200 * ms},
		{&b.Requests, 2, 3, 5}, {&b.Streams, 1, 1, 2}, {&b.BatchNames, 1, 3, 5},
	}
}

// drawBounds draws the bounds of a run: in a third of them none, in the others some or many,
// since a mistake may take several that are tiny together.
func drawBounds(r *rand.Rand) bounds.Bounds {
	var b bounds.Bounds
	share := []float64{0, 0.2, 0.6}[r.IntN(3)]
	for _, s := range quiet(&b) {
		if r.Float64() < share {
			s.draw(r)
		}
	}
	for _, s := range refusing(&b) {
		if r.Float64() < share/4 {
			s.draw(r)
		}
	}
	if share > 0 && r.IntN(7) == 0 { // the caches of the planner are as small as these together let them be
		b.CachedVersions, b.CachedAgents = 1, 1
		b.StepLookups, b.TxnReads, b.TxnOps = 1+r.IntN(4), 2, 2
	}
	if share > 0 && r.IntN(4) == 0 { // and so with answers
		b.TxnBytes, b.TxnOps, b.MetadataBytes, b.PageBytes = 200+r.IntN(300), 3+r.IntN(4), 14+r.IntN(40), 1+r.IntN(300)
	}
	if b.Requests > 0 { // it is judged by what is delivered, and a session may take that later
		b.SessionRequests, b.SessionBytes = 0, 0
	}
	if least := b.LeastAnswer(); least < 8<<10 && r.IntN(4) > 0 {
		b.AnswerBytes = least + r.IntN(80)
	}
	return b
}
