package engine

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// An erasure reaches what forks inherited, or it is refused: nobody is to think that something is
// gone while a fork shows it. What is inherited counts, whether the fork has it in rows of its own by
// now or not. Each fork is erased as an agent of its own: first it becomes whole (forkcopy.go), so
// that its keys get tombstones of their own, and their versions go on.

// Inheritors are the forks, of whatever depth, that inherited something of what is to be erased, in
// an order in which none comes before what it was forked from. An erasure of a namespace reaches all
// of its forks anyway.
func (e *Engine) Inheritors(ctx context.Context, x Erasure) ([]AgentName, error) {
	if err := x.normalize(); err != nil {
		return nil, err
	}
	if x.Agent == "" {
		return nil, nil
	}
	var list []AgentName
	for _, f := range e.db.forks.under(AgentName{Namespace: x.Namespace, Agent: x.Agent}) {
		has := x.Key == ""
		if err := endOf(ctx); err != nil {
			return nil, err
		}
		if !has {
			var err error
			if has, err = e.inherited(f, x.Key); err != nil {
				return nil, e.noted(err)
			}
		}
		if has {
			list = append(list, f.agent)
		}
	}
	return list, nil
}

// inherited reports whether a fork inherited anything of a key.
func (e *Engine) inherited(f *fork, key string) (has bool, err error) {
	prefix := layout.RecordPrefix(RecordName{Namespace: f.agent.Namespace, Agent: f.agent.Agent, Key: key})
	rows, err := e.db.recordRows(f.agent, prefix, layout.Successor(prefix))
	if err != nil {
		return false, err
	}
	if rows.last() {
		_, row, ok := recordAt(rows)
		has = ok && row.CommitTS <= f.upTo
	}
	return has, rows.close()
}

// forkedSince reports whether an agent, or a fork of it, was forked after a commit. Only the writer
// asks.
func (e *Engine) forkedSince(a AgentName, ts CommitTS) bool {
	under := e.db.forks.under(a)
	for _, f := range under {
		if f.at > ts {
			return true
		}
	}
	for _, c := range e.planner.step { // which the forks do not have yet
		for i := range c.p.agents {
			f := c.p.agents[i].made
			if f != nil && (f.parent == a || slices.ContainsFunc(under, func(x *fork) bool { return x.agent == f.parent })) {
				return true
			}
		}
	}
	return false
}

func hasForks(x *Erasure, forks []AgentName) *Failure {
	const named = 20
	var names []string
	for _, a := range forks[:min(len(forks), named)] {
		names = append(names, a.Agent)
	}
	list := strings.Join(names, ", ")
	if len(forks) > named {
		list += ", …"
	}
	return words.Failf(ErrPrecondition, "precondition failed: agent %q was forked, and its forks inherited what is to be erased: %s; erase them as well, or leave it", x.Agent, list).
		With("namespace", x.Namespace).With("agent_id", x.Agent).With("reason", "forks").With("forks", strconv.Itoa(len(forks)))
}

// Erase erases, and calls report with what has been done so far, whenever that is more and at the
// end. If ctx ends, or the daemon, the erasure goes on; asked for again it is the same one, or
// finds that all is done. An error of report ends the call.
func (e *Engine) Erase(ctx context.Context, asked Erasure, report func(ErasureProgress) error) error {
	if err := asked.normalize(); err != nil {
		return err
	}
	looked := e.Published()
	forks, err := e.Inheritors(ctx, asked)
	if err != nil {
		return err
	}
	if len(forks) > 0 && !asked.Forks {
		return hasForks(&asked, forks)
	}
	var sum ErasureProgress
	done := make(map[AgentName]bool)
	for next := asked; ; {
		before := sum
		err := e.eraseOne(ctx, next, looked, func(p ErasureProgress) error {
			p.Keys, p.Values, p.Bytes, p.CommitTS = p.Keys+before.Keys, p.Values+before.Values, p.Bytes+before.Bytes, max(p.CommitTS, before.CommitTS)
			sum, sum.Done = p, false
			return report(sum)
		})
		if err != nil {
			return err
		}
		done[AgentName{Namespace: next.Namespace, Agent: next.Agent}] = true
		if forks, err = e.Inheritors(ctx, asked); err != nil { // there may be more by now
			return err
		}
		left := slices.IndexFunc(forks, func(a AgentName) bool { return !done[a] })
		if left < 0 || !asked.Forks {
			sum.Done = true
			return report(sum)
		}
		next.Agent = forks[left].Agent
	}
}
