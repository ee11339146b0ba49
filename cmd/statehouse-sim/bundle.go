package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/bundle"
)

func (a *app) bundleCommand() *cobra.Command {
	var limit int64
	cmd := &cobra.Command{
		Use: "bundle", Short: "Open what statehousectl bundle made: replay, diff, verify, history",
		Long: `bundle opens files that "statehousectl bundle" made, without a daemon. Every hash in
them is looked at first. A hash tells of damage; it does not tell who made a file.`,
		Example: "  statehouse-sim bundle replay planner.bundle\n  statehouse-sim bundle diff before.bundle after.bundle",
		Args:    cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().Int64Var(&limit, "max-bytes", bundle.DefaultBytes, "refuse what unpacks to more than this")
	cmd.AddCommand(a.bundleReplay(&limit), a.bundleDiff(&limit), a.bundleVerify(&limit), a.bundleHistory(&limit))
	return cmd
}

// openBundle opens a file; close it when done.
func openBundle(path string, limit int64) (*bundle.Bundle, io.Closer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, failed(exitUsage, "%v", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err == nil {
		var b *bundle.Bundle
		if b, err = bundle.Open(f, info.Size(), limit); err == nil {
			return b, f, nil
		}
	}
	_ = f.Close() // only read
	return nil, nil, unreadable(path, err)
}

// unreadable says that a file is not what it should be, in words that are fit for a
// terminal: they may come from the file.
func unreadable(path string, err error) error {
	return failed(exitUsage, "%s: %s", show.Quote(path), show.Printable(err.Error()))
}

func (a *app) bundleReplay(limit *int64) *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use: "replay FILE", Short: "Show what happened, as statehousectl replay does", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			b, file, err := openBundle(args[0], *limit)
			if err != nil {
				return err
			}
			defer file.Close()
			return a.replayBundle(args[0], b, verbose)
		},
	}
	cmd.Flags().BoolVar(&verbose, "verbose", false, "show transaction ids and metadata")
	return cmd
}

func (a *app) replayBundle(path string, b *bundle.Bundle, verbose bool) (err error) {
	out := bufio.NewWriterSize(a.out, 64<<10)
	table, asJSON := show.NewTable(out), show.Encoder{}
	defer func() {
		if ferr := errors.Join(table.Release(), out.Flush()); err == nil {
			err = ferr
		}
	}()
	r, err := b.Lines(bundle.Log)
	for err == nil {
		var l history.Line
		if l, err = r.Next(); err != nil || l.Event == nil {
			continue
		}
		ev := shown(l.Event)
		if !a.asJSON {
			if werr := table.Event(ev, 0, verbose); werr != nil {
				return werr
			}
			continue
		}
		text, jerr := asJSON.Encode(ev)
		if jerr == nil {
			_, jerr = out.Write(append(text, '\n'))
		}
		if jerr != nil {
			return jerr
		}
	}
	if err != io.EOF {
		return unreadable(path, err)
	}
	return nil
}

// shown is an event as it is shown. What is no JSON, a digest, is shown as a string;
// nobody has looked yet at what a value in a file holds.
func shown(ev *history.Event) *show.Event {
	s := &show.Event{CommitTS: ev.CommitTS, CommitTime: time.Unix(0, ev.CommitTime).UTC(), TxnID: ev.TxnID, Metadata: ev.Metadata, Operations: make([]show.Operation, len(ev.Ops))}
	for i := range ev.Ops {
		o := &ev.Ops[i]
		s.Operations[i] = show.Operation{Namespace: o.Namespace, Agent: o.Agent, Key: o.Key, Version: o.Version, Deleted: o.Delete, Value: valueOf(o.Value)}
	}
	return s
}

func valueOf(text string) json.RawMessage {
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

func (a *app) bundleDiff(limit *int64) *cobra.Command {
	var operations bool
	cmd := &cobra.Command{
		Use: "diff A B", Short: "Name the first event in which two bundles differ", Args: cobra.ExactArgs(2),
		Long: `diff compares the logs of two bundles of the same agents where both have commits, and
names the first event that is not the same. It exits with 0 if there is none, 1 if
there is one, 7 if the two cannot be compared, 2 if one cannot be read.`,
		RunE: func(_ *cobra.Command, args []string) error {
			x, file, err := openBundle(args[0], *limit)
			if err != nil {
				return err
			}
			defer file.Close()
			y, other, err := openBundle(args[1], *limit)
			if err != nil {
				return err
			}
			defer other.Close()
			return a.diffBundles(args[0], args[1], x, y, operations)
		},
	}
	cmd.Flags().BoolVar(&operations, "operations", false, "compare only what was done to keys: not transaction ids, metadata and times")
	return cmd
}

// diffShape is what diff prints as JSON.
type diffShape struct {
	Same bool `json:"same"`
	bundle.Compared
	Difference *bundle.Difference `json:"difference,omitempty"`
}

func (a *app) diffBundles(nameA, nameB string, x, y *bundle.Bundle, operations bool) error {
	d, c, err := bundle.Diff(x, y, operations)
	switch {
	case errors.Is(err, bundle.ErrIncomparable):
		return failed(exitUnchecked, "%v", err)
	case err != nil:
		return failed(exitUsage, "%s", show.Printable(err.Error()))
	}
	if a.asJSON {
		err = a.printJSON(diffShape{d == nil, c, d})
	} else {
		err = a.printDiff(nameA, nameB, d, &c)
	}
	if err == nil && d != nil {
		err = &failure{exitViolation, errors.New("")}
	}
	return err
}

func (a *app) printJSON(v any) error {
	var e show.Encoder
	text, err := e.Encode(v)
	if err == nil {
		_, err = a.out.Write(append(text, '\n'))
	}
	return err
}

func (a *app) printDiff(nameA, nameB string, d *bundle.Difference, c *bundle.Compared) error {
	var b strings.Builder
	fmt.Fprintf(&b, "commits %d to %d: ", c.From, c.To)
	if d == nil {
		fmt.Fprintf(&b, "the same, %s\n", show.Count(c.Events, "event"))
		_, err := io.WriteString(a.out, b.String())
		return err
	}
	fmt.Fprintf(&b, "%s the same, then they differ (%s)\n%s\n", show.Count(c.Events, "event"), d.What, d.Sentence)
	table := show.NewTable(&b)
	for _, side := range []struct {
		name string
		ev   *history.Event
	}{{"A  " + show.Quote(nameA), d.A}, {"B  " + show.Quote(nameB), d.B}} {
		if side.ev == nil {
			continue
		}
		if err := errors.Join(table.Line(side.name), table.Event(shown(side.ev), 0, true), table.Release()); err != nil {
			return err
		}
	}
	_, err := io.WriteString(a.out, b.String())
	return err
}
