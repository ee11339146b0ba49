package bench

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"statehouse.dev/statehouse/cmd/statehouse-bench/child"
)

// Burst is what one measurement found.
type Burst struct {
	N             int // things done
	Elapsed       time.Duration
	P50, P99, Max time.Duration // of an operation
	Client        time.Duration // processor time of this process
	Server        time.Duration // and of the target's, where HasServer
	HasServer     bool
	Delivered     int64
}

// burst runs clients for the duration.
func burst(ctx context.Context, t *Target, op Op, clients int, d time.Duration) (b Burst, err error) {
	if t.Around != nil {
		undo, err := t.Around(ctx)
		if err != nil {
			return b, err
		}
		defer undo()
	}
	took := make([][]time.Duration, clients)
	done := make([]int, clients)
	errs := make([]error, clients)
	for c := range took {
		took[c] = make([]time.Duration, 0, 1<<10)
	}
	finish, err := t.meter()
	if err != nil {
		return b, err
	}
	start := time.Now()
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i, now := 0, start; now.Sub(start) < d && ctx.Err() == nil; i++ {
				n, err := op(ctx, c, i)
				if err != nil {
					errs[c] = err
					return
				}
				then := time.Now()
				took[c] = append(took[c], then.Sub(now))
				done[c] += n
				now = then
			}
		})
	}
	wg.Wait()
	b.Elapsed = time.Since(start)
	if err := errors.Join(ctx.Err(), finish(&b)); err != nil {
		return b, err
	}
	for _, err := range errs { // one is enough: they are most often all alike
		if err != nil {
			return b, err
		}
	}
	for _, n := range done {
		b.N += n
	}
	b.percentiles(slices.Concat(took...))
	return b, nil
}

// meter begins to count processor time and deliveries; what it returns ends it, once the
// target is quiet: what a burst leaves to be done is part of what it costs, and no part of
// what the next one does.
func (t *Target) meter() (func(*Burst) error, error) {
	server := t.CPU
	if server == nil {
		server = func() (time.Duration, error) { return 0, nil }
	}
	deliveries := t.Delivered
	if deliveries == nil {
		deliveries = func() int64 { return 0 }
	}
	delivered := deliveries()
	served, err := server()
	if err != nil {
		return nil, err
	}
	own := child.OwnCPU()
	return func(b *Burst) error {
		b.Client = child.OwnCPU() - own
		for start, slept := time.Now(), time.Duration(0); ; {
			before := b.Server
			now, err := server()
			if err != nil {
				return err
			}
			b.Server = now - served
			if b.Server-before < quiet && slept < quiet || time.Since(start) > quietWithin {
				break
			}
			awake := child.OwnCPU()
			time.Sleep(quietFor)
			slept = child.OwnCPU() - awake
			b.Client += slept
		}
		b.HasServer = t.CPU != nil
		b.Delivered = deliveries() - delivered
		return nil
	}, nil
}

// What is quiet uses less than a tenth of a processor for a moment.
const (
	quietFor    = 20 * time.Millisecond
	quiet       = quietFor / 10
	quietWithin = 2 * time.Second
)

func (b *Burst) percentiles(took []time.Duration) {
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	b.P50, b.P99, b.Max = took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
}

// Share has clients do n calls between them. The first error ends it.
func Share(ctx context.Context, clients, n int, do func(client, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := c; i < n && ctx.Err() == nil; i += clients {
				if err := do(c, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
