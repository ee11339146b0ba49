package mcp

import (
	"context"
	"log/slog"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"statehouse.dev/statehouse/client"
)

// Options say what a server reaches. Client is needed.
type Options struct {
	// Client makes the calls, in its namespace unless a tool names another.
	Client *client.Client
	// Confined keeps the server to the namespace of Client.
	Confined bool
	// Agent, unless empty, is the only agent that the server reaches. It is then confined to the namespace, too.
	Agent string
	// ReadOnly leaves out the tools that write.
	ReadOnly bool
	// Version of the program, which clients are told; "": unknown.
	Version string
	// Log is told of what the protocol does; nil: nobody is.
	Log *slog.Logger
	// Now is the clock by which times ago are read; time.Now.
	Now func() time.Time

	turns chan struct{} // of calls, over all servers that share it; nil: any number at once
}

// door is a server at work.
type door struct {
	Options
	server  *sdk.Server
	watches watches
}

// New makes a server. It can have many sessions, all of which it answers with the one client.
func New(o Options) *sdk.Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Version == "" {
		o.Version = "unknown"
	}
	if o.Agent != "" {
		o.Confined = true
	}
	d := &door{Options: o}
	d.watches.door = d
	d.server = sdk.NewServer(&sdk.Implementation{Name: "statehouse", Title: "Statehouse", Version: o.Version}, &sdk.ServerOptions{
		Instructions:       d.instructions(),
		Logger:             o.Log,
		SubscribeHandler:   d.watches.subscribe,
		UnsubscribeHandler: d.watches.unsubscribe,
		CompletionHandler:  d.complete,
		// No list of tools or templates ever changes, and which records there are is what list and search are for.
		Capabilities: &sdk.ServerCapabilities{
			Tools: &sdk.ToolCapabilities{}, Resources: &sdk.ResourceCapabilities{Subscribe: true}, Completions: &sdk.CompletionCapabilities{},
		},
		// What one caller may read another may not, and it may change at any moment.
		SetCacheable: func(_ context.Context, _ sdk.Request, c *sdk.Cacheable) { c.CacheScope, c.TTLMs = "private", 0 },
	})
	d.addReading()
	if !o.ReadOnly {
		d.addWriting()
	}
	d.addResources()
	return d.server
}

const instructions = `Statehouse keeps the state of AI agents: for each agent records, which are JSON objects under keys. Every write makes a new version, nothing is lost, and every commit has a place in one order, its commit_ts.

- Read before you write, and commit with the version that you have read (if_version; 0: the key does not exist). If somebody was faster the commit is refused and nothing is applied: the error says what is there now.
- What belongs together goes into one commit: all of it is applied, or nothing.
- Counters go up with increments and fields change with merges, which cannot conflict.
- as_of reads the past: a commit_ts ("12"), a time ("2026-02-07T10:00:00Z") or a time ago ("5m", "2h30m", "7d").
- Large values and long lists come in parts: go on with next_offset or next_page as the answer says.`

func (d *door) instructions() string {
	text := instructions
	if d.ReadOnly {
		text += "\n- You may only read."
	}
	switch {
	case d.Agent != "":
		text += "\n- You work with the state of agent " + quoted(d.Agent) + "."
	case d.Confined:
		text += "\n- You work in namespace " + quoted(d.Client.Namespace()) + "."
	}
	return text
}

// place is where a tool works.
type place struct {
	Namespace string `json:"namespace,omitempty" jsonschema:"the namespace, if not the usual one"`
	Agent     string `json:"agent" jsonschema:"the agent whose state it is"`
}

// in is the client for a namespace; "": the usual one.
func (d *door) in(namespace string) *client.Client {
	if namespace == "" || d.Confined {
		return d.Client
	}
	return d.Client.In(namespace)
}

// of is the client and the agent for a place.
func (d *door) of(p place) (*client.Client, string) {
	if d.Agent != "" {
		p.Agent = d.Agent
	}
	return d.in(p.Namespace), p.Agent
}

// turn waits until a call may be done, which is over when the returned function is called.
func (d *door) turn(ctx context.Context) (over func(), err error) {
	if d.turns == nil {
		return func() {}, nil
	}
	select {
	case d.turns <- struct{}{}:
		return func() { <-d.turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
