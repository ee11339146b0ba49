package askers

import (
	"fmt"

	"statehouse.dev/statehouse/history"
)

// claim is a record that was handed out to an asker.
type claim struct {
	name  history.Name
	token uint64
}

func (c *claim) lease() history.Name {
	n := c.name
	n.Key = "due:" + n.Key
	return n
}

// wake writes what is due, claims what others wrote, and completes it, gives it back or holds it longer: now and
// then also when it is claimed no longer, or is completed.
func (a *asker) wake() {
	n := a.key("due-1", "due-2", "due-3")
	switch at := a.r.IntN(12); {
	case at < 3:
		list := []history.Write{a.due(n)}
		if other := a.key("due-1", "due-2", "due-3"); other != n && a.chance(0.3) {
			list = append(list, a.due(other))
		}
		a.writes(list...)
	case at < 7 || len(a.claims) == 0:
		a.claim()
	case at < 9:
		c := a.claims[len(a.claims)-1]
		if a.chance(0.2) {
			c.token++ // which is no claim: the record is ready again, or completed
		}
		a.writes(history.Write{Name: c.name, Op: history.Complete, With: &history.Arguments{Token: c.token}})
		a.forget()
	case at == 9:
		c := a.claims[a.r.IntN(len(a.claims))]
		a.writes(history.Write{Name: c.lease(), Op: history.Release, With: &history.Arguments{Token: c.token}})
		a.forget()
	case at == 10:
		c := a.claims[a.r.IntN(len(a.claims))]
		a.send(history.RenewLeases, history.Input{Renewals: []history.Renewal{
			{Namespace: c.name.Namespace, Agent: c.name.Agent, Lease: c.lease().Key, Token: c.token, TTL: []uint64{0, 100, 2000}[a.r.IntN(3)]},
		}})
	case a.chance(0.3):
		a.writes(history.Write{Name: n, Delete: true})
	default: // what comes of the work is written only while it is claimed
		c := a.claims[a.r.IntN(len(a.claims))]
		held := history.KeyCondition{Name: history.Name{Namespace: c.name.Namespace, Agent: c.name.Agent}, Lease: c.lease().Key, Expected: c.token}
		a.transact(history.Input{
			Writes: []history.Write{{Name: a.key("done"), Value: fmt.Sprintf(`{"by":%q,"token":%d}`, a.name, c.token)}}, Keys: []history.KeyCondition{held},
		})
	}
}

func (a *asker) due(n history.Name) history.Write {
	in := uint64([]int{0, 0, 50, 300, 1000}[a.r.IntN(5)])
	return history.Write{Name: n, Value: fmt.Sprintf(`{"by":%q,"n":%d}`, a.name, a.r.IntN(99)), With: &history.Arguments{DueIn: &in}}
}

func (a *asker) claim() {
	of := a.key("due-", "due-", "", "due-1")
	with := &history.Arguments{Holder: a.name, TTL: uint64(100 + a.r.IntN(1500)), Limit: uint64(a.r.IntN(4)), AllAgents: a.chance(0.2)}
	if with.AllAgents {
		of.Agent = ""
	}
	op := a.writes(history.Write{Name: of, Op: history.Claim, With: with})
	if op == nil || op.Outcome != history.OK || len(op.Out.Results) != 1 {
		return
	}
	for _, d := range op.Out.Results[0].Claimed {
		if d.Record != nil && d.Lease != nil {
			n := history.Name{Namespace: d.Lease.Namespace, Agent: d.Lease.Agent, Key: d.Record.Key}
			a.claims = append(a.claims, claim{n, d.Lease.Token})
		}
	}
}

// forget drops its last claim, mostly.
func (a *asker) forget() {
	if a.chance(0.7) {
		a.claims = a.claims[:len(a.claims)-1]
	}
}
