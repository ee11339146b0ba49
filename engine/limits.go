package engine

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"
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

// Sizes of names in bytes, fixed by the model.
const (
	MaxNamespaceBytes = 128
	MaxAgentBytes     = 256
	MaxKeyBytes       = 1024
	MaxLeaseBytes     = MaxKeyBytes
	MaxTxnIDBytes     = 128
	MaxPrincipalBytes = 256
	MaxTraceIDBytes   = 64
)

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
			return failf(ErrInvalid, "the limit of %s is negative", name)
		}
	}
	if l.TxnTimeout < 0 || l.MaxTxnTimeout < 0 || l.OutcomeAge < 0 || l.QueuedTime < 0 {
		return failf(ErrInvalid, "a timeout is negative")
	}
	if l.TxnTimeout > l.MaxTxnTimeout {
		return failf(ErrInvalid, "the default transaction timeout %v is above the maximum %v", l.TxnTimeout, l.MaxTxnTimeout)
	}
	return nil
}

// checkName refuses what cannot be a name: empty, too long, not UTF-8, or with
// control characters (U+0000 would end it early in a key, see keys.go).
func checkName(field, s string, maxBytes int) error {
	switch {
	case s == "":
		return failf(ErrInvalid, "%s is empty", field).with("field", field)
	case len(s) > maxBytes:
		return failf(ErrInvalid, "%s is %d bytes long, more than %d", field, len(s), maxBytes).with("field", field)
	}
	return checkText(field, s)
}

func checkText(field, s string) error {
	if !utf8.ValidString(s) {
		return failf(ErrInvalid, "%s is not valid UTF-8", field).with("field", field)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r < 0x20 }); i >= 0 {
		return failf(ErrInvalid, "%s has the control character U+%04X at byte %d", field, s[i], i).with("field", field)
	}
	return nil
}

// CheckNamespace checks the name of a namespace. Error: ErrInvalid.
func CheckNamespace(name string) error { return checkName("namespace", name, MaxNamespaceBytes) }

func (n *AgentName) normalize() error {
	if n.Namespace == "" {
		n.Namespace = DefaultNamespace
	}
	if err := checkName("namespace", n.Namespace, MaxNamespaceBytes); err != nil {
		return err
	}
	return checkName("agent_id", n.Agent, MaxAgentBytes)
}

func (n *RecordName) normalize() error {
	agent := n.AgentName()
	if err := agent.normalize(); err != nil {
		return err
	}
	n.Namespace = agent.Namespace
	return checkName("key", n.Key, MaxKeyBytes)
}

// checkTxnID accepts 1 to 128 printable ASCII characters without space.
func checkTxnID(id TxnID) error {
	if len(id) == 0 || len(id) > MaxTxnIDBytes {
		return failf(ErrInvalid, "txn_id must be 1 to %d bytes long, not %d", MaxTxnIDBytes, len(id)).with("field", "txn_id")
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return failf(ErrInvalid, "txn_id has byte 0x%02x at %d; only printable ASCII without space is allowed", id[i], i).with("field", "txn_id")
		}
	}
	return nil
}

func (l *Limits) checkMetadata(m map[string]string, r *reached) error {
	size := 0
	for k, v := range m { // a sum: order cannot matter
		if err := checkName("metadata key", k, 128); err != nil {
			return err
		}
		if !utf8.ValidString(v) {
			return failf(ErrInvalid, "metadata value of %q is not valid UTF-8", k).with("field", "metadata")
		}
		size += len(k) + len(v)
	}
	if size > l.MetadataBytes {
		r.MetadataBytes.Add(1)
		return failf(ErrInvalid, "metadata is %d bytes, more than %d", size, l.MetadataBytes).
			with("field", "metadata").with(limitDetail, fmt.Sprint(l.MetadataBytes))
	}
	return nil
}

// checkSource checks what the server says of who commits, and why.
func checkSource(what, text string, longest int) error {
	if len(text) > longest || !utf8.ValidString(text) {
		return failf(ErrInvalid, "the %s is longer than %d bytes, or is not valid UTF-8", what, longest)
	}
	return nil
}

// limitErr refuses a request because a counted limit is reached, and counts that.
func limitErr(reached *atomic.Uint64, what string, got, limit int) *Failure {
	reached.Add(1)
	return failf(ErrLimit, "%s: %d, the limit is %d", what, got, limit).
		with(limitDetail, fmt.Sprint(limit)).with("what", what)
}

// limitDetail is the detail of every refusal that a higher limit would not make.
const limitDetail = "limit"
