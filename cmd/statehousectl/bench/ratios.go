package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"statehouse.dev/statehouse/engine/enginebench"
)

// manyClients is the concurrency that most ratios are stated at.
const manyClients = 64

// ratios measures, round by round, what is compared: a machine that is busy with
// something else for a while then hits both sides.
func (r *runner) ratios(ctx context.Context) error {
	var commits, perSecond, reads, latency []float64
	for range max(r.o.Rounds, 1) {
		health, err := r.measure(ctx, r.health(), manyClients)
		if err != nil {
			return err
		}
		commit, err := r.measure(ctx, r.commit(), manyClients)
		if err != nil {
			return err
		}
		get, err := r.measure(ctx, r.get(), manyClients)
		if err != nil {
			return err
		}
		one, err := r.oneClient(ctx)
		if err != nil {
			return err
		}
		commits = append(commits, commit.PerSecond/health.PerSecond)
		reads = append(reads, get.PerSecond/health.PerSecond)
		perSecond = append(perSecond, commit.PerSecond)
		latency = append(latency, one)
	}
	r.say("")
	r.ratio("one-shot durable commits, 64 clients / Health calls, 64 clients", median(commits), 0.55, false)
	r.ratio("point reads, 64 clients / Health calls, 64 clients", median(reads), 0.75, false)
	r.ratio("one client's commit p50 / (Health p50 + fdatasync p50)", median(latency), 1.4, true)
	r.commits = median(perSecond)
	return nil
}

// batches measures transactions of 100 writes, in rounds as well.
func (r *runner) batches(ctx context.Context) error {
	var ratios []float64
	for range max(r.o.Rounds, 1) {
		batch, err := r.measure(ctx, r.batch(), 8)
		if err != nil {
			return err
		}
		ratios = append(ratios, batch.PerSecond/r.commits)
	}
	r.ratio("writes/s in transactions of 100, 8 clients / commits/s, 64 clients", median(ratios), 3, false)
	return nil
}

// oneClient compares a lone client's commit with what it cannot do without: a
// call, and a write that reaches the disk.
func (r *runner) oneClient(ctx context.Context) (float64, error) {
	health, err := r.measure(ctx, r.health(), 1)
	if err != nil {
		return 0, err
	}
	sync, err := syncLatency(r.o.Dir, r.o.Duration/2)
	if err != nil {
		return 0, err
	}
	commit, err := r.measure(ctx, r.commit(), 1)
	if err != nil {
		return 0, err
	}
	return commit.P50Micros / (health.P50Micros + micros(sync)), nil
}

// syncLatency is the p50 of writing about what a commit's log record is and
// fdatasync, over what the file holds already.
func syncLatency(dir string, d time.Duration) (time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "fdatasync"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	const size, space = 512, 8 << 20
	if _, err := f.Write(make([]byte, space)); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	var took []time.Duration
	buf := make([]byte, size)
	for start := time.Now(); time.Since(start) < d; {
		t := time.Now()
		if _, err := f.WriteAt(buf, int64(len(took)*size%space)); err != nil {
			return 0, err
		}
		if err := datasync(f); err != nil {
			return 0, err
		}
		took = append(took, time.Since(t))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// replayEvents is how long the log is that replay reads.
const replayEvents = 100_000

func (r *runner) replay(ctx context.Context) error {
	agent := r.run + "-replay"
	l := enginebench.Load{Clients: manyClients, Commits: replayEvents}
	if _, err := enginebench.Measure(l.Clients, l.Commits, func(c, i int) error {
		return r.transactAs(ctx, c, agent, key(i))
	}); err != nil {
		return err
	}
	var ratios []float64
	best := Measurement{Name: "replay, events", Clients: 1}
	for range max(r.o.Rounds, 1) {
		health, err := r.measure(ctx, r.health(), manyClients)
		if err != nil {
			return err
		}
		start := time.Now()
		n, err := r.replayAll(ctx, agent)
		if err != nil {
			return err
		}
		if n != replayEvents {
			return fmt.Errorf("replay had %d events of %d", n, replayEvents)
		}
		perSecond := float64(n) / time.Since(start).Seconds()
		ratios = append(ratios, perSecond/health.PerSecond)
		best.PerSecond = max(best.PerSecond, perSecond)
	}
	r.add(best)
	r.ratio("batched replay of 100,000 events by one client, events/s / Health calls/s, 64 clients", median(ratios), 9, false)
	return nil
}

// engine measures what needs no daemon, each in a directory of its own.
func (r *runner) engine(ctx context.Context) error {
	l := enginebench.Load{Clients: manyClients, Commits: 100_000, ValueBytes: 256, Keys: 1000}
	var ratios []float64
	for round := range max(r.o.Rounds, 1) {
		bare, err := r.inDir(fmt.Sprintf("bare-%d", round), func(dir string) (enginebench.Result, error) {
			return enginebench.BarePebble(dir, l)
		})
		if err != nil {
			return err
		}
		own, err := r.inDir(fmt.Sprintf("engine-%d", round), func(dir string) (enginebench.Result, error) {
			e, err := enginebench.Open(dir)
			if err != nil {
				return enginebench.Result{}, err
			}
			defer e.Close()
			return enginebench.Commits(e, l)
		})
		if err != nil {
			return err
		}
		ratios = append(ratios, own.PerSecond()/bare.PerSecond())
		if round == 0 {
			r.add(measurementOf("engine, no gRPC", l.Clients, own))
			r.add(measurementOf("bare Pebble", l.Clients, bare))
		}
	}
	r.ratio("engine commits/s without gRPC, 64 waiting / the same through bare Pebble", median(ratios), 0.70, false)
	var space enginebench.Space
	if _, err := r.inDir("space", func(dir string) (_ enginebench.Result, err error) {
		space, err = enginebench.MeasureSpace(dir, l)
		return enginebench.Result{}, err
	}); err != nil {
		return err
	}
	r.ratio("disk used after 100,000 commits of 256-byte values / bytes of keys and values", space.AfterCommits, 4, true)
	r.ratio("the same after a flush and a compaction", space.AfterCompaction, 2, true)
	if r.o.Records == 0 {
		return nil
	}
	return r.scale(ctx)
}

// scale grows a store and compares latencies as a client sees them: what the
// engine takes and a call.
func (r *runner) scale(ctx context.Context) error {
	small := 100_000
	health, err := r.measure(ctx, r.health(), 1)
	if err != nil {
		return err
	}
	seen := func(a, b time.Duration) float64 {
		return (health.P50Micros + micros(a)) / (health.P50Micros + micros(b))
	}
	_, err = r.inDir("scale", func(dir string) (enginebench.Result, error) {
		told := 0
		sizes, err := enginebench.MeasureScale(dir, []int{small, r.o.Records}, func(n int) {
			if n-told >= r.o.Records/10 {
				told = n
				r.say("%d of %d records loaded", n, r.o.Records)
			}
		})
		if err == nil {
			first, last := sizes[0], sizes[len(sizes)-1]
			for _, s := range sizes {
				r.add(Measurement{Name: fmt.Sprintf("engine commit, %d rec.", s.Records), Clients: 1, P50Micros: micros(s.Commit)})
				r.add(Measurement{Name: fmt.Sprintf("engine get, %d rec.", s.Records), Clients: 1, P50Micros: micros(s.Read)})
			}
			r.ratio(fmt.Sprintf("commit latency with %d records / with %d", last.Records, small), seen(last.Commit, first.Commit), 1.5, true)
			r.ratio(fmt.Sprintf("read latency with %d records / with %d", last.Records, small), seen(last.Read, first.Read), 1.5, true)
		}
		return enginebench.Result{}, err
	})
	return err
}

func (r *runner) inDir(name string, do func(dir string) (enginebench.Result, error)) (enginebench.Result, error) {
	dir := filepath.Join(r.o.Dir, name)
	defer os.RemoveAll(dir)
	return do(dir)
}

func measurementOf(name string, clients int, res enginebench.Result) Measurement {
	return Measurement{Name: name, Clients: clients, PerSecond: res.PerSecond(), P50Micros: micros(res.P50), P99Micros: micros(res.P99)}
}
