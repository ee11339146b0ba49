package live

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"statehouse.dev/statehouse/history"
)

// deafFor is how long a member hears nothing when it is cut off one way: long enough for an election.
const deafFor = 3 * time.Second

// harassCluster does to the members what the options say, one after the other, at even distances. It waits each time
// until the cluster is whole again: two of three that fail at once are no fault that it must outlast.
func (r *run) harassCluster(ctx context.Context) {
	rng := rand.New(rand.NewPCG(r.o.Seed, 1))
	var kinds []string
	for kind, n := range map[string]int{"kill": r.o.Kills, "kill a follower": r.o.Terms, "stop": r.o.Stops, "deafen": r.o.Deaf} { // sorted below
		for range n {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for i, kind := range kinds {
		until(ctx, r.begun.Add(r.o.For*time.Duration(i+1)/time.Duration(len(kinds)+2)))
		if ctx.Err() != nil || r.died() {
			return
		}
		if err := r.strikeMember(ctx, kind, rng); err != nil {
			if ctx.Err() == nil {
				r.violate("G9", "does-not-recover", "after the fault %q: %v", kind, err)
			}
			return
		}
	}
}

func (r *run) strikeMember(ctx context.Context, kind string, rng *rand.Rand) error {
	c := r.cluster
	all, err := c.states(ctx)
	if err != nil {
		return err
	}
	at := leads(all)
	if at < 0 {
		return r.whole(ctx)
	}
	if kind == "kill a follower" {
		at = (at + 1 + rng.IntN(len(c.members)-1)) % len(c.members)
	}
	d, began := c.members[at], time.Since(r.begun)
	r.rec.Note(fmt.Sprint("member ", at+1), kind, "")
	switch kind {
	case "stop":
		r.count(func(s *Stats) { s.Stops++ })
		if err := d.signal(sigStop); err != nil {
			return err
		}
		until(ctx, time.Now().Add(time.Second+draw(rng, 4*time.Second)))
		if err := d.signal(sigCont); err != nil {
			return err
		}
	case "deafen":
		r.count(func(s *Stats) { s.Cuts++ })
		c.relays[at].hold(true)
		until(ctx, time.Now().Add(deafFor))
		c.relays[at].hold(false)
	default:
		c.down[at].Store(true)
		d.kill()
		r.count(func(s *Stats) { s.Kills++ })
		until(ctx, time.Now().Add(time.Second+draw(rng, 2*time.Second)))
		if err := d.launch(); err != nil {
			return err
		}
		c.down[at].Store(false)
		r.count(func(s *Stats) { s.Processes++ })
	}
	err = r.whole(ctx)
	if kind != "kill a follower" {
		r.struck = append(r.struck, span{began, time.Since(r.begun)})
	}
	return err
}

// span is from a fault until the cluster was whole again, since the run began.
type span struct{ from, to time.Duration }

// outages are the longest times without an acknowledged commit, one for each fault that struck the leader.
func outages(struck []span, h *history.History) (list []time.Duration) {
	var acks []time.Duration
	for _, op := range h.Operations {
		if (op.Kind == history.Commit || op.Kind == history.Transact) && op.Outcome == history.OK {
			acks = append(acks, time.Duration(op.Return))
		}
	}
	slices.Sort(acks)
	for _, s := range struck {
		longest, last := time.Duration(0), time.Duration(0)
		for _, at := range acks {
			if at > s.from && last < s.to {
				longest = max(longest, at-max(last, s.from))
			}
			last = at
		}
		list = append(list, longest)
	}
	return list
}
