package filter_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/filter"
)

const benchRecords = 100_000

// benchEngine has records of about 300 bytes.
func benchEngine(b *testing.B) *engine.Engine {
	b.Helper()
	env, closeEnv := engine.OSEnv(func(err error) { panic(err) }, func(string, ...any) {})
	e, err := engine.Open(env, engine.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { e.Run(ctx) })
	b.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := e.Close(); err != nil {
			b.Error(err)
		}
		closeEnv()
	})
	for at := 0; at < benchRecords; {
		var writes []engine.Write
		for range 1000 {
			writes = append(writes, engine.Write{
				Name: engine.RecordName{Agent: "a", Key: fmt.Sprintf("task/%06d", at)}, Value: []byte(benchValue(at)),
			})
			at++
		}
		if _, err := e.Transact(ctx, engine.TxnID(fmt.Sprintf("load-%d", at)), writes, engine.Conditions{Metadata: map[string]string{"actor": "loader"}}); err != nil {
			b.Fatal(err)
		}
	}
	if err := e.Compact(); err != nil {
		b.Fatal(err)
	}
	return e
}

func benchValue(i int) string {
	return fmt.Sprintf(`{"id":%d,"title":"a task with a name","labels":["a","b",{"c":%d}],"text":"%s","owner":{"name":"agent-%d","since":"2026-02-07"},"status":"%s","n":%d.5}`,
		i, i, strings.Repeat(`lorem \"ipsum\" `, 10), i%100, []string{"open", "done", "done", "done"}[i%4], i%1000)
}

// BenchmarkFind is going through 100,000 records: by a plain scan, and by filters. The aim is 0.4 of
// the plain scan's records a second.
func BenchmarkFind(b *testing.B) {
	e := benchEngine(b)
	b.Run("scan", func(b *testing.B) {
		run(b, func() int {
			n, after := 0, ""
			for {
				s, err := e.Snapshot(engine.At{})
				if err != nil {
					b.Fatal(err)
				}
				records, more, err := s.Scan(engine.ScanOptions{Agent: engine.AgentName{Agent: "a"}, After: after, Page: engine.Page{Items: 1000, Bytes: 3 << 20}})
				if err != nil {
					b.Fatal(err)
				}
				if n += len(records); !more {
					return n
				}
				after = records[len(records)-1].Name.Key
			}
		})
	})
	for _, c := range []struct {
		name  string
		where []filter.Condition
	}{
		{"one", []filter.Condition{{Pointer: "/n", Comparison: filter.Equal, Operand: "17.50"}}},
		{"three", []filter.Condition{
			{Pointer: "/status", Comparison: filter.Equal, Operand: `"open"`}, {Pointer: "/n", Comparison: filter.GreaterOrEqual, Operand: "3"},
			{Pointer: "/owner/name", Comparison: filter.In, Operand: `["agent-8","agent-12"]`},
		}},
		{"all", []filter.Condition{{Pointer: "/id", Comparison: filter.Exists}}},
		{"metadata", []filter.Condition{{Metadata: "actor", Comparison: filter.Equal, Operand: `"planner"`}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			f, err := filter.New(c.where)
			if err != nil {
				b.Fatal(err)
			}
			run(b, func() int { return findAll(b, e, f) })
		})
	}
}

func findAll(b *testing.B, e *engine.Engine, f *filter.Filter) (scanned int) {
	o := engine.FindOptions{Agent: "a", Page: engine.Page{Items: 1000, Bytes: 3 << 20}}
	if f.OnValues() {
		o.Value = f.Value
	}
	if f.OnMetadata() {
		o.Metadata = f.Metadata
	}
	for {
		s, err := e.Snapshot(engine.At{})
		if err != nil {
			b.Fatal(err)
		}
		found, err := s.Find(o)
		if err != nil {
			b.Fatal(err)
		}
		scanned += found.Scanned
		if o.After = found.Next; found.Next == "" {
			return scanned
		}
	}
}

func run(b *testing.B, through func() int) {
	b.ReportAllocs()
	used := processorTime(b)
	for b.Loop() {
		if n := through(); n != benchRecords {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(processorTime(b)-used)/float64(b.N)/benchRecords, "cpu-ns/record")
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
