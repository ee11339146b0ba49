package engine

import (
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Outcome returns the state of a transaction by its id: from the table, else from the
// store, else the reason why it is not known.
func (e *Engine) Outcome(id TxnID) (TxnOutcome, error) {
	if err := words.CheckTxnID(id); err != nil {
		return TxnOutcome{}, err
	}
	if o := e.txns.state(id, e.now()); o.State == TxnOpen || o.State == TxnCommitted {
		return o, nil
	}
	undecided := e.waiting(id) != nil // asked first: if it is decided meanwhile, the lookups below find it
	r, found, err := e.committed(id)
	if err != nil {
		return TxnOutcome{}, err
	}
	if found {
		return TxnOutcome{TxnCommitted, r}, nil
	}
	if o := e.txns.state(id, e.now()); o.State != TxnNeverSeen {
		return o, nil
	}
	if undecided {
		return TxnOutcome{State: TxnOpen}, nil
	}
	if e.tooOld(id) {
		return TxnOutcome{State: TxnTooOld}, nil
	}
	return TxnOutcome{State: TxnNeverSeen}, nil
}

// outcomeOf looks up a published commit by its id.
func (e *Engine) outcomeOf(id TxnID) (layout.OutcomeRow, bool, error) {
	o, found, err := dbState{e.db}.outcome(id)
	if err == nil && found && o.CommitTS <= e.Published() {
		return o, true, nil
	}
	return layout.OutcomeRow{}, false, e.noted(err)
}

// committed returns the answer of a published commit, by its id.
func (e *Engine) committed(id TxnID) (CommitResult, bool, error) {
	o, found, err := e.outcomeOf(id)
	if !found {
		return CommitResult{}, false, err
	}
	return e.resultOf(id, o.CommitTS)
}

// resultOf is loadResult of a commit whose outcome was found under its id. Where retention has
// passed its events they go with the outcome, which may be meanwhile: then it was not found.
func (e *Engine) resultOf(id TxnID, ts CommitTS) (CommitResult, bool, error) {
	r, err := e.loadResult(ts)
	if err != nil {
		if _, found, again := e.outcomeOf(id); again == nil && !found {
			return CommitResult{}, false, nil
		}
	}
	return r, err == nil, e.noted(err)
}

// loadResult reads a commit's answer from the log.
func (e *Engine) loadResult(ts CommitTS) (CommitResult, error) {
	row, err := readLogRow(e.db, ts)
	if err != nil {
		return CommitResult{}, err
	}
	r := CommitResult{CommitTS: ts, CommitTime: row.CommitTime}
	for i := range row.Parts {
		a := row.Parts[i].Agent
		ev, err := readEventRow(e.db, a, ts)
		if err != nil {
			return CommitResult{}, err
		}
		for j := range ev.Ops {
			r.Versions = append(r.Versions, KeyVersion{RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: ev.Ops[j].Key}, ev.Ops[j].Version})
		}
	}
	return r, nil
}

// noted returns err and records corruption.
func (e *Engine) noted(err error) error {
	if err != nil {
		e.noteCorruption(err)
	}
	return err
}

// tooOld reports whether the outcome of an unknown id may have been dropped. A UUIDv7
// says when it was made; any other id may be of any age.
func (e *Engine) tooOld(id TxnID) bool {
	floor := e.prunedTime.Load()
	if floor == 0 {
		return false // nothing was ever dropped
	}
	return madeBy(id, time.Unix(0, floor).Add(e.idSlack()))
}

// forgotten is tooOld for ids that say when they were made. Of others no retry is answered
// from the outcomes for longer than they are kept.
func (e *Engine) forgotten(id TxnID) bool {
	_, ok := layout.TxnIDTime(id)
	return ok && e.tooOld(id)
}

// madeBy reports whether an id may have been made at t or before.
func madeBy(id TxnID, t time.Time) bool {
	made, ok := layout.TxnIDTime(id)
	return !ok || !made.After(t)
}

// idSlack is how far a client's clock may run ahead of ours. It is less if outcomes are
// kept for a short time: an id made now must not be too old.
func (e *Engine) idSlack() time.Duration { return min(clockSlack, e.opts.Limits.OutcomeAge/2) }

// refuseTooOld refuses a commit whose outcome may have been dropped, which could be
// applied twice. An id without a time has no known age and is let through. It is called
// while planning, after the lookup found no outcome, so that none is dropped in between.
func (e *Engine) refuseTooOld(p *proposal, now time.Time) error {
	if p.interactive || !e.forgotten(p.id) {
		return nil
	}
	made, _ := layout.TxnIDTime(p.id)
	// The message names both clocks: if the client's is behind, every id that it makes is
	// refused.
	behind := now.Sub(made)
	return words.Failf(ErrTxnTooOld, "transaction id %s is older than the outcomes kept, so this commit could be a repeat and is not applied: "+
		"by the clock that made the id it is %s, by the daemon's %s, %v later; if the id is new, set the clock of the client's machine",
		p.id, clockText(made), clockText(now), behind.Round(time.Millisecond)).
		With("id_time", clockText(made)).With("daemon_time", clockText(now)).With("behind_ms", strconv.FormatInt(behind.Milliseconds(), 10))
}

func clockText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// inDoubt marks err as the answer to a commit that may have been applied when it was
// sent before.
func inDoubt(err error) error {
	var f *Failure
	if !errors.As(err, &f) {
		f = words.Failf(ErrStorage, "%s", withoutPath(err))
	}
	return &Failure{Kind: f.Kind, Message: f.Message, Details: f.Details, InDoubt: true}
}

// clockSlack is the maximum of idSlack. An id that is further ahead of its commit would
// look fresh after its outcome was dropped, so its outcome is never dropped.
const clockSlack = time.Hour

// pruneOutcomes drops outcomes that exceed both OutcomeAge and OutcomeCount, a few with
// each batch, so that the work is bounded and keeps up. The log keeps every commit; only
// the way from an id to its commit is dropped. It returns the commit_time of the last one; zero: there is
// none.
func (e *Engine) pruneOutcomes(batch *pebble.Batch, commits int, now time.Time) (last time.Time) {
	p, l := &e.pruned, &e.opts.Limits
	start := p.floor
	for range 2*commits + 2 {
		if e.Published() < p.floor+1+CommitTS(l.OutcomeCount) {
			break
		}
		if p.nextDue != 0 && now.UnixNano()-p.nextDue < int64(l.OutcomeAge) {
			break
		}
		row, err := readLogRow(e.db, p.floor+1)
		if err != nil {
			e.noteCorruption(err)
			break // what is dropped by now is so with the floor that says so
		}
		if p.nextDue = row.CommitTime.UnixNano(); now.UnixNano()-p.nextDue < int64(l.OutcomeAge) {
			break
		}
		if madeBy(row.TxnID, row.CommitTime.Add(e.idSlack())) {
			events, err := e.eventsToDrop(p.floor+1, &row)
			if err != nil { // the outcome needs all of them
				e.noteCorruption(err)
				break
			}
			for _, key := range append(events, layout.OutcomeKey(row.TxnID)) {
				_ = batch.Delete(key, nil)
			}
			e.planner.outcomes.drop(row.TxnID) // or a copy would find it for as long as it is cached
		}
		p.floor++
		p.nextDue = 0
		last = row.CommitTime
	}
	if p.floor != start {
		e.reached.OutcomeAge.Add(1)
		e.reached.OutcomeCount.Add(1)
		body := binary.AppendUvarint(nil, uint64(p.floor))
		_ = batch.Set(floorKey, layout.SealRow(floorKey, body), nil)
	}
	return last
}

// definiteEnd reports whether err ended the transaction, as opposed to leaving it open
// (a full disk) or being about another transaction (a reused id).
func definiteEnd(err error) bool {
	return errors.Is(err, ErrConflict) || errors.Is(err, ErrPrecondition) || errors.Is(err, ErrEvaluation) || errors.Is(err, ErrLeaseHeld) || errors.Is(err, ErrLeaseLost) || errors.Is(err, ErrTxnExpired) || errors.Is(err, ErrOutOfRange)
}

// lasting reports whether every copy of a commit refused with err will be refused, too,
// as opposed to a refusal for a passing reason.
func lasting(err error) bool {
	return definiteEnd(err) || errors.Is(err, ErrTxnIDReused) || errors.Is(err, ErrTxnTooOld)
}

func endState(err error) TxnState {
	if errors.Is(err, ErrTxnExpired) {
		return TxnExpired
	}
	return TxnAborted
}
