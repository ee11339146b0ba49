package main

import (
	"errors"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/bundle"
)

func (a *app) bundleDiffCommand() *cobra.Command {
	var operations bool
	cmd := a.opening(&cobra.Command{
		Use: "diff A B", Short: "Name the first event in which two bundles differ", Args: show.Takes(2, 2),
		Long: `diff compares the logs of two bundles of the same agents where both have commits, and
names the first event that is not the same. It exits with 0 if there is none, 1 if
there is one, 7 if the two cannot be compared, 2 if one cannot be read.`,
	}, func(p *printer, opened []*bundle.Bundle, names []string) error {
		return a.diffBundles(p, opened, names, operations)
	})
	cmd.Flags().BoolVar(&operations, "operations", false, "compare only what was done to keys: not transaction ids, metadata and times")
	return cmd
}

type diffShape struct {
	Same bool `json:"same"`
	bundle.Compared
	Difference *bundle.Difference `json:"difference,omitempty"`
}

// incomparableError says that two bundles cannot be compared.
type incomparableError struct{ error }

func (a *app) diffBundles(p *printer, opened []*bundle.Bundle, names []string, operations bool) error {
	d, c, err := bundle.Diff(opened[0], opened[1], operations)
	switch {
	case errors.Is(err, bundle.ErrIncomparable):
		return incomparableError{err}
	case err != nil:
		return usageError{err}
	}
	if a.asJSON {
		err = p.object(diffShape{d == nil, c, d})
	} else {
		err = printDiff(p, names, d, &c)
	}
	if err == nil && d != nil {
		err = failedf("")
	}
	return err
}

func printDiff(p *printer, names []string, d *bundle.Difference, c *bundle.Compared) error {
	if d == nil {
		return p.line("commits %d to %d: the same, %s", c.From, c.To, show.Count(c.Events, "event"))
	}
	if err := p.line("commits %d to %d: %s the same, then they differ (%s)", c.From, c.To, show.Count(c.Events, "event"), d.What); err != nil {
		return err
	}
	if err := p.line("%s", d.Sentence); err != nil {
		return err
	}
	for i, ev := range []*history.Event{d.A, d.B} {
		if ev == nil {
			continue
		}
		if err := errors.Join(p.line("%c  %s", 'A'+i, quote(names[i])), p.table.Event(shownEvent(ev), 0, true), p.table.Release()); err != nil {
			return err
		}
	}
	return nil
}
