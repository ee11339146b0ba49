package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"statehouse.dev/statehouse/client"
)

type historyIn struct {
	place
	Key    string `json:"key"`
	Oldest bool   `json:"oldest_first,omitempty"`
	asOf
	paging
}

type historyOut struct {
	Versions []version `json:"versions,omitempty" jsonschema:"none: the key was never written"`
	more
}

// version is one version of a record.
type version struct {
	Version    uint64            `json:"version"`
	CommitTS   uint64            `json:"commit_ts"`
	CommitTime time.Time         `json:"commit_time,omitzero"`
	Deleted    bool              `json:"deleted,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty" jsonschema:"what the commit says of itself, such as reason"`
	Principal  string            `json:"principal,omitempty" jsonschema:"whose key committed it"`
	Cause      string            `json:"cause,omitempty" jsonschema:"why the daemon made the commit by itself, such as expired"`
	TxnID      string            `json:"txn_id,omitempty"`
	value
	Gone string `json:"gone,omitempty" jsonschema:"why the value cannot be shown any more: erased or pruned"`
}

func (s *screen) version(e *client.HistoryEntry) version {
	return version{
		Version: uint64(e.Version), CommitTS: uint64(e.CommitTS), CommitTime: e.CommitTime, Deleted: e.Deleted, Metadata: e.Metadata,
		Principal: e.Principal, Cause: e.Cause, TxnID: e.TxnID, value: s.show(e.Value, e.Bytes), Gone: gone(e.Erased, e.Pruned),
	}
}

func (d *door) history(ctx context.Context, _ *sdk.CallToolRequest, in historyIn) (out historyOut, err error) {
	c, agent := d.of(in.place)
	at, err := d.at(in.AsOf)
	if err != nil {
		return out, err
	}
	q := client.HistoryQuery{OldestFirst: in.Oldest, At: at, Page: in.page()}
	var s screen
	for e, err := range c.History(ctx, agent, in.Key, q) {
		if err != nil {
			return out, err
		}
		out.Versions = append(out.Versions, s.version(&e))
	}
	out.more = moreOf(q.Page, &s)
	return out, nil
}

type diffIn struct {
	place
	From    string `json:"from,omitempty" jsonschema:"from this moment, as as_of elsewhere; 0: from nothing; not given: now"`
	To      string `json:"to,omitempty" jsonschema:"to this moment; not given: now"`
	ToAgent string `json:"to_agent,omitempty" jsonschema:"another agent, whose state at to it is"`
	Prefix  string `json:"prefix,omitempty" jsonschema:"only keys that begin with this"`
	paging
}

type diffOut struct {
	Changes []change `json:"changes,omitempty" jsonschema:"none: nothing differs"`
	more
}

// change is a key whose value differs.
type change struct {
	Key    string          `json:"key"`
	Change string          `json:"change" jsonschema:"added, removed or changed"`
	Patch  json.RawMessage `json:"patch,omitempty" jsonschema:"a JSON Patch (RFC 6902) from the one value to the other"`
	Before *side           `json:"before,omitempty"`
	After  *side           `json:"after,omitempty"`
}

// side is a record on one side of a difference. Where there is a patch the values are left out.
type side struct {
	Version  uint64 `json:"version"`
	CommitTS uint64 `json:"commit_ts"`
	value
}

func (d *door) diff(ctx context.Context, _ *sdk.CallToolRequest, in diffIn) (out diffOut, err error) {
	c, agent := d.of(in.place)
	q := client.DiffQuery{ToAgent: in.ToAgent, Prefix: in.Prefix, Page: in.page()}
	if q.From, err = d.at(in.From); err != nil {
		return out, fmt.Errorf("from, %w", err)
	}
	if q.To, err = d.at(in.To); err != nil {
		return out, fmt.Errorf("to, %w", err)
	}
	if in.From == "" && in.To == "" && in.ToAgent == "" {
		return out, fmt.Errorf("a state does not differ from itself: give from, such as 1h, or to_agent")
	}
	var s screen
	out.Changes, err = s.changes(ctx, c, agent, q)
	out.more = moreOf(q.Page, &s)
	return out, err
}

func (s *screen) changes(ctx context.Context, c *client.Client, agent string, q client.DiffQuery) (list []change, err error) {
	for k, err := range c.Diff(ctx, agent, q) {
		if err != nil {
			return nil, err
		}
		ch := change{Key: k.Key, Change: "changed"}
		if len(k.Patch) > 0 {
			if len(k.Patch) <= maxValue && s.used+len(k.Patch) <= maxAnswer {
				ch.Patch = k.Patch
				s.used += len(k.Patch)
			}
			k.Before.Value, k.After.Value = unlessPatched(ch.Patch, k.Before.Value), unlessPatched(ch.Patch, k.After.Value)
		}
		if ch.Before = s.side(&k.Before); ch.Before == nil {
			ch.Change = "added"
		}
		if ch.After = s.side(&k.After); ch.After == nil {
			ch.Change = "removed"
		}
		list = append(list, ch)
	}
	return list, nil
}

// unlessPatched is a value where there is no patch that says it.
func unlessPatched(patch, value json.RawMessage) json.RawMessage {
	if len(patch) > 0 {
		return nil
	}
	return value
}

func (s *screen) side(r *client.Record) *side {
	if !r.Exists {
		return nil
	}
	return &side{uint64(r.Version), uint64(r.CommitTS), s.show(r.Value, r.Bytes)}
}
