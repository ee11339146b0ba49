package sim

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/sim/deserved"
	"statehouse.dev/statehouse/sim/simdisk"
)

// reasons is what the world knows of why the daemon may refuse a request.
type reasons struct {
	deserved.Causes
	planned  deserved.Causes // when the step that is in flight began: it may fail whoever joins it
	judge    *deserved.Judge
	struckAt map[string]bool // files that a fault has struck, in this process
}

// ballast is the file that the daemon gives up on a full disk (docs/FORMAT.md).
const ballast = dataDir + "/ballast"

// started says that a process of the daemon begins.
func (w *World) started() {
	reserve := uint64(DiskReserve)
	if u, err := w.machine.disk.GetDiskUsage("/"); err == nil {
		reserve = min(reserve, u.TotalBytes/4)
	}
	w.reasons.Begin(reserve, DiskReserve+DiskReserve/8)
	w.reasons.struckAt = make(map[string]bool)
	l, t := &w.served.Engine.Limits, &w.served.Tuning
	w.reasons.judge.Started(deserved.Limits{
		ValueBytes: l.ValueBytes, MetadataBytes: l.MetadataBytes, TxnOps: l.TxnOps, TxnBytes: l.TxnBytes, TxnReads: l.TxnReads,
		OpenTxns: l.OpenTxns, StagedBytes: l.StagedBytes, QueuedCommits: l.QueuedCommits, FinishedTxns: l.FinishedTxns,
		OutcomeCount: w.config.OutcomeCount, OutcomeAge: w.config.OutcomeAge, Requests: w.served.Requests, Streams: w.served.Streams,
		QueuedTime: l.QueuedTime, Rate: w.config.Rate,
		BatchNames: t.BatchNames, PageBytes: t.PageBytes, AnswerBytes: t.AnswerBytes,
	})
	w.reasons.Look(w.now(), w.room())
}

// struck says that a fault has struck. w.mu is held.
func (r *reasons) struck(i simdisk.Injection) {
	r.struckAt[i.Op.Path] = true
	switch i.Fault.Kind {
	case simdisk.PowerCut, simdisk.Stall:
	case simdisk.BitFlip, simdisk.Misread, simdisk.MisdirectedWrite, simdisk.SyncLie, simdisk.DirSyncLie:
		r.Misreads++
	case simdisk.NoSpace, simdisk.ShortNoSpace:
		r.NoSpace()
	default:
		r.Errors++
	}
}

// room is how much of the disk is free.
func (w *World) room() (d deserved.Disk) {
	if w.machine.capacity != 0 || w.config.Capacity != 0 {
		u, err := w.machine.disk.GetDiskUsage("/")
		d.Limited, d.Free = err == nil, u.AvailBytes
	}
	return d
}

// ticked says that the daemon has looked at the disk.
func (w *World) ticked() {
	if refilled := w.reasons.Looked(w.room()); refilled && !w.reasons.struckAt[ballast] && w.process.image == nil {
		if _, err := w.machine.disk.Stat(ballast); err != nil {
			w.rec.violate("G9", "no-ballast", 0, "the disk has been full and has room again, yet there is no ballast to give up the next time")
		}
	}
}

// asked is a request that has reached the daemon, and what was so then.
type asked struct {
	deserved.Request
	op     *history.Operation
	method string
	token  string
	behind bool  // an import waited for the writer then
	sent   int64 // between nodes, when it came
	then   deserved.Causes
}

// arrived makes note of a request that reaches the daemon.
func (w *World) arrived(c *Call) *asked {
	a := &asked{op: c.op, method: c.request.method.Word, then: w.reasons.Causes, behind: w.importsWait()}
	if w.peers != nil {
		a.sent, a.Began = w.askedFirst(c), uint64(w.process.service.Engine().Published())
		_, a.Stranger = w.keys.revoked[c.token]
		a.Denied, a.token = c.request.denied, c.token
		return a
	}
	a.ID, a.Kind, a.In, a.Began = c.op.ID, c.op.Kind, c.op.In, uint64(w.process.service.Engine().Published())
	if c.commits() && w.InFlight() {
		a.then = w.reasons.planned
	}
	a.In.TxnID = c.request.id
	if from := w.network.calls[a.In.PageOf]; from != nil {
		a.Fresh = deserved.SamePages(from.op, c.op) && from.request.space() == c.request.space()
	}
	a.Probe = probes[c.request.method.Word]
	w.countUnderWay(a, c)
	a.Bad, a.Strict, a.Stranger, a.Denied, a.token = c.request.bad, c.request.strict, c.request.stranger, c.request.denied, c.token
	if a.Kind == "" && !deserved.IsNamespace(c.request.space()) { // the rules know no fields of it
		a.Bad = append(a.Bad, "namespace")
	}
	if _, ended := w.keys.revoked[c.token]; ended {
		a.Stranger = true
	}
	now, _ := w.process.service.Engine().Epoch()
	a.OtherEpoch = slices.ContainsFunc(c.request.epochs, func(epoch string) bool { return epoch != now })
	a.Arrival, a.InSession = w.now(), c.InSession()
	w.reasons.judge.Arrived(&a.Request)
	return a
}

// countUnderWay counts what is under way beside a call.
func (w *World) countUnderWay(a *asked, c *Call) {
	a.UnderWay, a.Unsure = 0, 0
	count := func(other *Call) {
		if other == c || other.Stream() != c.Stream() || probes[other.request.method.Word] {
			return
		}
		a.UnderWay++
		if other.in != nil && !other.Stream() && (!other.in.started || other.in.stream.sending) {
			a.Unsure++
		}
	}
	for _, other := range w.handlers {
		if !other.handler.Ended() && other.request.method != jobMethod {
			count(other)
		}
	}
	for _, s := range w.network.streams {
		for _, other := range s.under {
			if !other.in.begun {
				count(other)
			}
		}
	}
}

// openTxns counts the open transactions, at most and at least.
func (w *World) openTxns() (most, least int) {
	know := w.reasons.Since(&w.reasons.Causes, w.now())
	return w.reasons.judge.Open(&know)
}

// judgeAnswer asks of the daemon's answer whether it was deserved. gone: the client has given
// the request up.
func (w *World) judgeAnswer(a *asked, resp []byte, err error, gone bool) {
	if w.peers != nil {
		w.judgeMember(a, resp, err, gone)
		return
	}
	w.reasons.Corrupt = w.machine.pristine != nil
	know := w.reasons.Since(&a.then, w.now())
	know.Gone, know.Published = gone, uint64(w.process.service.Engine().Published())
	know.Importing = a.behind || w.importsWait()
	told, reason := "accepted", ""
	a.Revoked = w.keys.revoking[a.token]
	if a.Kind == "" {
		w.judgeOther(a, err, &know)
		return
	}
	if err != nil {
		outcome, refusal := record.Outcome(err)
		if !gone {
			w.rec.probe("refused: " + refusal.Code)
		}
		told = fmt.Sprintf("refused (%s: %s)", refusal.Code, refusal.Message)
		reason = w.reasons.judge.Refused(&a.Request, refusal, outcome == history.Unknown, &know)
	} else {
		var m pb.BeginTransactionResponse
		if a.Kind == history.Begin && proto.Unmarshal(resp, &m) == nil {
			a.Begun, a.Timeout = m.GetTxnId(), time.Duration(m.GetTimeoutMs())*time.Millisecond
		}
		reason = w.reasons.judge.Accepted(&a.Request, &know)
	}
	if reason != "" {
		w.rec.violate("G9", "undeserved", a.op.ID, fmt.Sprintf("#%d %s of %s was %s: %s", a.op.ID, a.op.Kind, a.op.Client, told, reason))
	}
}

// probes are the methods that no limit of requests is about.
var probes = map[string]bool{"Health": true, "Version": true, "GetStatus": true}

// judgeOther holds a method that no history has to the little that it may be refused for.
func (w *World) judgeOther(a *asked, err error, know *deserved.World) {
	_, refusal := record.Outcome(err)
	tooOften := err != nil && refusal.Code == "OVERLOADED" && w.config.Rate > 0
	full := err != nil && refusal.Code == "LIMIT_EXCEEDED" && !probes[a.method] && a.UnderWay >= w.served.Requests
	troubled := full || tooOften || know.Gone || know.Draining || know.Errors+know.Misreads > 0 || know.Misread || know.Corrupt
	unknown := err != nil && refusal.Code == "UNAUTHENTICATED"
	denied := err != nil && refusal.Code == "PERMISSION_DENIED"
	if a.Stranger && !unknown || unknown && !a.Stranger && !a.Revoked || denied && !a.Denied || a.Denied && err == nil ||
		err != nil && !unknown && !denied && !troubled && len(a.Bad) == 0 {
		w.rec.violate("G9", "undeserved", a.op.ID, fmt.Sprintf("#%d of %s was answered %v; its token is wrong: %v", a.op.ID, a.op.Client, err, a.Stranger))
	}
}

// checkRefused holds refusals that were for good to the log.
func (w *World) checkRefused() {
	applied := make(map[string]uint64, len(w.rec.history.Log))
	for i := range w.rec.history.Log {
		ev := &w.rec.history.Log[i]
		id := ev.TxnID
		if wire, known := w.names.wire[id]; known {
			id = wire
		}
		applied[id] = ev.CommitTS
	}
	w.reasons.judge.Applied(applied, func(op int, ts uint64) {
		w.rec.violate("G6", "refused-but-applied", op, fmt.Sprintf("#%d was refused for good and not tried again, yet it is commit %d", op, ts))
	})
}
