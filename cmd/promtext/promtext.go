// Package promtext reads metrics in the text format of Prometheus, as far as a daemon's are written in
// it, and computes what a person wants to know of two such texts: rates, and quantiles of what
// happened in between.
package promtext

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Sample is one number.
type Sample struct {
	Name   string
	Labels map[string]string
	Value  float64
}

// Samples are the numbers of one text.
type Samples []Sample

// Parse reads a text. Comments and timestamps are passed over.
func Parse(text string) (Samples, error) {
	var all Samples
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		s, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("%q is no line of metrics: %w", line, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func parseLine(line string) (s Sample, err error) {
	end := strings.IndexAny(line, "{ ")
	if end <= 0 {
		return s, fmt.Errorf("it has no value")
	}
	s.Name, s.Labels = line[:end], map[string]string{}
	rest := line[end:]
	if rest[0] == '{' {
		if rest, err = parseLabels(rest[1:], s.Labels); err != nil {
			return s, err
		}
	}
	value, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	s.Value, err = strconv.ParseFloat(value, 64)
	return s, err
}

// parseLabels reads NAME="VALUE",… up to the brace that ends it.
func parseLabels(text string, into map[string]string) (rest string, err error) {
	for {
		text = strings.TrimLeft(text, ", ")
		if after, ends := strings.CutPrefix(text, "}"); ends {
			return after, nil
		}
		name, after, found := strings.Cut(text, "=")
		if !found {
			return "", fmt.Errorf("a label has no value")
		}
		quoted, err := strconv.QuotedPrefix(after)
		if err != nil {
			return "", fmt.Errorf("the label %s is not quoted", name)
		}
		if into[name], err = strconv.Unquote(quoted); err != nil {
			return "", err
		}
		text = after[len(quoted):]
	}
}

// Match reports whether a sample is meant.
type Match func(labels map[string]string) bool

// With matches a label's value.
func With(name, value string) Match {
	return func(l map[string]string) bool { return l[name] == value }
}

// Without matches all but a label's value.
func Without(name, value string) Match {
	return func(l map[string]string) bool { return l[name] != value }
}

// Sum adds up the samples of a name that all matches mean.
func (all Samples) Sum(name string, matches ...Match) (sum float64) {
	for _, s := range all {
		if s.Name == name && s.matches(matches) {
			sum += s.Value
		}
	}
	return sum
}

func (s *Sample) matches(all []Match) bool {
	return !slices.ContainsFunc(all, func(m Match) bool { return !m(s.Labels) })
}

// Values lists the values of a label among the samples of a name, in order.
func (all Samples) Values(name, label string) []string {
	found := map[string]bool{}
	for _, s := range all {
		if s.Name == name {
			found[s.Labels[label]] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// Rise is how much a counter rose since before; a daemon that was restarted began anew.
func (all Samples) Rise(before Samples, name string, matches ...Match) float64 {
	now, then := all.Sum(name, matches...), before.Sum(name, matches...)
	if now < then {
		return now
	}
	return now - then
}

// Quantile is about the q-th of what a histogram counted since before, between the bounds of its
// bucket as Prometheus has it; NaN when it counted nothing.
func (all Samples) Quantile(before Samples, q float64, name string, matches ...Match) float64 {
	type bucket struct{ upTo, count float64 }
	var buckets []bucket
	for _, le := range all.Values(name+"_bucket", "le") {
		upTo, err := strconv.ParseFloat(le, 64)
		if err == nil {
			buckets = append(buckets, bucket{upTo, all.Rise(before, name+"_bucket", append(slices.Clone(matches), With("le", le))...)})
		}
	}
	slices.SortFunc(buckets, func(a, b bucket) int { return cmp.Compare(a.upTo, b.upTo) })
	if len(buckets) == 0 || buckets[len(buckets)-1].count == 0 {
		return math.NaN()
	}
	rank := q * buckets[len(buckets)-1].count
	from, below := 0.0, 0.0
	for _, b := range buckets {
		if b.count >= rank {
			if math.IsInf(b.upTo, 1) {
				return from
			}
			return from + (b.upTo-from)*(rank-below)/max(b.count-below, 1)
		}
		from, below = b.upTo, b.count
	}
	return from
}
