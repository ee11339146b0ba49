package engine

import (
	"fmt"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"statehouse.dev/statehouse/engine/words"
)

// Limits bounds what one client can make the engine hold (G9). The zero value
// of a field means its default.
type Limits struct {
	ValueBytes     int           // of one value as sent; 1 MiB
	TxnOps         int           // writes and deletes of one transaction; 5,000
	TxnBytes       int           // names and values of one transaction; 3.5 MiB
	TxnReads       int           // keys and ranges one transaction may read; 10,000
	OpenTxns       int           // 10,000
	StagedBytes    int           // held by all open transactions: what they staged and read; 256 MiB
	TxnTimeout     time.Duration // when none is asked for; 30 s
	MaxTxnTimeout  time.Duration // longer ones are clamped to it; 1 h
	QueuedCommits  int           // waiting for the writer; 4,096
	QueuedTime     time.Duration // after which a writer that has not caught up is behind, see overload.go; 400 ms
	MetadataBytes  int           // keys and values of one commit's metadata; 16 KiB
	OutcomeAge     time.Duration // outcomes are kept at least this long; 7 days
	OutcomeCount   int           // and at least this many; 1,000,000
	AgentLeases    int           // held of one agent; 10,000
	FinishedTxns   int           // ended transactions remembered by id, beside outcomes in the store; 20,000
	DiskReserve    uint64        // free bytes under which writes are refused; 256 MiB, less on small disks
	CachedVersions int           // keys whose version is held in memory; 200,000
	CachedAgents   int           // agents whose last commit is held in memory; a tenth of CachedVersions
}

// queuedBytes bounds what waits for the writer. It is counted apart from open
// transactions, so that clients who hold those cannot keep others from committing.
func (l *Limits) queuedBytes() int { return l.StagedBytes / 2 }

// WithDefaults is l with its zero values replaced.
func (l Limits) WithDefaults() Limits {
	l.setDefaults()
	return l
}

func (l *Limits) setDefaults() {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	def(&l.ValueBytes, 1<<20)
	def(&l.TxnOps, 5000)
	def(&l.TxnBytes, 7<<19)
	def(&l.TxnReads, 10_000)
	def(&l.OpenTxns, 10_000)
	def(&l.StagedBytes, 256<<20)
	def(&l.QueuedCommits, 4096)
	def(&l.MetadataBytes, 16<<10)
	def(&l.OutcomeCount, 1_000_000)
	def(&l.AgentLeases, 10_000)
	def(&l.FinishedTxns, 20_000)
	def(&l.CachedVersions, 200_000)
	def(&l.CachedAgents, l.CachedVersions/10)
	if l.TxnTimeout == 0 {
		l.TxnTimeout = 30 * time.Second
	}
	if l.QueuedTime == 0 {
		l.QueuedTime = 400 * time.Millisecond
	}
	if l.MaxTxnTimeout == 0 {
		l.MaxTxnTimeout = time.Hour
	}
	if l.OutcomeAge == 0 {
		l.OutcomeAge = 7 * 24 * time.Hour
	}
	if l.DiskReserve == 0 {
		l.DiskReserve = 256 << 20
	}
}

func (l *Limits) validate() error {
	for name, v := range map[string]int{ // order only picks which error is reported
		"value bytes": l.ValueBytes, "transaction operations": l.TxnOps, "transaction bytes": l.TxnBytes,
		"transaction reads": l.TxnReads, "open transactions": l.OpenTxns, "staged bytes": l.StagedBytes,
		"queued commits": l.QueuedCommits, "metadata bytes": l.MetadataBytes, "outcome count": l.OutcomeCount,
		"leases of an agent": l.AgentLeases, "finished transactions": l.FinishedTxns, "cached versions": l.CachedVersions, "cached agents": l.CachedAgents,
	} {
		if v < 0 {
			return words.Failf(ErrInvalid, "the limit of %s is negative", name)
		}
	}
	if l.TxnTimeout < 0 || l.MaxTxnTimeout < 0 || l.OutcomeAge < 0 || l.QueuedTime < 0 {
		return words.Failf(ErrInvalid, "a timeout is negative")
	}
	if l.TxnTimeout > l.MaxTxnTimeout {
		return words.Failf(ErrInvalid, "the default transaction timeout %v is above the maximum %v", l.TxnTimeout, l.MaxTxnTimeout)
	}
	return nil
}

func (l *Limits) checkMetadata(m map[string]string, r *reached) error {
	size := 0
	for k, v := range m { // a sum: order cannot matter
		if err := words.CheckName("metadata key", k, 128); err != nil {
			return err
		}
		if !utf8.ValidString(v) {
			return words.Failf(ErrInvalid, "metadata value of %q is not valid UTF-8", k).With("field", "metadata")
		}
		size += len(k) + len(v)
	}
	if size > l.MetadataBytes {
		r.MetadataBytes.Add(1)
		return words.Failf(ErrInvalid, "metadata is %d bytes, more than %d", size, l.MetadataBytes).
			With("field", "metadata").With(limitDetail, fmt.Sprint(l.MetadataBytes))
	}
	return nil
}

// limitErr refuses a request because a counted limit is reached, and counts that.
func limitErr(reached *atomic.Uint64, what string, got, limit int) *Failure {
	reached.Add(1)
	return words.Failf(ErrLimit, "%s: %d, the limit is %d", what, got, limit).
		With(limitDetail, fmt.Sprint(limit)).With("what", what)
}

// limitDetail is the detail of every refusal that a higher limit would not make.
const limitDetail = "limit"
