package fuzz

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/planted"
)

// These are the worked examples of docs/SIMULATION.md: a property of one feature each,
// under crashes, tested with rapid. What fails is written out as a scenario.

// TestVersionsCount: the version of a record is how often its key was written or
// deleted, whatever happened in between.
func TestVersionsCount(t *testing.T) {
	p := &property{name: "rapid-versions-count", request: drawWrite, holds: versionsCount, least: 4}
	p.check(t)
}

// drawWrite draws a write or a delete of one of a few keys.
func drawWrite(t *rapid.T) string {
	key := rapid.IntRange(1, 2).Draw(t, "key")
	if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
		return fmt.Sprintf(`transact TXN del alice/k%d`, key)
	}
	return fmt.Sprintf(`transact TXN put alice/k%d {"n":%d}`, key, rapid.IntRange(1, 9).Draw(t, "value"))
}

// versionsCount is put to the test by every write of a key after its first.
func versionsCount(r *sim.Result) (tried int, err error) {
	count := make(map[history.Name]uint64)
	for _, ev := range r.History.Log {
		for _, op := range ev.Ops {
			name := history.Name{Namespace: op.Namespace, Agent: op.Agent, Key: op.Key}
			if count[name]++; count[name] > 1 {
				tried++
			}
			if op.Version != count[name] {
				return tried, fmt.Errorf("commit %d is write %d of %s, and calls it version %d", ev.CommitTS, count[name], name.Key, op.Version)
			}
		}
	}
	return tried, nil
}

// TestAsOfTime: a read as of a time shows what the last commit not later than that had
// left, though clocks jump and the daemon dies in between.
func TestAsOfTime(t *testing.T) {
	p := &property{name: "rapid-as-of-time", request: drawAsOf, holds: asOfTime, least: 1}
	p.check(t)
}

// drawAsOf draws a write, or a read of the past. A step takes a millisecond, so that a
// time of so many is often that of a commit.
func drawAsOf(t *rapid.T) string {
	if rapid.IntRange(0, 2).Draw(t, "write") > 0 {
		return drawWrite(t)
	}
	ago := fmt.Sprintf("%dms", rapid.IntRange(0, 120).Draw(t, "time"))
	if rapid.IntRange(0, 4).Draw(t, "jumped") == 0 {
		ago = rapid.SampledFrom([]string{"1h", "2h", "1h0m0.05s", "100000h"}).Draw(t, "later")
	}
	return fmt.Sprintf("get alice/k%d time=%s", rapid.IntRange(1, 2).Draw(t, "key"), ago)
}

// asOfTime is put to the test by every read of a time at which a later commit was known
// already.
func asOfTime(r *sim.Result) (tried int, err error) {
	log := r.History.Log
	for _, op := range r.History.Operations {
		if op.Kind != history.Get || op.In.AtTime == 0 || op.Outcome != history.OK {
			continue
		}
		read, known := op.Out.ReadTS, acknowledged(r.History, op.Call)
		if known > read {
			tried++
		}
		switch {
		case max(read, known) > uint64(len(log)):
			return tried, fmt.Errorf("#%d read at commit %d, when commit %d was known; the log has %d", op.ID, read, known, len(log))
		case read > 0 && log[read-1].CommitTime > op.In.AtTime:
			return tried, fmt.Errorf("#%d read at commit %d, which is later than the time it asked for", op.ID, read)
		case known > read && log[read].CommitTime <= op.In.AtTime:
			return tried, fmt.Errorf("#%d read at commit %d, though commit %d is not later than the time it asked for", op.ID, read, read+1)
		}
		if got, want := op.Out.Records[0], at(log[:read], op.In.Agent, op.In.Key); got.Exists != want.Exists || got.Version != want.Version || got.Value != want.Value {
			return tried, fmt.Errorf("#%d was shown %+v, and commit %d had left %+v", op.ID, got, read, want)
		}
	}
	return tried, nil
}

// acknowledged is the last commit that a client knew of before a moment.
func acknowledged(h *history.History, before int64) (ts uint64) {
	for _, op := range h.Operations {
		if op.Kind == history.Transact && op.Outcome == history.OK && op.Return < before {
			ts = max(ts, op.Out.CommitTS)
		}
	}
	return ts
}

// at is what a log leaves of a key.
func at(log []history.Event, agent, key string) (r history.Record) {
	for _, ev := range log {
		for _, op := range ev.Ops {
			if op.Agent == agent && op.Key == key {
				r = history.Record{Exists: !op.Delete, Version: op.Version, Value: op.Value}
			}
		}
	}
	return r
}

// propertyOf says which bugs a property has to see within one "go test".
var propertyOf = map[string]string{
	"version-reused-after-delete":   "TestVersionsCount",
	"version-forgotten-at-recovery": "TestVersionsCount",
	"as-of-off-by-one":              "TestAsOfTime",
	"clock-not-clamped":             "TestAsOfTime",
}

// TestPropertiesCatchBugs runs the properties on code with a bug in it, as
// docs/SIMULATION.md says to. Each costs a build: see TestScenariosCatchBugs.
func TestPropertiesCatchBugs(t *testing.T) {
	if os.Getenv("STATEHOUSE_SWEEP") != "full" {
		t.Skip("it takes minutes; STATEHOUSE_SWEEP=full runs it")
	}
	root, err := planted.Root(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	left := len(propertyOf)
	for _, bug := range planted.All() {
		property := propertyOf[bug.Name]
		if property == "" {
			continue
		}
		left--
		t.Run(bug.Name, func(t *testing.T) {
			list, err := bug.Overlay(root, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-overlay", list, "./sim/fuzz", "-run", "^"+property+"$", "-rapid.nofailfile")
			cmd.Dir = root
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "again: statehouse-sim run -v") {
				t.Errorf("%s: %s does not see it:\n%s", bug.About, property, out)
			}
		})
	}
	if left != 0 {
		t.Errorf("%d bugs are not on the list any more", left)
	}
}
