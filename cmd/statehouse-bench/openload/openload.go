// Package openload makes load that does not wait for answers: requests arrive at a rate, at
// random (a Poisson process), as those of many users do, whatever becomes of the ones before.
// A closed loop of clients slows down with the server and so never overloads it.
//
// A latency counts from when a request was to be sent, so a generator that falls behind does
// not leave out the requests that would have waited (coordinated omission; Tene, How NOT to
// Measure Latency, 2015).
package openload

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// ErrRefused is what Issue answers, wrapped, for a request that the server refused for load.
var ErrRefused = errors.New("refused for load")

// Load is a stream of requests.
type Load struct {
	Rate     float64       // a second
	Deadline time.Duration // of one request, from when it was to be sent
	// Issue makes a request, the nth.
	Issue func(ctx context.Context, n int) error
}

// Tally is what became of requests.
type Tally struct {
	Offered  int           `json:"offered"`  // that were to be sent
	Answered int           `json:"answered"` // in time
	Refused  int           `json:"refused"`
	Late     int           `json:"late"` // not answered by their deadlines
	Failed   int           `json:"failed"`
	Elapsed  time.Duration `json:"elapsed_ns"`
	First    error         `json:"-"` // of Failed

	latencies []time.Duration // of Answered, in order once sealed
	behind    []time.Duration // by how much each was sent too late, likewise
}

// Goodput is how many were answered in time, a second.
func (t *Tally) Goodput() float64 { return float64(t.Answered) / t.Elapsed.Seconds() }

// Quantile is that of the latencies of what was answered; of none, an hour.
func (t *Tally) Quantile(q float64) time.Duration {
	if len(t.latencies) == 0 {
		return time.Hour
	}
	return t.latencies[min(int(q*float64(len(t.latencies))), len(t.latencies)-1)]
}

// Behind is by how much at most 99 of 100 requests were sent later than they were to be. Where that is
// no small part of the latencies, they are the generator's: it has too little of the machine.
func (t *Tally) Behind() time.Duration {
	if len(t.behind) == 0 {
		return 0
	}
	return t.behind[len(t.behind)*99/100]
}

// Window is the tally of the requests that were to be sent in a stretch of time.
type Window struct {
	From time.Duration // since the beginning
	Tally
}

// Run offers the load for a while and waits for the last answers. The windows are of width
// each.
//
// It is made to cost little beside the requests, for the server is to be what is overloaded: requests
// that arrive in the same millisecond share a context, goroutines are used again, and what could not be
// sent by its deadline is not sent.
func (l *Load) Run(ctx context.Context, during, width time.Duration) (Tally, []Window) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &running{load: l, begin: time.Now(), width: width, windows: make([]Window, (during+width-1)/width), work: make(chan request)}
	due := time.Duration(0)
	var until time.Time
	var shared context.Context
	for n := 0; ctx.Err() == nil; n++ {
		due += time.Duration(rand.ExpFloat64() / l.Rate * float64(time.Second))
		if due >= during {
			break
		}
		if ahead := due - time.Since(r.begin); ahead > 0 {
			time.Sleep(ahead)
		}
		deadline := r.begin.Add(due + l.Deadline)
		if deadline.After(until) {
			until = deadline.Add(time.Millisecond)
			var release context.CancelFunc
			shared, release = context.WithDeadline(ctx, until)
			context.AfterFunc(shared, release)
		}
		r.offer(request{shared, n, due})
	}
	close(r.work)
	r.under.Wait()
	return r.tally(during)
}

// running is a load that is offered.
type running struct {
	load    *Load
	begin   time.Time
	width   time.Duration
	work    chan request
	under   sync.WaitGroup
	mu      sync.Mutex
	windows []Window
}

type request struct {
	ctx context.Context
	n   int
	due time.Duration // since the beginning
}

// offer hands a request to a goroutine.
func (r *running) offer(q request) {
	select {
	case r.work <- q: // to one that is done with another
	default:
		r.under.Go(func() {
			for q, more := q, true; more; q, more = <-r.work {
				r.issue(q)
			}
		})
	}
}

func (r *running) issue(q request) {
	intended := r.begin.Add(q.due)
	behind := time.Since(intended)
	err := error(context.DeadlineExceeded)
	if behind < r.load.Deadline {
		err = r.load.Issue(q.ctx, q.n)
	}
	took := time.Since(intended)
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &r.windows[q.due/r.width]
	w.behind = append(w.behind, behind)
	w.count(err, took, r.load.Deadline)
}

// tally sums up what became of all.
func (r *running) tally(during time.Duration) (all Tally, windows []Window) {
	for i := range r.windows {
		w := &r.windows[i]
		w.From = time.Duration(i) * r.width
		w.Elapsed = min(r.width, during-w.From)
		slices.Sort(w.latencies)
		all.add(&w.Tally)
	}
	slices.Sort(all.latencies)
	slices.Sort(all.behind)
	return all, r.windows
}

func (t *Tally) count(err error, took, deadline time.Duration) {
	t.Offered++
	switch {
	case err == nil && took <= deadline:
		t.Answered++
		t.latencies = append(t.latencies, took)
	case errors.Is(err, ErrRefused):
		t.Refused++
	case err == nil || took >= deadline:
		t.Late++
	default:
		t.Failed++
		if t.First == nil {
			t.First = err
		}
	}
}

func (t *Tally) add(o *Tally) {
	t.Offered += o.Offered
	t.Answered += o.Answered
	t.Refused += o.Refused
	t.Late += o.Late
	t.Failed += o.Failed
	t.Elapsed += o.Elapsed
	t.latencies = append(t.latencies, o.latencies...)
	t.behind = append(t.behind, o.behind...)
	if t.First == nil {
		t.First = o.First
	}
}

// Rated is the highest rate at which the 99th percentile stays under most and next to nothing
// is refused or late: doubled from a low one until it does not, and then halved towards it.
func Rated(ctx context.Context, at func(rate float64) *Load, burst, most time.Duration, say func(rate float64, t *Tally, holds bool)) (float64, error) {
	holds := func(rate float64) bool {
		t, _ := at(rate).Run(ctx, burst, burst)
		ok := t.Quantile(0.99) < most && float64(t.Answered) > 0.99*float64(t.Offered)
		say(rate, &t, ok)
		return ok
	}
	// One bad burst on a machine that others use, too, is not the end.
	twice := func(rate float64) bool {
		for range 2 {
			if ctx.Err() == nil && holds(rate) {
				return true
			}
		}
		return false
	}
	low, high := 0.0, 500.0
	for twice(high) {
		low, high = high, 2*high
	}
	if low == 0 {
		return 0, errors.Join(ctx.Err(), errors.New("even 500 a second are too many"))
	}
	for range 4 {
		if mid := (low + high) / 2; twice(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return low, ctx.Err()
}
