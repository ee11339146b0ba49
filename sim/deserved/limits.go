package deserved

import (
	"strings"

	"statehouse.dev/statehouse/history"
)

// counted are the limits that a refusal can name, with how much of each is taken at most, with
// what the request asks for.
var counted = []struct {
	what  string // in the refusal's details, or in its message
	taken func(j *Judge, t *txn, r *Request, w *World) int
	limit func(l *Limits) int
}{
	{"open transactions", func(j *Judge, _ *txn, _ *Request, w *World) int { most, _ := j.Open(w); return most + 1 }, func(l *Limits) int { return l.OpenTxns }},
	{"operations of a transaction", func(_ *Judge, t *txn, r *Request, _ *World) int {
		return max(len(r.In.Writes), len(t.keys)+newKey(t, r))
	}, func(l *Limits) int { return l.TxnOps }},
	{"preconditions of a transaction", func(_ *Judge, t *txn, r *Request, _ *World) int {
		return max(len(r.In.Keys)+len(r.In.Heads), t.expected+1)
	}, func(l *Limits) int { return l.TxnOps }},
	{"bytes of a transaction", func(_ *Judge, t *txn, r *Request, _ *World) int { return t.bytes + sizeOf(&r.In) }, func(l *Limits) int { return l.TxnBytes }},
	{"reads of a transaction", func(_ *Judge, t *txn, r *Request, _ *World) int {
		return max(readsIn(&r.In), len(t.reads)+t.ranges+max(len(r.In.Names), 1))
	}, func(l *Limits) int { return l.TxnReads }},
	{"bytes staged and read by all open transactions", func(j *Judge, _ *txn, r *Request, w *World) int {
		most, _ := j.held(w)
		return most + 2*sizeOf(&r.In) + about*(2+len(r.In.Names))
	}, func(l *Limits) int { return l.StagedBytes }},
	{"commits waiting for the writer", func(j *Judge, _ *txn, r *Request, _ *World) int { return j.queued(r) }, func(l *Limits) int { return l.QueuedCommits }},
	{"bytes waiting for the writer", func(j *Judge, _ *txn, r *Request, _ *World) int {
		n := j.queued(r)
		if n < 2 {
			return 0 // one fits an empty queue, whatever its size
		}
		return about*n + 2*j.sent
	}, func(l *Limits) int { return l.StagedBytes / 2 }},
	{"requests under way", func(_ *Judge, _ *txn, r *Request, _ *World) int { return r.UnderWay + 1 }, func(l *Limits) int { return l.Requests }},
	{"streams under way", func(_ *Judge, _ *txn, r *Request, _ *World) int { return r.UnderWay + 1 }, func(l *Limits) int { return l.Streams }},
	{"more than one answer can hold", answer, func(l *Limits) int { return l.PageBytes }},
	{"the values are more than", answer, func(l *Limits) int { return l.AnswerBytes }},
	{"the answer is", answer, func(l *Limits) int { return l.AnswerBytes }},
	{"bytes waiting to be sent", answer, func(*Limits) int { return 1 }},
	{"operations, preconditions, names or metadata entries", func(_ *Judge, _ *txn, r *Request, _ *World) int {
		return len(r.In.Writes) + len(r.In.Keys) + len(r.In.Heads) + len(r.In.Names) + len(r.In.Metadata) + readsIn(&r.In)
	}, func(l *Limits) int { return l.TxnOps }},
}

// answerGrowth is how many times its bytes a value can take in an answer, as a Struct.
const answerGrowth = 16

// aroundEntry is about what a record takes in an answer beside its name and value.
const aroundEntry = 64

// answer is what an answer can have at most: everything that was ever sent, or in a batch the
// largest of it for each name.
func answer(j *Judge, _ *txn, r *Request, _ *World) int {
	return max(answerGrowth*j.sent, len(r.In.Names)*(answerGrowth*j.largest+aroundEntry))
}

func newKey(t *txn, r *Request) int {
	if _, again := t.keys[r.In.Name()]; again || r.Kind != history.StageWrite && r.Kind != history.StageDelete {
		return 0
	}
	return 1
}

// queued counts the commits that wait for the writer at most, at some time between a request's
// arrival and its answer.
func (j *Judge) queued(r *Request) int {
	n := j.waiting + j.limbo()
	if r.InSession {
		n = max(n, r.queued+j.commits-r.after)
	}
	return n
}

// limbo counts commits that were given up and may still wait for the writer.
func (j *Judge) limbo() (n int) {
	for _, t := range j.txns { // a sum
		if t.limbo > j.settled {
			n += t.givenUp
		}
	}
	return n
}

// limit: what it names is taken, but for the request itself.
func limit(j *Judge, t *txn, r *Request, e *history.Refusal, w *World) string {
	for i := range counted {
		c := &counted[i]
		if what := e.Details["what"]; what != c.what && (what != "" || !strings.Contains(e.Message, c.what)) {
			continue
		}
		most, taken := c.limit(&j.limits), c.taken(j, t, r, w)
		// Strictly more than the limit would be taken, with the request.
		return unless(most > 0 && taken > most, "at most %d of %d were taken, with what it asks for", taken, most)
	}
	return "the contract knows no such limit"
}
