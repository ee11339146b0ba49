package admission

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// rig is a gate with a clock that is moved by hand.
type rig struct {
	*Gate
	at time.Time
}

func newRig(o Options) *rig {
	r := &rig{at: time.Unix(1_800_000_000, 0)}
	o.Now = func() time.Time { return r.at }
	o.Await = func(ctx context.Context, ready <-chan struct{}) error {
		select {
		case <-ready:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.Gate = NewGate(o)
	return r
}

func (r *rig) pass(d time.Duration) { r.at = r.at.Add(d) }

// told notes who was told what.
type told struct {
	name string
	to   *[]string
	errs *[]error
}

func (w told) Begin(refused error) {
	*w.to = append(*w.to, w.name)
	*w.errs = append(*w.errs, refused)
}

func retryAfter(err error) time.Duration {
	var f *engine.Failure
	if !errors.As(err, &f) {
		return 0
	}
	ms, _ := strconv.Atoi(f.Details["retry_after_ms"])
	return time.Duration(ms) * time.Millisecond
}

// TestLanesAreServedInTurn: whoever floods the gate waits for itself, and within a lane the
// first is first.
func TestLanesAreServedInTurn(t *testing.T) {
	r := newRig(Options{Most: 1})
	var names []string
	var errs []error
	if !r.Enter("flood", told{"f0", &names, &errs}) {
		t.Fatal("the first has to wait")
	}
	for i := 1; i < 5; i++ {
		r.Enter("flood", told{fmt.Sprint("f", i), &names, &errs})
	}
	r.Enter("light", told{"l0", &names, &errs})
	for range 3 {
		r.Leave("flood", false)
	}
	if got := fmt.Sprint(names); got != "[f1 l0 f2]" {
		t.Errorf("served in the order %s", got)
	}
}

// TestWhoWaitsForTheDiskRunsNot: others run meanwhile, up to Most.
func TestWhoWaitsForTheDiskRunsNot(t *testing.T) {
	r := newRig(Options{Most: 3, Running: 1})
	var names []string
	var errs []error
	in := 0
	for i := range 5 {
		if r.Enter("a", told{fmt.Sprint(i), &names, &errs}) {
			in++
		}
	}
	if in != 1 {
		t.Fatalf("%d run at once", in)
	}
	for want := 1; want < 3; want++ {
		if r.Pause(); len(names) != want {
			t.Errorf("%d paused, %d were let in after the first", want, len(names))
		}
	}
	if r.Pause(); len(names) != 2 {
		t.Errorf("%d are under way, of at most 3", 1+len(names))
	}
	r.Leave("a", true)
	if len(names) != 3 {
		t.Error("one left, and no one came in")
	}
}

// TestStandingQueueIsRefused: while even the shortest wait is too long, those who wait for long
// are refused, with a hint that grows; a lane beside it is not.
func TestStandingQueueIsRefused(t *testing.T) {
	r := newRig(Options{Most: 1, Target: 10 * time.Millisecond, Interval: 50 * time.Millisecond})
	var names []string
	var errs []error
	r.Enter("flood", told{"f", &names, &errs})
	refused, served := 0, 0
	var hints []time.Duration
	for i := range 400 {
		r.Enter("flood", told{fmt.Sprint(i), &names, &errs})
		r.pass(time.Millisecond)
		if i%2 == 0 { // half of what comes can be done
			names, errs = nil, nil
			r.Leave("flood", false)
			for _, err := range errs {
				if err == nil {
					served++
				} else {
					refused++
					hints = append(hints, retryAfter(err))
				}
			}
		}
		if i == 300 {
			if _, waiting := r.Usage(); waiting > 30 {
				t.Errorf("%d wait, each for longer than may be", waiting)
			}
			var light []string
			var lightErrs []error
			r.Enter("light", told{"l", &light, &lightErrs})
			r.Leave("flood", false)
			if len(light) == 0 { // its turn is the next or the one after
				r.Leave("flood", false)
			}
			if len(light) != 1 || lightErrs[0] != nil {
				t.Errorf("beside the flood: %v, %v", light, lightErrs)
			}
			r.Leave("light", false)
		}
	}
	if refused < 100 || served < 150 {
		t.Errorf("%d were refused and %d served", refused, served)
	}
	if first, last := hints[0], hints[len(hints)-1]; first < 100*time.Millisecond || last <= first {
		t.Errorf("the first comes back after %v, the last after %v", first, last)
	}
}

// TestBurstIsServed: a burst that is digested is not refused, however long the last of it waits.
func TestBurstIsServed(t *testing.T) {
	r := newRig(Options{Most: 1, Target: 10 * time.Millisecond, Interval: 50 * time.Millisecond})
	var names []string
	var errs []error
	r.Enter("a", told{"first", &names, &errs})
	for i := range 40 {
		r.Enter("a", told{fmt.Sprint(i), &names, &errs})
	}
	for range 40 {
		r.pass(time.Millisecond)
		r.Leave("a", false)
	}
	for i, err := range errs {
		if err != nil {
			t.Errorf("%s was refused: %v", names[i], err)
		}
	}
}

func nothing() func() { return func() {} }

// TestGivenUp: who gives up waits no more, and gives back what it got meanwhile.
func TestGivenUp(t *testing.T) {
	r := newRig(Options{Most: 1})
	if err := r.Wait(t.Context(), "a", nothing); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Wait(ctx, "a", nothing); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if taken, waiting := r.Usage(); taken != 1 || waiting != 0 {
		t.Errorf("%d are under way, %d wait", taken, waiting)
	}
	r.o.Await = func(_ context.Context, ready <-chan struct{}) error { // too late
		r.Leave("a", false)
		<-ready
		return context.Canceled
	}
	if err := r.Wait(t.Context(), "b", nothing); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if taken, waiting := r.Usage(); taken != 0 || waiting != 0 || len(r.lanes) != 0 {
		t.Errorf("%d are under way, %d wait, %d lanes are left", taken, waiting, len(r.lanes))
	}
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
