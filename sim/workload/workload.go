// Package workload holds programs that use Statehouse as agents do, through the
// real client. They run in the simulator and against a real daemon alike; what
// they draw comes from the randomness they are given.
//
// A program checks little itself: every request it makes is judged by package
// linearizability. What it does check are invariants that only it knows, such as
// that money is neither made nor lost, as a second opinion.
package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/sim/intent"
)

// Env is what a program is given.
type Env struct {
	Client *intent.Client
	Rand   *rand.Rand
	Name   string // of the client; values it writes carry it
	Ops    int    // about how many requests to make
	Agents int    // how many agents the programs share: few are hot
	Names  *Names // that they share; nil: plain ones
	// Pause waits for time to pass.
	Pause func(ctx context.Context, d time.Duration) error
	// Within is ctx with a deadline so far from now.
	Within func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)
	// Epoch is when the run began.
	Epoch time.Time

	written int
	seen    []moment // commits heard of, some of them
}

// Workload is a program and what it is for.
type Workload struct {
	Name  string
	About string
	run   func(ctx context.Context, e *Env) error
}

// Broken is the error of a program that saw its invariant broken.
type Broken struct{ Sentence string }

func (b *Broken) Error() string { return b.Sentence }

// Run runs the program until it has made e.Ops rounds or ctx ends. What the daemon
// refuses is part of the game; an error is always a *Broken.
func (l Workload) Run(ctx context.Context, e *Env) error {
	for range e.Ops {
		if ctx.Err() != nil {
			return nil
		}
		var broken *Broken
		if err := l.run(ctx, e); errors.As(err, &broken) {
			return broken
		}
	}
	return nil
}

// All lists the workloads.
func All() []Workload {
	return []Workload{
		{"register", "single keys, written, read, deleted, looked up by version", register},
		{"counter", "read-modify-write: with a transaction, with an expected version, and blind", counter},
		{"transfer", "money moves between agents; its sum stays", transfer},
		{"list", "appends to one list; nothing that was appended is lost or moves", appendList},
		{"oneshot", "one-shot commits, sent again under the same id, outcomes asked for", oneShot},
		{"expiry", "interactive transactions that commit about when they expire", expiry},
		{"mixed", "interactive transactions that read, list, write and delete, and see their own writes", mixed},
		{"scan", "lists and scans in small pages while others write", scan},
		{"asof", "reads as of earlier commits and times", asOf},
		{"watch", "watches that break off and resume, and replays with filters", watch},
		{"recreate", "keys deleted and made again, only if absent", recreate},
		{"head", "commits on the condition that an agent's head has not moved", head},
		{"conditions", "commits on several conditions at once, of which one may be stale", conditions},
		{"skew", "two doctors on call, each going off if the other stays", skew},
		{"bulk", "more at once than limits, pages and messages have room for", bulk},
		{"tenants", "the same names in two namespaces; agents and namespaces listed", tenants},
		{Deep, "an agent with a long past: early versions, late pages, the last events", deep},
	}
}

func (e *Env) chance(p float64) bool { return e.Rand.Float64() < p }

// begin opens a transaction, held in the client or in the daemon.
func (e *Env) begin(ctx context.Context, timeout time.Duration) (*intent.Txn, error) {
	if e.chance(0.5) {
		return e.Client.BeginHeld(ctx, timeout)
	}
	return e.Client.Begin(ctx, timeout)
}

// manyAgents is from where on all are drawn alike: so many are there to fill caches.
const manyAgents = 16

// agent draws one; the first is drawn half of the time, unless there are many.
func (e *Env) agent() string {
	agents := e.names().Agents
	if len(agents) < manyAgents && e.chance(0.5) {
		return agents[0]
	}
	return agents[e.Rand.IntN(len(agents))]
}

// hurried is ctx, or now and then one that ends before much can be answered.
func (e *Env) hurried(ctx context.Context, p float64) (context.Context, context.CancelFunc) {
	if !e.chance(p) {
		return ctx, func() {}
	}
	return e.Within(ctx, time.Duration(1+e.Rand.IntN(12))*time.Millisecond)
}

// key draws one of a few with a prefix, the first most often.
func (e *Env) key(prefix string) string {
	tails := e.names().Tails
	if e.chance(0.4) {
		return prefix + tails[0]
	}
	return prefix + tails[e.Rand.IntN(len(tails))]
}

// prefix draws one of keys that several programs write, and of more than those.
func (e *Env) prefix() string { return []string{"reg/", "if/", "r"}[e.Rand.IntN(3)] }

// moment is a commit and its time.
type moment struct {
	ts client.CommitTS
	at time.Time
}

// heard remembers a commit to read at later.
func (e *Env) heard(ts client.CommitTS, at time.Time) {
	if ts == 0 {
		return
	}
	if len(e.seen) < 8 {
		e.seen = append(e.seen, moment{ts, at})
		return
	}
	e.seen[e.Rand.IntN(len(e.seen))] = moment{ts, at}
}

// recall draws a commit heard of; before the first, none.
func (e *Env) recall() moment {
	if len(e.seen) == 0 {
		return moment{}
	}
	return e.seen[e.Rand.IntN(len(e.seen))]
}

// time draws a moment in time: often that of a commit, or next to it, where bounds
// are decided.
func (e *Env) time() time.Time {
	if m := e.recall(); m.ts != 0 && e.chance(0.6) {
		return m.at.Add(time.Duration(e.Rand.IntN(3) - 1))
	}
	return e.Epoch.Add(time.Duration(e.Rand.IntN(3000)) * time.Millisecond)
}

// number reads {"n": …}.
func number(v json.RawMessage) int {
	var x struct{ N int }
	_ = json.Unmarshal(v, &x) // absent is 0
	return x.N
}

func numbered(n int) json.RawMessage { return fmt.Appendf(nil, `{"n":%d}`, n) }
