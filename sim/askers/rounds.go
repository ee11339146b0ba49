package askers

import (
	"fmt"

	"statehouse.dev/statehouse/history"
)

const askedLease = "worker"

// work acquires a lease, works under it, renews it and gives it back, each of it now and then also when it
// is held no longer: whatever is done under a token that is not current is refused.
func (a *asker) work() {
	lease := history.Name{Namespace: "default", Agent: askedAgent, Key: askedLease}
	held := history.KeyCondition{Name: history.Name{Namespace: "default", Agent: askedAgent}, Lease: askedLease, Expected: a.token}
	count := history.Write{Name: a.key("fenced"), Op: history.Increment, With: &history.Arguments{Pointer: "/n", Delta: "1"}}
	switch at := a.r.IntN(8); {
	case a.token == 0 || at == 0:
		op := a.writes(history.Write{Name: lease, Op: history.Acquire, With: &history.Arguments{Holder: a.name, TTL: uint64(100 + a.r.IntN(1500))}})
		if op != nil && op.Outcome == history.OK && len(op.Out.Results) == 1 && op.Out.Results[0].Lease != nil {
			a.token = op.Out.Results[0].Lease.Token
		}
	case at == 1:
		a.writes(history.Write{Name: lease, Op: history.Release, With: &history.Arguments{Token: a.token}})
		if a.chance(0.7) {
			a.token = 0
		}
	case at < 4:
		a.send(history.RenewLeases, history.Input{Renewals: []history.Renewal{
			{Namespace: "default", Agent: askedAgent, Lease: askedLease, Token: a.token, TTL: []uint64{0, 100, 2000}[a.r.IntN(3)]},
		}})
	default:
		in := history.Input{Writes: []history.Write{count}, Keys: []history.KeyCondition{held}}
		if a.chance(0.3) {
			in.Writes = append(in.Writes, history.Write{Name: a.key("fenced-note-1"), Value: fmt.Sprintf(`{"by":%q,"token":%d}`, a.name, a.token)})
		}
		if op := a.transact(in); op != nil && op.Error != nil && op.Error.Code == "LEASE_LOST" {
			a.token = 0
		}
	}
}

// expire writes what expires, refreshes it and reads it.
func (a *asker) expire() {
	n := a.key("exp-1", "exp-2")
	switch a.r.IntN(4) {
	case 0, 1:
		a.writes(history.Write{Name: n, Value: fmt.Sprintf(`{"n":%d}`, a.r.IntN(9)), With: &history.Arguments{TTL: uint64(50 + a.r.IntN(1200))}})
	case 2:
		a.send(history.RefreshExpiry, history.Input{Names: []history.Name{n, a.key("exp-1", "count")}, TTL: []uint64{0, 500}[a.r.IntN(2)]})
	default:
		a.send(history.Get, history.Input{Namespace: n.Namespace, Agent: n.Agent, Key: n.Key})
	}
}

// look reads what others have done.
func (a *asker) look() {
	in := history.Input{Namespace: "default", Agent: askedAgent}
	a.as(&in)
	switch a.r.IntN(6) {
	case 0:
		n := a.key("count", "fenced", "exp-1", "log-0000000000000001")
		in.Key = n.Key
		if len(a.seen) > 0 && a.chance(0.5) {
			in.MinRead = a.seen[a.r.IntN(len(a.seen))]
		}
		a.send(history.Get, in)
	case 1:
		in.Prefix, in.Limit = "log-", uint64(a.r.IntN(5))
		a.send(history.Scan, in)
	case 2:
		a.send(history.ListLeases, history.Input{Namespace: in.Namespace, Agent: in.Agent})
	case 3:
		in.AllOperations = a.chance(0.5)
		a.send(history.Replay, in)
	case 4:
		in.Key = a.key("count", "fenced", "exp-1").Key
		a.send(history.KeyHistory, in)
	default:
		a.send(history.ListAgents, history.Input{Namespace: "default"})
	}
}

// observe asks about more than one record: what conditions select, what is in folders, what differs.
func (a *asker) observe() {
	in := history.Input{Namespace: "default", Agent: askedAgent, Limit: uint64(a.r.IntN(4))}
	a.as(&in)
	moment := func() *uint64 {
		if len(a.seen) == 0 || a.chance(0.5) {
			return nil
		}
		return &a.seen[a.r.IntN(len(a.seen))]
	}
	kind := history.Find
	switch a.r.IntN(4) {
	case 0:
		kind, in.Delimiter, in.Reverse, in.At = history.ListKeys, "-", a.chance(0.3), moment()
		in.Limit++
	case 1:
		kind, in.At = history.Diff, moment()
		if in.At == nil && a.chance(0.5) {
			in.At = new(uint64) // from nothing
		}
		in.Versus = &history.Point{At: moment()}
		if in.Versus.At == nil {
			in.Versus = nil
		}
	default:
		in.At, in.ByChange, in.WithMetadata = moment(), a.chance(0.4), a.chance(0.3)
		if in.AllAgents = !in.ByChange && a.chance(0.3); in.AllAgents {
			in.Agent = ""
		}
		in.Prefix = []string{"", "log-", "count"}[a.r.IntN(3)]
		for range a.r.IntN(3) {
			in.Where = append(in.Where, a.condition())
		}
	}
	for range 6 { // pages
		op := a.send(kind, in)
		if op == nil || op.Outcome != history.OK || !op.Out.More {
			return
		}
		in.PageOf = op.ID
	}
}

func (a *asker) condition() history.Filter {
	list := []history.Filter{
		{Pointer: "/n", Is: ">=", Value: "3"}, {Pointer: "/n", Is: "<", Value: "5.5"}, {Pointer: "/by", Is: "=", Value: `"asker1"`}, {Pointer: "/m", Is: "exists"},
		{Pointer: "/deep/by", Is: "!=", Value: `"asker2"`}, {Pointer: "/n", Is: "in", Value: "[1,2,3,1e2]"}, {Metadata: "actor", Is: "=", Value: `"asker1"`}, {Metadata: "actor", Is: "exists"},
	}
	f := list[a.r.IntN(len(list))]
	f.Not = a.chance(0.2)
	return f
}

// family forks the agent, writes in both futures, and asks where agents come from. Now and then it clears
// what there is, or takes it back to what it was.
func (a *asker) family() {
	child := fmt.Sprintf("%s-fork%d", a.name, a.r.IntN(3))
	then := func(with *history.Arguments) *history.Arguments {
		if len(a.seen) > 0 && a.chance(0.6) {
			with.At = &a.seen[a.r.IntN(len(a.seen))]
		}
		return with
	}
	of := func(agent, key string) history.Name {
		return history.Name{Namespace: "default", Agent: agent, Key: key}
	}
	parent := askedAgent
	if a.chance(0.2) {
		parent = fmt.Sprintf("%s-fork%d", a.name, a.r.IntN(3))
	}
	switch a.r.IntN(8) {
	case 0, 1, 2:
		from := "default"
		if a.chance(0.05) {
			from = "default-elsewhere" // where it cannot be from
		}
		op := a.writes(history.Write{Name: of(child, ""), Op: history.Fork, With: then(&history.Arguments{Namespace: from, Agent: parent})})
		if op != nil && op.Outcome == history.OK {
			a.forks = append(a.forks, child)
			a.descent()
		}
	case 3:
		a.writes(history.Write{Name: of(child, a.key("count", "log-0000000000000001", "own").Key), Value: a.value(fmt.Sprintf(`{"future":%q,"n":%d}`, child, a.r.IntN(9)))})
	case 4:
		a.writes(history.Write{Name: of(child, "log-"), Op: history.Append, Value: fmt.Sprintf(`{"by":%q}`, a.name)},
			history.Write{Name: of(child, "count"), Op: history.Increment, With: &history.Arguments{Pointer: "/n", Delta: "1"}})
	case 5:
		a.writes(history.Write{Name: of([]string{child, askedAgent}[a.r.IntN(2)], []string{"log-", "once-", "exp-", "blob-"}[a.r.IntN(4)]), Op: history.DeletePrefix})
	case 6:
		a.writes(history.Write{Name: of([]string{child, askedAgent}[a.r.IntN(2)], []string{"log-", "", "count"}[a.r.IntN(3)]), Op: history.Restore, With: then(&history.Arguments{})})
	default:
		if a.chance(0.3) {
			a.writes(history.Write{Name: of(child, ""), Op: history.DeleteAgent})
			return
		}
		a.send(history.GetAgent, history.Input{Namespace: "default", Agent: []string{child, askedAgent}[a.r.IntN(2)]})
		in := history.Input{Namespace: "default", Agent: child}
		a.as(&in)
		a.send(history.Scan, in)
		a.send(history.Diff, history.Input{Namespace: "default", Agent: askedAgent, At: then(&history.Arguments{}).At, Versus: &history.Point{Namespace: "default", Agent: child}, Native: in.Native})
		in.AllOperations = a.chance(0.5)
		a.send(history.Replay, in)
	}
}

// descent replays a fork from what it was forked from on: all of it, or a part.
func (a *asker) descent() {
	in := history.Input{Namespace: "default", Agent: fmt.Sprintf("%s-fork%d", a.name, a.r.IntN(3)), Lineage: true, AllOperations: a.chance(0.7)}
	if n := len(a.forks); n > 0 && a.chance(0.9) {
		in.Agent = a.forks[a.r.IntN(n)]
	}
	a.as(&in)
	if len(a.seen) > 0 && a.chance(0.3) {
		in.From = &a.seen[a.r.IntN(len(a.seen))]
	}
	if len(a.seen) > 0 && a.chance(0.2) {
		in.To = &a.seen[a.r.IntN(len(a.seen))]
	}
	if a.chance(0.1) {
		in.Limit = uint64(1 + a.r.IntN(20))
	}
	if a.chance(0.1) {
		in.Prefix = "log-"
	}
	a.send(history.Replay, in)
}
