package main

import (
	"time"

	"statehouse.dev/statehouse/cmd/show"
)

// Nothing that a stranger wrote reaches the terminal as it is. Short names for what is
// on every other line here.

func quote(name string) string     { return show.Quote(name) }
func printable(text string) string { return show.Printable(text) }
func size(bytes uint64) string     { return show.Size(bytes) }
func clock(t time.Time) string     { return show.Clock(t) }
