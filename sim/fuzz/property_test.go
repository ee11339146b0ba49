package fuzz

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/scenario"
	"statehouse.dev/statehouse/sim/simtest"
	"statehouse.dev/statehouse/sim/step"
)

// This file is what property tests of features are made of; rapid_test.go has two, and
// docs/SIMULATION.md says how to write one.

// property is a sentence about a feature that must hold whatever happens.
type property struct {
	name string // of the scenario that a failure is kept as
	// request draws one request of the feature, as scenarios write it, without the client.
	// TXN stands for an id that no other has.
	request func(t *rapid.T) string
	// holds says how often a run put the sentence to the test, and what contradicts it.
	holds func(r *sim.Result) (tried int, err error)
	// least is how often a run has to put it to the test, on average.
	least float64
}

// effort is what all runs of a property came to. One that holds because next to nothing
// was done is not known to hold.
type effort struct {
	runs, idle, commits, tried int
}

// check tries the property on made-up runs, and then whether that was worth anything.
func (p *property) check(t *testing.T) {
	t.Helper()
	simtest.Single(t)
	var e effort
	rapid.Check(t, func(t *rapid.T) {
		r := p.run(t)
		tried, err := p.holds(r)
		if err != nil || r.Failed() {
			t.Fatalf("%v, %s\nagain: statehouse-sim run -v %s", err, violated(r), keepScenario(t, r, p.name))
		}
		e.add(len(r.History.Log), tried)
	})
	t.Logf("%+v", e)
	if err := e.vacuous(p.least); err != nil {
		t.Error(err)
	}
}

// violated is the first guarantee that a run breaks, and how.
func violated(r *sim.Result) string {
	if !r.Failed() {
		return "and every guarantee was kept"
	}
	v := &r.Violations[0]
	return fmt.Sprintf("%s is broken (%s): %s", v.Guarantee, v.Check, v.Sentence)
}

func (e *effort) add(commits, tried int) {
	e.runs, e.commits, e.tried = e.runs+1, e.commits+commits, e.tried+tried
	if commits == 0 {
		e.idle++
	}
}

// vacuous reports that the runs did too little for what held in them to mean anything.
func (e *effort) vacuous(least float64) error {
	switch {
	case e.runs == 0:
		return fmt.Errorf("there was no run")
	case 10*e.idle > e.runs:
		return fmt.Errorf("%d of %d runs had no commit: what holds in them means nothing", e.idle, e.runs)
	case e.commits < 5*e.runs:
		return fmt.Errorf("%d runs had %d commits: want 5 in each, on average", e.runs, e.commits)
	case float64(e.tried) < least*float64(e.runs):
		return fmt.Errorf("%d runs put the property to the test %d times: want %v in each, on average", e.runs, e.tried, least)
	}
	return nil
}

// parts of a run. Rapid draws short lists of what may be short; of some of them a run is
// long enough to show something, and what fails can still be made as short as it gets.
const parts = 5

// run does what rapid draws, and so can make less and simpler.
func (p *property) run(t *rapid.T) *sim.Result {
	w := sim.NewWorld(1, sim.Config{}, sim.Options{})
	events := []string{"start"}
	for range parts {
		events = append(events, rapid.SliceOfN(rapid.Custom(p.event), 0, 16).Draw(t, "events")...)
	}
	for i, ev := range events {
		for _, text := range strings.Split(strings.ReplaceAll(ev, "TXN", fmt.Sprint("t", i)), "\n") {
			st, err := step.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			_ = w.Apply(st) // one that does not fit here is passed over
		}
	}
	return w.Finish()
}

// event draws something that happens: steps, a line each. Whatever ends the daemon also
// starts it again, mostly; or else the rest of the run would be refusals.
func (p *property) event(t *rapid.T) string {
	work := func() string { return p.request(t) }
	switch n := rapid.IntRange(0, 19).Draw(t, "event"); {
	case n < 11:
		return "c1 " + work()
	case n < 14: // something happens between the write and its answer
		between := rapid.SampledFrom([]string{
			"settle\nreply c2", "settle\nlose c2", "dup c2\nagain c2\nsettle", "crash mode=drop\nstart", "crash mode=torn\nstart", "crash mode=keep\nstart", "kill\nstart", "c3 " + work() + "\nsettle\nreply c2",
		}).Draw(t, "between")
		return "c2 " + work() + " &\ndeliver c2\nplan\n" + between
	case n < 15: // its client asks once more
		asked := work()
		return "c1 " + asked + "\nc1 " + asked
	case n < 17:
		return rapid.SampledFrom([]string{"flush", "compact", "tick", "stop\nstart"}).Draw(t, "upkeep")
	case n < 18:
		return rapid.SampledFrom([]string{"jump -1h", "jump 1h", "jump -500h", "advance 10s"}).Draw(t, "clock")
	case n < 19:
		return rapid.SampledFrom([]string{"crash mode=drop\nstart", "crash mode=keep\nstart", "kill\nstart", "flush\nkill\nstart"}).Draw(t, "death")
	}
	return rapid.SampledFrom([]string{"start", "crash mode=torn", "reply c2", "settle"}).Draw(t, "odd")
}

// keepScenario writes a failing run where "statehouse-sim run" finds it. Rapid fails
// last with the smallest run that it has found.
func keepScenario(t *rapid.T, r *sim.Result, name string) string {
	dir := filepath.Join("..", "..", "sim-failures")
	path := filepath.Join(dir, name+".yaml")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := scenario.Of(r, name, "A failure that rapid found").Write(f); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEffort: a property that was tried on next to nothing has not been tried.
func TestEffort(t *testing.T) {
	for want, e := range map[string]effort{ // order cannot matter
		"no run":           {},
		"had no commit":    {runs: 100, idle: 64, commits: 2000, tried: 500},
		"want 5 in each":   {runs: 100, commits: 499, tried: 500},
		"want 2.5 in each": {runs: 100, commits: 500, tried: 249},
	} {
		if err := e.vacuous(2.5); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", e, err, want)
		}
	}
	if err := (&effort{runs: 100, idle: 10, commits: 500, tried: 250}).vacuous(2.5); err != nil {
		t.Error(err)
	}
}
