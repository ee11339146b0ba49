package clusters

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// unlock starts a client that comes with keys, good ones and others: it writes, reads and watches, and goes on with a key
// that was revoked.
func unlock(w *sim.World, rounds int) {
	const name = "holder"
	r := simdisk.Stream(w.Seed(), name)
	w.Launch(name, func(p *sim.Program) {
		for i := range rounds {
			if p.Over() {
				return
			}
			s := asks(r, name, w.FreshTxn(), i)
			s.Token = w.KeyFor(s, r.IntN(1<<20))
			p.Send(s, 3*time.Second)
			_ = p.Sleep(context.Background(), time.Duration(r.IntN(200))*time.Millisecond)
		}
	})
}

// asks is what the client asks for next.
func asks(r *rand.Rand, name, txn string, n int) step.Step {
	s := step.Step{Verb: step.Call, Client: name}
	space := []string{"default", "default", "default", "default-far"}[r.IntN(4)]
	key := history.Name{Namespace: space, Agent: name, Key: []string{"a", "b"}[r.IntN(2)]}
	switch r.IntN(5) {
	case 0, 1:
		s.Kind = history.Transact
		s.In = history.Input{TxnID: txn, Writes: []history.Write{{Name: key, Value: fmt.Sprintf(`{"n":%d}`, n)}}}
	case 2:
		s.Kind, s.In = history.ListKeys, history.Input{Namespace: space, Agent: name}
	default:
		s.Kind, s.In = history.Get, history.Input{Namespace: space, Agent: name, Key: key.Key}
	}
	return s
}
