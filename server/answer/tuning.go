package answer

import (
	"cmp"
	"runtime"
	"sync/atomic"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/unsent"
	"statehouse.dev/statehouse/server/wire"
)

// Tuning bounds what is answered and read at a time. No client depends on it: what does not
// fit comes with the next page, message or request. The zero value of a field means its
// default.
type Tuning struct {
	AnswerBytes int // of one answer; MaxBytes
	PageBytes   int // of names and values in one page, about; 3 MiB
	BatchNames  int // that one BatchGetState may ask for; 1,000
	HistoryPage int // versions in a page, unless the client says how many; 100
	NamesPage   int // names or versions in a page at most; 1,000

	// BatchBytes is about the size of a message of a batched stream: its client decodes one
	// while the next is on the way; 32 KiB.
	BatchBytes int
	// StreamBytes is what a stream has on its way at most, if its share of what may be unsent
	// is not less; unsent.MaxShare.
	StreamBytes int
	// AheadBytes is what a replay reads at a time when its client has taken as much, which is
	// more than connections take for clients that do not read, and there is much room; 256 KiB.
	AheadBytes int
	// StreamsReading is how many streams read from the store at once; 16. Each holds a few of
	// its blocks meanwhile, which are as large as the values in them and in no budget.
	StreamsReading int
	// WatchesReading is how many watches read at once; as many as processors, and 2 at least.
	// A thousand watches of one agent would otherwise run in front of its writers at each
	// commit. Those that wait for their turn read several commits at a time then.
	WatchesReading int

	// SessionRequests are under way in a session at most, their answers not sent; 256.
	// SessionBytes is what they hold, requests and answers, unless one alone is more; 512 KiB.
	// SessionFrame is about the size of a message of answers; 64 KiB.
	SessionRequests, SessionBytes, SessionFrame int

	// Probes bounds the requests that ask how the daemon is, HealthWatches those that watch
	// it; 64.
	Probes, HealthWatches int
}

// WithDefaults is t with its zero values replaced.
func (t Tuning) WithDefaults() Tuning {
	def := func(p *int, v int) { *p = cmp.Or(*p, v) }
	def(&t.AnswerBytes, MaxBytes)
	def(&t.PageBytes, 3<<20)
	def(&t.BatchNames, 1000)
	def(&t.HistoryPage, 100)
	def(&t.NamesPage, 1000)
	def(&t.BatchBytes, unsent.MaxShare/2)
	def(&t.StreamBytes, unsent.MaxShare)
	def(&t.AheadBytes, 4*unsent.MaxShare)
	def(&t.StreamsReading, 16)
	def(&t.WatchesReading, max(runtime.GOMAXPROCS(0), 2))
	def(&t.SessionRequests, 256)
	def(&t.SessionBytes, 512<<10)
	def(&t.SessionFrame, 64<<10)
	def(&t.Probes, 64)
	def(&t.HealthWatches, 64)
	return t
}

// Validate refuses a bound that is negative.
func (t *Tuning) Validate() error {
	if min(t.AnswerBytes, t.PageBytes, t.BatchNames, t.HistoryPage, t.NamesPage, t.BatchBytes, t.StreamBytes, t.AheadBytes, t.StreamsReading, t.WatchesReading, t.SessionRequests, t.SessionBytes, t.SessionFrame, t.Probes, t.HealthWatches) < 1 {
		return wire.Fail(engine.ErrInvalid, "a bound of the tuning is negative")
	}
	return nil
}

// Reached counts how often each bound of Tuning that is a method's was reached, in a field of the bound's
// name: as engine.Engine.Reached does.
type Reached struct {
	AnswerBytes, PageBytes, BatchNames, HistoryPage, NamesPage, BatchBytes atomic.Uint64
}
