package engine_test

import (
	"context"
	"fmt"
	"testing"

	"statehouse.dev/statehouse/engine"
)

// BenchmarkReplayNamespace is the history of 64 agents, and of one of them, read in chunks as
// small as those of a stream. Half of their keys have several versions.
func BenchmarkReplayNamespace(b *testing.B) {
	const agents, events = 64, 1000
	e := openBench(b)
	l := load(agents, 0)
	values := l.values()
	if _, err := measure(agents, agents*events, func(client, i int) error {
		n := i / agents
		w := engine.Write{Name: l.name(client, n), Value: values[i%len(values)]}
		if n%2 == 0 {
			w.Name.Key = fmt.Sprintf("task/%d", n%20)
		}
		_, err := e.Transact(context.Background(), engine.TxnID(fmt.Sprintf("%d-%d", client, n)), []engine.Write{w}, engine.Conditions{})
		return err
	}); err != nil {
		b.Fatal(err)
	}
	for _, f := range []engine.Filter{{Namespace: "bench", AllAgents: true}, {Namespace: "bench", Agent: "agent-007"}} {
		b.Run(fmt.Sprintf("agent=%s", f.Agent), func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			used := processorTime(b)
			for n < b.N {
				for cursor, last := engine.Cursor(0), e.Published(); cursor < last && n < b.N; {
					evs, next, err := e.ReplayChunk(f, cursor, last, engine.Chunk{Bytes: 32 << 10})
					if err != nil {
						b.Fatal(err)
					}
					n += len(evs)
					cursor = next
				}
			}
			b.ReportMetric(float64(processorTime(b)-used)/float64(n), "cpu-ns/event")
		})
	}
}
