package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/moment"
)

// asOf is the point of the order that a caller means.
type asOf struct {
	AsOf string `json:"as_of,omitempty" jsonschema:"read the past: a commit_ts, a time such as 2026-02-07T10:00:00Z, or a time ago such as 5m or 7d"`
}

func (d *door) at(text string) (client.At, error) {
	at, err := moment.ParseAt(text, d.Now())
	if err != nil {
		return at, fmt.Errorf("as_of: %w", err)
	}
	return at, nil
}

func (d *door) addReading() {
	add(d, tool[getIn, getOut]{
		name: "get", title: "Read a record", run: d.get,
		about: "Reads a record: its value and version, now or as of the past. Of a large value it shows a piece as text; go on with offset, or name a part with pointer.",
	})
	add(d, tool[listIn, listOut]{
		name: "list", title: "List keys", run: d.list,
		about: "Lists an agent's keys in order, those of a prefix, or with a delimiter as folders; with values: the records.",
	})
	add(d, tool[historyIn, historyOut]{
		name: "history", title: "History of a record", run: d.history,
		about: "Lists the versions of a record, the newest first: what it was, which commit changed it, when, who, and why (metadata).",
	})
	add(d, tool[diffIn, diffOut]{
		name: "diff", title: "What differs", run: d.diff,
		about: "Shows the keys whose values differ between two moments of an agent, or between two agents, with a JSON Patch for each.",
	})
	if d.Agent == "" {
		add(d, tool[agentsIn, agentsOut]{
			name: "agents", title: "List agents", run: d.agents,
			about: "Lists the agents of the namespace with their first and last commit.",
		})
	}
	add(d, tool[searchIn, searchOut]{
		name: "search", title: "Search records", run: d.search,
		about: "Finds the records whose values meet all conditions, of an agent or of all agents. There is no index: every record in scope is looked at.",
	})
}

type getIn struct {
	place
	Key     string  `json:"key"`
	Version *uint64 `json:"version,omitempty" jsonschema:"read this version of the record, in place of as_of"`
	asOf
	Pointer string `json:"pointer,omitempty" jsonschema:"a JSON Pointer to a part of the value, such as /steps/0"`
	Offset  int    `json:"offset,omitempty" jsonschema:"next_offset of the answer before: the next piece of a large value"`
}

type getOut struct {
	Agent      string          `json:"agent"`
	Key        string          `json:"key"`
	Exists     bool            `json:"exists" jsonschema:"false: it was never written, or is deleted"`
	Version    uint64          `json:"version" jsonschema:"commit with this as if_version; 0: the key was never written"`
	CommitTS   uint64          `json:"commit_ts" jsonschema:"the commit that made this version"`
	CommitTime time.Time       `json:"commit_time,omitzero"`
	ReadTS     uint64          `json:"read_ts,omitempty" jsonschema:"the moment that was read: reads with as_of set to it see the same state"`
	Value      json.RawMessage `json:"value,omitempty" jsonschema:"the value, or the part at pointer; an object with $bytes in base64 and $content_type if it is no JSON"`
	Text       string          `json:"text,omitempty" jsonschema:"of a large value: a piece of its JSON text"`
	Size       int             `json:"value_size,omitempty" jsonschema:"of a large value: bytes of the whole text"`
	NextOffset int             `json:"next_offset,omitempty" jsonschema:"where the next piece begins; absent: this was the last"`
	ExpiresAt  time.Time       `json:"expires_at,omitzero"`
	DueAt      time.Time       `json:"due_at,omitzero"`
	Note       string          `json:"note,omitempty"`
}

func (d *door) get(ctx context.Context, _ *sdk.CallToolRequest, in getIn) (out getOut, err error) {
	c, agent := d.of(in.place)
	var rec client.Record
	switch {
	case in.Version != nil && in.AsOf != "":
		return out, fmt.Errorf("give version or as_of, not both")
	case in.Version != nil:
		rec, err = c.GetAtVersion(ctx, agent, in.Key, client.Version(*in.Version))
	default:
		var at client.At
		if at, err = d.at(in.AsOf); err == nil {
			rec, err = c.Get(ctx, agent, in.Key, at)
		}
	}
	if err != nil {
		return out, err
	}
	out = getOut{
		Agent: agent, Key: in.Key, Exists: rec.Exists, Version: uint64(rec.Version), CommitTS: uint64(rec.CommitTS), CommitTime: rec.CommitTime,
		ReadTS: uint64(rec.ReadTS), ExpiresAt: rec.ExpiresAt, DueAt: rec.DueAt,
	}
	if !rec.Exists {
		return out, nil
	}
	return out, out.show(textOf(rec.Value, rec.Bytes), in.Pointer, in.Offset)
}

// show puts into an answer what fits of a value.
func (o *getOut) show(text json.RawMessage, pointer string, offset int) error {
	found, err := part(text, pointer)
	switch {
	case err != nil:
		return err
	case found == nil:
		o.Note = "the value has nothing at " + pointer
		return nil
	case len(found) <= maxPiece && offset == 0:
		o.Value = found
		return nil
	}
	o.Size = len(found)
	o.Text, o.NextOffset, err = pieceOf(found, offset)
	if o.NextOffset > 0 {
		o.Note = fmt.Sprintf("the value is large: call get again with offset %d and version %d for the next piece, or name a part of it with pointer", o.NextOffset, o.Version)
	}
	return err
}

type listIn struct {
	place
	Prefix    string `json:"prefix,omitempty" jsonschema:"only keys that begin with this"`
	Delimiter string `json:"delimiter,omitempty" jsonschema:"such as /: keys that have it after the prefix are shown as the folder that they are in"`
	Values    bool   `json:"values,omitempty" jsonschema:"show versions and values as well"`
	asOf
	paging
}

type listOut struct {
	Keys    []string `json:"keys,omitempty"`
	Folders []string `json:"folders,omitempty" jsonschema:"list them with prefix"`
	Records []record `json:"records,omitempty"`
	more
}

func (d *door) list(ctx context.Context, _ *sdk.CallToolRequest, in listIn) (out listOut, err error) {
	c, agent := d.of(in.place)
	at, err := d.at(in.AsOf)
	switch {
	case err != nil:
		return out, err
	case in.Values && in.Delimiter != "":
		return out, fmt.Errorf("folders have no values: give values or delimiter, not both")
	}
	q := client.ListQuery{Prefix: in.Prefix, At: at, Page: in.page()}
	var s screen
	switch {
	case in.Values:
		for rec, rerr := range c.Scan(ctx, agent, q) {
			if err = rerr; err == nil {
				out.Records = append(out.Records, s.record(&rec))
			}
		}
	case in.Delimiter != "":
		for l, lerr := range c.List(ctx, agent, in.Delimiter, q) {
			if err = lerr; err == nil && l.Folder {
				out.Folders = append(out.Folders, l.Name)
			} else if err == nil {
				out.Keys = append(out.Keys, l.Name)
			}
		}
	default:
		for key, kerr := range c.ListKeys(ctx, agent, q) {
			if err = kerr; err == nil {
				out.Keys = append(out.Keys, key)
			}
		}
	}
	out.more = moreOf(q.Page, &s)
	return out, err
}

type agentsIn struct {
	Namespace string `json:"namespace,omitempty" jsonschema:"the namespace, if not the usual one"`
	Prefix    string `json:"prefix,omitempty" jsonschema:"only agents whose names begin with this"`
	paging
}

type agentsOut struct {
	Agents []agentSeen `json:"agents,omitempty"`
	more
}

type agentSeen struct {
	Agent    string    `json:"agent"`
	First    uint64    `json:"first_commit_ts"`
	Last     uint64    `json:"last_commit_ts" jsonschema:"commit with this as the head of a condition: nothing of the agent has changed"`
	LastTime time.Time `json:"last_commit_time,omitzero"`
}

func (d *door) agents(ctx context.Context, _ *sdk.CallToolRequest, in agentsIn) (out agentsOut, err error) {
	page := in.page()
	for a, err := range d.in(in.Namespace).ListAgents(ctx, in.Prefix, page) {
		if err != nil {
			return out, err
		}
		out.Agents = append(out.Agents, agentSeen{a.Agent, uint64(a.First), uint64(a.Head), a.HeadTime})
	}
	out.more = moreOf(page, &screen{})
	return out, nil
}

// comparison is how a condition compares.
type comparison string

var comparisons = []any{"=", "!=", "<", "<=", ">", ">=", "in", "exists"}

type searchIn struct {
	Namespace string      `json:"namespace,omitempty" jsonschema:"the namespace, if not the usual one"`
	Agent     string      `json:"agent,omitempty" jsonschema:"of this agent; otherwise of all agents of the namespace"`
	Prefix    string      `json:"prefix,omitempty" jsonschema:"only keys that begin with this"`
	Where     []condition `json:"where,omitempty" jsonschema:"all of them must hold"`
	Newest    bool        `json:"newest_first,omitempty" jsonschema:"the record that was changed last first, of one agent; otherwise in order of agents and keys"`
	asOf
	paging
}

// condition is one on the value of a record, or on the metadata of its last commit.
type condition struct {
	Pointer  string          `json:"pointer,omitempty" jsonschema:"a JSON Pointer into the value, such as /status"`
	Metadata string          `json:"metadata,omitempty" jsonschema:"in place of pointer: a key of the metadata of the last commit, such as reason"`
	Is       comparison      `json:"is" jsonschema:"what is not there meets none, also not !="`
	Value    json.RawMessage `json:"value,omitempty" jsonschema:"what it is compared with; of in a list; not given with exists"`
	Not      bool            `json:"not,omitempty" jsonschema:"the condition must not hold"`
}

type searchOut struct {
	Records []record `json:"records,omitempty"`
	Looked  uint64   `json:"looked_at" jsonschema:"how many records were looked at for this page"`
	more
}

func (d *door) search(ctx context.Context, _ *sdk.CallToolRequest, in searchIn) (out searchOut, err error) {
	c, agent := d.of(place{in.Namespace, in.Agent})
	at, err := d.at(in.AsOf)
	if err != nil {
		return out, err
	}
	if in.Newest && agent == "" {
		return out, fmt.Errorf("newest_first is of one agent: name it")
	}
	q := client.FindQuery{
		Agent: agent, AllAgents: agent == "", Prefix: in.Prefix, Changed: in.Newest, At: at, Page: in.page(),
		Looked: func(n uint64) { out.Looked += n },
	}
	for _, w := range in.Where {
		q.Where = append(q.Where, client.Condition{Pointer: w.Pointer, Metadata: w.Metadata, Comparison: client.Comparison(w.Is), Value: w.Value, Not: w.Not})
	}
	var s screen
	for f, err := range c.Find(ctx, q) {
		if err != nil {
			return out, err
		}
		shown := s.record(&f.Record)
		shown.Agent = f.Agent
		out.Records = append(out.Records, shown)
	}
	out.more = moreOf(q.Page, &s)
	return out, nil
}
