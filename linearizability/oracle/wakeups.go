package oracle

import (
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/model"
)

// Records that are due. The log has that something became of a record as one that is due, and not what: that
// follows from the request that made the commit, or from why the daemon did. A wake-up waits for its time, is
// ready from a commit of the daemon's on, and claimed by one worker until the worker completes it or gives it back,
// or the claim lapses. So it is handed out to one at a time, and completed once.

// wakeState is what a version of a wake-up is. One that was deleted is none.
type wakeState byte

const (
	wakeUnknown wakeState = iota // whoever made it is not in the history
	wakeWaits
	wakeReady
	wakeClaimed
)

func (s wakeState) String() string {
	return [...]string{"not known", "not due yet", "ready", "claimed"}[s]
}

// wakeAsk is what a request asks of one wake-up.
type wakeAsk struct {
	op    *history.Write
	times int // of several operations it is not known which the log shows
}

// asksOfWakes are a request's operations on wake-ups, by their names; claims reports that it is a claim, of any.
func asksOfWakes(op *history.Operation) (asks map[history.Name]wakeAsk, claims bool) {
	for i := range op.In.Writes {
		w := &op.In.Writes[i]
		n, with := model.DueName(w.Name), w.Arguments()
		key, due := strings.CutPrefix(w.Key, "due:")
		switch {
		case w.Op == history.Claim:
			return nil, true
		case w.Op == history.Release && due:
			n = model.DueName(history.Name{Namespace: w.Namespace, Agent: w.Agent, Key: key})
		case w.Op == history.Complete, with.DueAt != 0, with.DueIn != nil:
		default:
			continue
		}
		if asks == nil {
			asks = make(map[history.Name]wakeAsk)
		}
		asks[n] = wakeAsk{w, asks[n].times + 1}
	}
	return asks, false
}

// underClaim reports whether an operation is done under the token of a claim.
func underClaim(w history.Write) bool {
	return w.Op == history.Complete || w.Op == history.Release && strings.HasPrefix(w.Key, "due:")
}

// findWakes follows the wake-ups through the log.
func (j *judge) findWakes(h *history.History) {
	j.wakes = make(map[versioned]wakeState)
	if !slices.ContainsFunc(j.model.Log, func(ev history.Event) bool {
		return slices.ContainsFunc(ev.Ops, func(o history.EventOp) bool { return o.Due })
	}) {
		return
	}
	for i := range j.model.Log {
		ev := &j.model.Log[i]
		changes := j.model.Changes(ev)
		if ev.Cause != "" {
			for _, o := range changes {
				if o.Due && !o.Delete {
					j.woken(ev, o)
				}
			}
			continue
		}
		t := j.txns[ev.TxnID]
		if ev.ByOperator() || j.unexplained(ev) {
			continue
		}
		if op, _, matched := j.applied(t, ev); matched {
			j.wakesOf(op, ev, changes)
		}
	}
	for _, op := range h.Operations {
		if op.Outcome == history.OK && len(op.In.Writes) == 1 && op.In.Writes[0].Op == history.Claim {
			j.checkClaim(op)
		}
	}
}

// wakeAt is a wake-up after a commit.
func (j *judge) wakeAt(n history.Name, ts uint64) (state wakeState, version uint64, exists bool) {
	v := j.model.At(n, ts)
	if !v.Exists() {
		return wakeUnknown, v.Num(), v == nil && j.model.Base > 0
	}
	return j.wakes[versioned{n, v.Num()}], v.Num(), true
}

// may reports whether a wake-up can have been in a state after a commit.
func (j *judge) may(n history.Name, ts uint64, state wakeState) bool {
	was, _, exists := j.wakeAt(n, ts)
	return exists && (was == state || was == wakeUnknown)
}

func (j *judge) violateWake(ev *history.Event, o *history.EventOp, check, what string) {
	state, version, exists := j.wakeAt(o.Name, ev.CommitTS-1)
	was := "there was none"
	if exists {
		was = fmt.Sprintf("version %d, %v", version, state)
	}
	j.violateAt("G3", check, ev, "commit %d %s as record %q of agent %q is due: before it %s", ev.CommitTS, what, strings.TrimPrefix(o.Key, model.DueName(history.Name{}).Key), o.Agent, was)
}

// woken: what the daemon makes ready waited for its time, or was claimed. Whether it was time, checkTimers says.
func (j *judge) woken(ev *history.Event, o history.EventOp) {
	from := wakeWaits
	if ev.Cause == "lapsed" {
		from = wakeClaimed
	}
	if !j.may(o.Name, ev.CommitTS-1, from) {
		j.violateWake(ev, &o, "woken-wrongly", "says that something has "+ev.Cause)
	}
	j.wakes[versioned{o.Name, o.Version}] = wakeReady
}

// wakesOf holds a client's commit to what may become of wake-ups, and takes down what did.
func (j *judge) wakesOf(op *history.Operation, ev *history.Event, changes []history.EventOp) {
	asks, claims := asksOfWakes(op)
	ends := make(map[history.Name]bool) // of the records that are deleted
	for _, o := range changes {
		if o.Delete && !model.Hidden(o.Name) && o.Act == nil {
			ends[model.DueName(o.Name)] = true
		}
	}
	for _, o := range changes {
		if !o.Due {
			continue
		}
		ask, asked := asks[o.Name]
		delete(ends, o.Name)
		delete(asks, o.Name)
		switch {
		case claims:
			j.claimed(op, ev, &o)
		case asked && ask.times > 1:
		case asked:
			j.changedWake(&ask, ev, &o)
		case !o.Delete, !deletes(changes, o.Name):
			j.violateWake(ev, &o, "wake-changed-unasked", "changes what was not asked for")
		}
	}
	for n := range ends { // each by itself
		if _, _, exists := j.wakeAt(n, ev.CommitTS-1); exists && j.model.Base == 0 {
			j.violateWake(ev, &history.EventOp{Name: n}, "wake-outlives-record", "deletes the record, and nothing ends")
		}
	}
	for n, ask := range asks { // each by itself
		if ask.times == 1 && !deletes(changes, n) {
			j.violateWake(ev, &history.EventOp{Name: n}, "wake-not-changed", "leaves what was to change")
		}
	}
}

// deletes reports whether a commit deletes the record of a wake-up.
func deletes(changes []history.EventOp, wake history.Name) bool {
	return slices.ContainsFunc(changes, func(o history.EventOp) bool {
		return o.Delete && !model.Hidden(o.Name) && model.DueName(o.Name) == wake
	})
}

func (j *judge) claimed(op *history.Operation, ev *history.Event, o *history.EventOp) {
	if !j.may(o.Name, ev.CommitTS-1, wakeReady) || o.Delete {
		j.violateWake(ev, o, "claimed-not-ready", "hands out what is not ready,")
	}
	ttl := int64(op.In.Writes[0].Arguments().TTL) * millisecond
	at := versioned{o.Name, o.Version}
	j.wakes[at], j.holds[at] = wakeClaimed, &hold{lease: true, deadline: ev.CommitTime + ttl, ttl: ttl}
}

// changedWake is of an operation that sets when a record is due, or of one under the token of a claim.
func (j *judge) changedWake(ask *wakeAsk, ev *history.Event, o *history.EventOp) {
	with, at := ask.op.Arguments(), versioned{o.Name, o.Version}
	switch ask.op.Op {
	case history.Complete, history.Release:
		if _, version, _ := j.wakeAt(o.Name, ev.CommitTS-1); !j.may(o.Name, ev.CommitTS-1, wakeClaimed) || version != 0 && version != with.Token || o.Delete != (ask.op.Op == history.Complete) {
			j.violateWake(ev, o, "claim-not-held", fmt.Sprintf("is a %s under token %d", ask.op.Op, with.Token))
		}
		j.wakes[at] = wakeReady
	case "":
		due := with.DueAt
		if with.DueIn != nil {
			due = ev.CommitTime + int64(*with.DueIn)*millisecond
		}
		j.wakes[at], j.holds[at] = wakeWaits, &hold{deadline: max(due, ev.CommitTime+1)}
	}
}

// checkClaim holds what a claim was answered to what it took, and that to what there was.
func (j *judge) checkClaim(op *history.Operation) {
	w := &op.In.Writes[0]
	with := w.Arguments()
	limit := max(int(with.Limit), 1)
	var told []history.DueRecord
	if len(op.Out.Results) == 1 {
		told = op.Out.Results[0].Claimed
	}
	ev := j.model.ByTxn[op.In.TxnID]
	if ev == nil || j.cameToNothing(op, ev) {
		first := op // whoever asks again is told what the first was
		if t := j.txns[op.In.TxnID]; t != nil && len(t.attempts) > 0 {
			first = t.attempts[0]
		}
		low, _ := j.window(first)
		if _, high := j.window(op); len(told) > 0 || !j.early(first.Call) && j.leaves(w, low, high) {
			j.breaks(op, "G1", "claim-misses", "a record that is due", "none", "it was told that nothing is due, and something was all the while")
		}
		return
	}
	if n := len(ev.Ops); len(told) != n || n > limit {
		j.breaks(op, "G3", "claim-differs", fmt.Sprint(min(n, limit)), fmt.Sprint(len(told)), "it was told of another number of records than commit %d handed out, or of more than it had asked for", ev.CommitTS)
		return
	}
	for i := range told {
		if why := j.wrongClaim(ev, w, &told[i]); why != "" {
			j.breaks(op, "G3", "claim-differs", "", fmt.Sprintf("%+v", told[i].Lease), "it was told otherwise what commit %d handed out: %s", ev.CommitTS, why)
		}
	}
	if len(told) < limit && j.leaves(w, ev.CommitTS, ev.CommitTS) {
		j.breaks(op, "G1", "claim-misses", "all that was ready", fmt.Sprint(len(told)), "commit %d left some of what was ready, and had room for it", ev.CommitTS)
	}
}

func (j *judge) wrongClaim(ev *history.Event, w *history.Write, d *history.DueRecord) string {
	l := d.Lease
	switch {
	case l == nil || d.Record == nil:
		return "no lease, or no record"
	case !j.inScope(w, l.Namespace, l.Agent, strings.TrimPrefix(l.Lease, "due:")):
		return "a record that it had not asked for"
	}
	n := history.Name{Namespace: l.Namespace, Agent: l.Agent, Key: strings.TrimPrefix(l.Lease, "due:")}
	wake, rec := j.model.At(model.DueName(n), ev.CommitTS), j.model.At(n, ev.CommitTS)
	switch {
	case !wake.Exists() || wake.TS != ev.CommitTS || wake.Num() != l.Token:
		return "another token"
	case rec != nil && (d.Record.Key != n.Key || d.Record.Version != rec.Num()):
		return "another record"
	case l.Deadline < ev.CommitTime+int64(w.Arguments().TTL)*millisecond:
		return "a deadline before that of its time to live"
	}
	return ""
}

// inScope reports whether a claim is about a record.
func (j *judge) inScope(w *history.Write, ns, agent, key string) bool {
	return ns == w.Namespace && (w.Agent == "" || w.Arguments().AllAgents || agent == w.Agent) && strings.HasPrefix(key, w.Key)
}

// leaves reports whether some record that a claim is about was ready after each of these commits.
func (j *judge) leaves(w *history.Write, low, high uint64) bool {
	mark := model.DueName(history.Name{}).Key
	for n := range j.model.Keys { // any: order cannot matter
		key, due := strings.CutPrefix(n.Key, mark)
		if !due || !j.inScope(w, n.Namespace, n.Agent, key) {
			continue
		}
		always := true
		for ts := max(low, j.model.Base); always && ts <= high; ts++ {
			state, _, exists := j.wakeAt(n, ts)
			always = exists && state == wakeReady
		}
		if always {
			return true
		}
	}
	return false
}

// heldUnder reports whether a lease can have been held under a token after a commit; of a wake-up that is not claimed
// no version is a token.
func (j *judge) heldUnder(n history.Name, token, ts uint64) bool {
	v := j.model.At(n, ts)
	if v == nil && j.model.Base > 0 {
		return true
	}
	return v.Exists() && v.Num() == token && (!model.IsDue(n) || j.may(n, ts, wakeClaimed))
}

// unknownWake reports whether it is not known what a lease is the lease of, or whether it is held.
func (j *judge) unknownWake(n history.Name, ts uint64) bool {
	state, _, exists := j.wakeAt(n, ts)
	return model.IsDue(n) && exists && state == wakeUnknown
}

// lostClaim reports whether a request on one claim was refused as it must be: at some point at which it can have
// been decided the claim was not held under its token.
func (j *judge) lostClaim(asks map[history.Name]wakeAsk, low, high uint64) bool {
	for n, ask := range asks { // any: order cannot matter
		for ts := max(low, j.model.Base); ts <= high; ts++ {
			v := j.model.At(n, ts)
			state, _, exists := j.wakeAt(n, ts)
			if ask.times > 1 || !exists || state != wakeClaimed || v == nil || v.Num() != ask.op.Arguments().Token {
				return true
			}
		}
	}
	return false
}
