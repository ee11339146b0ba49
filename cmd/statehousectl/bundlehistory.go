package main

import (
	"io"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/history/bundle"
)

func (a *app) bundleHistoryCommand() *cobra.Command {
	var output string
	cmd := a.opening(&cobra.Command{
		Use: "history FILE -o history.jsonl", Short: "Take the captured history out, for statehouse-sim check", Args: show.Takes(1, 1),
		Example: "  statehousectl bundle history planner.bundle -o history.jsonl\n  statehouse-sim check history.jsonl",
	}, func(p *printer, opened []*bundle.Bundle, names []string) error {
		if !opened[0].Manifest.Has(bundle.History) {
			return usagef("%s has no history: it was made without --capture", quote(names[0]))
		}
		in, err := opened[0].Member(bundle.History)
		if err != nil {
			return unreadable(names[0], err)
		}
		if output == "-" {
			if p.terminal {
				return usagef("nothing has checked what is in it: not to a terminal, name a file")
			}
			_, err := io.Copy(p.w, in)
			return err
		}
		return writeFile(output, true, func(w io.Writer) error {
			_, err := io.Copy(w, in)
			return err
		})
	})
	cmd.Flags().StringVarP(&output, "output", "o", "", "the file; - is standard output")
	if err := cmd.MarkFlagRequired("output"); err != nil {
		panic(err) // the flag is a few lines above
	}
	return cmd
}
