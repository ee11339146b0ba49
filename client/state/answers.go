package state

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// TimeOf is t in UTC; the zero time when it is absent.
func TimeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// Timestamp is t as a message.
func Timestamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

// Point is a as a message; nil: now.
func Point(a At) *pb.At {
	switch {
	case a.commit != nil:
		return &pb.At{Point: &pb.At_CommitTs{CommitTs: uint64(*a.commit)}}
	case a.time != nil:
		return &pb.At{Point: &pb.At_Time{Time: Timestamp(a.time)}}
	}
	return nil
}

// Least is the commit before which a read at a may not be.
func Least(a At) uint64 { return uint64(a.least) }

// Staleness is by how many milliseconds a read at a may be behind; 0: by none.
func Staleness(a At) uint64 { return uint64(max(a.stale, 0).Milliseconds()) }

// stateMessage is what the answers about one record have in common.
type stateMessage interface {
	GetExists() bool
	GetValueJson() []byte
	GetValueBytes() []byte
	GetContentType() string
	GetVersion() uint64
	GetCommitTs() uint64
	GetCommitTime() *timestamppb.Timestamp
}

// RecordOf is the record n of an answer.
func RecordOf(n RecordName, m stateMessage) Record {
	return Record{
		RecordName: n, Exists: m.GetExists(), Value: m.GetValueJson(), Bytes: BytesOf(m),
		Version: Version(m.GetVersion()), CommitTS: CommitTS(m.GetCommitTs()), CommitTime: TimeOf(m.GetCommitTime()),
	}
}

// Current is record of an answer that says when it expires.
func Current(n RecordName, m *pb.GetStateResponse) Record {
	rec := RecordOf(n, m)
	rec.ReadTS, rec.ExpiresAt, rec.DueAt = CommitTS(m.GetReadTs()), TimeOf(m.GetExpiresAt()), TimeOf(m.GetDueAt())
	return rec
}

// Entry is a record of a list, which was read at a commit.
func Entry(n RecordName, e *pb.StateEntry, readTS CommitTS) Record {
	return Record{
		RecordName: n, Exists: true, Value: e.GetValueJson(), Bytes: BytesOf(e),
		Version: Version(e.GetVersion()), CommitTS: CommitTS(e.GetCommitTs()), CommitTime: TimeOf(e.GetCommitTime()), ReadTS: readTS,
		Erased: e.GetErased(), Pruned: e.GetPruned(), ExpiresAt: TimeOf(e.GetExpiresAt()),
	}
}

// HistoryEntryOf is a version of a key.
func HistoryEntryOf(e *pb.HistoryEntry) HistoryEntry {
	return HistoryEntry{
		Version: Version(e.GetVersion()), CommitTS: CommitTS(e.GetCommitTs()), CommitTime: TimeOf(e.GetCommitTime()),
		TxnID: e.GetTxnId(), Metadata: e.GetMetadata(), Principal: e.GetPrincipal(), TraceID: e.GetTraceId(), Cause: e.GetCause(), Deleted: e.GetDeleted(),
		Value: e.GetValueJson(), Bytes: BytesOf(e), Erased: e.GetErased(), Pruned: e.GetPruned(),
	}
}

// Side is a side of a difference.
func Side(n RecordName, s *pb.GetStateResponse) Record {
	rec := RecordOf(n, s)
	rec.ReadTS, rec.Erased, rec.Pruned = CommitTS(s.GetReadTs()), s.GetErased(), s.GetPruned()
	return rec
}

// SeenAs is how a transaction sees its own write.
func SeenAs(o *pb.TransactOperation) Record {
	rec := Record{RecordName: NameOf(o), Exists: !o.Delete, Value: slices.Clone(o.ValueJson)}
	if p := o.Put; p != nil && p.ValueBytes != nil {
		rec.Bytes = &Bytes{cmp.Or(p.ContentType, "application/octet-stream"), slices.Clone(p.ValueBytes)}
	} else if p != nil {
		rec.Value = slices.Clone(p.ValueJson)
	}
	return rec
}

// Committed is the commit that a request was answered with: a version for each operation.
func Committed(req *pb.TransactRequest, resp *pb.TransactResponse) Commit {
	commit := Commit{TxnID: req.TxnId, CommitTS: CommitTS(resp.GetCommitTs()), CommitTime: TimeOf(resp.GetCommitTime()), Results: results(req, resp)}
	for i, v := range resp.GetVersions() {
		name := NameOf(req.Operations[i])
		if commit.Results != nil {
			name = commit.Results[i].RecordName
		}
		commit.Versions = append(commit.Versions, KeyVersion{name, Version(v)})
	}
	return commit
}

// NameOf is the record that an operation is on.
func NameOf(o *pb.TransactOperation) RecordName {
	return RecordName{o.Namespace, o.AgentId, o.Key}
}

// KeyVersions are the versions that a commit gave.
func KeyVersions(vs []*pb.KeyVersion) []KeyVersion {
	var out []KeyVersion
	for _, v := range vs {
		out = append(out, KeyVersion{RecordName{v.GetNamespace(), v.GetAgentId(), v.GetKey()}, Version(v.GetVersion())})
	}
	return out
}

func results(req *pb.TransactRequest, resp *pb.TransactResponse) (out []Result) {
	if len(resp.GetResults()) != len(req.Operations) {
		return nil
	}
	for i, r := range resp.GetResults() {
		n := NameOf(req.Operations[i])
		n.Key = r.GetKey()
		out = append(out, Result{RecordName: n, Version: Version(r.GetVersion()), Value: r.GetValueJson(), Bytes: BytesOf(r), Keys: r.GetKeys(), Existed: r.GetExisted(), Claimed: claimedOf(r)})
	}
	return out
}

// Outcome is what is said of a transaction; known is false of a state that this client does not know.
func Outcome(id string, resp *pb.GetTransactionResponse) (out TxnOutcome, known bool) {
	out = TxnOutcome{Commit: Commit{
		TxnID: id, CommitTS: CommitTS(resp.GetCommitTs()), CommitTime: TimeOf(resp.GetCommitTime()), Versions: KeyVersions(resp.GetVersions()),
	}}
	switch resp.GetState() {
	case pb.TransactionState_TRANSACTION_STATE_OPEN:
		out.State = TxnOpen
	case pb.TransactionState_TRANSACTION_STATE_COMMITTED:
		out.State = TxnCommitted
	case pb.TransactionState_TRANSACTION_STATE_ABORTED:
		out.State = TxnAborted
	case pb.TransactionState_TRANSACTION_STATE_EXPIRED:
		out.State = TxnExpired
	case pb.TransactionState_TRANSACTION_STATE_NEVER_SEEN:
		out.State = TxnNeverSeen
	case pb.TransactionState_TRANSACTION_STATE_TOO_OLD:
		out.State = TxnTooOld
	default:
		return TxnOutcome{}, false
	}
	return out, true
}

// EventOf is a commit of a stream.
func EventOf(m *pb.ReplayEvent) Event {
	ev := Event{
		CommitTS: CommitTS(m.GetCommitTs()), CommitTime: TimeOf(m.GetCommitTime()), TxnID: m.GetTxnId(), Metadata: m.GetMetadata(),
		Principal: m.GetPrincipal(), TraceID: m.GetTraceId(), Cause: m.GetCause(),
		Operations: make([]Operation, len(m.GetOperations())),
	}
	for i, o := range m.GetOperations() {
		ev.Operations[i] = Operation{
			RecordName: RecordName{o.GetNamespace(), o.GetAgentId(), o.GetKey()}, Version: Version(o.GetVersion()),
			Deleted: o.GetDeleted(), Value: o.GetValueJson(), Bytes: BytesOf(o), Erased: o.GetErased(), Pruned: o.GetPruned(),
		}
		ev.Operations[i].Due = o.GetDue()
		if l := o.GetLease(); l != nil {
			ev.Operations[i].Lease = &LeaseChange{l.GetHolder(), time.Duration(l.GetTtlMs()) * time.Millisecond}
		}
		ev.Operations[i].Many = o.GetAct().GetKind() == pb.RangeAct_DELETED
		switch a := o.GetAct(); a.GetKind() {
		case pb.RangeAct_RESTORED:
			to := CommitTS(a.GetCommitTs())
			ev.Operations[i].RestoredTo = &to
		case pb.RangeAct_FORKED:
			ev.Operations[i].Fork = &Origin{Namespace: a.GetNamespace(), Agent: a.GetAgentId(), CommitTS: CommitTS(a.GetCommitTs()), ForkedTS: ev.CommitTS, ForkedAt: ev.CommitTime}
		}
	}
	return ev
}

// AgentOf is an agent of an answer.
func AgentOf(a *pb.Agent) Agent {
	return Agent{a.GetNamespace(), a.GetAgentId(), CommitTS(a.GetFirstTs()), CommitTS(a.GetHeadTs()), TimeOf(a.GetHeadTime())}
}

// LineageOf is where an agent comes from.
func LineageOf(resp *pb.GetAgentResponse) Lineage {
	l := Lineage{Agent: AgentOf(resp.GetAgent())}
	if f := resp.GetForkedFrom(); f != nil {
		l.From = &Origin{f.GetNamespace(), f.GetAgentId(), CommitTS(f.GetCommitTs()), CommitTS(f.GetForkedTs()), TimeOf(f.GetForkedAt())}
	}
	for _, a := range resp.GetForks() {
		l.Forks = append(l.Forks, AgentOf(a))
	}
	return l
}

// HeldLeaseOf is a lease that is held.
func HeldLeaseOf(l *pb.Lease) HeldLease {
	return HeldLease{
		l.GetNamespace(), l.GetAgentId(), l.GetName(), Version(l.GetToken()), l.GetHolder(), time.Duration(l.GetTtlMs()) * time.Millisecond,
		TimeOf(l.GetDeadline()), CommitTS(l.GetAcquiredTs()), TimeOf(l.GetAcquiredAt()),
	}
}

// StatusOf is the condition of the store.
func StatusOf(resp *pb.GetStatusResponse) Status {
	s := Status{
		Published: CommitTS(resp.GetPublishedTs()), LastCommitTime: TimeOf(resp.GetLastCommitTime()), OpenTxns: resp.GetOpenTransactions(),
		DiskUsed: resp.GetDiskUsedBytes(), DiskFree: resp.GetDiskFreeBytes(), WritesRefused: resp.GetWritesRefused(),
		Durable: resp.GetDurable(), StoreID: resp.GetStoreId(), Format: resp.GetFormatVersion(),
		Sessions: resp.GetSessions(), InSessions: resp.GetSessionRequests(),
		Epoch: resp.GetEpoch(), EpochBegan: CommitTS(resp.GetEpochBeganTs()),
	}
	if a := resp.GetArchive(); a != nil {
		s.Archive = &Archive{CommitTS(a.GetArchivedTs()), a.GetLagCommits(), a.GetLag().AsDuration(), a.GetError()}
	}
	return s
}

// RefusalOf is what was refused in the last hour.
func RefusalOf(r *pb.Refusal) Refusal {
	return Refusal{
		r.GetNamespace(), r.GetAgentId(), r.GetKey(), r.GetLease(), r.GetPrincipal(), r.GetMethod(), r.GetCode().String(), r.GetLimit(),
		r.GetCount(), TimeOf(r.GetFirstTime()), TimeOf(r.GetLastTime()),
	}
}

// streamKinds are the kinds of streams, as people read them.
var streamKinds = map[pb.StreamKind]string{
	pb.StreamKind_STREAM_KIND_WATCH: "watch", pb.StreamKind_STREAM_KIND_REPLAY: "replay", pb.StreamKind_STREAM_KIND_SESSION: "session",
}

// StreamOf is a stream that is open.
func StreamOf(s *pb.OpenStream) Stream {
	return Stream{
		streamKinds[s.GetKind()], s.GetNamespace(), s.GetAgentId(), s.GetKeyPrefix(), s.GetLease(), s.GetDue(), s.GetPrincipal(), s.GetPeer(),
		TimeOf(s.GetBeginTime()), CommitTS(s.GetCursor()), s.GetLag(),
	}
}

// BytesOf is the value of a message that has one which is bytes; nil if it has none.
func BytesOf(m interface {
	GetValueBytes() []byte
	GetContentType() string
}) *Bytes {
	if m.GetContentType() == "" { // bytes always have one
		return nil
	}
	return &Bytes{m.GetContentType(), m.GetValueBytes()}
}

// Milliseconds is d as a number of them, rounded up.
func Milliseconds(d time.Duration) uint64 {
	return uint64(max((d + time.Millisecond - 1).Milliseconds(), 0))
}
