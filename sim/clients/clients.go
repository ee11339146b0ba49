// Package clients puts the programs of package workload into a world, as clients that use the real client,
// and judges what their users were told.
package clients

import (
	"context"
	"math/rand/v2"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/intent"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
	"statehouse.dev/statehouse/sim/workload"
)

// Options says how a client uses a world.
type Options struct {
	Rounds  int // of its workload
	Agents  int // that it writes to
	Names   *workload.Names
	Home    string  // its namespace
	Structs float64 // how likely it sends some of its values as Structs
	Shared  *sim.Session
}

// patience is how long a client's workload goes on with one round. A client that loses it so often has no
// more to ask: where sessions take all streams that there may be, a watch waits for as long as they last.
const (
	patience = 20 * time.Second
	mostLost = 10
)

// Launch starts a client that runs a workload, through the real client.
func Launch(w *sim.World, told *intent.Recorder, name string, l workload.Workload, o Options) {
	rng := simdisk.Stream(w.Seed(), "client", name)
	ids := simdisk.Stream(w.Seed(), "ids", name)
	w.Launch(name, func(p *sim.Program) {
		within := func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
			return p.Within(ctx, d), func() {}
		}
		timeout, attempt := timeouts(rng)
		conn := p.Conn()
		if o.Shared != nil {
			conn = o.Shared.Conn(p)
		}
		c, err := client.New(conn, client.Config{
			Timeout: timeout, AttemptTimeout: attempt, PageSize: 1 + rng.IntN(4),
			Now: w.Now, Sleep: p.Sleep, WithTimeout: within,
			Rand: func(b []byte) {
				for i := range b {
					b[i] = byte(ids.Uint32())
				}
			},
		})
		if err != nil {
			panic("clients: the client's configuration: " + err.Error())
		}
		if form := simdisk.Stream(w.Seed(), "form", name); form.Float64() < o.Structs {
			p.Structs = func() bool { return form.IntN(2) == 0 }
		}
		env := &workload.Env{
			Client: told.Client(name, c.In(o.Home), timeout < 0), Rand: rng, Name: name, Ops: 1, Agents: o.Agents, Names: o.Names, Pause: p.Sleep, Epoch: step.Epoch,
			Within: within,
		}
		for lost, round := 0, 0; round < o.Rounds && lost < mostLost; round++ {
			if p.Over() {
				return
			}
			began := w.Now()
			if err := l.Run(p.Within(context.Background(), patience), env); err != nil {
				w.Violate("G3", "workload-"+l.Name, name+": "+err.Error())
				return
			}
			if w.Now().Sub(began) >= patience {
				lost++
			}
		}
	})
}

// NewRecorder is a recorder of what clients of a world are told.
func NewRecorder(w *sim.World) *intent.Recorder {
	return intent.NewRecorder(intent.Options{Now: w.Stamp, Name: w.TxnName})
}

// timeouts draws how long a client waits for a call, and for one try of it; -1: as long as it
// takes. They are short against what goes wrong, as they are in production.
func timeouts(rng *rand.Rand) (call, try time.Duration) {
	call, try = -1, -1
	if rng.IntN(3) == 0 {
		call = time.Duration(30+rng.IntN(400)) * time.Millisecond
	}
	if rng.IntN(3) == 0 {
		try = time.Duration(20+rng.IntN(200)) * time.Millisecond
	}
	return call, try
}

// Judge adds to a result what the clients' users were told and should not have been.
// They are not in the steps, so that what is found here comes after what can be shrunk.
func Judge(r *sim.Result, told *intent.Recorder) {
	doubled := make(map[int]bool)
	for i := range r.Steps {
		if s := &r.Steps[i]; s.Verb == step.Dup {
			doubled[s.Of] = true
		}
	}
	found := intent.Judge(r.History, told.History(), intent.Network{Doubled: doubled, Unheard: r.Unheard})
	for _, v := range found {
		r.Sum = simdisk.Derive(r.Sum, v.Check, step.FirstLine(v.Sentence))
	}
	r.Violations = append(r.Violations, found...)
}
