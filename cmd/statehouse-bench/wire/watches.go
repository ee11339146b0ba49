package wire

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"statehouse.dev/statehouse/cmd/statehouse-bench/bench"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

func (c *Client) busy() string       { return c.run + "-busy" }
func (c *Client) quiet(i int) string { return fmt.Sprintf("%s-quiet-%05d", c.run, i) }

// PrepareWatches gives each agent that is watched an event, by which a watch is known to
// have begun.
func (c *Client) PrepareWatches(ctx context.Context, n int) error {
	return bench.Share(ctx, agents, n+1, func(client, i int) error {
		agent := c.busy()
		if i < n {
			agent = c.quiet(i)
		}
		return c.transact(ctx, client, c.write(Namespace, agent, 0))
	})
}

// Watches are streams that are open while a burst runs.
type Watches struct {
	Client    *Client
	Number    int
	Busy      bool // all on one agent; otherwise each on a quiet one of its own
	delivered atomic.Int64
}

// Delivered is how many events have reached the watches.
func (w *Watches) Delivered() int64 { return w.delivered.Load() }

// Open opens them; the function that it returns ends them.
func (w *Watches) Open(ctx context.Context) (func(), error) {
	ctx, cancel := context.WithCancel(ctx)
	st, err := w.Client.stub(0).GetStatus(ctx, &pb.GetStatusRequest{})
	if err != nil {
		cancel()
		return nil, err
	}
	var ended sync.WaitGroup
	begun := make(chan error, w.Number)
	for i := range w.Number {
		req := &pb.WatchRequest{Namespace: Namespace, AgentId: w.Client.quiet(i), Encoding: jsonValues, AfterTs: new(uint64)}
		if w.Busy {
			req.AgentId = w.Client.busy()
			*req.AfterTs = st.GetPublishedTs()
		}
		ended.Go(func() { w.watch(ctx, i, req, begun) })
	}
	undo := func() {
		cancel()
		ended.Wait()
	}
	if w.Busy { // and this is what they begin with
		if _, err := w.Client.commitBusy(ctx, 0, 0); err != nil {
			undo()
			return nil, err
		}
	}
	for range w.Number {
		if err := <-begun; err != nil {
			undo()
			return nil, fmt.Errorf("a watch: %w", err)
		}
	}
	return undo, nil
}

// watch follows one until ctx ends, and says on begun once whether it has begun.
func (w *Watches) watch(ctx context.Context, i int, req *pb.WatchRequest, begun chan<- error) {
	stream, err := w.Client.stub(i).Watch(ctx, req)
	for first := true; err == nil; {
		var batch *pb.EventBatch
		if batch, err = stream.Recv(); err != nil {
			if !first {
				return // when ctx has ended, or too late to matter
			}
			break
		}
		n := int64(len(batch.GetEvents()))
		w.delivered.Add(n)
		if first && n > 0 {
			begun <- nil
			first = false
		}
	}
	begun <- err
}
