package admission

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

func retryAfter(err error) time.Duration {
	var f *engine.Failure
	if !errors.As(err, &f) {
		return 0
	}
	ms, _ := strconv.Atoi(f.Details["retry_after_ms"])
	return time.Duration(ms) * time.Millisecond
}

// TestRates: a principal may ask so often, twice as often over a moment, and again later; the
// hint is when.
func TestRates(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	r := Rates{Now: func() time.Time { return at }}
	rates := map[string]float64{"slow": 10}
	ask := func(p string) (n int, err error) {
		for ; n < 1000; n++ {
			if err = r.Allow(p, rates[p]); err != nil {
				return n, err
			}
		}
		return n, nil
	}
	if n, err := ask("free"); err != nil {
		t.Errorf("without a rate it is refused after %d: %v", n, err)
	}
	n, err := ask("slow")
	if n != 20 || !errors.Is(err, engine.ErrOverloaded) || retryAfter(err) != 100*time.Millisecond {
		t.Errorf("at once: %d, then %v, again in %v", n, err, retryAfter(err))
	}
	at = at.Add(retryAfter(err))
	if n, _ := ask("slow"); n != 1 {
		t.Errorf("when it was told to come back it may ask %d times", n)
	}
	at = at.Add(time.Hour)
	if n, _ := ask("slow"); n != 20 {
		t.Errorf("after an hour it may ask %d times", n)
	}
	at = at.Add(-time.Minute)
	if err := r.Allow("slow", rates["slow"]); err == nil {
		t.Error("a clock that is set back fills the bucket")
	}
	at = at.Add(3 * time.Minute)
	_ = r.Allow("slow", rates["slow"])
	at = at.Add(2 * time.Minute)
	if _ = r.Allow("another", 0); len(r.buckets) != 1 {
		t.Errorf("%d buckets are kept", len(r.buckets))
	}
	_ = r.Allow("slow", rates["slow"])
	if len(r.buckets) != 1 {
		t.Errorf("%d buckets are kept", len(r.buckets))
	}
}
