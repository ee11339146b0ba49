package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"statehouse.dev/statehouse/sim/bounds"
)

// summary is what many runs came to.
type summary struct {
	Runs       int            `json:"runs"`
	Vacuous    int            `json:"vacuous"`
	Unjudged   int            `json:"unjudged"` // no judge has seen the history: each of them failed
	Detected   int            `json:"damage_detected"`
	Failed     int            `json:"failed"`
	Doubled    int            `json:"run_twice"`
	Steps      int            `json:"steps"`
	Operations int            `json:"operations"`
	Acked      int            `json:"acked_commits_verified"`
	Classes    map[string]int `json:"classes"`
	Faults     map[string]int `json:"faults"`
	Deaths     map[string]int `json:"deaths"`
	Probes     map[string]int `json:"probes"`
	Median     int            `json:"faults_per_run_median"`
	NeverHit   []string       `json:"never_hit"` // probes of bounds.Probes
	Digest     string         `json:"digest"`
	Elapsed    float64        `json:"seconds"`
	Failures   []failedSeed   `json:"failures,omitempty"`

	perRun []int
	sums   map[uint64]uint64
}

// failedSeed is a seed whose run failed, with the first violation.
type failedSeed struct {
	Seed      uint64 `json:"seed"`
	Guarantee string `json:"promise"`
	Check     string `json:"check"`
	Sentence  string `json:"sentence"`
}

func newSummary() summary {
	m := func() map[string]int { return make(map[string]int) }
	return summary{Classes: m(), Faults: m(), Deaths: m(), Probes: m(), sums: make(map[uint64]uint64)}
}

func (s *summary) add(o *outcome) {
	s.sums[o.Seed] = o.Sum
	s.Runs++
	if len(o.Violations) > 0 {
		s.Failed++
		v := &o.Violations[0]
		s.Failures = append(s.Failures, failedSeed{o.Seed, v.Guarantee, v.Check, firstLines(v.Sentence, 1)})
	}
	if o.Stats.Unjudged {
		s.Unjudged++
	}
	if o.Vacuous {
		s.Vacuous++
		return // it does not count
	}
	if o.Detected {
		s.Detected++
	}
	s.Steps += o.Stats.Steps
	s.Operations += o.Stats.Operations
	s.Acked += o.Stats.Acked
	s.Classes[string(o.Class)]++
	faults := 0
	for _, pair := range []struct{ to, from map[string]int }{{s.Faults, o.Stats.Faults}, {s.Deaths, o.Stats.Deaths}, {s.Probes, o.Stats.Probes}} {
		for name, n := range pair.from { // sums: order cannot matter
			pair.to[name] += n
		}
	}
	for _, n := range o.Stats.Faults { // a sum
		faults += n
	}
	s.perRun = append(s.perRun, faults)
}

func total(m map[string]int) (n int) {
	for _, v := range m { // a sum
		n += v
	}
	return n
}

// line is the progress of a fuzz.
func (s *summary) line(elapsed time.Duration) string {
	return fmt.Sprintf("%d seeds, %.0f/s, %d operations, %d acked commits, %d faults, %d probes, %d vacuous, %d failed",
		s.Runs, float64(s.Runs)/max(elapsed.Seconds(), 0.001), s.Operations, s.Acked, total(s.Faults), len(s.Probes), s.Vacuous, s.Failed)
}

// finish computes what only the end knows.
func (s *summary) finish() {
	slices.Sort(s.perRun)
	if n := len(s.perRun); n > 0 {
		s.Median = s.perRun[n/2]
	}
	s.NeverHit = slices.DeleteFunc(bounds.Probes(), func(p string) bool { return s.Probes[p] > 0 })
	slices.SortFunc(s.Failures, func(x, y failedSeed) int { return cmp.Compare(x.Seed, y.Seed) })
	h := fnv.New64a()
	for _, seed := range slices.Sorted(maps.Keys(s.sums)) {
		fmt.Fprintf(h, "%d %x\n", seed, s.sums[seed])
	}
	s.Digest = fmt.Sprintf("%016x", h.Sum64())
}

func (s *summary) print(a *app) error {
	s.finish()
	if a.asJSON {
		return json.NewEncoder(a.out).Encode(s)
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	rate := float64(s.Runs) / max(s.Elapsed, 0.001)
	fmt.Fprintf(w, "runs\t%d in %.1fs (%.0f/s), %d vacuous (%.1f %%, not counted below), %d unjudged\n", s.Runs, s.Elapsed, rate, s.Vacuous, 100*float64(s.Vacuous)/float64(max(s.Runs, 1)), s.Unjudged)
	fmt.Fprintf(w, "classes\t%s\n", list(s.Classes))
	fmt.Fprintf(w, "operations\t%d judged, of them %d acknowledged commits looked for after the last crash\n", s.Operations, s.Acked)
	fmt.Fprintf(w, "faults\t%d, median %d a run\n", total(s.Faults), s.Median)
	for _, line := range wrap(list(s.Faults), 90) {
		fmt.Fprintf(w, "\t%s\n", line)
	}
	fmt.Fprintf(w, "probes\t%d places reached\n", len(s.Probes))
	for _, line := range wrap(list(s.Probes), 90) {
		fmt.Fprintf(w, "\t%s\n", line)
	}
	for i, line := range wrap(strings.Join(s.NeverHit, ", "), 90) {
		if line != "" {
			fmt.Fprintf(w, "%s\t%s\n", []string{"never hit:", ""}[min(i, 1)], line)
		}
	}
	if s.Doubled > 0 {
		fmt.Fprintf(w, "determinism\t%d seeds run twice in two processes\n", s.Doubled)
	}
	fmt.Fprintf(w, "digest\t%s\n", s.Digest)
	if len(s.Failures) > 1 { // else the report that follows says all of it
		for i, f := range s.Failures {
			fmt.Fprintf(w, "%s\tseed %d, %s, %s: %s\n", []string{"failed", ""}[min(i, 1)], f.Seed, f.Guarantee, f.Check, cut(f.Sentence, 160))
		}
	}
	return w.Flush()
}

// cut is the beginning of a text that is longer than it may be.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// list prints counts, the largest first.
func list(m map[string]int) string {
	names := slices.Collect(maps.Keys(m))
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b))
	})
	for i, n := range names {
		names[i] = fmt.Sprintf("%s %d", n, m[n])
	}
	return strings.Join(names, ", ")
}

// wrap cuts a list into lines at commas.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, item := range strings.SplitAfter(text, ", ") {
		if len(line)+len(item) > width && line != "" {
			lines, line = append(lines, strings.TrimSpace(line)), ""
		}
		line += item
	}
	return append(lines, line)
}
