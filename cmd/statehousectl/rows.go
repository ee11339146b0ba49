package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
)

// takes is cobra's check of the number of arguments, with the form in its answer.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("an argument is missing; the form is: %s", cmd.UseLine())
		case len(args) > most:
			return fmt.Errorf("%q is one argument too many; the form is: %s", args[most], cmd.UseLine())
		}
		return nil
	}
}

// Rows of cells line up: some are held back until it is known how wide their
// columns are. A column of later ones only grows.
const (
	heldRows   = 64
	widestCell = 32 // what is wider does not widen its column
	leastValue = 20 // columns of a value, however narrow the terminal
)

// heldRow is a row, or a line between rows.
type heldRow struct {
	cells []string
	value string
	line  string
}

// row prints cells, all of them printable, and behind them as much of the value as
// fits.
func (p *printer) row(value []byte, cells ...string) error {
	p.held = append(p.held, heldRow{cells: cells, value: summary(value, p.width)})
	for i, cell := range cells {
		if i == len(p.widths) {
			p.widths = append(p.widths, 0)
		}
		if n := columns(cell); n <= widestCell {
			p.widths[i] = max(p.widths[i], n)
		}
	}
	if len(p.held) < heldRows {
		return nil
	}
	return p.release()
}

// release prints what was held back.
func (p *printer) release() error {
	for _, h := range p.held {
		line := h.line
		if h.cells != nil {
			var b strings.Builder
			for i, cell := range h.cells {
				b.WriteString(pad(cell, p.widths[i]) + "  ")
			}
			line = b.String()
			line = strings.TrimRight(line+cut(h.value, max(p.width-columns(line), leastValue)), " ")
		}
		if _, err := p.w.WriteString(line + "\n"); err != nil {
			return err
		}
	}
	clear(p.held)
	p.held = p.held[:0]
	return nil
}

// metadata shows a commit's metadata, ordered by key.
func metadata(m map[string]string) string {
	pairs := make([]string, 0, len(m))
	for k, v := range m { // sorted below
		pairs = append(pairs, quote(k)+"="+quote(v))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, " ")
}

// verb names what an operation did, by the conventions of agents' keys.
func verb(o client.Operation) string {
	if o.Deleted {
		return "DELETE"
	}
	for prefix, name := range map[string]string{"tool/": "TOOL", "note/": "NOTE", "final/": "FINAL"} { // at most one fits, in any order
		if strings.HasPrefix(o.Key, prefix) {
			return name
		}
	}
	return "WRITE"
}

// eventPrinter prints events: a line an operation, or JSON, a line a commit.
type eventPrinter struct {
	p       *printer
	verbose bool
	asJSON  bool
}

// print prints an event without its first skip operations.
func (e *eventPrinter) print(ev client.Event, skip int) error {
	if e.asJSON {
		return e.p.object(shapeEvent(ev))
	}
	for _, o := range ev.Operations[skip:] {
		err := e.p.row(o.Value, clock(ev.CommitTime), ev.CommitTS.String(), quote(o.Agent), pad(verb(o), len("DELETE")), quote(o.Key), "v"+o.Version.String())
		if err != nil {
			return err
		}
	}
	if e.verbose {
		return e.p.line("%s", strings.TrimRight("    txn "+quote(ev.TxnID)+" "+metadata(ev.Metadata), " "))
	}
	return nil
}
