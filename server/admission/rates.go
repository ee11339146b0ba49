package admission

import (
	"fmt"
	"math"
	"sync"
	"time"

	"statehouse.dev/statehouse/engine"
)

// Rates bounds how often each principal may ask: so many requests a second, and twice as many
// over a moment. A bucket fills by the clock whenever someone asks; there is no timer.
type Rates struct {
	Now func() time.Time

	mu      sync.Mutex
	buckets map[string]*bucket
	swept   time.Time
}

// bucket is what a principal has left.
type bucket struct {
	tokens float64
	at     time.Time // as of then
	full   time.Time // when it would be: from then on it need not be known
}

// Allow takes a request of a principal that may make so many a second (0: any number), or refuses
// it and says when one may come.
func (r *Rates) Allow(principal string, rate float64) error {
	if rate <= 0 {
		return nil
	}
	now, most := r.Now(), max(2*rate, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep(now)
	b := r.buckets[principal]
	if b == nil {
		if r.buckets == nil {
			r.buckets = make(map[string]*bucket)
		}
		b = &bucket{tokens: most, at: now}
		r.buckets[principal] = b
	}
	if passed := now.Sub(b.at); passed > 0 { // the clock may have been set back
		b.tokens = min(most, b.tokens+rate*passed.Seconds())
	}
	b.at = now
	if b.tokens < 1 {
		wait := time.Duration((1 - b.tokens) / rate * float64(time.Second))
		f := &engine.Failure{Kind: engine.ErrOverloaded, Message: fmt.Sprintf("%s may make %s requests a second; nothing was applied: retry later", name(principal), number(rate))}
		return f.RetryAfter(wait)
	}
	b.tokens--
	b.full = now.Add(time.Duration(math.Ceil((most - b.tokens) / rate * float64(time.Second))))
	return nil
}

func name(principal string) string {
	if principal == "" {
		return "this client"
	}
	return fmt.Sprintf("%q", principal)
}

func number(rate float64) string { return fmt.Sprintf("%.4g", rate) }

// sweepEvery is how often buckets that are full again are dropped.
const sweepEvery = time.Minute

func (r *Rates) sweep(now time.Time) {
	if d := now.Sub(r.swept); d >= 0 && d < sweepEvery {
		return
	}
	r.swept = now
	for p, b := range r.buckets { // each by itself: order cannot matter
		if !now.Before(b.full) {
			delete(r.buckets, p)
		}
	}
}
