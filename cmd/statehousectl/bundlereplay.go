package main

import (
	"bytes"
	"encoding/json"
	"io"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/bundle"
)

func (a *app) bundleReplayCommand() *cobra.Command {
	var verbose bool
	cmd := a.opening(&cobra.Command{Use: "replay FILE", Short: "Show what happened, as statehousectl replay does", Args: show.Takes(1, 1)},
		func(p *printer, opened []*bundle.Bundle, names []string) error {
			return a.replayBundle(p, opened[0], names[0], verbose)
		})
	cmd.Flags().BoolVar(&verbose, "verbose", false, "show transaction ids and metadata")
	return cmd
}

func (a *app) replayBundle(p *printer, b *bundle.Bundle, name string, verbose bool) error {
	r, err := b.Lines(bundle.Log)
	for err == nil {
		var l history.Line
		if l, err = r.Next(); err != nil || l.Event == nil {
			continue
		}
		ev := shownEvent(l.Event)
		print := func() error { return p.table.Event(ev, 0, verbose) }
		if a.asJSON {
			print = func() error { return p.object(ev) }
		}
		if err := print(); err != nil {
			return err
		}
	}
	if err != io.EOF {
		return unreadable(name, err)
	}
	return nil
}

// shownEvent is an event of a file as it is shown.
func shownEvent(ev *history.Event) *show.Event {
	s := &show.Event{CommitTS: ev.CommitTS, CommitTime: time.Unix(0, ev.CommitTime).UTC(), TxnID: ev.TxnID, Metadata: ev.Metadata, Principal: ev.Principal, TraceID: ev.TraceID, Operations: make([]show.Operation, len(ev.Ops))}
	for i := range ev.Ops {
		o := &ev.Ops[i]
		s.Operations[i] = show.Operation{Namespace: o.Namespace, Agent: o.Agent, Key: o.Key, Version: o.Version, Deleted: o.Delete, Value: shownValue(o.Value)}
	}
	return s
}

// shownValue is a value as JSON. What is none, a digest, is shown as a string: nothing has
// checked yet what a value in a file holds.
func shownValue(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		b.Reset()
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(text) // a string always can be
	}
	return bytes.TrimSpace(b.Bytes())
}
