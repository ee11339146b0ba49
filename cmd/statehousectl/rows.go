package main

import (
	"fmt"

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

// eventPrinter prints events: a line an operation, or JSON, a line a commit.
type eventPrinter struct {
	p       *printer
	verbose bool
	asJSON  bool
}

// print prints an event without its first skip operations.
func (e *eventPrinter) print(ev client.Event, skip int) error {
	shape := shapeEvent(ev)
	if e.asJSON {
		return e.p.object(shape)
	}
	return e.p.table.Event(&shape, skip, e.verbose)
}
