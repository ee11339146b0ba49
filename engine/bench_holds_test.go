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

// BenchmarkRenewLeases renews 10,000 leases, 100 a request, as their holders do every ten seconds. The aim:
// a twentieth of a core, which is 5 ms a request.
func BenchmarkRenewLeases(b *testing.B) {
	const leases, each = 10_000, 100
	e := openBench(b)
	renewals := make([]engine.Renewal, leases)
	for i := range renewals {
		agent := engine.AgentName{Agent: fmt.Sprintf("agent-%d", i%100)}
		name := fmt.Sprintf("lease-%d", i)
		r, err := e.Transact(context.Background(), engine.TxnID(name), []engine.Write{
			{Name: engine.RecordName{Agent: agent.Agent, Key: name}, Eval: engine.Acquire{Holder: "bench", TTL: time.Hour}}}, engine.Conditions{})
		if err != nil {
			b.Fatal(err)
		}
		renewals[i] = engine.Renewal{Agent: agent, Lease: name, Token: r.Results[0].Version}
	}
	b.ResetTimer()
	start := processorTime(b)
	for i := range b.N {
		at := i * each % leases
		answers, err := e.RenewLeases(context.Background(), renewals[at:at+each], nil)
		if err != nil || answers[0].Lost {
			b.Fatal(answers, err)
		}
	}
	perRequest := float64(processorTime(b)-start) / float64(b.N)
	b.ReportMetric(perRequest/1e3, "cpu-µs/op")
	// 10,000 leases every 10 s are 10 requests a second.
	b.ReportMetric(10*perRequest/1e9*100, "%core")
}

// BenchmarkExpiry writes records that expire, 5,000 a second for a while, and reports how long after their
// deadline a watch sees them go, and after an idle second. The aim: p99 within a second.
func BenchmarkExpiry(b *testing.B) {
	benchTime(b, engine.Filter{Whole: true, KeysOnly: true}, engine.CauseExpired, func(w *engine.Write, in time.Duration) { w.TTL = in })
}

// BenchmarkDue is BenchmarkExpiry of records that are due.
func BenchmarkDue(b *testing.B) {
	benchTime(b, engine.Filter{Whole: true, KeysOnly: true, Due: true}, engine.CauseDue, func(w *engine.Write, in time.Duration) { w.Eval = engine.PutDue{In: in} })
}

func benchTime(b *testing.B, seen engine.Filter, cause engine.Cause, set func(*engine.Write, time.Duration)) {
	e := openBench(b)
	var late []time.Duration
	used, runs := processorTime(b), 0
	for b.Loop() {
		runs++
		late = append(late, timeRun(b, e, runs, seen, cause, set)...)
	}
	slices.Sort(late)
	b.ReportMetric(float64(processorTime(b)-used)/float64(len(late)), "cpu-ns/record")
	b.ReportMetric(float64(late[len(late)/2].Microseconds())/1e3, "p50-ms")
	b.ReportMetric(float64(late[len(late)*99/100].Microseconds())/1e3, "p99-ms")
}

// timeRun returns how late the time of each record of a run was seen to have come. They have from one second to two,
// so that it comes while others are written, and after that, when nothing else happens.
func timeRun(b *testing.B, e *runningEngine, run int, seen engine.Filter, cause engine.Cause, set func(*engine.Write, time.Duration)) (late []time.Duration) {
	const rate, tick, seconds = 5000, 10 * time.Millisecond, 3
	var mu sync.Mutex
	deadlines := make(map[string]time.Time)
	after := e.Published()
	go func() {
		for i := range seconds * 100 {
			next := time.Now().Add(tick)
			ttl := time.Second + time.Duration(i%100)*tick
			writes := make([]engine.Write, rate/100)
			for j := range writes {
				writes[j] = engine.Write{Name: engine.RecordName{Agent: fmt.Sprint("agent-", j%10), Key: fmt.Sprintf("%d-%d-%d", run, i, j)}, Value: []byte(`{}`)}
				set(&writes[j], ttl)
			}
			r, err := e.Transact(context.Background(), engine.TxnID(fmt.Sprintf("%d-%d", run, i)), writes, engine.Conditions{})
			if err != nil {
				b.Error(err)
				return
			}
			mu.Lock()
			for j := range writes {
				deadlines[writes[j].Name.Key] = r.CommitTime.Add(ttl)
			}
			mu.Unlock()
			time.Sleep(time.Until(next))
		}
	}()
	w, err := e.Watch(seen)
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	for len(late) < seconds*rate {
		for last := w.Published(); after < last; {
			events, next, err := e.Replay(seen, after, last, 0)
			if err != nil {
				b.Fatal(err)
			}
			now := time.Now()
			mu.Lock()
			for _, ev := range events {
				for _, op := range ev.Ops {
					if ev.Cause == cause {
						key := op.Name.Key
						if kind, name := engine.SplitHidden(key); kind == engine.HiddenDue {
							key = name
						}
						late = append(late, now.Sub(deadlines[key]))
					}
				}
			}
			mu.Unlock()
			after = next
		}
		if len(late) < seconds*rate {
			if err := w.Wait(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	}
	return late
}
