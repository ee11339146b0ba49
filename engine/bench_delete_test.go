package engine_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// BenchmarkDeleteVeryMany deletes an agent of 1,000,000 keys, while others write: how long it takes, and how
// long they wait until it is carried out, beside how long they wait before and after. The aim: a p99 of at most
// three times as much, and no wait past 50 ms that the disk does not make without it.
func BenchmarkDeleteVeryMany(b *testing.B) {
	large(b)
	const keys = 1_000_000
	e := openBench(b)
	fill(b, e, "a", keys)
	o := &others{b: b, e: e}
	var without, during waits
	var seconds []float64
	for range 5 {
		without = append(without, o.during(time.Second, func() {})...)
	}
	var answered time.Duration
	var asked sync.WaitGroup
	began := time.Now()
	asked.Go(func() {
		r, err := e.Transact(context.Background(), "delete", []engine.Write{onRange("a", "", engine.DeletePrefix{})}, engine.Conditions{})
		if answered = time.Since(began); err != nil || r.Results[0].Keys != keys {
			b.Errorf("%+v, %v", r, err)
		}
	})
	for len(seconds) == 0 || e.StoreStats().Acts > 0 {
		second := o.during(time.Second, func() {})
		during, seconds = append(during, second...), append(seconds, second.p99())
	}
	carriedOut := time.Since(began)
	asked.Wait()
	for range 5 {
		without = append(without, o.during(time.Second, func() {})...)
	}
	slices.Sort(during)
	slices.Sort(without)
	b.Logf("p99 by the second: %.4v ms", seconds)
	b.ReportMetric(ms(answered), "ms/answer")
	b.ReportMetric(carriedOut.Seconds(), "s/carried-out")
	b.ReportMetric(during.worst(), "ms-worst")
	b.ReportMetric(without.worst(), "ms-worst-without")
	b.ReportMetric(without.p99(), "ms-p99-without")
	b.ReportMetric(during.p99()/without.p99(), "p99-ratio")
	b.ReportMetric(median(seconds)/without.p99(), "median-second-ratio")
}
