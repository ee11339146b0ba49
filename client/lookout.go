package client

import (
	"context"

	"statehouse.dev/statehouse/client/state"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// RefusalQuery selects refusals. The zero value selects those of the namespace.
type RefusalQuery struct {
	All       bool // of all namespaces that may be read
	Conflicts bool // only those about what was there: conflicts, preconditions, leases
	Limit     int  // at most this many; 0: all
}

// Refusals returns what was refused in the last hour, the last first: like refusals together, and no value.
func (c *Client) Refusals(ctx context.Context, q RefusalQuery) ([]Refusal, error) {
	if q.Limit < 0 {
		return nil, invalidf("the limit is negative: %d", q.Limit)
	}
	req := &pb.ListRefusalsRequest{Namespace: c.namespaceUnless(q.All), All: q.All, Conflicts: q.Conflicts, Limit: uint32(q.Limit)}
	resp, err := ask(ctx, c, c.stub.ListRefusals, req)
	if err != nil {
		return nil, err
	}
	out := make([]Refusal, len(resp.GetRefusals()))
	for i, r := range resp.GetRefusals() {
		out[i] = state.RefusalOf(r)
	}
	return out, nil
}

// Streams returns the first thousand watches and replays of the namespace that are open, the oldest first; with
// all, those of all namespaces that may be read, and sessions.
func (c *Client) Streams(ctx context.Context, all bool) ([]Stream, error) {
	resp, err := ask(ctx, c, c.stub.ListStreams, &pb.ListStreamsRequest{Namespace: c.namespaceUnless(all), All: all})
	if err != nil {
		return nil, err
	}
	out := make([]Stream, len(resp.GetStreams()))
	for i, s := range resp.GetStreams() {
		out[i] = state.StreamOf(s)
	}
	return out, nil
}

func (c *Client) namespaceUnless(all bool) string {
	if all {
		return ""
	}
	return c.config.Namespace
}
