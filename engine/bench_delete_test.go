package engine_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

const manyKeys = 1_000_000

// BenchmarkDeleteVeryMany deletes an agent of 1,000,000 keys, while others write: how long it takes, and how
// long they wait until it is carried out, beside how long they wait before and after. The aim: a p99 of at most
// three times as much, and no wait past 50 ms that the disk does not make without it.
func BenchmarkDeleteVeryMany(b *testing.B) {
	large(b)
	e := openBench(b)
	fill(b, e, "a", manyKeys)
	changeMany(b, e, engine.DeletePrefix{})
}

// BenchmarkRestoreVeryMany restores as many, each to the value before the one that it has.
func BenchmarkRestoreVeryMany(b *testing.B) {
	large(b)
	e := openBench(b)
	fill(b, e, "a", manyKeys)
	then := e.Published()
	fillAgain(b, e, "again", manyKeys)
	changeMany(b, e, engine.RestoreTo{At: atTS(then)})
}

// changeMany changes all keys of agent a in one operation.
func changeMany(b *testing.B, e *runningEngine, eval engine.Evaluation) {
	b.Helper()
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
		r, err := e.Transact(context.Background(), "many", []engine.Write{onRange("a", "", eval)}, engine.Conditions{})
		if answered = time.Since(began); err != nil || r.Results[0].Keys != manyKeys {
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

// BenchmarkRestoreUpToTheLimit restores, again and again, as many keys as an ordinary commit may change, of as many
// changes as are looked at, while others write.
func BenchmarkRestoreUpToTheLimit(b *testing.B) {
	large(b)
	const keys, rounds = 4900, 20
	e := openBench(b)
	fill(b, e, "a", keys)
	o := &others{b: b, e: e}
	without := o.during(5*time.Second, func() {})
	var during waits
	for i := range rounds {
		then := e.Published()
		fillAgain(b, e, fmt.Sprint("again-", i), keys)
		during = append(during, o.during(0, func() {
			r, err := e.Transact(context.Background(), engine.TxnID(fmt.Sprint("many-", i)), []engine.Write{onRange("a", "", engine.RestoreTo{At: atTS(then)})}, engine.Conditions{})
			if err != nil || r.Results[0].Keys != keys || e.StoreStats().Acts > 0 {
				b.Errorf("%v, %v", r.Results, err)
			}
		})...)
	}
	slices.Sort(during)
	b.ReportMetric(during.worst(), "ms-worst")
	b.ReportMetric(without.worst(), "ms-worst-without")
	b.ReportMetric(during.p99()/without.p99(), "p99-ratio")
}
