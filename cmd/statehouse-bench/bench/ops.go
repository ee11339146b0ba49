package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// What the operations work on: agents of clients, keys of agents.
const (
	seedAgents = 64
	seedKeys   = 1000
	valueBytes = 256
	scanPage   = 100
	batchSize  = 100
	jsonValues = pb.ValueEncoding_VALUE_ENCODING_JSON
)

// What stays in the daemon, in this namespace, before it is known how fast it is. A
// record costs about as much again in its event and indexes.
const (
	Namespace    = "bench"
	FixedRecords = seedAgents*seedKeys + replayEvents
	FixedBytes   = FixedRecords * 2 * valueBytes
)

// Writing is how long a run of these options commits, all in all.
func Writing(clients []int, duration time.Duration, rounds int) time.Duration {
	ratios, table := 3*rounds, 3*len(clients) // one, 64 clients and batches; commit, interactive and batch
	return time.Duration(ratios+table) * duration
}

func (r *runner) agent(client int) string { return fmt.Sprintf("%s-%03d", r.run, client%seedAgents) }
func key(i int) string                    { return fmt.Sprintf("memory/%08d", i%seedKeys) }

func (r *runner) txnID() string { return fmt.Sprintf("bench-%s-%d", r.run, r.txns.Add(1)) }

func (r *runner) transact(ctx context.Context, client int, keys ...string) error {
	return r.transactAs(ctx, client, r.agent(client), keys...)
}

func (r *runner) transactAs(ctx context.Context, client int, agent string, keys ...string) error {
	req := &pb.TransactRequest{TxnId: r.txnID(), Operations: make([]*pb.TransactOperation, len(keys))}
	for i, k := range keys {
		req.Operations[i] = &pb.TransactOperation{
			Namespace: Namespace, AgentId: agent, Key: k, ValueJson: r.values[rand.IntN(len(r.values))],
		}
	}
	_, err := r.stub(client).Transact(ctx, req)
	return err
}

// seed gives every agent its keys.
func (r *runner) seed(ctx context.Context) error {
	for c := range seedAgents {
		keys := make([]string, seedKeys)
		for i := range keys {
			keys[i] = key(i)
		}
		if err := r.transact(ctx, c, keys...); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) health() op {
	return op{name: "health", do: func(ctx context.Context, c, _ int) error {
		_, err := r.stub(c).Health(ctx, &pb.HealthRequest{})
		return err
	}}
}

func (r *runner) commit() op {
	return op{name: "commit", do: func(ctx context.Context, c, i int) error { return r.transact(ctx, c, key(i)) }}
}

func (r *runner) batch() op {
	return op{name: "commit of 100 writes", unit: batchSize, do: func(ctx context.Context, c, i int) error {
		keys := make([]string, batchSize)
		for j := range keys {
			keys[j] = key(i*batchSize + j)
		}
		return r.transact(ctx, c, keys...)
	}}
}

func (r *runner) get() op {
	return op{name: "get", do: func(ctx context.Context, c, _ int) error {
		return r.read(ctx, c, nil)
	}}
}

func (r *runner) read(ctx context.Context, c int, at *pb.At) error {
	resp, err := r.stub(c).GetState(ctx, &pb.GetStateRequest{
		Namespace: Namespace, AgentId: r.agent(c), Key: key(rand.IntN(seedKeys)), Encoding: jsonValues, At: at,
	})
	if err == nil && !resp.GetExists() {
		err = fmt.Errorf("a key of agent %s is missing", r.agent(c))
	}
	return err
}

// ops are the lines of the table.
func (r *runner) ops() []op {
	var seeded atomic.Uint64
	return []op{
		r.health(), r.commit(),
		{name: "interactive commit", do: r.interactive},
		r.batch(), r.get(),
		{name: "get as of", do: func(ctx context.Context, c, i int) error {
			ts := seeded.Load()
			if ts == 0 {
				st, err := r.stub(c).GetStatus(ctx, &pb.GetStatusRequest{})
				if err != nil {
					return err
				}
				ts = st.GetPublishedTs() / 2 // half of the history lies before it
				seeded.Store(max(ts, 64))
			}
			return r.readAsOf(ctx, c, ts)
		}},
		{name: "scan of 100", do: func(ctx context.Context, c, i int) error {
			_, err := r.stub(c).ScanPrefix(ctx, &pb.ScanPrefixRequest{
				Namespace: Namespace, AgentId: r.agent(c), Prefix: "memory/", Limit: scanPage, Encoding: jsonValues,
			})
			return err
		}},
	}
}

func (r *runner) readAsOf(ctx context.Context, c int, ts uint64) error {
	_, err := r.stub(c).GetState(ctx, &pb.GetStateRequest{
		Namespace: Namespace, AgentId: r.agent(c), Key: key(rand.IntN(seedKeys)), Encoding: jsonValues,
		At: &pb.At{Point: &pb.At_CommitTs{CommitTs: ts}},
	})
	return err
}

func (r *runner) interactive(ctx context.Context, c, i int) error {
	s := r.stub(c)
	begun, err := s.BeginTransaction(ctx, &pb.BeginTransactionRequest{})
	if err != nil {
		return err
	}
	_, err = s.Write(ctx, &pb.WriteRequest{
		TxnId: begun.GetTxnId(), Namespace: Namespace, AgentId: r.agent(c), Key: key(i), ValueJson: r.values[i%len(r.values)],
	})
	if err != nil {
		return err
	}
	_, err = s.Commit(ctx, &pb.CommitRequest{TxnId: begun.GetTxnId()})
	return err
}

// replayAll reads an agent's whole log in batches and counts the events.
func (r *runner) replayAll(ctx context.Context, agent string) (int, error) {
	stream, err := r.stub(0).ReplayBatches(ctx, &pb.ReplayRequest{Namespace: Namespace, AgentId: agent, Encoding: jsonValues})
	if err != nil {
		return 0, err
	}
	for n := 0; ; {
		batch, err := stream.Recv()
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		n += len(batch.GetEvents())
	}
}
