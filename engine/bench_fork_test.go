package engine_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// BenchmarkFork forks an agent of 100,000 keys, while others write: how long it takes (the aim: a second at
// most), and what their p99 is beside that of a second before (at most three times as much).
func BenchmarkFork(b *testing.B) {
	large(b)
	e := openBench(b)
	fill(b, e, "parent", 100_000)
	o := &others{b: b, e: e}
	var forks, before, during []float64
	for i := range b.N {
		before = append(before, o.during(time.Second, func() {}).p99())
		during = append(during, o.during(time.Second, func() {
			for j := range 20 {
				t := time.Now()
				if _, err := e.Transact(context.Background(), engine.TxnID(fmt.Sprintf("f-%d-%d", i, j)),
					[]engine.Write{forkOf(fmt.Sprintf("fork-%d-%d", i, j), "parent", engine.At{})}, engine.Conditions{}); err != nil {
					b.Error(err)
				}
				forks = append(forks, ms(time.Since(t)))
				time.Sleep(20 * time.Millisecond)
			}
		}).p99())
	}
	b.ReportMetric(slices.Max(forks), "ms/fork-max")
	b.ReportMetric(median(before), "ms-p99-before")
	b.ReportMetric(median(during)/median(before), "p99-ratio")
}
