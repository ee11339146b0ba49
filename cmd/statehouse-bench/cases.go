package main

import (
	"strings"
	"time"

	"statehouse.dev/statehouse/cmd/statehouse-bench/bench"
	"statehouse.dev/statehouse/cmd/statehouse-bench/wire"
)

// cases are those to measure.
func (a *app) cases() []bench.Case {
	if len(a.ops) == 0 {
		return a.casesOf("")
	}
	var some []bench.Case
	for _, op := range a.ops {
		some = append(some, a.casesOf(op)...)
	}
	return some
}

// casesOf are the cases whose names begin so.
func (a *app) casesOf(beginning string) (some []bench.Case) {
	add := func(op string, clients ...int) {
		for _, n := range clients {
			if strings.HasPrefix(op, beginning) {
				some = append(some, bench.Case{Op: op, Clients: n})
			}
		}
	}
	add(wire.Read, a.clients...)
	add(wire.Commit, a.clients...)
	add(wire.Batch, 1, 8)
	add(wire.History, 1)
	add(wire.AgentHistory, 1)
	add(wire.List, 1)
	add(wire.ListReverse, 1)
	if a.watchers > 0 {
		add(wire.CommitBusy, busyWriters)
	}
	return some
}

// many is the concurrency that most ratios are of.
func (a *app) many() int { return a.clients[len(a.clients)-1] }

// events is how many a namespace's history has.
func (a *app) events() int { return min(max(a.records/5, 100), 100_000) }

// writing is how long a run commits, all in all.
func (a *app) writing() time.Duration {
	n := 0
	for _, c := range a.cases() {
		switch c.Op {
		case wire.Commit, wire.Batch, wire.CommitBusy:
			n++
		}
	}
	variants := 2 // calls and sessions
	if a.watchers > 0 {
		variants++
	}
	if a.capture {
		variants++
	}
	return time.Duration(n*variants*(a.rounds+1)) * a.duration
}
