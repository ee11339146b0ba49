package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine"
)

// runningEngine is an engine with its loop running on a directory.
type runningEngine struct {
	*engine.Engine
	stop func() error
}

// openRunning opens an engine on dir as production does.
func openRunning(dir string) (*runningEngine, error) {
	env, closeEnv := engine.OSEnv(func(err error) { panic(err) }, func(string, ...any) {})
	e, err := engine.Open(env, engine.Options{Dir: dir})
	if err != nil {
		closeEnv()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { e.Run(ctx) })
	return &runningEngine{e, func() error {
		cancel()
		wg.Wait()
		defer closeEnv()
		return e.Close()
	}}, nil
}

// Close stops the loop and closes the engine.
func (e *runningEngine) Close() error { return e.stop() }

// commits measures durable commits of l through the engine.
func commits(e *runningEngine, l benchLoad) (benchResult, error) {
	values := l.values()
	run := rand.Uint64()
	return measure(l.Clients, l.Commits, func(c, i int) error {
		id := engine.TxnID(fmt.Sprintf("%016x-%08x", run, i))
		_, err := e.Transact(context.Background(), id, l.writes(values, c, i), engine.Conditions{})
		return err
	})
}

// barePebble measures the ceiling of commits: rows of the number and sizes that
// a commit of l makes, given to one writer that groups what waits and syncs.
func barePebble(dir string, l benchLoad) (benchResult, error) {
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: engine.PebbleFormat, Logger: quiet{}})
	if err != nil {
		return benchResult{}, err
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
	values := l.values()
	r, err := measure(l.Clients, l.Commits, func(c, i int) error {
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

// quiet is a logger of Pebble that says nothing.
type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
