package deserved

import (
	"strconv"
	"strings"
	"time"

	"statehouse.dev/statehouse/history"
)

// overloaded: the commit has waited for long, or its client asks too often; and it says when to
// come back.
func overloaded(j *Judge, _ *txn, r *Request, e *history.Refusal, w *World) string {
	if ms, err := strconv.Atoi(e.Details["retry_after_ms"]); err != nil || ms < 1 {
		return "it does not say when to try again"
	}
	if strings.Contains(e.Message, "requests a second") {
		return tooOften(j, r)
	}
	if r.Kind != history.Commit && r.Kind != history.Transact {
		return "it waits for nothing"
	}
	// Of the clock's jumps only those ahead make a wait look longer than the steps it took.
	least := j.limits.QueuedTime / 4
	waited := w.Latest.Sub(r.Arrival)
	return unless(waited > least, "it has waited for %v at most, and may wait for %v", waited, least)
}

// tooOften: a bucket is empty only while requests come faster than it fills. One that came in a
// session is asked about when it begins, and others that came after it may have begun before.
func tooOften(j *Judge, r *Request) string {
	if j.limits.Rate == 0 {
		return "no rate is set"
	}
	fills := time.Second / time.Duration(j.limits.Rate)
	overtaken := r.InSession && j.asks > r.ask
	return unless(r.idle < fills || r.UnderWay > 0 || overtaken, "nobody asked for %v, in which it may be asked once in %v", r.idle, fills)
}
