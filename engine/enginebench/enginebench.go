// Package enginebench measures the engine without gRPC, and its ceiling: the same
// rows through bare Pebble. go test -bench and statehousectl bench both use it,
// so that what a profile shows and what an operator reads is one thing.
package enginebench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine"
)

// Value makes a JSON object of size bytes, at least 32: words of text, as agents
// write, and a number. Two values are hardly ever equal.
func Value(r *rand.Rand, size int) []byte {
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

// Result is one measurement.
type Result struct {
	Ops     int
	Elapsed time.Duration
	P50     time.Duration
	P99     time.Duration
}

// PerSecond is the throughput.
func (r Result) PerSecond() float64 { return float64(r.Ops) / r.Elapsed.Seconds() }

// Measure runs do from clients goroutines, which share n calls, and keeps their
// latencies. The first error ends it.
func Measure(clients, n int, do func(client, i int) error) (Result, error) {
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
	r := Result{Ops: n, Elapsed: time.Since(start)}
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

// Engine is an engine with its loop running on a directory.
type Engine struct {
	*engine.Engine
	stop func() error
}

// Open opens an engine on dir as production does.
func Open(dir string) (*Engine, error) {
	env, closeEnv := engine.OSEnv(func(err error) { panic(err) }, func(string, ...any) {})
	e, err := engine.Open(env, engine.Options{Dir: dir})
	if err != nil {
		closeEnv()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { e.Run(ctx) })
	return &Engine{e, func() error {
		cancel()
		wg.Wait()
		defer closeEnv()
		return e.Close()
	}}, nil
}

// Close stops the loop and closes the engine.
func (e *Engine) Close() error { return e.stop() }

// Load is what the commits of a measurement look like.
type Load struct {
	Clients    int
	Commits    int
	ValueBytes int // 256
	Keys       int // keys an agent has; an agent a client
	Writes     int // per commit; 1
}

func (l Load) name(client, i int) engine.RecordName {
	return engine.RecordName{Namespace: "bench", Agent: fmt.Sprintf("agent-%03d", client), Key: fmt.Sprintf("memory/%08d", i%l.Keys)}
}

// BytesPerCommit is keys and values, what a client would call its data.
func (l Load) BytesPerCommit() int {
	n := l.name(0, 0)
	return max(l.Writes, 1) * (len(n.Namespace) + len(n.Agent) + len(n.Key) + l.ValueBytes)
}

func (l Load) writes(values [][]byte, client, i int) []engine.Write {
	ws := make([]engine.Write, max(l.Writes, 1))
	for j := range ws {
		ws[j] = engine.Write{Name: l.name(client, i*len(ws)+j), Value: values[(i+j)%len(values)]}
	}
	return ws
}

// Values makes a set of values to write in turn.
func (l Load) Values() [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([][]byte, 1024)
	for i := range out {
		out[i] = Value(r, l.ValueBytes)
	}
	return out
}

// Commits measures durable commits of l through the engine.
func Commits(e *Engine, l Load) (Result, error) {
	values := l.Values()
	run := rand.Uint64()
	return Measure(l.Clients, l.Commits, func(c, i int) error {
		id := engine.TxnID(fmt.Sprintf("%016x-%08x", run, i))
		_, err := e.Transact(context.Background(), id, l.writes(values, c, i), engine.Conditions{})
		return err
	})
}

// BarePebble measures the ceiling of Commits: rows of the number and sizes that
// a commit of l makes, given to one writer that groups what waits and syncs.
func BarePebble(dir string, l Load) (Result, error) {
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: engine.PebbleFormat, Logger: quiet{}})
	if err != nil {
		return Result{}, err
	}
	type commit struct {
		rows [][2][]byte
		done chan error
	}
	queue := make(chan commit, l.Clients)
	var wg sync.WaitGroup
	wg.Go(func() {
		for c := range queue {
			group := []commit{c}
			for len(queue) > 0 {
				group = append(group, <-queue)
			}
			batch := db.NewBatch()
			for _, c := range group {
				for _, row := range c.rows {
					_ = batch.Set(row[0], row[1], nil)
				}
			}
			err := batch.Commit(pebble.Sync)
			for _, c := range group {
				c.done <- err
			}
		}
	})
	values := l.Values()
	r, err := Measure(l.Clients, l.Commits, func(c, i int) error {
		n := l.name(c, i)
		rows := [][2][]byte{
			{fmt.Appendf(nil, "r%s%s%s%08d", n.Namespace, n.Agent, n.Key, i), values[i%len(values)]},
			{fmt.Appendf(nil, "e%s%s%08d", n.Namespace, n.Agent, i), make([]byte, 75)},
			{fmt.Appendf(nil, "l%08d", i), make([]byte, 85)},
			{fmt.Appendf(nil, "t%016x%08x", c, i), make([]byte, 23)},
		}
		done := make(chan error, 1)
		queue <- commit{rows, done}
		return <-done
	})
	close(queue)
	wg.Wait()
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	return r, err
}

type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
