package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"statehouse.dev/statehouse/engine"
)

// benchResult is one measurement.
type benchResult struct {
	Ops     int
	Elapsed time.Duration
	P50     time.Duration
	P99     time.Duration
}

// perSecond is the throughput.
func (r benchResult) perSecond() float64 { return float64(r.Ops) / r.Elapsed.Seconds() }

// measure runs do from clients goroutines, which share n calls, and keeps their
// latencies. The first error ends it.
func measure(clients, n int, do func(client, i int) error) (benchResult, error) {
	took := make([][]time.Duration, clients)
	errs := make([]error, clients)
	var wg sync.WaitGroup
	start := time.Now()
	for c := range clients {
		wg.Go(func() {
			took[c] = make([]time.Duration, 0, n/clients+1)
			for i := c; i < n && errs[c] == nil; i += clients {
				t := time.Now()
				errs[c] = do(c, i)
				took[c] = append(took[c], time.Since(t))
			}
		})
	}
	wg.Wait()
	r := benchResult{Ops: n, Elapsed: time.Since(start)}
	all := slices.Concat(took...)
	slices.Sort(all)
	if len(all) > 0 {
		r.P50, r.P99 = all[len(all)/2], all[len(all)*99/100]
	}
	for _, err := range errs {
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// benchLoad is what the commits of a measurement look like.
type benchLoad struct {
	Clients    int
	Commits    int
	ValueBytes int // 256
	Keys       int // keys an agent has; an agent a client
	Writes     int // per commit; 1
}

func (l benchLoad) name(client, i int) engine.RecordName {
	return engine.RecordName{Namespace: "bench", Agent: fmt.Sprintf("agent-%03d", client), Key: fmt.Sprintf("memory/%08d", i%l.Keys)}
}

// bytesPerCommit is keys and values, what a client would call its data.
func (l benchLoad) bytesPerCommit() int {
	n := l.name(0, 0)
	return max(l.Writes, 1) * (len(n.Namespace) + len(n.Agent) + len(n.Key) + l.ValueBytes)
}

func (l benchLoad) writes(values [][]byte, client, i int) []engine.Write {
	ws := make([]engine.Write, max(l.Writes, 1))
	for j := range ws {
		ws[j] = engine.Write{Name: l.name(client, i*len(ws)+j), Value: values[(i+j)%len(values)]}
	}
	return ws
}

// values makes a set of values to write in turn.
func (l benchLoad) values() [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([][]byte, 1024)
	for i := range out {
		out[i] = benchValue(r, l.ValueBytes)
	}
	return out
}

// benchValue makes a JSON object of size bytes, at least 32: words of text, as agents
// write, and a number. Two values are hardly ever equal.
func benchValue(r *rand.Rand, size int) []byte {
	b := fmt.Appendf(make([]byte, 0, size), `{"step":%d,"note":"`, 1000+r.IntN(9000))
	for len(b) < size-2 {
		b = append(b, words[r.IntN(len(words))]...)
		b = append(b, ' ')
	}
	return append(b[:size-2], `"}`...)
}

var words = []string{"the", "agent", "searched", "for", "population", "of", "Paris", "and", "found", "2.1", "million",
	"according", "to", "source", "document", "next", "plan", "compare", "with", "London", "tool", "call", "returned",
	"error", "retry", "after", "backoff", "user", "asked", "summary", "budget", "tokens", "draft", "review", "final"}
