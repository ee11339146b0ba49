package sim

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/sim/deserved"
	"statehouse.dev/statehouse/sim/simdisk"
)

// reasons is what the world knows of why the daemon may refuse a request: what befell its disk
// and since when, and what clients hold.
type reasons struct {
	judge  *deserved.Judge
	latest time.Time // that the clock has ever shown

	errors   int // faults that have failed an operation of the disk
	misreads int // faults that have falsified what was read

	// Of the process that runs.
	misreadsBefore int // it began
	draining       bool
	short          bool // the disk has been short of room since the daemon last saw that it is not
	lastShort      int  // the number of steps when it last was
	full           bool // the daemon has seen that it is, and it has been since
	gaveUpBallast  bool // the daemon saw that the disk is full when it looked last
	noBallast      bool // a fault has struck the ballast file

	definite []definite
}

// definite is a refusal of a commit that says: this request was not applied, nor any before it
// for the same transaction.
type definite struct {
	op       *history.Operation
	code     string
	txn      string // on the wire
	attempts int    // to commit it, by then
}

func newReasons() reasons { return reasons{judge: deserved.NewJudge()} }

// started says that a process of the daemon begins.
func (w *World) started() {
	r := &w.reasons
	r.misreadsBefore, r.draining, r.short, r.full = r.misreads, false, false, false
	r.gaveUpBallast, r.noBallast = false, false
	l := w.config.limits()
	r.judge.Started(deserved.Limits{
		ValueBytes: l.ValueBytes, MetadataBytes: l.MetadataBytes, TxnOps: l.TxnOps, TxnBytes: l.TxnBytes, TxnReads: l.TxnReads,
		OpenTxns: l.OpenTxns, StagedBytes: l.StagedBytes, QueuedCommits: l.QueuedCommits, FinishedTxns: l.FinishedTxns,
		OutcomeCount: l.OutcomeCount, OutcomeAge: l.OutcomeAge,
	})
	w.look()
}

// struck says that a fault has struck. w.mu is held.
func (r *reasons) struck(i simdisk.Injection) {
	r.noBallast = r.noBallast || i.Op.Path == ballast
	switch i.Fault.Kind {
	case simdisk.PowerCut, simdisk.Stall:
	case simdisk.BitFlip, simdisk.Misread, simdisk.MisdirectedWrite, simdisk.SyncLie, simdisk.DirSyncLie:
		r.misreads++
	case simdisk.NoSpace, simdisk.ShortNoSpace:
		r.errors++
		r.short = true
	default:
		r.errors++
	}
}

// look keeps what the clock and the disk show between two steps.
func (w *World) look() {
	r := &w.reasons
	if now := w.Now(); now.After(r.latest) {
		r.latest = now
	}
	if avail, limited := w.room(); limited && avail < reserveAndMargin {
		r.short = true
	} else {
		r.full = false
	}
	if r.short {
		r.lastShort = len(w.rec.steps)
	}
}

// With less room than DiskReserve the daemon refuses writes. It accepts them again when there
// is an eighth more.
const reserveAndMargin = DiskReserve + DiskReserve/8

// room is how much of a limited disk is free.
func (w *World) room() (bytes uint64, limited bool) {
	if w.machine.capacity == 0 && w.config.Capacity == 0 {
		return 0, false
	}
	u, err := w.machine.disk.GetDiskUsage("/")
	return u.AvailBytes, err == nil
}

// ticked says that the daemon has looked at the disk.
func (w *World) ticked() {
	r := &w.reasons
	avail, limited := w.room()
	r.short = limited && avail < reserveAndMargin
	r.full = limited && w.process.reserve > 0 && avail < w.process.reserve
	if r.gaveUpBallast && !r.noBallast && (!limited || avail >= 2*DiskReserve) && w.process.image == nil {
		if _, err := w.machine.disk.Stat(ballast); err != nil {
			w.rec.violate("G9", "no-ballast", 0, "the disk has been full and has room again, yet there is no ballast to give up the next time")
		}
	}
	r.gaveUpBallast = r.full
}

// ballast is the file that the daemon gives up on a full disk (docs/FORMAT.md).
const ballast = dataDir + "/ballast"

// asked is a request that has reached the daemon, and what was so then.
type asked struct {
	deserved.Request
	call     *Call
	errors   int
	misreads int
	step     int
	full     bool
}

// arrived makes note of a request that reaches the daemon.
func (w *World) arrived(c *Call) *asked {
	a := &asked{call: c, errors: w.reasons.errors, misreads: w.reasons.misreads, step: len(w.rec.steps), full: w.reasons.full}
	a.Kind, a.In, a.Began = c.op.Kind, c.op.In, uint64(w.process.service.Engine().Published())
	if id, known := w.names.wire[a.In.TxnID]; known {
		a.In.TxnID = id
	}
	if from := w.network.calls[a.In.PageOf]; from != nil {
		a.Fresh = samePages(&from.op.In, &c.op.In, from.op.Kind == c.op.Kind)
	}
	for _, other := range w.network.handlers {
		switch {
		case other.handler.Ended():
		case other.Stream():
			a.Streams++
		default:
			a.Requests++
		}
	}
	if c.Stream() {
		a.Streams, a.Requests = a.Streams+1, 0
	} else {
		a.Streams, a.Requests = 0, a.Requests+1
	}
	w.reasons.judge.Arrived(&a.Request)
	return a
}

// samePages reports whether a request may go on with a page that another was answered.
func samePages(first, next *history.Input, sameKind bool) bool {
	return sameKind && first.Namespace == next.Namespace && first.Agent == next.Agent && first.Key == next.Key && first.Prefix == next.Prefix &&
		first.Reverse == next.Reverse && first.OldestFirst == next.OldestFirst && first.TxnID == next.TxnID
}

// openTxns counts the open transactions, at most and at least.
func (w *World) openTxns() (most, least int) {
	return w.reasons.judge.Open(&deserved.World{Now: w.Now(), Latest: w.reasons.latest})
}

// judgeAnswer asks of the daemon's answer whether it was deserved. gone: the client has given
// the request up.
func (w *World) judgeAnswer(a *asked, resp []byte, err error, gone bool) {
	r := &w.reasons
	know := deserved.World{
		Now: w.Now(), Latest: r.latest, Published: uint64(w.process.service.Engine().Published()),
		Errors: r.errors - a.errors, Misreads: r.misreads - a.misreads, Misread: r.misreads > r.misreadsBefore,
		Corrupt: w.machine.pristine != nil, Short: r.short || r.lastShort >= a.step, Full: a.full && r.full, Draining: r.draining, Gone: gone,
	}
	if know.Now.After(know.Latest) {
		know.Latest = know.Now
	}
	told := "accepted"
	var reason string
	if err != nil {
		outcome, refusal := record.Outcome(err)
		told = fmt.Sprintf("refused (%s: %s)", refusal.Code, refusal.Message)
		if c := a.Kind; (c == history.Commit || c == history.Transact) && outcome == history.Fail && ofOneTry[refusal.Code] && a.In.TxnID != "" {
			r.definite = append(r.definite, definite{a.call.op, refusal.Code, a.In.TxnID, r.judge.Attempts(a.In.TxnID)})
		}
		reason = r.judge.Refused(&a.Request, refusal, outcome == history.Unknown && len(refusal.Code) > 0 && refusal.Code[0] < 'a', &know)
	} else {
		var m pb.BeginTransactionResponse
		if a.Kind == history.Begin && proto.Unmarshal(resp, &m) == nil {
			a.Begun, a.Timeout = m.GetTxnId(), time.Duration(m.GetTimeoutMs())*time.Millisecond
		}
		reason = r.judge.Accepted(&a.Request, &know)
	}
	if reason != "" {
		op := a.call.op
		w.rec.violate("G9", "undeserved", op.ID, fmt.Sprintf("#%d %s of %s was %s: %s", op.ID, op.Kind, op.Client, told, reason))
	}
}

// ofOneTry are the refusals that speak of one try to commit. The oracle holds the others, which
// decide the transaction, to the log.
var ofOneTry = map[string]bool{"DISK_FULL": true, "LIMIT_EXCEEDED": true, "UNAVAILABLE": true, "STORAGE_ERROR": true, "DATA_LOSS": true}

// checkDefinite: what was refused for good, and not tried again, is not in the log. Where
// outcomes are dropped a repeat may be refused for good of what was applied.
func (w *World) checkDefinite() {
	applied := make(map[string]uint64, len(w.rec.history.Log))
	for i := range w.rec.history.Log {
		applied[w.rec.history.Log[i].TxnID] = w.rec.history.Log[i].CommitTS
	}
	for _, d := range w.reasons.definite {
		ts := applied[w.names.fromWire(d.txn)]
		if ts == 0 || w.reasons.judge.Attempts(d.txn) > d.attempts || d.attempts > 1 && w.config.OutcomeCount > 0 {
			continue
		}
		w.rec.violate("G6", "refused-but-applied", d.op.ID, fmt.Sprintf("#%d %s of %s was refused for good (%s) and not tried again, yet it is commit %d", d.op.ID, d.op.Kind, d.op.Client, d.code, ts))
	}
}
