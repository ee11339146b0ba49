package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"statehouse.dev/statehouse/engine"
)

// BenchmarkScan is a page of 1,000 records of one version each, and of keys with five, in
// either direction.
func BenchmarkScan(b *testing.B) {
	e := openBench(b)
	l := load(1, 20)
	l.Writes, l.Keys = 1000, 20_000
	_, err := commits(e, l)
	for range 5 {
		if err == nil {
			err = e.rewrite(l, "agent-001", 2000)
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	for _, reverse := range []bool{false, true} {
		for agent, versions := range []int{1, 5} {
			b.Run(fmt.Sprintf("versions=%d/reverse=%t", versions, reverse), func(b *testing.B) {
				used := processorTime(b)
				for b.Loop() {
					s, err := e.Snapshot(engine.At{})
					if err != nil {
						b.Fatal(err)
					}
					records, _, err := s.Scan(engine.ScanOptions{
						Agent: engine.AgentName{Namespace: "bench", Agent: fmt.Sprintf("agent-%03d", agent)}, Prefix: "memory/", Reverse: reverse, Page: engine.Page{Items: 1000},
					})
					if err != nil || len(records) != 1000 {
						b.Fatal(len(records), err)
					}
				}
				b.ReportMetric(float64(processorTime(b)-used)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// rewrite writes the first keys of an agent.
func (e *runningEngine) rewrite(l benchLoad, agent string, keys int) error {
	values := l.values()
	for i := range keys / l.Writes {
		writes := l.writes(values, 0, i)
		for j := range writes {
			writes[j].Name.Agent = agent
		}
		if _, err := e.Transact(context.Background(), engine.TxnID(fmt.Sprintf("%016x", rand.Uint64())), writes, engine.Conditions{}); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkHistory is a page of 100 versions of a record, in either direction.
func BenchmarkHistory(b *testing.B) {
	e := openBench(b)
	l := load(1, 2000)
	l.Keys = 10
	if _, err := commits(e, l); err != nil {
		b.Fatal(err)
	}
	for _, oldestFirst := range []bool{false, true} {
		b.Run(fmt.Sprintf("oldestFirst=%t", oldestFirst), func(b *testing.B) {
			used := processorTime(b)
			for b.Loop() {
				s, err := e.Snapshot(engine.At{})
				if err != nil {
					b.Fatal(err)
				}
				entries, _, err := s.History(l.name(0, 3), 0, oldestFirst, engine.Page{Items: 100})
				if err != nil || len(entries) != 100 {
					b.Fatal(len(entries), err)
				}
			}
			b.ReportMetric(float64(processorTime(b)-used)/float64(b.N), "cpu-ns/op")
		})
	}
}
