package access

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"statehouse.dev/statehouse/engine"
)

// Refusals go to the audit log when their minute is over: one entry for all that are alike, so that
// whoever is refused cannot fill it.

const (
	refusalsFor = time.Minute
	// maxRefused bounds how many kinds of refusals a minute can have. Those past it are counted
	// together.
	maxRefused = 256
)

type refusals struct {
	mu    sync.Mutex
	since time.Time
	kinds map[refusal]*Entry
}

// refusal is what makes two alike. Strangers are alike, wherever they come from: an entry names the
// first.
type refusal struct{ principal, reason string }

func (r *refusals) init() { r.kinds = make(map[refusal]*Entry) }

// Refused notes that a request was refused for want of a permission, or of anything that lets it in.
func (c *Control) Refused(caller *Caller, method, reason string, details map[string]string) {
	now := c.env.Now()
	principal := ""
	if caller != nil {
		principal = caller.Name
	}
	r := &c.denied
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.kinds) == 0 {
		r.since = now
	}
	kind := refusal{principal, reason}
	if len(r.kinds) >= maxRefused && r.kinds[kind] == nil {
		kind = refusal{reason: "other refusals"}
	}
	e := r.kinds[kind]
	if e == nil {
		e = &Entry{Principal: kind.principal, Action: method, Refused: kind.reason, Details: details}
		r.kinds[kind] = e
	}
	e.Count++
}

// due takes what is to be written.
func (r *refusals) due(now time.Time, all bool) []Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.kinds) == 0 || !all && now.Sub(r.since) < refusalsFor {
		return nil
	}
	var entries []Entry
	for _, e := range r.kinds { // in the order that they are sorted to
		entries = append(entries, *e)
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		if c := strings.Compare(a.Principal, b.Principal); c != 0 {
			return c
		}
		return strings.Compare(a.Refused, b.Refused)
	})
	clear(r.kinds)
	return entries
}

// Flush writes refusals whose minute is over to the audit log. It does not wait: what cannot be written is
// lost, and was logged.
func (c *Control) Flush() { c.flush(false) }

func (c *Control) flush(all bool) {
	if entries := c.TakeRefusals(all); len(entries) > 0 {
		_ = c.store.AskSystem(writing(entries))
	}
}

// TakeRefusals takes those whose minute is over, or all, for another daemon of the cluster to write them.
func (c *Control) TakeRefusals(all bool) []Entry { return c.denied.due(c.env.Now(), all) }

// WriteRefusals writes those that another daemon of the cluster has taken.
func (c *Control) WriteRefusals(ctx context.Context, entries []Entry) error {
	return c.store.UpdateSystem(ctx, writing(entries))
}

func writing(entries []Entry) engine.SystemUpdate {
	return engine.SystemUpdate{Decide: func(now time.Time, rows engine.SystemReader) ([]engine.SystemChange, error) {
		return appendEntries(now, rows, entries...)
	}}
}

// Close writes what is left. The store is closed after it.
func (c *Control) Close() { c.flush(true) }
