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

// columnsWriter prints rows of cells that line up as far as that is known while
// they stream: a column grows to the widest cell so far, within bounds.
type columnsWriter struct {
	p      *printer
	widths []int
}

const (
	widestCell = 32
	leastValue = 20 // columns of a value, however narrow the terminal
)

// print prints cells, all of them printable, and behind them as much of the value
// as fits.
func (c *columnsWriter) print(value []byte, cells ...string) error {
	var b strings.Builder
	used := 0
	for i, cell := range cells {
		if i == len(c.widths) {
			c.widths = append(c.widths, 0)
		}
		n := columns(cell)
		c.widths[i] = max(c.widths[i], min(n, widestCell))
		b.WriteString(pad(cell, c.widths[i]))
		b.WriteString("  ")
		used += max(c.widths[i], n) + 2
	}
	b.WriteString(summary(value, max(c.p.width-used, leastValue)))
	return c.p.line("%s", strings.TrimRight(b.String(), " "))
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
	row     columnsWriter
	verbose bool
	asJSON  bool
}

// print prints an event without its first skip operations.
func (e *eventPrinter) print(ev client.Event, skip int) error {
	if e.asJSON {
		return e.row.p.object(shapeEvent(ev))
	}
	for _, o := range ev.Operations[skip:] {
		err := e.row.print(o.Value, clock(ev.CommitTime), ev.CommitTS.String(), quote(o.Agent), pad(verb(o), len("DELETE")), quote(o.Key), "v"+o.Version.String())
		if err != nil {
			return err
		}
	}
	if e.verbose {
		return e.row.p.line("%s", strings.TrimRight("    txn "+quote(ev.TxnID)+" "+metadata(ev.Metadata), " "))
	}
	return nil
}
