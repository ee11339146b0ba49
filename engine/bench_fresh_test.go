package engine_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// BenchmarkFresh commits to keys that were never written, of agents that have many, under
// UUIDs of version 7: one write a commit from 64 clients, and 100 from one.
func BenchmarkFresh(b *testing.B) {
	for _, c := range []struct{ clients, writes int }{{64, 1}, {1, 100}} {
		b.Run(fmt.Sprintf("clients=%d/writes=%d", c.clients, c.writes), func(b *testing.B) {
			e := openBench(b)
			l := load(c.clients, 0)
			l.Keys, l.Writes = 1<<30, 1000
			values := l.values()
			if _, err := measure(c.clients, 320, func(client, i int) error {
				_, err := e.Transact(context.Background(), uuid7(), l.writes(values, client, i), engine.Conditions{})
				return err
			}); err != nil {
				b.Fatal(err)
			}
			l.Writes = c.writes
			used := processorTime(b)
			b.ResetTimer()
			r, err := measure(c.clients, b.N, func(client, i int) error {
				_, err := e.Transact(context.Background(), uuid7(), l.writes(values, client, 1<<24/c.writes+i), engine.Conditions{})
				return err
			})
			b.ReportMetric(float64(processorTime(b)-used)/float64(b.N*c.writes), "cpu-ns/write")
			report(b, r, err)
		})
	}
}

func uuid7() engine.TxnID {
	var u [16]byte
	_, _ = rand.Read(u[:])
	ms := time.Now().UnixMilli()
	for i := range 6 {
		u[i] = byte(ms >> (40 - 8*i))
	}
	u[6], u[8] = u[6]&0x0f|0x70, u[8]&0x3f|0x80
	return engine.TxnID(fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]))
}
