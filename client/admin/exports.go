package admin

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"

	"statehouse.dev/statehouse/client"
)

// ExportQuery says what is exported.
type ExportQuery struct {
	Targets []ImportTarget
	To      client.CommitTS // up to this commit
}

// Export yields the commits of namespaces and agents, whole histories in their order, as ImportEvents takes
// them. It needs no more than to read. Errors: client.ErrOutOfRange where retention has dropped
// the beginning of a history.
func Export(ctx context.Context, c *client.Client, q ExportQuery) iter.Seq2[client.Event, error] {
	return func(yield func(client.Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		m := merge{}
		defer m.stop()
		err := whole(ctx, c, q)
		if err == nil {
			err = m.open(ctx, c, q)
		}
		for err == nil {
			ev, found, nextErr := m.next()
			if err = nextErr; err == nil && !found {
				break
			}
			if err == nil && !yield(ev, nil) {
				return
			}
		}
		if err == nil {
			err = whole(ctx, c, q) // or what was dropped meanwhile may be missing
		}
		if err != nil {
			yield(client.Event{}, err)
		}
	}
}

// whole reports that a history has lost its beginning: a read before all of it is out of range.
func whole(ctx context.Context, c *client.Client, q ExportQuery) error {
	var last string
	for _, t := range q.Targets {
		if t.Namespace == last || q.To == 0 {
			continue
		}
		last = t.Namespace
		_, err := c.In(t.Namespace).Get(ctx, "-", "-", client.AtCommit(1))
		var e *client.Error
		if errors.As(err, &e) && errors.Is(err, client.ErrOutOfRange) {
			if floor, numErr := strconv.ParseUint(e.Details["floor_ts"], 10, 64); numErr == nil && floor <= 1 {
				continue
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// merge merges replays, in the order of commit_ts. A commit that several have part in is one event again.
type merge struct{ heads []*mergeHead }

type mergeHead struct {
	ev   client.Event
	pull func() (client.Event, error, bool)
	stop func()
	only map[string]bool // agents of a namespace's replay; nil: all
}

// mostReplays is how many agents of a namespace are replayed one by one.
const mostReplays = 8

func (m *merge) open(ctx context.Context, c *client.Client, q ExportQuery) error {
	targets := slices.Clone(q.Targets)
	slices.SortFunc(targets, func(a, b ImportTarget) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Agent, b.Agent))
	})
	for len(targets) > 0 {
		n := 1
		for n < len(targets) && targets[n].Namespace == targets[0].Namespace {
			n++
		}
		if err := m.openNamespace(ctx, c.In(targets[0].Namespace), targets[:n], q.To); err != nil {
			return err
		}
		targets = targets[n:]
	}
	return nil
}

func (m *merge) openNamespace(ctx context.Context, c *client.Client, targets []ImportTarget, to client.CommitTS) error {
	if targets[0].Agent != "" && len(targets) <= mostReplays {
		for _, t := range targets {
			if err := m.add(c.Replay(ctx, client.ReplayQuery{Agent: t.Agent, To: to}), nil); err != nil {
				return err
			}
		}
		return nil
	}
	var only map[string]bool
	if targets[0].Agent != "" {
		only = make(map[string]bool, len(targets))
		for _, t := range targets {
			only[t.Agent] = true
		}
	}
	return m.add(c.Replay(ctx, client.ReplayQuery{AllAgents: true, To: to}), only)
}

func (m *merge) add(events iter.Seq2[client.Event, error], only map[string]bool) error {
	next, stop := iter.Pull2(events)
	h := &mergeHead{pull: func() (client.Event, error, bool) { return next() }, stop: stop, only: only}
	m.heads = append(m.heads, h)
	found, err := h.next()
	if !found {
		m.remove(h)
	}
	return err
}

// next moves to the next event of a replay that has operations of those that are wanted.
func (h *mergeHead) next() (found bool, err error) {
	for {
		ev, err, ok := h.pull()
		if !ok || err != nil {
			return false, err
		}
		if h.only != nil {
			ev.Operations = slices.DeleteFunc(ev.Operations, func(o client.Operation) bool { return !h.only[o.Agent] })
		}
		if len(ev.Operations) > 0 {
			h.ev = ev
			return true, nil
		}
	}
}

func (m *merge) remove(h *mergeHead) {
	h.stop()
	m.heads = slices.DeleteFunc(m.heads, func(other *mergeHead) bool { return other == h })
}

func (m *merge) stop() {
	for _, h := range m.heads {
		h.stop()
	}
}

func (m *merge) next() (ev client.Event, found bool, err error) {
	if len(m.heads) == 0 {
		return ev, false, nil
	}
	first := slices.MinFunc(m.heads, func(a, b *mergeHead) int { return cmp.Compare(a.ev.CommitTS, b.ev.CommitTS) }).ev.CommitTS
	for _, h := range slices.Clone(m.heads) {
		if h.ev.CommitTS != first {
			continue
		}
		if !found {
			ev, found = h.ev, true
		} else {
			ev.Operations = append(slices.Clone(ev.Operations), h.ev.Operations...)
			if len(ev.Metadata) == 0 && ev.Principal == "" { // it was erased from one part
				ev.Metadata, ev.Principal, ev.TraceID = h.ev.Metadata, h.ev.Principal, h.ev.TraceID
			}
		}
		more, err := h.next()
		if err != nil {
			return ev, false, err
		}
		if !more {
			m.remove(h)
		}
	}
	return ev, found, nil
}
