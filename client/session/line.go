package session

import "time"

// line is the requests of a link that wait to be sent: a list in the order in which they came.
//
// While it moves, the oldest is next. When the oldest has waited for a quarter of the time that
// its caller gave it, more is asked than the daemon answers: first come, first served would
// from then on send each request just before its caller gives up, and nothing would be done
// in time. So the newest is next, until the line is empty: what can be answered in time is, and
// the others end when their time does (Maurer, Fail at Scale, 2015: adaptive LIFO). Those without
// a deadline take no harm from waiting, and never turn it round.
type line struct {
	oldest, newest *request
	n              int
	turned         bool // the newest is next
}

// join adds a request.
func (q *line) join(r *request) {
	if r.older = q.newest; r.older == nil {
		q.oldest = r
	} else {
		r.older.newer = r
	}
	q.newest = r
	q.n++
}

// leave takes a request out, wherever it stands.
func (q *line) leave(r *request) {
	if r.older == nil {
		q.oldest = r.newer
	} else {
		r.older.newer = r.newer
	}
	if r.newer == nil {
		q.newest = r.older
	} else {
		r.newer.older = r.older
	}
	r.older, r.newer = nil, nil
	if q.n--; q.n == 0 {
		q.turned = false
	}
}

// turn looks whether the oldest has waited for too long.
func (q *line) turn(now time.Time) {
	if r := q.oldest; r != nil && !r.deadline.IsZero() && now.Sub(r.since) > r.deadline.Sub(r.since)/4 {
		q.turned = true
	}
}

// next is the request whose turn it is; nil: none waits.
func (q *line) next() *request {
	if q.turned {
		return q.newest
	}
	return q.oldest
}

// after is the one whose turn it is after r.
func (q *line) after(r *request) *request {
	if q.turned {
		return r.older
	}
	return r.newer
}
