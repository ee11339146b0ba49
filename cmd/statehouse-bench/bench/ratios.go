package bench

import (
	"context"
	"fmt"
	"time"
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

// replayEvents is how long the log is that replay reads.
const replayEvents = 100_000

func (r *runner) replay(ctx context.Context) error {
	agent := r.run + "-replay"
	if err := share(manyClients, replayEvents, func(c, i int) error { return r.transactAs(ctx, c, agent, key(i)) }); err != nil {
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
