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

// Window is the tally of the requests that were to be sent in a stretch of time.
type Window struct {
	From time.Duration // since the beginning
	Tally
}

// Run offers the load for a while and waits for the last answers. The windows are of width
// each.
func (l *Load) Run(ctx context.Context, during, width time.Duration) (Tally, []Window) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	windows := make([]Window, (during+width-1)/width)
	var mu sync.Mutex
	var under sync.WaitGroup
	begin := time.Now()
	due := time.Duration(0)
	for n := 0; ctx.Err() == nil; n++ {
		due += time.Duration(rand.ExpFloat64() / l.Rate * float64(time.Second))
		if due >= during {
			break
		}
		if ahead := due - time.Since(begin); ahead > 0 {
			time.Sleep(ahead)
		}
		intended := begin.Add(due)
		under.Go(func() {
			ctx, cancel := context.WithDeadline(ctx, intended.Add(l.Deadline))
			err := l.Issue(ctx, n)
			took := time.Since(intended)
			cancel()
			mu.Lock()
			defer mu.Unlock()
			windows[intended.Sub(begin)/width].count(err, took, l.Deadline)
		})
	}
	under.Wait()
	var all Tally
	for i := range windows {
		w := &windows[i]
		w.From, w.Elapsed = time.Duration(i)*width, min(width, during-time.Duration(i)*width)
		slices.Sort(w.latencies)
		all.add(&w.Tally)
	}
	slices.Sort(all.latencies)
	return all, windows
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
