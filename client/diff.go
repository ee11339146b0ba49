package client

import (
	"context"
	"encoding/json"
	"iter"

	"statehouse.dev/statehouse/client/state"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// DiffQuery says what is compared. The zero value compares an agent now with itself, which
// does not differ.
type DiffQuery struct {
	From At // AtCommit(0): nothing, the state before all commits
	To   At
	// ToNamespace and ToAgent, unless empty, name another agent, whose state at To it is.
	ToNamespace, ToAgent string
	Prefix               string // of keys
	Limit                int    // at most this many; 0: all
	NoValues             bool   // Before and After leave values out
	Page                 *Page
}

// KeyDiff is a key whose state differs.
type KeyDiff struct {
	Key           string
	Before, After Record // Exists is false where it is absent
	// Patch turns the one value into the other: a JSON Patch (RFC 6902). It is empty where a side
	// is absent, or its value is no JSON or not there any more.
	Patch json.RawMessage
}

// point is a, which is always said.
func point(a At) *pb.At {
	if m := state.Point(a); m != nil {
		return m
	}
	return &pb.At{}
}

// Diff yields the keys whose state differs between two points of an agent, or between two agents, in
// byte order. Versions that have the same value do not differ.
func (c *Client) Diff(ctx context.Context, agent string, q DiffQuery) iter.Seq2[KeyDiff, error] {
	from := RecordName{Namespace: c.config.Namespace, Agent: agent}
	to := from
	if q.ToNamespace != "" {
		to.Namespace = q.ToNamespace
	}
	if q.ToAgent != "" {
		to.Agent = q.ToAgent
	}
	return pages(c, q.Limit, q.Page, func(size uint32, token string) ([]KeyDiff, string, error) {
		resp, err := ask(ctx, c, c.stub.Diff, &pb.DiffRequest{
			Namespace: c.config.Namespace, AgentId: agent, From: point(q.From), To: point(q.To),
			ToNamespace: q.ToNamespace, ToAgentId: q.ToAgent, Prefix: q.Prefix, Limit: size, PageToken: token, Encoding: c.encoding(q.NoValues),
		})
		if err != nil {
			return nil, "", err
		}
		keys := make([]KeyDiff, len(resp.GetKeys()))
		for i, k := range resp.GetKeys() {
			from.Key, to.Key = k.GetKey(), k.GetKey()
			keys[i] = KeyDiff{k.GetKey(), state.Side(from, k.GetBefore()), state.Side(to, k.GetAfter()), k.GetPatchJson()}
		}
		return keys, resp.GetNextPageToken(), nil
	})
}
