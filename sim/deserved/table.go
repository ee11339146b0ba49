package deserved

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"statehouse.dev/statehouse/history"
)

// Request is one that has reached the daemon, with the ids of transactions as on the wire.
type Request struct {
	ID      int // of its operation
	Kind    history.Kind
	In      history.Input
	Fresh   bool   // it continues a page that the same request was answered with
	Began   uint64 // the last commit that could be read when it arrived
	Begun   string // of a begin that was answered: the id
	Timeout time.Duration
	Arrival time.Time
	// Of a request that says more than In has:
	Bad        []string // fields that break a rule
	Strict     bool     // a Struct is to be exact
	Stranger   bool     // it comes without the daemon's token
	Revoked    bool     // its key was revoked by when it was answered, or somebody tried to
	Denied     bool     // its key may not do it
	OtherEpoch bool     // it names an epoch that the store is not in
	// UnderWay are the others that were when it arrived: streams, if it is one, else requests.
	UnderWay int
	// Unsure are those of them that may not have begun, or have ended: in a session.
	Unsure int
	// InSession: it may begin later than it arrived, and be answered some time before the answer
	// is seen.
	InSession bool

	Probe bool          // it asks how the daemon is
	idle  time.Duration // since the request before
	ask   int           // how many had come, with it

	waits bool // for its session to take it

	queued, after int // commits that may have waited when it arrived, and that had arrived by then
}

// SamePages reports whether a request may go on with a page that another was answered.
func SamePages(first, next *history.Operation) bool {
	a, b := &first.In, &next.In
	return first.Kind == next.Kind && a.Name() == b.Name() && a.Prefix == b.Prefix && a.Reverse == b.Reverse &&
		a.OldestFirst == b.OldestFirst && a.TxnID == b.TxnID
}

// limitOf is the limit of what is under way that a request is bound by.
func (l *Limits) limitOf(kind history.Kind) int {
	if kind.Info().Stream {
		return l.Streams
	}
	return l.Requests
}

// World is what is known of the time from a request's arrival to its answer.
type World struct {
	Now, Latest time.Time // at the answer, and the latest that the clock has ever shown
	Published   uint64    // the last commit that can be read, at the answer
	Errors      int       // faults that failed an operation of the disk
	Misreads    int       // faults that falsified what was read
	Misread     bool      // one had, since the process began
	Corrupt     bool      // a file was corrupted
	Short       bool      // the disk may have been taken for too full
	Full        bool      // it has been too full for so long that the daemon must know
	Draining    bool      // the daemon is stopping
	Gone        bool      // the client has given the request up
	Importing   bool      // an import's commits may be being made, which nobody else's may come between
}

// why is a row: it returns why a refusal was not deserved; empty if it was.
type why func(j *Judge, t *txn, r *Request, e *history.Refusal, w *World) string

func unless(deserved bool, format string, args ...any) string {
	if deserved {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

func never(*Judge, *txn, *Request, *history.Refusal, *World) string {
	return "nothing in this world can bring it about"
}

// rows has one for each code that the daemon sends, by the name that histories give it.
var rows map[string]why

func init() {
	rows = map[string]why{
		"INVALID_REQUEST": invalid,
		"LIMIT_EXCEEDED":  limit,
		"TXN_NOT_FOUND":   notFound,
		"TXN_EXPIRED":     expired,
		"TXN_TOO_OLD":     tooOld,
		"TXN_ABORTED": func(_ *Judge, t *txn, _ *Request, _ *history.Refusal, _ *World) string {
			return unless(t.aborts > 0, "no abort of the transaction has reached the daemon")
		},
		"TXN_ALREADY_COMMITTED": func(_ *Judge, t *txn, _ *Request, _ *history.Refusal, _ *World) string {
			return unless(t.commits > 0, "no commit of the transaction has reached the daemon")
		},
		"TXN_ID_REUSED": func(_ *Judge, t *txn, r *Request, _ *history.Refusal, _ *World) string {
			return unless(r.Kind == history.Transact && (t.process > 0 || t.commits > 1), "the id was not used before")
		},
		// Whatever names a transaction that these have ended is answered with them again.
		"CONFLICT": func(_ *Judge, t *txn, r *Request, _ *history.Refusal, _ *World) string {
			return unless(t.commits > 0 && len(t.reads)+t.ranges+t.said > 0, "the transaction has read nothing, or nothing was to commit it")
		},
		"PRECONDITION_FAILED": func(_ *Judge, t *txn, r *Request, _ *history.Refusal, _ *World) string {
			return unless(t.commits > 0 && t.expected+t.conditions > 0 || asks(r, history.Fork), "there was no condition, or nothing was to commit it")
		},
		"VERSION_NOT_FOUND": func(_ *Judge, _ *txn, r *Request, _ *history.Refusal, _ *World) string {
			return unless(r.Kind == history.GetVersion, "it did not ask for a version")
		},
		"STORAGE_ERROR": func(_ *Judge, _ *txn, _ *Request, _ *history.Refusal, w *World) string {
			return unless(w.Errors > 0, "no operation of the disk failed meanwhile")
		},
		"DATA_LOSS": dataLoss,
		// What no world of one daemon brings about.
		"OUT_OF_RANGE": never, "ERASED": never, "NOT_LEADER": never,
		// Leases and what is evaluated: whether it was so, the judges of the state decide.
		"LEASE_HELD": func(_ *Judge, _ *txn, r *Request, _ *history.Refusal, _ *World) string {
			return unless(asks(r, history.Acquire), "it acquires no lease")
		},
		"LEASE_LOST": func(_ *Judge, _ *txn, r *Request, _ *history.Refusal, _ *World) string {
			held := slices.ContainsFunc(r.In.Keys, func(k history.KeyCondition) bool { return k.Lease != "" })
			return unless(held || asks(r, history.Release, history.Complete), "it needs no lease")
		},
		"EVALUATION_FAILED": func(_ *Judge, _ *txn, r *Request, _ *history.Refusal, _ *World) string {
			return unless(asks(r, history.Ops()...), "nothing in it is evaluated")
		},
		"EPOCH_CHANGED": func(_ *Judge, _ *txn, r *Request, _ *history.Refusal, _ *World) string {
			return unless(r.OtherEpoch, "it named no epoch but the one that the store is in")
		},
		"OVERLOADED": overloaded,
		"OUTCOME_UNKNOWN": func(_ *Judge, _ *txn, r *Request, _ *history.Refusal, w *World) string {
			return unless(commits(r.Kind) && (w.Gone || w.Errors > 0), "its client waited, and no operation of the disk failed meanwhile")
		},
		"UNAVAILABLE": func(_ *Judge, _ *txn, _ *Request, _ *history.Refusal, w *World) string {
			return unless(w.Draining, "the daemon was not stopping")
		},
		"DISK_FULL": func(_ *Judge, t *txn, r *Request, _ *history.Refusal, w *World) string {
			return unless(r.Kind == history.Transact && len(r.In.Writes) > 0 || r.Kind == history.Commit && len(t.keys) > 0 || moves(r.Kind) || commits(r.Kind) && w.Importing, "it writes nothing") +
				unless(w.Short, "the disk was not short of room, or has not been since the daemon last looked")
		},
		"NOT_REPRESENTABLE": func(_ *Judge, _ *txn, r *Request, _ *history.Refusal, _ *World) string {
			return unless(r.Strict, "it was not to be strict")
		},
		"PERMISSION_DENIED": func(_ *Judge, _ *txn, r *Request, _ *history.Refusal, _ *World) string {
			return unless(r.Denied, "its key may do it")
		},
		"UNAUTHENTICATED": func(_ *Judge, _ *txn, r *Request, _ *history.Refusal, _ *World) string {
			return unless(r.Stranger || r.Revoked, "it had the daemon's token, or needed none")
		},
		// gRPC's own: a client that has gone reads no answer.
		"canceled": gone, "deadlineexceeded": gone,
	}
}

// asks reports whether a request is a transact with an operation of one of these.
func asks(r *Request, ops ...history.Op) bool {
	return r.Kind == history.Transact && slices.ContainsFunc(r.In.Writes, func(w history.Write) bool { return slices.Contains(ops, w.Op) })
}

func gone(_ *Judge, _ *txn, _ *Request, _ *history.Refusal, w *World) string {
	return unless(w.Gone, "its client waited")
}

func commits(kind history.Kind) bool {
	return kind == history.Commit || kind == history.Transact || kind == history.Abort || moves(kind)
}

// moves are the requests that move deadlines.
func moves(kind history.Kind) bool {
	return kind == history.RenewLeases || kind == history.RefreshExpiry
}

// Refused returns why a refusal of a request was not deserved; empty if it was. maybe: it says
// that the request may have been applied.
func (j *Judge) Refused(r *Request, e *history.Refusal, maybe bool, w *World) (reason string) {
	t := j.of(r)
	row := rows[e.Code]
	switch {
	case row == nil:
		reason = "the contract knows no such refusal"
	case e.Code[0] >= 'a': // gRPC's own, which says nothing of doubt
		reason = row(j, t, r, e, w)
	case maybe && !commits(r.Kind):
		reason = "it is said to be in doubt, and commits nothing"
	case maybe && e.Code != "OUTCOME_UNKNOWN" && t.commits < 2 && tooOld(j, t, r, e, w) != "" && w.Errors+w.Misreads == 0 && !w.Misread && !w.Corrupt:
		reason = "it is said to be in doubt, and no other request for this transaction has reached the daemon"
	default:
		reason = row(j, t, r, e, w)
	}
	j.taken(r)
	// Another try that a session has not taken yet is none that the daemon could know of.
	if (r.Kind == history.Commit || r.Kind == history.Transact) && !maybe && t.ahead == 0 && ofOneTry[e.Code] && r.In.TxnID != "" {
		j.definite = append(j.definite, definite{r.ID, r.In.TxnID, t.commits})
	}
	j.answered(r, e, w)
	return reason
}

// Accepted returns why a request must have been refused that was not; empty if it need not.
func (j *Judge) Accepted(r *Request, w *World) (reason string) {
	l, t := &j.limits, j.of(r)
	_, open := j.Open(w)
	_, held := j.held(w)
	over := func(what string, n, most int) {
		if reason == "" && most > 0 && n > most {
			reason = fmt.Sprintf("%s: %d, of at most %d", what, n, most)
		}
	}
	if bad := append(l.fields(r.Kind, &r.In), r.Bad...); len(bad) > 0 {
		reason = "it breaks the rules of " + strings.Join(slices.Compact(bad), ", ")
	} else if r.Stranger {
		reason = "it had not the daemon's token"
	} else if r.Denied {
		reason = "its key may not do it"
	} else if r.In.PageOf == 0 && (r.In.At != nil && *r.In.At > w.Published || r.In.MinRead > w.Published) || r.Kind == history.Watch && r.In.From != nil && *r.In.From > w.Published {
		reason = "it is about a commit that has not happened"
	}
	nothing := r.Kind == history.BatchGet && len(r.In.Names) == 0 // no transaction is looked at for it
	done := w.Now                                                 // at the latest
	if r.InSession {
		done = r.Arrival // or at any time since
	}
	inTxn := !nothing && r.In.TxnID != "" && r.Kind != history.Transact && r.Kind != history.GetTxn && r.Kind != history.Abort
	switch {
	case reason == "" && inTxn && r.Kind != history.Commit && j.here(t) && !done.Before(t.deadline):
		reason = "the transaction's timeout had passed"
	case reason == "" && inTxn && !j.here(t) && r.Kind != history.Commit:
		reason = "the transaction was not begun in this process of the daemon"
	case reason == "" && r.Kind == history.Transact && t.overdue():
		reason = "its timeout had passed when its turn came"
	case reason == "" && w.Full && t.commits == 1 && (r.Kind == history.Transact && len(r.In.Writes) > 0 || r.Kind == history.Commit && len(t.keys) > 0):
		reason = "the disk had no more than the reserve, as the daemon must know"
	}
	if r.Kind == history.Begin {
		over("open transactions", open+1, l.OpenTxns)
	}
	over("under way", r.UnderWay-r.Unsure+1, l.limitOf(r.Kind))
	over("operations", len(r.In.Writes), l.TxnOps)
	over("conditions", len(r.In.Keys)+len(r.In.Heads), l.TxnOps)
	j.answered(r, nil, w)
	if reads := r.In.TxnID != "" && !commits(r.Kind); reads {
		over("operations", len(t.keys), l.TxnOps)
		over("conditions", t.expected, l.TxnOps)
		over("bytes", t.heldLeast, l.TxnBytes)
		over("reads", t.readsUnder, l.TxnReads)
		over("bytes of all open transactions", held, l.StagedBytes)
	}
	return reason
}

func invalid(j *Judge, _ *txn, r *Request, e *history.Refusal, _ *World) string {
	field := e.Details["field"]
	bad := j.limits.fields(r.Kind, &r.In)
	switch {
	case slices.Contains(bad, field), slices.Contains(r.Bad, field):
		return ""
	case field == "at" && r.In.At != nil && (*r.In.At > r.Began || r.In.AtTime != 0):
		return ""
	case field == "at" && r.In.Versus != nil && r.In.Versus.At != nil && *r.In.Versus.At > r.Began:
		return ""
	case field == "min_read_ts" && r.In.MinRead > r.Began, field == "at" && asks(r, history.Fork, history.Restore):
		return ""
	case field == "snapshot_ts" && r.In.Reads != nil && r.In.Reads.Snapshot > r.Began:
		return ""
	case field == "after_ts" && r.Kind == history.Watch && r.In.From != nil && *r.In.From > r.Began:
		return ""
	case field == "value" && r.In.Doubles && j.limits.TxnBytes > 0 && sizeOf(&r.In) > j.limits.TxnBytes:
		return "" // its text is longer than anything a transaction may write
	case field == "value" && j.limits.ValueBytes > 0 && longest(&r.In) > j.limits.ValueBytes:
		return "" // of a Struct, the text counts where it is longer
	case field == "page_token" && r.In.PageOf != 0:
		return unless(!r.Fresh, "the same request was answered with the page token")
	}
	return fmt.Sprintf("%q is not what is wrong with it", field)
}

func notFound(j *Judge, t *txn, r *Request, _ *history.Refusal, _ *World) string {
	if r.Kind == history.Transact || r.Kind == history.Abort || r.Kind == history.GetTxn {
		return "it does not ask for an open transaction"
	}
	if !j.here(t) {
		return ""
	}
	forgotten := t.ended && j.limits.FinishedTxns > 0 && j.ended >= j.limits.FinishedTxns || t.commits > 0 && j.limits.OutcomeCount > 0
	return unless(forgotten, "the transaction was begun in this process of the daemon, and nothing can have made it forget it")
}

func expired(j *Judge, t *txn, _ *Request, _ *history.Refusal, w *World) string {
	if t.late(w.Latest) {
		return ""
	}
	if !j.here(t) {
		return "the transaction was not begun in this process of the daemon, and no timeout of it has passed"
	}
	return unless(!w.Latest.Before(t.deadline), "its timeout had %v to go", t.deadline.Sub(w.Now))
}

// tooOld: the outcomes that were dropped are as old as they are kept for, and there are more.
func tooOld(j *Judge, _ *txn, r *Request, _ *history.Refusal, w *World) string {
	if j.limits.OutcomeCount > 0 && w.Published <= uint64(j.limits.OutcomeCount) {
		return "no more commits have been made than outcomes are kept"
	}
	made, timed := madeAt(r.In.TxnID)
	if !timed {
		return "its id tells no time, so its age is not known"
	}
	slack := min(time.Hour, j.limits.OutcomeAge/2)
	return unless(!made.After(w.Latest.Add(slack-j.limits.OutcomeAge)), "its id is of %v, and outcomes are kept for %v", made.UTC(), j.limits.OutcomeAge)
}

// madeAt is the time in a UUIDv7.
func madeAt(id string) (time.Time, bool) {
	if len(id) != 36 || id[14] != '7' {
		return time.Time{}, false
	}
	ms, err := strconv.ParseInt(id[:8]+id[9:13], 16, 64)
	return time.UnixMilli(ms), err == nil
}

// dataLoss: a read is told of what it met itself. What is to be written is refused once any
// read of the process has met it.
func dataLoss(_ *Judge, _ *txn, r *Request, _ *history.Refusal, w *World) string {
	if commits(r.Kind) || r.Kind == history.Begin {
		return unless(w.Misread || w.Corrupt, "no file was corrupted, and nothing was misread in this process of the daemon")
	}
	return unless(w.Corrupt || w.Misreads > 0, "no file was corrupted, and nothing was misread meanwhile")
}

// longest is how large the largest value of a request may be.
func longest(in *history.Input) int {
	_, most := valueSize(in.Value, in.Doubles)
	for i := range in.Writes {
		_, size := valueSize(in.Writes[i].Value, in.Doubles)
		most = max(most, size)
	}
	return most
}
