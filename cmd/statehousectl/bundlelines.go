package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"os"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/bundle"
	"statehouse.dev/statehouse/history/redact"
)

// collectNames goes through everything that has names.
func (b *bundler) collectNames(ctx context.Context) error {
	names := b.redactor.Names
	names.Add(redact.Namespaces, b.Namespace())
	for _, agent := range b.agents {
		names.Add(redact.Agents, agent)
	}
	add := func(l history.Line) error {
		names.AddLine(l)
		return nil
	}
	if err := b.log(ctx, add); err != nil || b.flags.capture == "" {
		return err // the state has no keys that the log has not
	}
	_, err := b.captureLines(func(history.Header) error { return nil }, add)
	return err
}

func (b *bundler) writeMembers(ctx context.Context, w *bundle.Writer, build bundle.Build) error {
	head := history.Header{Source: "statehousectl bundle", Build: build.Version + " (" + build.GitSHA + ")", Unit: "ns"}
	b.redactor.Header(&head)
	if b.from > 1 {
		head.Base = &history.Base{CommitTS: b.from - 1}
	}
	if err := b.member(w, bundle.Log, head, func(put func(history.Line) error) error {
		return b.log(ctx, func(l history.Line) error {
			if l.Event != nil {
				b.events++
			}
			return put(l)
		})
	}); err != nil {
		return err
	}
	head.Base = &history.Base{CommitTS: b.to}
	if err := b.member(w, bundle.State, head, func(put func(history.Line) error) error {
		return b.state(ctx, b.to, func(l history.Line) error {
			b.records++
			return put(l)
		})
	}); err != nil || b.flags.capture == "" {
		return err
	}
	return b.writeCaptured(w)
}

// member writes one: what fill puts, redacted.
func (b *bundler) member(w *bundle.Writer, name string, head history.Header, fill func(put func(history.Line) error) error) error {
	out, err := w.Member(name)
	if err != nil {
		return err
	}
	lines, err := history.NewWriter(out, head)
	if err != nil {
		return err
	}
	if err := fill(func(l history.Line) error { return b.put(lines, l) }); err != nil {
		return err
	}
	return lines.End(false) // never the whole log
}

// put writes a line, redacted.
func (b *bundler) put(w *history.Writer, l history.Line) error {
	if err := b.redactor.Line(&l); err != nil {
		return err
	}
	return w.Write(l)
}

// log hands out the state that the slice begins with, if it does not begin at the
// start, and then its events.
func (b *bundler) log(ctx context.Context, f func(history.Line) error) error {
	if b.from > 1 {
		if err := b.state(ctx, b.from-1, f); err != nil {
			return err
		}
	}
	return b.eachEvent(ctx, func(ev *history.Event) error { return f(history.Line{Event: ev}) })
}

// state hands out every record of the agents as of a commit.
func (b *bundler) state(ctx context.Context, at uint64, f func(history.Line) error) error {
	for _, agent := range b.agents {
		for r, err := range b.Scan(ctx, agent, client.ListQuery{At: client.AtCommit(client.CommitTS(at))}) {
			if err == nil {
				err = f(history.Line{Record: &history.Record{
					Name: history.Name{Namespace: b.Namespace(), Agent: agent, Key: r.Key}, Exists: true, Version: uint64(r.Version),
					CommitTS: uint64(r.CommitTS), CommitTime: r.CommitTime.UnixNano(), Value: inHistory(r.Value, r.Bytes),
				}})
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// eachEvent merges the agents' logs: a commit that touched several is one event.
func (b *bundler) eachEvent(ctx context.Context, f func(*history.Event) error) error {
	type feed struct {
		next func() (client.Event, error, bool)
		head client.Event
		open bool
	}
	feeds := make([]*feed, len(b.agents))
	advance := func(x *feed) (err error) {
		x.head, err, x.open = x.next()
		return err
	}
	for i, agent := range b.agents {
		next, stop := iter.Pull2(b.Replay(ctx, client.ReplayQuery{Agent: agent, From: client.CommitTS(b.from), To: client.CommitTS(b.to)}))
		defer stop()
		feeds[i] = &feed{next: next}
		if err := advance(feeds[i]); err != nil {
			return err
		}
	}
	for {
		var ev *history.Event
		first := client.CommitTS(0)
		for _, x := range feeds {
			if x.open && (first == 0 || x.head.CommitTS < first) {
				first = x.head.CommitTS
			}
		}
		if first == 0 {
			return nil
		}
		for _, x := range feeds {
			if !x.open || x.head.CommitTS != first {
				continue
			}
			ev = joined(ev, &x.head)
			if err := advance(x); err != nil {
				return err
			}
		}
		if err := f(ev); err != nil {
			return err
		}
	}
}

// joined is ev with what the same commit did to another agent.
func joined(ev *history.Event, more *client.Event) *history.Event {
	if ev == nil {
		ev = &history.Event{CommitTS: uint64(more.CommitTS), CommitTime: more.CommitTime.UnixNano(), TxnID: more.TxnID, Metadata: more.Metadata, Principal: more.Principal, TraceID: more.TraceID}
	}
	for _, o := range more.Operations {
		ev.Ops = append(ev.Ops, history.EventOp{Name: history.Name(o.RecordName), Version: uint64(o.Version), Delete: o.Deleted, Value: inHistory(o.Value, o.Bytes)})
	}
	return ev
}

// writeCaptured writes the history that came in a file.
func (b *bundler) writeCaptured(w *bundle.Writer) error {
	out, err := w.Member(bundle.History)
	if err != nil {
		return err
	}
	var lines *history.Writer
	header := func(h history.Header) (err error) {
		b.redactor.Header(&h)
		lines, err = history.NewWriter(out, h)
		return err
	}
	complete, err := b.captureLines(header, func(l history.Line) error {
		if l.Op != nil {
			b.captured++
		}
		return b.put(lines, l)
	})
	if err != nil {
		return err
	}
	return lines.End(complete)
}

// captureLines reads the capture file, and reports whether it says that it has the whole
// log.
func (b *bundler) captureLines(header func(history.Header) error, line func(history.Line) error) (complete bool, err error) {
	file, err := os.Open(b.flags.capture)
	if err != nil {
		return false, err
	}
	defer file.Close()
	r, err := history.NewReader(bufio.NewReaderSize(file, 256<<10))
	if err != nil {
		return false, fmt.Errorf("%s is not a history: %w", b.flags.capture, err)
	}
	if err := header(r.Header); err != nil {
		return false, err
	}
	for {
		l, err := r.Next()
		switch {
		case err == io.EOF:
			return r.Complete, nil
		case err != nil:
			return false, fmt.Errorf("%s is not a history: %w", b.flags.capture, err)
		}
		if err := line(l); err != nil {
			return false, err
		}
	}
}
