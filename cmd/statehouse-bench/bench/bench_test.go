package bench

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Every target that takes a case is measured in every round but the first, none that
// cannot be; what was brought about for a burst is taken back.
func TestRun(t *testing.T) {
	var calls, around atomic.Int64
	op := func(context.Context, int, int) (int, error) {
		calls.Add(1)
		time.Sleep(time.Millisecond)
		return 2, nil
	}
	open := func(context.Context) (func(), error) {
		around.Add(1)
		return func() { around.Add(-1) }, nil
	}
	one, many := Case{"op", 1}, Case{"op", 4}
	var order []string
	r, err := Run(t.Context(), Options{
		Cases: []Case{one, many, {"other", 1}}, Duration: 10 * time.Millisecond, Rounds: 3,
		Targets: []*Target{
			{Name: "a", Ops: map[string]Op{"op": op}, Around: open},
			{Name: "b", Ops: map[string]Op{"op": op}, Clients: 4},
			{Name: "gone", Ops: map[string]Op{"op": nil}, Missing: "it is not there"},
		},
		Progress: func(round int, c Case, t *Target) {
			if c == many {
				order = append(order, t.Name)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Of("op", 1, "a")) != 3 || len(r.Of("op", 4, "b")) != 3 || r.Of("op", 1, "b") != nil || r.Of("op", 1, "gone") != nil {
		t.Errorf("%+v", r)
	}
	if got := strings.Join(order, ""); got != "abbaabba" { // turn and turn about
		t.Errorf("the order was %s", got)
	}
	if around.Load() != 0 {
		t.Error("what was brought about is still so")
	}
	b := r.Of("op", 4, "a")[0]
	if b.N < 2*4 || b.N%2 != 0 || b.Elapsed < 10*time.Millisecond || b.P50 < time.Millisecond || b.Max < b.P99 || b.HasServer {
		t.Errorf("%+v", b)
	}
}

// An operation that fails ends the run, which says whose it was.
func TestFailure(t *testing.T) {
	broken := errors.New("broken")
	_, err := Run(t.Context(), Options{
		Cases: []Case{{"op", 2}}, Duration: time.Hour, Rounds: 1, Progress: func(int, Case, *Target) {},
		Targets: []*Target{{Name: "a", Ops: map[string]Op{"op": func(context.Context, int, int) (int, error) { return 0, broken }}}},
	})
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "a: op, 2 clients: ") {
		t.Errorf("%v", err)
	}
	failing := &Target{Name: "a", Optional: true, Ops: map[string]Op{"op": func(context.Context, int, int) (int, error) { return 0, broken }}}
	if _, err := Run(t.Context(), Options{Cases: []Case{{"op", 1}}, Duration: time.Hour, Rounds: 1, Progress: func(int, Case, *Target) {}, Targets: []*Target{failing}}); err != nil || failing.Missing != "broken" {
		t.Errorf("%v, missing: %q", err, failing.Missing)
	}
	calls := 0
	err = Share(t.Context(), 1, 100, func(_, i int) error {
		calls++
		return broken
	})
	if !errors.Is(err, broken) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// Work shows in the processor time of this process, and an interrupt ends a burst.
func TestCPU(t *testing.T) {
	spin := func(context.Context, int, int) (int, error) {
		for start := time.Now(); time.Since(start) < time.Millisecond; {
		}
		return 1, nil
	}
	served := time.Duration(0)
	target := &Target{Name: "a", Ops: map[string]Op{"op": spin}, CPU: func() (time.Duration, error) {
		served = min(served+100*time.Millisecond, 300*time.Millisecond) // it goes on after the burst
		return served, nil
	}}
	b, err := Measure(t.Context(), target, Case{"op", 1}, 200*time.Millisecond)
	if err != nil || b.Server != 200*time.Millisecond || !b.HasServer {
		t.Fatalf("%+v %v", b, err)
	}
	if b.Client < 5*time.Millisecond || b.Client > 4*b.Elapsed {
		t.Errorf("the client used %v in %v", b.Client, b.Elapsed)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := Measure(ctx, target, Case{"op", 1}, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestFigures(t *testing.T) {
	got := SpreadOf([]float64{5, 1, math.NaN(), 2, 3, 4})
	if got != (Spread{3, 2, 4}) {
		t.Errorf("%+v", got)
	}
	if got := SpreadOf(nil); !math.IsNaN(got.Median) {
		t.Errorf("%+v", got)
	}
	a := Rounds{{N: 10, Elapsed: time.Second}, {N: 30, Elapsed: time.Second}}
	b := Rounds{{N: 5, Elapsed: time.Second}, {N: 10, Elapsed: time.Second}, {N: 1, Elapsed: time.Second}}
	if got := Over(a, PerSecond, b, PerSecond); !slices.Equal(got, []float64{2, 3}) {
		t.Errorf("%v", got)
	}
	if !math.IsNaN(CPU(Burst{N: 1})) || !math.IsNaN(a.Median(CPU)) {
		t.Error("processor time that is not known has a value")
	}
}

// Disk writes where it is told and leaves nothing.
func TestDisk(t *testing.T) {
	dir := t.TempDir()
	target, end, err := Disk(dir, "op")
	if err != nil {
		t.Fatal(err)
	}
	b, err := Measure(t.Context(), target, Case{"op", 1}, 20*time.Millisecond)
	if err != nil || b.N == 0 {
		t.Errorf("%+v %v", b, err)
	}
	end()
}
