package session

import (
	"fmt"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// line is the requests of a link that wait to be sent: a list in the order in which they came.
//
// While it moves, the oldest is next. When the oldest has waited for a quarter of the time that
// its caller gave it, more is asked than the daemon answers: first come, first served would
// from then on send each request just before its caller gives up, and nothing would be done
// in time. So what has waited for that long is refused, and until the line is empty the newest is
// next (Maurer, Fail at Scale, 2015: adaptive LIFO and controlled delay): what can be answered in
// time is, and the others learn it while they have time to come again. Requests without a deadline
// are not refused, and do not turn the line.
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

// refuse takes out the oldest if it has waited for too long; nil: it has not.
func (q *line) refuse(now time.Time) *request {
	r := q.oldest
	if r == nil || r.deadline.IsZero() || now.Sub(r.since) <= patience(r) {
		return nil
	}
	q.leave(r)
	q.turned = q.n > 0
	return r
}

// patience is how long a request waits before it is refused.
func patience(r *request) time.Duration { return r.deadline.Sub(r.since) / 4 }

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

// overloaded is the refusal of a request that has waited for so long: what the daemon says when its
// own line does not get shorter.
func overloaded(waited time.Duration) error {
	s := status.New(codes.ResourceExhausted, fmt.Sprintf("the daemon is behind, and the request has waited for %v to be sent; nothing was applied: retry later", waited.Round(time.Millisecond)))
	ms := strconv.FormatInt(min(max(waited, 20*time.Millisecond), 5*time.Second).Milliseconds(), 10)
	detailed, err := s.WithDetails(&pb.StatehouseError{Code: pb.ErrorCode_OVERLOADED, Message: s.Message(), Details: map[string]string{"retry_after_ms": ms}}, &errdetails.RetryInfo{RetryDelay: durationpb.New(waited)})
	if err != nil {
		return s.Err()
	}
	return detailed.Err()
}
