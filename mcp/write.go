package mcp

import (
	"context"
	"fmt"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"statehouse.dev/statehouse/client"
)

func (d *door) addWriting() {
	add(d, tool[commitIn, commitOut]{
		// It replaces values, but every version stays.
		name: "commit", title: "Commit changes", writes: true, run: d.commit,
		about: "Commits changes to records, all of them or none: puts, deletes, increments, merges and appends, under conditions. Read first, and give if_version with what replaces or deletes. The earlier versions stay in the history.",
	})
	if d.Agent == "" {
		add(d, tool[forkIn, committed]{
			name: "fork", title: "Fork an agent", writes: true, run: d.fork,
			about: "Makes a new agent that begins with the state of another one, now or as of the past. Nothing is copied and the other agent does not change: the way to try something.",
		})
	}
	add(d, tool[restoreIn, restoreOut]{
		name: "restore", title: "Restore an earlier state", writes: true, destroys: true, again: true, run: d.restore,
		about: "Gives all keys of an agent, or those of a prefix, the state that they had at a moment: what was written since is replaced or deleted, in one commit. See with preview first what would change.",
	})
}

type put struct {
	Agent     string  `json:"agent,omitempty"`
	Key       string  `json:"key"`
	Value     object  `json:"value" jsonschema:"the new value, whole"`
	IfVersion *uint64 `json:"if_version,omitempty" jsonschema:"only if the key is at this version; 0: only if it does not exist"`
	TTL       float64 `json:"ttl_seconds,omitempty" jsonschema:"it expires so long after the commit"`
}

type removal struct {
	Agent     string  `json:"agent,omitempty"`
	Key       string  `json:"key"`
	IfVersion *uint64 `json:"if_version,omitempty" jsonschema:"only if the key is at this version"`
}

type increment struct {
	Agent   string `json:"agent,omitempty"`
	Key     string `json:"key"`
	Pointer string `json:"pointer" jsonschema:"a JSON Pointer to the number, such as /tokens/used; what is not there counts as 0"`
	By      number `json:"by"`
	Min     number `json:"min,omitempty" jsonschema:"refuse a result below"`
	Max     number `json:"max,omitempty" jsonschema:"refuse a result above"`
}

type merge struct {
	Agent     string  `json:"agent,omitempty"`
	Key       string  `json:"key"`
	Patch     object  `json:"patch" jsonschema:"a JSON Merge Patch (RFC 7396): members that are set, null for those that go"`
	IfVersion *uint64 `json:"if_version,omitempty" jsonschema:"only if the key is at this version"`
}

type appending struct {
	Agent  string `json:"agent,omitempty"`
	Prefix string `json:"prefix" jsonschema:"such as messages/: the value gets the next numbered key under it"`
	Value  object `json:"value"`
}

type requirement struct {
	Agent   string  `json:"agent,omitempty"`
	Key     string  `json:"key,omitempty"`
	Version *uint64 `json:"version,omitempty" jsonschema:"the key is at this version; 0: it does not exist"`
	Head    *uint64 `json:"head,omitempty" jsonschema:"in place of a key: the agent's last commit is this one"`
}

type commitIn struct {
	Namespace  string        `json:"namespace,omitempty" jsonschema:"the namespace, if not the usual one"`
	Agent      string        `json:"agent,omitempty" jsonschema:"the agent of all that name none themselves"`
	Puts       []put         `json:"puts,omitempty"`
	Deletes    []removal     `json:"deletes,omitempty"`
	Increments []increment   `json:"increments,omitempty"`
	Merges     []merge       `json:"merges,omitempty"`
	Appends    []appending   `json:"appends,omitempty"`
	Conditions []requirement `json:"conditions,omitempty" jsonschema:"what must hold besides, of records that are not written"`
	Reason     string        `json:"reason" jsonschema:"why, in a sentence: it stays with the commit, for people and for you"`
	TxnID      string        `json:"txn_id,omitempty" jsonschema:"to repeat a commit whose outcome is unknown: the id that the error names"`
}

// committed is a commit that was made.
type committed struct {
	TxnID      string    `json:"txn_id"`
	CommitTS   uint64    `json:"commit_ts"`
	CommitTime time.Time `json:"commit_time,omitzero"`
}

type commitOut struct {
	committed
	Records []written `json:"records,omitempty"`
	Note    string    `json:"note,omitempty"`
}

// written is what a commit has made of a record.
type written struct {
	Agent   string `json:"agent"`
	Key     string `json:"key"`
	Version uint64 `json:"version" jsonschema:"commit with this as if_version next"`
	value          // of what the daemon computed
}

func committedOf(c *client.Commit) committed {
	return committed{c.TxnID, uint64(c.CommitTS), c.CommitTime}
}

func (d *door) commit(ctx context.Context, req *sdk.CallToolRequest, in commitIn) (out commitOut, err error) {
	b := client.Batch{TxnID: in.TxnID}
	b.Metadata = provenance(req, in.Reason)
	if b.Writes, err = d.writes(&in); err != nil {
		return out, err
	}
	for i, r := range in.Conditions {
		agent := d.whose(r.Agent, in.Agent)
		switch {
		case r.Version != nil && r.Key != "" && r.Head == nil:
			b.Keys = append(b.Keys, client.KeyPrecondition{RecordName: client.RecordName{Agent: agent, Key: r.Key}, Expected: client.Version(*r.Version)})
		case r.Head != nil && r.Key == "" && r.Version == nil:
			b.Heads = append(b.Heads, client.HeadPrecondition{Agent: agent, Expected: client.CommitTS(*r.Head)})
		default:
			return out, fmt.Errorf("conditions[%d] is neither a key with its version nor a head. Nothing was committed", i)
		}
	}
	if len(b.Writes) == 0 {
		return out, fmt.Errorf("there is nothing to commit: give puts, deletes, increments, merges or appends")
	}
	commit, err := d.in(in.Namespace).Transact(ctx, b)
	if err != nil {
		return out, err
	}
	out.committed = committedOf(&commit)
	var s screen
	for i, v := range commit.Versions {
		w := written{Agent: v.Agent, Key: v.Key, Version: uint64(v.Version)}
		if i < len(commit.Results) {
			w.Key = commit.Results[i].Key // of an append the one that it got
			w.value = s.show(commit.Results[i].Value, commit.Results[i].Bytes)
		}
		out.Records = append(out.Records, w)
	}
	out.Note = s.note("")
	return out, nil
}

// whose is the agent that a part of a commit is of.
func (d *door) whose(own, all string) string {
	switch {
	case d.Agent != "":
		return d.Agent
	case own != "":
		return own
	}
	return all
}

// writes are those of a commit, in the order of its lists.
func (d *door) writes(in *commitIn) (list []client.Write, err error) {
	add := func(w client.Write, version *uint64) {
		w.Agent, w.Expected = d.whose(w.Agent, in.Agent), (*client.Version)(version)
		if w.Agent == "" && err == nil {
			err = fmt.Errorf("key %s has no agent: give agent. Nothing was committed", quoted(w.Key))
		}
		list = append(list, w)
	}
	for _, p := range in.Puts {
		if p.TTL < 0 {
			return nil, fmt.Errorf("ttl_seconds of key %s is negative. Nothing was committed", quoted(p.Key))
		}
		add(client.Put(p.Agent, p.Key, p.Value.RawMessage).For(time.Duration(p.TTL*float64(time.Second))), p.IfVersion)
	}
	for _, r := range in.Deletes {
		add(client.Delete(r.Agent, r.Key), r.IfVersion)
	}
	for _, i := range in.Increments {
		add(client.Increment(i.Agent, i.Key, i.Pointer, i.By, client.AtLeast(i.Min), client.AtMost(i.Max)), nil)
	}
	for _, m := range in.Merges {
		add(client.Merge(m.Agent, m.Key, m.Patch.RawMessage), m.IfVersion)
	}
	for _, a := range in.Appends {
		add(client.Append(a.Agent, a.Prefix, a.Value.RawMessage), nil)
	}
	return list, err
}

// provenance is what a commit says of itself.
func provenance(req *sdk.CallToolRequest, reason string) map[string]string {
	m := map[string]string{"reason": reason, "via": "mcp"}
	if info := req.ClientInfo(); info != nil && info.Name != "" {
		m["mcp_client"] = info.Name
		if info.Version != "" {
			m["mcp_client"] += " " + info.Version
		}
	}
	return m
}

type forkIn struct {
	place
	From string `json:"from_agent" jsonschema:"the agent whose state it begins with"`
	asOf
	Reason string `json:"reason" jsonschema:"why, in a sentence"`
}

func (d *door) fork(ctx context.Context, req *sdk.CallToolRequest, in forkIn) (committed, error) {
	c, agent := d.of(in.place)
	at, err := d.at(in.AsOf)
	if err != nil {
		return committed{}, err
	}
	b := client.Batch{Writes: []client.Write{client.ForkAgent(agent, in.From, at)}}
	b.Metadata = provenance(req, in.Reason)
	commit, err := c.Transact(ctx, b)
	return committedOf(&commit), err
}

type restoreIn struct {
	place
	Prefix  string `json:"prefix,omitempty" jsonschema:"only keys that begin with this"`
	AsOf    string `json:"as_of" jsonschema:"the moment: a commit_ts, a time such as 2026-02-07T10:00:00Z, or a time ago such as 5m or 7d"`
	Preview bool   `json:"preview,omitempty" jsonschema:"change nothing, and show what would change"`
	Reason  string `json:"reason" jsonschema:"why, in a sentence"`
}

type restoreOut struct {
	CommitTS uint64   `json:"commit_ts,omitempty" jsonschema:"restore to the commit before this one to undo it"`
	TxnID    string   `json:"txn_id,omitempty"`
	Keys     uint64   `json:"keys_changed,omitempty"`
	Changes  []change `json:"changes,omitempty" jsonschema:"of preview: what would change"`
	Note     string   `json:"note,omitempty"`
}

func (d *door) restore(ctx context.Context, req *sdk.CallToolRequest, in restoreIn) (out restoreOut, err error) {
	c, agent := d.of(in.place)
	at, err := d.at(in.AsOf)
	if err != nil {
		return out, err
	}
	if at == (client.At{}) {
		return out, fmt.Errorf("as_of is now: name a moment that has passed")
	}
	if in.Preview {
		var s screen
		page := paging{Limit: maxPage}.page()
		out.Changes, err = s.changes(ctx, c, agent, client.DiffQuery{To: at, Prefix: in.Prefix, Page: page})
		if page.Next != "" {
			out.Note = "more keys would change than are shown; diff with to shows all"
		}
		return out, err
	}
	b := client.Batch{Writes: []client.Write{client.Restore(agent, in.Prefix, at)}}
	b.Metadata = provenance(req, in.Reason)
	commit, err := c.Transact(ctx, b)
	if err != nil {
		return out, err
	}
	out.CommitTS, out.TxnID = uint64(commit.CommitTS), commit.TxnID
	if len(commit.Results) == 1 {
		out.Keys = commit.Results[0].Keys
	}
	return out, nil
}
