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

// print prints an event without its first skip operations.
func (e *eventPrinter) print(ev client.Event, skip int) error {
	shape := shapeEvent(ev)
	if e.asJSON {
		return e.p.object(shape)
	}
	return e.p.table.Event(&shape, skip, e.verbose)
}
