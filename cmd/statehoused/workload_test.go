package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// fate is what a client knows of a transaction.
type fate int

const (
	unknown fate = iota // sent and not answered: whole or not at all
	acked               // must be in the log, once, as it was answered
	never               // aborted, refused or never committed: must not be there
)

// transaction is what a client sent and heard.
type transaction struct {
	id    string
	ops   []*pb.TransactOperation
	open  bool // interactive: committed by Commit, not Transact
	fate  fate
	ts    uint64
	order []uint64 // versions as answered, one an operation
}

// book is what all clients sent and heard, over all lives of the daemon.
type book struct {
	mu   sync.Mutex
	txns map[string]*transaction
	acks atomic.Int64
}

func (b *book) enter(x *transaction) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.txns[x.id] = x
}

// all lists the transactions of a fate.
func (b *book) all(f fate) []*transaction {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []*transaction
	for _, x := range b.txns { // each stands for itself: any order
		if x.fate == f {
			out = append(out, x)
		}
	}
	return out
}

// client is one writer. It owns the transactions that it enters until it returns.
type client struct {
	t    *testing.T
	s    pb.StatehouseServiceClient
	b    *book
	rng  *rand.Rand
	name string
	n    int
}

// operations draws 1 to 4 operations on agents of two namespaces, some its own,
// some that all write, some keys twice, some deletes. A value names its
// transaction and operation.
func (c *client) operations(id string) []*pb.TransactOperation {
	var ops []*pb.TransactOperation
	for i := range 1 + c.rng.IntN(4) {
		op := &pb.TransactOperation{
			Namespace: []string{"default", "other"}[c.rng.IntN(2)], AgentId: []string{c.name, "shared"}[c.rng.IntN(2)],
			Key: fmt.Sprint("k", c.rng.IntN(6)),
		}
		if op.Delete = c.rng.IntN(5) == 0; !op.Delete {
			op.ValueJson = fmt.Appendf(nil, `{"txn":%q,"op":%d}`, id, i)
		}
		ops = append(ops, op)
	}
	return ops
}

// work writes until the daemon is gone (or does not let it any more), or stop is
// closed.
func (c *client) work(stop <-chan struct{}, interactive bool) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		step := c.oneShot
		if interactive {
			step = c.interactive
		}
		if err := step(); gone(err) {
			return
		} else if err != nil {
			c.t.Errorf("%s: %v", c.name, err)
			return
		}
	}
}

func (c *client) oneShot() error {
	c.n++
	x := &transaction{id: fmt.Sprintf("%s-%d", c.name, c.n)}
	x.ops = c.operations(x.id)
	c.b.enter(x)
	return c.send(x)
}

// send sends a one-shot transaction, for the first time or again.
func (c *client) send(x *transaction) error {
	resp, err := c.s.Transact(call(c.t), &pb.TransactRequest{TxnId: x.id, Operations: x.ops, Metadata: map[string]string{"client": c.name}})
	return c.answered(x, resp.GetCommitTs(), resp.GetVersions(), err)
}

// answered notes what a commit was answered with.
func (c *client) answered(x *transaction, ts uint64, versions []uint64, err error) error {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	switch {
	case err == nil:
		if x.fate == acked && x.ts != ts {
			c.t.Errorf("G6: %s was answered %d, then %d", x.id, x.ts, ts)
		}
		x.fate, x.ts, x.order = acked, ts, versions
		c.b.acks.Add(1)
	case detail(err) == pb.ErrorCode_UNAVAILABLE, detail(err) == pb.ErrorCode_TXN_NOT_FOUND:
		x.fate = never // definite, whatever became of the daemon
		if status.Code(err) == codes.NotFound {
			return nil
		}
	}
	return err
}

func (c *client) interactive() error {
	begun, err := c.s.BeginTransaction(call(c.t), &pb.BeginTransactionRequest{})
	if err != nil {
		return err
	}
	x := &transaction{id: begun.TxnId, open: true, fate: never}
	x.ops = c.operations(x.id)
	c.b.enter(x)
	for _, op := range x.ops {
		if op.Delete {
			_, err = c.s.Delete(call(c.t), &pb.DeleteRequest{TxnId: x.id, Namespace: op.Namespace, AgentId: op.AgentId, Key: op.Key})
		} else {
			_, err = c.s.Write(call(c.t), &pb.WriteRequest{TxnId: x.id, Namespace: op.Namespace, AgentId: op.AgentId, Key: op.Key, ValueJson: op.ValueJson})
		}
		if err != nil {
			return err
		}
	}
	switch c.rng.IntN(6) {
	case 0:
		_, err = c.s.Abort(call(c.t), &pb.AbortRequest{TxnId: x.id})
		return err
	case 1:
		return nil // left open: a client that died
	}
	c.b.mu.Lock()
	x.fate = unknown
	c.b.mu.Unlock()
	return c.commit(x)
}

// commit commits an interactive transaction, for the first time or again.
func (c *client) commit(x *transaction) error {
	resp, err := c.s.Commit(call(c.t), &pb.CommitRequest{TxnId: x.id})
	var versions []uint64
	if err == nil {
		versions = make([]uint64, len(x.ops))
		for _, v := range resp.Versions {
			for i, op := range x.ops {
				if op.Namespace == v.Namespace && op.AgentId == v.AgentId && op.Key == v.Key {
					versions[i] = v.Version
				}
			}
		}
	}
	return c.answered(x, resp.GetCommitTs(), versions, err)
}

// sendAgain repeats what was not answered: of the one-shot ones most, so that some
// are left for the log to tell; of the interactive ones all.
func (b *book) sendAgain(t *testing.T, s pb.StatehouseServiceClient, rng *rand.Rand) {
	t.Helper()
	left := b.all(unknown)
	slices.SortFunc(left, func(x, y *transaction) int { return compare(x.id, y.id) })
	c := &client{t: t, s: s, b: b, name: "again"}
	for _, x := range left {
		again := c.send
		if x.open {
			again = c.commit
		} else if rng.IntN(4) == 0 {
			continue
		}
		for range 1 + rng.IntN(2) {
			if err := again(x); err != nil {
				t.Errorf("G6: %s again: %v", x.id, err)
			}
		}
	}
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// load runs 16 writers, every fourth of them interactive, until the daemon is gone
// or stop is closed. It returns what waits for them.
func load(t *testing.T, d *daemon, b *book, life int, stop <-chan struct{}) (wait func()) {
	var writers sync.WaitGroup
	for i := range 16 {
		conn := d.dial()
		c := &client{t: t, s: pb.NewStatehouseServiceClient(conn), b: b, rng: newRand(100*life + i), name: fmt.Sprintf("w%d.%d", i, life)}
		writers.Go(func() {
			defer conn.Close()
			c.work(stop, i%4 == 3)
		})
	}
	return writers.Wait
}

// follow watches both namespaces from where the tapes stand until the daemon is
// gone or ctx ends.
func follow(ctx context.Context, t *testing.T, d *daemon, tapes map[string]*tape) (wait func()) {
	var watching sync.WaitGroup
	for namespace, tp := range tapes { // each for itself: any order
		watching.Go(func() {
			s, err := d.Watch(ctx, &pb.WatchRequest{Namespace: namespace, AllAgents: true, AfterTs: &tp.cursor, Encoding: pb.ValueEncoding_VALUE_ENCODING_JSON})
			for err == nil {
				var batch *pb.EventBatch
				if batch, err = s.Recv(); err == nil {
					tp.take(t, batch)
				}
			}
			if !gone(err) {
				t.Errorf("the watch of %s at %d: %v", namespace, tp.cursor, err)
			}
		})
	}
	return watching.Wait
}

// tape is what a watch or replay brought.
type tape struct {
	events []*pb.ReplayEvent
	cursor uint64
	seen   atomic.Uint64 // the cursor, for those who wait
}

func (tp *tape) take(t *testing.T, batch *pb.EventBatch) {
	for _, ev := range batch.Events {
		if ev.CommitTs <= tp.cursor {
			t.Errorf("G5: commit %d came after the cursor %d", ev.CommitTs, tp.cursor)
		}
		tp.cursor = ev.CommitTs
		tp.events = append(tp.events, ev)
	}
	if batch.Cursor < tp.cursor {
		t.Errorf("G5: the cursor %d is before commit %d, which was sent", batch.Cursor, tp.cursor)
	}
	tp.cursor = batch.Cursor
	tp.seen.Store(tp.cursor)
}
