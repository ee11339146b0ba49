package linearizability

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// longHistory has about n operations of 40 clients, of which each is under way
// together with about ten others, and lost answers to commits.
func longHistory(n, lost int) *history.History {
	r, rng := newReference(), rand.New(rand.NewPCG(1, 1))
	agent := func() string { return fmt.Sprint("agent", rng.IntN(8)) }
	k := func() string { return fmt.Sprint("k/", rng.IntN(8)) }
	for i := 0; len(r.h.Operations) < n; i++ {
		client, value := fmt.Sprint("c", i%40), fmt.Sprint(i)
		switch rng.IntN(10) {
		case 0, 1, 2:
			r.transact(client, put(agent(), k(), value))
		case 3:
			r.transact(client, put(agent(), k(), value), put(agent(), k()+"+", value), del(agent(), k()+"-"))
		case 4:
			t := r.begin(client)
			r.do(client, history.Get, history.Input{TxnID: t, Agent: agent(), Key: k()})
			r.do(client, history.Scan, history.Input{TxnID: t, Agent: agent(), Prefix: "k/"})
			r.stage(client, t, put(agent(), k(), value))
			r.do(client, history.Commit, history.Input{TxnID: t})
		case 5:
			r.do(client, history.Scan, history.Input{Agent: agent(), Limit: 5})
		case 6:
			r.do(client, history.BatchGet, history.Input{Names: []history.Name{key(agent(), k()), key(agent(), k())}})
		default:
			r.get(client, agent(), k())
		}
	}
	blur(r, rng, 20, 0)
	for every := len(r.h.Operations) / (lost + 1); lost > 0; lost-- {
		for i := lost * every; ; i++ {
			if op := r.h.Operations[i]; op.Kind == history.Transact {
				lose(op)
				break
			}
		}
	}
	return r.h
}

// TestLongHistory: checking must not be what a long run waits for.
func TestLongHistory(t *testing.T) {
	single(t)
	if testing.Short() {
		t.Skip("it measures time")
	}
	h := longHistory(20_000, 20)
	var took []time.Duration
	for range 3 { // the machine has other things to do, too
		start := time.Now()
		r := Check(h, Options{})
		if took = append(took, time.Since(start)); r.Verdict != verdict.OK || r.Stats.Resolved != 20 {
			t.Fatalf("%s: %+v", r.Verdict, r)
		}
	}
	// The aim is a second on a quiet machine, which BenchmarkCheck shows. Here a search
	// that has become quadratic is to be found, on a busy one with the race detector.
	if best := slices.Min(took); best > 20*time.Second {
		t.Errorf("%d operations took %v", len(h.Operations), best)
	}
	t.Logf("%d operations, %d commits: %v", len(h.Operations), len(h.Log), took)
}

func BenchmarkCheck(b *testing.B) {
	h := longHistory(20_000, 20)
	blind := *h
	blind.Complete, blind.Log = false, nil
	for _, c := range []struct {
		name string
		h    *history.History
		o    Options
	}{
		{"oracle", h, Options{SkipSerial: true}},
		{"both", h, Options{}},
		{"without the log", &blind, Options{}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if r := Check(c.h, c.o); r.Verdict != verdict.OK {
					b.Fatalf("%+v", r)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(h.Operations)), "µs/operation")
		})
	}
}
