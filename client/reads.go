package client

import (
	"context"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/client/state"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// one returns the point that an optional argument names.
func one(at []At) (At, error) {
	switch len(at) {
	case 0:
		return At{}, nil
	case 1:
		return at[0], nil
	}
	return At{}, invalidf("a read is at one point, not at %d", len(at))
}

// Get reads a record now, or at the point given.
func (c *Client) Get(ctx context.Context, agent, key string, at ...At) (Record, error) {
	point, err := one(at)
	if err != nil {
		return Record{}, err
	}
	return c.get(ctx, "", agent, key, point)
}

func (c *Client) get(ctx context.Context, txnID, agent, key string, at At) (Record, error) {
	n := c.named(RecordName{Agent: agent, Key: key})
	req := &pb.GetStateRequest{Namespace: n.Namespace, AgentId: agent, Key: key, Encoding: c.encoding(false), At: state.Point(at), TxnId: txnID, MinReadTs: state.Least(at), MaxStalenessMs: state.Staleness(at)}
	resp, err := ask(ctx, c, c.stub.GetState, req)
	if err != nil {
		return Record{}, err
	}
	rec := state.Current(n, resp)
	return rec, nil
}

// GetAtVersion reads one version of a record; ErrNotFound if it never was. Exists is
// false for a version that was a delete.
func (c *Client) GetAtVersion(ctx context.Context, agent, key string, v Version) (Record, error) {
	n := c.named(RecordName{Agent: agent, Key: key})
	req := &pb.GetStateAtVersionRequest{Namespace: n.Namespace, AgentId: agent, Key: key, Version: uint64(v), Encoding: c.encoding(false)}
	resp, err := ask(ctx, c, c.stub.GetStateAtVersion, req)
	if err != nil {
		return Record{}, err
	}
	return state.RecordOf(n, resp), nil
}

// BatchGet reads many records at one point of the order, now or at the point given, and
// returns them in the order of names. The daemon takes up to 1,000 names.
func (c *Client) BatchGet(ctx context.Context, names []RecordName, at ...At) ([]Record, error) {
	point, err := one(at)
	if err != nil {
		return nil, err
	}
	return c.batchGet(ctx, "", names, point)
}

func (c *Client) batchGet(ctx context.Context, txnID string, names []RecordName, at At) ([]Record, error) {
	req := &pb.BatchGetStateRequest{Encoding: c.encoding(false), At: state.Point(at), TxnId: txnID, MinReadTs: state.Least(at), MaxStalenessMs: state.Staleness(at)}
	for _, n := range names {
		n = c.named(n)
		req.Names = append(req.Names, &pb.RecordName{Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key})
	}
	resp, err := ask(ctx, c, c.stub.BatchGetState, req)
	if err != nil {
		return nil, err
	}
	if len(resp.GetStates()) != len(names) {
		return nil, broken("%d records for %d names", len(resp.GetStates()), len(names))
	}
	out := make([]Record, len(names))
	for i, s := range resp.GetStates() {
		out[i] = state.Current(c.named(names[i]), s)
		out[i].ReadTS = CommitTS(resp.GetReadTs())
		out[i].Erased, out[i].Pruned = s.GetErased(), s.GetPruned()
	}
	return out, nil
}

// Status returns the position, size and condition of the store.
func (c *Client) Status(ctx context.Context) (Status, error) {
	resp, err := ask(ctx, c, c.stub.GetStatus, &pb.GetStatusRequest{})
	if err != nil {
		return Status{}, err
	}
	return state.StatusOf(resp), nil
}

// Health asks once whether the daemon serves; nil: it does.
func (c *Client) Health(ctx context.Context) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	var resp *pb.HealthResponse
	failed := c.once(ctx, func(ctx context.Context, opts ...grpc.CallOption) (err error) {
		resp, err = c.stub.Health(ctx, &pb.HealthRequest{}, opts...)
		return err
	})
	switch {
	case failed != nil:
		return failed
	case resp.GetStatus() != "ok":
		return &Error{Code: Code(pb.ErrorCode_UNAVAILABLE.String()), Message: "not serving: " + resp.GetStatus(), Answered: true, kind: ErrUnavailable}
	}
	return nil
}

// Version names the build of the daemon.
func (c *Client) Version(ctx context.Context) (Build, error) {
	resp, err := ask(ctx, c, c.stub.Version, &pb.VersionRequest{})
	if err != nil {
		return Build{}, err
	}
	return Build{Version: resp.GetVersion(), GitSHA: resp.GetGitSha()}, nil
}
