package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine"
)

// The machine's transactions that their clients hold: what a Transact says to have read, and
// when it is too late.

// drawReads adds a read set and a timeout to a Transact now and then. Mostly it is what was
// there at the snapshot.
func (m *machine) drawReads(t *rapid.T, c *engine.Conditions) {
	if rapid.IntRange(0, 3).Draw(t, "timed") == 0 {
		c.Timeout = new(rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Hour, 1 << 62}).Draw(t, "timeout"))
	}
	if rapid.IntRange(0, 2).Draw(t, "reads") > 0 {
		return
	}
	at := m.s.published - min(m.s.published, rapid.SampledFrom([]int{0, 0, 0, 1, 2, 5, 1000}).Draw(t, "commits back"))
	c.Reads = &engine.ReadSet{Snapshot: engine.CommitTS(at)}
	for range rapid.IntRange(0, 2).Draw(t, "keys read") {
		n := plainName(drawName.Draw(t, "name"))
		if slices.ContainsFunc(c.Reads.Keys, func(k engine.ReadKey) bool { return k.Name == n }) {
			continue
		}
		k := engine.ReadKey{Name: n, Seen: m.s.record(n, at).Version}
		if rapid.IntRange(0, 9).Draw(t, "wrong") == 0 {
			k.Seen++
		}
		c.Reads.Keys = append(c.Reads.Keys, k)
	}
	for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "ranges read") {
		l := engine.ReadRange{Agent: drawAgent.Draw(t, "agent"), Prefix: rapid.SampledFrom(modelPrefixes).Draw(t, "prefix")}
		for _, bound := range []*string{&l.First, &l.Last} {
			if rapid.Bool().Draw(t, "bounded") {
				*bound = rapid.SampledFrom(modelKeys).Draw(t, "bound")
			}
		}
		c.Reads.Ranges = append(c.Reads.Ranges, l)
	}
}

// says is what a Transact that arrives now says of its transaction; nil: nothing.
func says(c *engine.Conditions, now time.Time) *specTxn {
	if c.Reads == nil && c.Timeout == nil {
		return nil
	}
	x := &specTxn{reads: make(map[engine.RecordName]engine.Version), deadline: now.Add(1 << 62)}
	if c.Timeout != nil {
		x.deadline = now.Add(*c.Timeout)
	}
	if c.Reads == nil {
		return x
	}
	x.snapshot = int(c.Reads.Snapshot)
	for _, k := range c.Reads.Keys {
		x.reads[plainName(k.Name)] = k.Seen
	}
	for _, l := range c.Reads.Ranges {
		a := plainName(engine.RecordName{Namespace: l.Agent.Namespace, Agent: l.Agent.Agent}).AgentName()
		x.ranges = append(x.ranges, specRange{a, l.Prefix, l.First, l.Last})
	}
	return x
}

// readsAsked are the reads of a Transact, in the form in which the same is the same.
func readsAsked(c *engine.Conditions) string {
	x := says(c, time.Time{})
	if x == nil || len(x.reads)+len(x.ranges) == 0 {
		return ""
	}
	list := []string{fmt.Sprint(x.snapshot)}
	for n, v := range x.reads { // sorted below
		list = append(list, fmt.Sprintf("%q at %d", []string{n.Namespace, n.Agent, n.Key}, v))
	}
	for _, r := range x.ranges {
		list = append(list, fmt.Sprintf("%q", []string{r.agent.Namespace, r.agent.Agent, r.prefix, r.first, r.last}))
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), " ")
}
