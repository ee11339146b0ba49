package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/cmd/statehouse-bench/bench"
	"statehouse.dev/statehouse/cmd/statehouse-bench/rivals"
	"statehouse.dev/statehouse/cmd/statehouse-bench/wire"
)

// results has two rounds of a case by each target, whose processor time an operation is
// given in µs.
func results(c bench.Case, cpu map[string]int) *bench.Results {
	r := bench.NewResults(c)
	for target, micros := range cpu { // order cannot matter
		for range 2 {
			r.Add(c, target, bench.Burst{
				N: 1000, Elapsed: time.Second, P50: time.Duration(micros) * time.Microsecond,
				Server: time.Duration(micros) * time.Millisecond / 2, Client: time.Duration(micros) * time.Millisecond / 2, HasServer: true,
			})
		}
	}
	return r
}

// The report has a row for each target, and one with dashes for what is missing; a ratio
// that misses its aim is marked.
func TestReport(t *testing.T) {
	c := bench.Case{Op: wire.Read, Clients: 64}
	r := results(c, map[string]int{noopName: 40, nameOne: 60, nameOne + sessionSuffix: 16})
	a := &app{records: 100, rounds: 2, clients: []int{1, 64}}
	s := &stand{daemons: []*daemon{{name: nameOne, version: "1"}}}
	for _, name := range []string{noopName, nameOne, nameOne + sessionSuffix} {
		s.targets = append(s.targets, &bench.Target{Name: name})
	}
	names := rivals.Names{Read: wire.Read}
	s.targets = append(s.targets, &bench.Target{Name: rivals.Redis, Ops: names.None(), Missing: "redis-server is not installed"})
	report := a.report(s, r)
	var b strings.Builder
	report.text(&b)
	for _, want := range []string{
		"read, 64 clients                   per second   p50 µs   p99 µs   max µs    server   client     both\n",
		"  statehouse                             1000     60.0     0.00     0.00      30.0     30.0     60.0\n",
		"  redis                                     -        -        -        -         -        -        -\n",
		"  read / no-op, CPU                                                   1.50     1.50-1.50  <= 1.15 !\n",
		"  read over a session / no-op call, CPU                               0.40     0.40-0.40  <= 0.45\n",
		"\nredis: redis-server is not installed\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "commit") {
		t.Errorf("the report has a ratio of what was not measured:\n%s", b.String())
	}
	text, err := json.Marshal(report)
	if err != nil || !strings.Contains(string(text), `"target":"redis","per_second":null`) {
		t.Errorf("%v %s", err, text)
	}
}

// Two daemons are compared round by round, variants with variants.
func TestAgainst(t *testing.T) {
	c := bench.Case{Op: wire.Commit, Clients: 64}
	r := results(c, map[string]int{"A": 80, "B": 100, "A, session": 30, "B, session": 20, "A, large": 90, noopName: 40})
	var targets []*bench.Target
	for _, name := range []string{noopName, "A", "A, session", "A, large", "B", "B, session", "Another"} {
		targets = append(targets, &bench.Target{Name: name})
	}
	got := compare(r, targets, r.Cases())
	if len(got) != 2 || got[0].over(bench.CPU).Median != 0.8 || got[1].over(bench.CPU).Median != 1.5 || got[1].Target != ", session" {
		t.Errorf("%+v", got)
	}
}

// A delivery is what commits cost more with watches, shared out.
func TestDelivery(t *testing.T) {
	burst := func(n int, cpu time.Duration, delivered int64) bench.Rounds {
		return bench.Rounds{{N: n, Elapsed: time.Second, Client: cpu, HasServer: true, Delivered: delivered}}
	}
	got := delivery(burst(10, 50*time.Millisecond, 10_000), burst(1000, 100*time.Millisecond, 0))
	if len(got) != 1 || math.Abs(got[0]-4.9) > 1e-9 { // (5000 - 100) µs * 10 / 10,000
		t.Errorf("%v", got)
	}
}
