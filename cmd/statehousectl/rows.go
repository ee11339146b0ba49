package main

import (
	"statehouse.dev/statehouse/client"
)

// eventPrinter prints events: a line an operation, or JSON, a line a commit.
type eventPrinter struct {
	p       *printer
	verbose bool
	asJSON  bool
}

// eventColumns are those of a table of events.
var eventColumns = []string{"TIME", "COMMIT", "AGENT", "DONE", "KEY", "VERSION", "VALUE"}

// print prints an event without its first skip operations.
func (e *eventPrinter) print(ev client.Event, skip int) error {
	shape := shapeEvent(ev)
	if e.asJSON {
		return e.p.object(shape)
	}
	if err := e.p.head(); err != nil {
		return err
	}
	return e.p.table.Event(&shape, skip, e.verbose)
}
