// Package wire is Statehouse as a target: the operations that are measured of a daemon,
// as plain calls of the contract. The retries and encodings of a client are no part of
// them, so that the same operations measure a server that does nothing.
package wire

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/cmd/statehouse-bench/bench"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Names of the operations.
const (
	Read         = "read"
	Commit       = "commit"
	CommitBusy   = "commit to one agent"
	Batch        = "transaction of 100"
	History      = "history of a namespace"
	AgentHistory = "history of an agent"
	List         = "list of 1,000"
	ListReverse  = "list of 1,000 in reverse"
)

// Namespace is where everything is written. Event logs that are read stay as they were
// made, in one of their own.
const (
	Namespace        = "bench"
	historyNamespace = "bench-history"
	loneNamespace    = "bench-lone"
)

const (
	agents     = 64
	listPage   = 1000
	batchSize  = 100
	pageEvents = 5000 // of a history
	jsonValues = pb.ValueEncoding_VALUE_ENCODING_JSON
)

// MostClients is how many clients can be measured at once.
const MostClients = 1024

// Client measures one daemon over connections that its clients share in turn.
type Client struct {
	Records int // that are read and written over, in 64 agents
	Events  int // of the namespace's history; an agent's has a quarter

	conns  []grpc.ClientConnInterface
	stubs  []pb.StatehouseServiceClient
	run    string // names this run's agents and transactions apart from others'
	values [][]byte
	after  [MostClients]uint64 // the cursor of each client in what it reads of a history
}

// New makes a client of a daemon. Records and events are made by Prepare.
func New(records, events int, conns ...grpc.ClientConnInterface) *Client {
	c := &Client{Records: max(records, agents), Events: max(events, agents), run: fmt.Sprintf("%08x", rand.Uint32()), values: Values()}
	return c.Over(conns...)
}

// Over is the client over other connections to the same daemon.
func (c *Client) Over(conns ...grpc.ClientConnInterface) *Client {
	other := &Client{Records: c.Records, Events: c.Events, conns: conns, run: c.run, values: c.values}
	for _, conn := range conns {
		other.stubs = append(other.stubs, pb.NewStatehouseServiceClient(conn))
	}
	return other
}

func (c *Client) stub(client int) pb.StatehouseServiceClient { return c.stubs[client%len(c.stubs)] }

// Version is the daemon's.
func (c *Client) Version(ctx context.Context) (string, error) {
	v, err := c.stub(0).Version(ctx, &pb.VersionRequest{})
	return v.GetVersion(), err
}

// Ping reports whether the connection of a client works.
func (c *Client) Ping(ctx context.Context, client int) error {
	_, err := c.stub(client).Version(ctx, &pb.VersionRequest{})
	return err
}

// Prepare writes the records.
func (c *Client) Prepare(ctx context.Context) error {
	perAgent := c.Records / agents
	const most = 1000 // writes of a transaction
	parts := (perAgent + most - 1) / most
	return bench.Share(ctx, 8, agents*parts, func(client, i int) error {
		agent, part := i/parts, i%parts
		ops := make([]*pb.TransactOperation, 0, most)
		for k := part * most; k < min((part+1)*most, perAgent); k++ {
			ops = append(ops, c.write(Namespace, c.agent(agent), k))
		}
		return c.transact(ctx, client, ops...)
	})
}

// PrepareHistory writes the events of the histories, each a commit of its own.
func (c *Client) PrepareHistory(ctx context.Context) error {
	lone := c.Events / 4
	return bench.Share(ctx, 4*agents, c.Events+lone, func(client, i int) error {
		if i < c.Events {
			return c.transact(ctx, client, c.write(historyNamespace, c.agent(i%agents), i%1000))
		}
		return c.transact(ctx, client, c.write(loneNamespace, c.agent(0), i%1000))
	})
}

// Ops are the operations of a daemon.
func (c *Client) Ops() map[string]bench.Op {
	return map[string]bench.Op{
		Read: c.read, Commit: c.commit, CommitBusy: c.commitBusy, Batch: c.batch,
		History: c.history, AgentHistory: c.agentHistory, List: c.list, ListReverse: c.listReverse,
	}
}

func (c *Client) agent(i int) string { return fmt.Sprintf("%s-%03d", c.run, i%agents) }

func key(i int) string { return fmt.Sprintf("memory/%08d", i) }

func (c *Client) write(namespace, agent string, k int) *pb.TransactOperation {
	return &pb.TransactOperation{Namespace: namespace, AgentId: agent, Key: key(k), ValueJson: c.values[rand.IntN(len(c.values))]}
}

// transact commits under an id as clients make them: UUIDs of version 7.
func (c *Client) transact(ctx context.Context, client int, ops ...*pb.TransactOperation) error {
	_, err := c.stub(client).Transact(ctx, &pb.TransactRequest{TxnId: newID(), Operations: ops})
	return err
}

// CommitOne commits one record of an agent.
func (c *Client) CommitOne(ctx context.Context, client int) error {
	_, err := c.commit(ctx, client, 0)
	return err
}

func newID() string {
	b := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixMilli())<<16|0x7000|rand.Uint64N(0x1000))
	b = binary.BigEndian.AppendUint64(b, 1<<63|rand.Uint64N(1<<62))
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func (c *Client) read(ctx context.Context, client, _ int) (int, error) {
	resp, err := c.stub(client).GetState(ctx, &pb.GetStateRequest{
		Namespace: Namespace, AgentId: c.agent(rand.IntN(agents)), Key: key(rand.IntN(c.Records / agents)), Encoding: jsonValues,
	})
	if err == nil && len(resp.GetValueJson()) != ValueBytes {
		err = errors.New("a record is missing")
	}
	return 1, err
}

func (c *Client) commit(ctx context.Context, client, _ int) (int, error) {
	return 1, c.transact(ctx, client, c.write(Namespace, c.agent(client), rand.IntN(c.Records/agents)))
}

// commitBusy writes to the agent that all watches of Busy are on.
func (c *Client) commitBusy(ctx context.Context, client, i int) (int, error) {
	return 1, c.transact(ctx, client, c.write(Namespace, c.busy(), client*1000+i%1000))
}

func (c *Client) batch(ctx context.Context, client, _ int) (int, error) {
	ops := make([]*pb.TransactOperation, batchSize)
	first := rand.IntN(max(c.Records/agents-batchSize, 1))
	for i := range ops {
		ops[i] = c.write(Namespace, c.agent(client), first+i)
	}
	return batchSize, c.transact(ctx, client, ops...)
}

func (c *Client) history(ctx context.Context, client, _ int) (int, error) {
	return c.replay(ctx, client, &pb.ReplayRequest{Namespace: historyNamespace, AllAgents: true})
}

func (c *Client) agentHistory(ctx context.Context, client, _ int) (int, error) {
	return c.replay(ctx, client, &pb.ReplayRequest{Namespace: loneNamespace, AgentId: c.agent(0)})
}

// replay reads on where the client was, and begins anew after the last event.
func (c *Client) replay(ctx context.Context, client int, req *pb.ReplayRequest) (n int, err error) {
	after := &c.after[client]
	start := *after + 1
	req.StartTs, req.Limit, req.Encoding = &start, pageEvents, jsonValues
	stream, err := c.stub(client).ReplayBatches(ctx, req)
	if err != nil {
		return 0, err
	}
	for {
		batch, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return n, err
		}
		n += len(batch.GetEvents())
		*after = max(*after, batch.GetCursor())
	}
	if n < pageEvents {
		*after = 0
	}
	return n, nil
}

func (c *Client) list(ctx context.Context, client, _ int) (int, error) {
	return c.page(ctx, client, false)
}

func (c *Client) listReverse(ctx context.Context, client, _ int) (int, error) {
	return c.page(ctx, client, true)
}

func (c *Client) page(ctx context.Context, client int, reverse bool) (int, error) {
	_, err := c.stub(client).ScanPrefix(ctx, &pb.ScanPrefixRequest{
		Namespace: Namespace, AgentId: c.agent(rand.IntN(agents)), Prefix: "memory/", Limit: listPage, Encoding: jsonValues, Reverse: reverse,
	})
	return 1, err
}
