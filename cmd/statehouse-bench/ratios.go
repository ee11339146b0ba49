package main

import (
	"fmt"
	"math"

	"statehouse.dev/statehouse/cmd/statehouse-bench/bench"
	"statehouse.dev/statehouse/cmd/statehouse-bench/rivals"
	"statehouse.dev/statehouse/cmd/statehouse-bench/wire"
)

// ratio is what a daemon is held to: its values, one a round, and the aim.
type ratio struct {
	name   string
	aim    float64
	atMost bool
	values []float64 // none: it was not measured
}

func (q ratio) met() bool {
	m := bench.SpreadOf(q.values).Median
	if q.atMost {
		return m <= q.aim
	}
	return m >= q.aim
}

// ratiosOf are those of a daemon.
func ratiosOf(r *bench.Results, daemon string, many, watchers int) []ratio {
	of := func(op string, clients int, suffix string) bench.Rounds { return r.Of(op, clients, daemon+suffix) }
	nothing := func(op string, clients int) bench.Rounds { return r.Of(op, clients, noopName) }
	all := []ratio{
		{"read / no-op, CPU", 1.15, true, bench.Over(of(wire.Read, many, ""), bench.CPU, nothing(wire.Read, many), bench.CPU)},
		{"commit / no-op, CPU", 1.9, true, bench.Over(of(wire.Commit, many, ""), bench.CPU, nothing(wire.Commit, many), bench.CPU)},
		{"read over a session / no-op call, CPU", 0.45, true, bench.Over(of(wire.Read, many, sessionSuffix), bench.CPU, nothing(wire.Read, many), bench.CPU)},
		{"commit over a session / no-op call, CPU", 1.3, true, bench.Over(of(wire.Commit, many, sessionSuffix), bench.CPU, nothing(wire.Commit, many), bench.CPU)},
		{"1 client's commit, p50 / (no-op p50 + fdatasync p50)", 1.3, true, latency(r, of(wire.Commit, 1, ""))},
		{"the same over a session / (no-op call p50 + fdatasync p50)", 1.1, true, latency(r, of(wire.Commit, 1, sessionSuffix))},
		{"an event of a namespace's history / of an agent's, CPU", 1.3, true, bench.Over(of(wire.History, 1, ""), bench.CPU, of(wire.AgentHistory, 1, ""), bench.CPU)},
		{"list in reverse / forward, CPU", 1.15, true, bench.Over(of(wire.ListReverse, 1, ""), bench.CPU, of(wire.List, 1, ""), bench.CPU)},
		{"read after a start / warm, CPU", 1.5, true, bench.Over(of(reopenedCase, many, ""), bench.CPU, of(wire.Read, many, ""), bench.CPU)},
		{"commit with a capture on / off, per second", 0.95, false, bench.Over(of(wire.Commit, many, captureSuffix), bench.PerSecond, of(wire.Commit, many, ""), bench.PerSecond)},
		{"read with a capture on / off, per second", 0.95, false, bench.Over(of(wire.Read, many, captureSuffix), bench.PerSecond, of(wire.Read, many, ""), bench.PerSecond)},
	}
	watched := fmt.Sprintf("%d watches", watchers)
	busy, alone := of(wire.CommitBusy, busyWriters, busySuffix), of(wire.CommitBusy, busyWriters, "")
	all = append(all,
		ratio{"1 client's commit with " + watched + " on quiet agents / with none, CPU", 1.3, true, bench.Over(of(wire.Commit, 1, idleSuffix), bench.CPU, of(wire.Commit, 1, ""), bench.CPU)},
		ratio{fmt.Sprintf("the same, %d clients", many), 1.3, true, bench.Over(of(wire.Commit, many, idleSuffix), bench.CPU, of(wire.Commit, many, ""), bench.CPU)},
		ratio{"a delivery with " + watched + " on one agent, µs of CPU", 4, true, delivery(busy, alone)},
		ratio{"commit to an agent with " + watched + " / with none, p50", 5, true, bench.Over(busy, bench.P50, alone, bench.P50)})
	large := func(op string, f bench.Figure) []float64 {
		return bench.Over(of(op, many, largeSuffix), f, of(op, many, ""), f)
	}
	all = append(all,
		ratio{"read in the large store / in the other, CPU", 1.3, true, large(wire.Read, bench.CPU)},
		ratio{"the same, p50", 1.3, true, large(wire.Read, bench.P50)},
		ratio{"commit in the large store / in the other, CPU", 1.3, true, large(wire.Commit, bench.CPU)},
		ratio{"the same, p50", 1.3, true, large(wire.Commit, bench.P50)},
		ratio{"read after a start of the large store / warm in the other, CPU", 1.5, true, bench.Over(of(reopenedCase, many, largeSuffix), bench.CPU, of(wire.Read, many, ""), bench.CPU)})
	return append(all, againstRivals(r, daemon, many)...)
}

// latency compares a lone client's commit with what it cannot do without: a call, and a
// write that reaches the disk.
func latency(r *bench.Results, commit bench.Rounds) []float64 {
	call, sync := r.Of(wire.Commit, 1, noopName), r.Of(wire.Commit, 1, disk)
	v := make([]float64, min(len(commit), len(call), len(sync)))
	for i := range v {
		v[i] = bench.P50(commit[i]) / (bench.P50(call[i]) + bench.P50(sync[i]))
	}
	return v
}

// delivery is the processor time of what reached watches: all of it, less what the
// commits cost without.
func delivery(busy, alone bench.Rounds) []float64 {
	v := make([]float64, min(len(busy), len(alone)))
	for i, b := range busy[:len(v)] {
		v[i] = (bench.CPU(b) - bench.CPU(alone[i])) * float64(b.N) / float64(b.Delivered)
	}
	return v
}

// againstRivals compares with other databases what each does on the same machine.
func againstRivals(r *bench.Results, daemon string, many int) []ratio {
	rate := func(op string, clients int, suffix, rival string) []float64 {
		return bench.Over(r.Of(op, clients, daemon+suffix), bench.PerSecond, r.Of(op, clients, rival), bench.PerSecond)
	}
	all := []ratio{
		{"transactions of 100, 1 client / Redis, writes per second", 1, false, rate(wire.Batch, 1, "", rivals.Redis)},
		{"transactions of 100, 8 clients / Redis, writes per second", 1, false, rate(wire.Batch, 8, "", rivals.Redis)},
		{"history of a namespace / PostgreSQL, events per second", 1, false, rate(wire.History, 1, "", rivals.PostgreSQL)},
	}
	for _, op := range []string{wire.Commit, wire.Read} {
		for _, rival := range rivals.All {
			all = append(all, ratio{fmt.Sprintf("%s over a session / %s, per second", op, rival), 1, false, rate(op, many, sessionSuffix, rival)})
		}
	}
	return all
}

// comparison is one target of two daemons in a case.
type comparison struct {
	Case   bench.Case
	Target string // without the daemon's name: "", or a variant
	a, b   bench.Rounds
}

// compare pairs what was measured of both.
func compare(r *bench.Results, targets []*bench.Target, cases []bench.Case) []comparison {
	var all []comparison
	for _, c := range cases {
		for _, t := range targets {
			variant, of := variantOf(t.Name, nameA)
			if !of {
				continue
			}
			pair := comparison{Case: c, Target: variant, a: r.Of(c.Op, c.Clients, t.Name), b: r.Of(c.Op, c.Clients, nameB+variant)}
			if len(pair.a) > 0 && len(pair.b) > 0 {
				all = append(all, pair)
			}
		}
	}
	return all
}

// over is A's figure divided by B's, over the rounds.
func (c comparison) over(f bench.Figure) bench.Spread {
	return bench.SpreadOf(bench.Over(c.a, f, c.b, f))
}

// known reports whether a figure is a number.
func known(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
