package record

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/history"
)

// Cover makes what clients recorded of themselves on a store in use fit to be judged: it
// asks the daemon for the state of the agents that they touched, as of the first point
// that they saw, and for what has been done to those agents since, by anyone. It costs
// what those agents have been through since then, however large the store is. Names and
// values must be as they were: what is redacted is redacted afterwards.
func Cover(ctx context.Context, c *client.Client, h *history.History) error {
	switch {
	case h.Complete || h.Header.Base != nil:
		return errors.New("the history has its state and its log already")
	case h.Header.Redaction != "":
		return errors.New("the history is redacted, so that nothing in it is found in the store: cover it first, and redact it then")
	}
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	v := &coverage{c: c, h: h, base: &history.Base{CommitTS: firstSeen(h, uint64(status.Published)), Covers: uint64(status.Published)}, agents: make(map[agent]*touched)}
	for _, op := range h.Operations {
		v.touch(op)
	}
	for _, a := range slices.SortedFunc(maps.Keys(v.agents), compareAgents) {
		if err := v.fetch(ctx, a, v.agents[a]); err != nil {
			return err
		}
	}
	h.Header.Source, h.Header.Base, h.Complete = history.SourceClient, v.base, true
	h.Log = v.log()
	return nil
}

// coverage is what is known of the agents that a history is about.
type coverage struct {
	c      *client.Client
	h      *history.History
	base   *history.Base
	agents map[agent]*touched
	events map[uint64]*history.Event
}

type agent struct{ ns, name string }

// touched is what operations ask of an agent.
type touched struct {
	keys   map[string]bool
	listed bool // they list its keys
	head   bool // they expect its head
}

// firstSeen is the earliest point that an operation saw: the state as of then decides
// what every later one may be told.
func firstSeen(h *history.History, last uint64) uint64 {
	first := last
	for _, op := range h.Operations {
		ts, tells := op.SawLast()
		if tells && op.Kind.Info().Commits {
			ts = max(ts, 1) - 1 // it saw what was there before
		}
		if tells {
			first = min(first, ts)
		}
	}
	return first
}

// touch notes what an operation is about.
func (v *coverage) touch(op *history.Operation) {
	in := &op.In
	of := func(ns, name string) *touched {
		a := agent{ns, name}
		if v.agents[a] == nil && name != "" {
			v.agents[a] = &touched{keys: make(map[string]bool)}
		}
		return v.agents[a]
	}
	in.EachName(func(n history.Name) {
		if t := of(n.Namespace, n.Agent); t != nil && n.Key != "" {
			t.keys[n.Key] = true
		}
	})
	for _, w := range in.Heads {
		of(w.Namespace, w.Agent).head = true
	}
	if op.Kind == history.ListKeys || op.Kind == history.Scan {
		if t := of(in.Namespace, in.Agent); t != nil {
			t.listed = true
		}
	}
}

// fetch asks for one agent's state and log.
func (v *coverage) fetch(ctx context.Context, a agent, t *touched) error {
	c, at := v.c.In(a.ns), client.AtCommit(client.CommitTS(v.base.CommitTS))
	line := history.Agent{Namespace: a.ns, Agent: a.name}
	if v.base.CommitTS > 0 {
		if err := v.state(ctx, c, a, t, at); err != nil {
			return err
		}
		if t.head {
			for ev, err := range c.Replay(ctx, client.ReplayQuery{Agent: a.name, To: client.CommitTS(v.base.CommitTS), NoValues: true}) {
				if err != nil {
					return err
				}
				line.HeadTS = uint64(ev.CommitTS)
				line.FirstTS = cmp.Or(line.FirstTS, line.HeadTS)
			}
		}
	}
	v.base.Agents = append(v.base.Agents, line)
	if v.base.CommitTS == v.base.Covers {
		return nil
	}
	q := client.ReplayQuery{Agent: a.name, From: client.CommitTS(v.base.CommitTS) + 1, To: client.CommitTS(v.base.Covers)}
	for ev, err := range c.Replay(ctx, q) {
		if err != nil {
			return err
		}
		v.add(a, &ev)
	}
	return nil
}

// state asks for the keys that operations name, tombstones too, and for all that exist
// where they list.
func (v *coverage) state(ctx context.Context, c *client.Client, a agent, t *touched, at client.At) error {
	known := make(map[string]bool)
	add := func(r client.Record) {
		if r.Version == 0 || known[r.Key] {
			return
		}
		known[r.Key] = true
		v.base.Records = append(v.base.Records, history.Record{
			Name: history.Name{Namespace: a.ns, Agent: a.name, Key: r.Key}, Exists: r.Exists, Version: uint64(r.Version),
			CommitTS: uint64(r.CommitTS), CommitTime: unixNano(r.CommitTime), Value: valueText(r.Value, r.Bytes),
		})
	}
	if t.listed {
		for r, err := range c.Scan(ctx, a.name, client.ListQuery{At: at}) {
			if err != nil {
				return err
			}
			add(r)
		}
	}
	var names []client.RecordName
	for _, key := range slices.Sorted(maps.Keys(t.keys)) {
		if !known[key] {
			names = append(names, client.RecordName{Agent: a.name, Key: key})
		}
	}
	for some := range slices.Chunk(names, keysAtOnce) {
		list, err := c.BatchGet(ctx, some, at)
		if err != nil {
			return err
		}
		for _, r := range list {
			add(r)
		}
	}
	return nil
}

// keysAtOnce is how many keys are asked for in one request: their values fit in an answer.
const keysAtOnce = 3

func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// add adds one agent's part of a commit.
func (v *coverage) add(a agent, ev *client.Event) {
	if v.events == nil {
		v.events = make(map[uint64]*history.Event)
	}
	ts := uint64(ev.CommitTS)
	known := v.events[ts]
	if known == nil {
		known = &history.Event{CommitTS: ts, CommitTime: unixNano(ev.CommitTime), TxnID: ev.TxnID, Metadata: ev.Metadata}
		v.events[ts] = known
	}
	for _, o := range ev.Operations {
		known.Ops = append(known.Ops, history.EventOp{
			Name: history.Name{Namespace: a.ns, Agent: a.name, Key: o.Key}, Version: uint64(o.Version), Delete: o.Deleted, Value: string(o.Value),
		})
	}
}

func (v *coverage) log() []history.Event {
	log := make([]history.Event, 0, len(v.events))
	for _, ts := range slices.Sorted(maps.Keys(v.events)) {
		log = append(log, *v.events[ts])
	}
	return log
}

func compareAgents(a, b agent) int {
	return cmp.Or(strings.Compare(a.ns, b.ns), strings.Compare(a.name, b.name))
}

// valueText is a value that a client read, as histories have it.
func valueText(value []byte, b *client.Bytes) string {
	if b != nil {
		return history.Bytes(b.ContentType, b.Data)
	}
	return string(value)
}
