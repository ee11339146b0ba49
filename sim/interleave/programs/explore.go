package programs

import (
	"runtime"
	"sync/atomic"
	"time"

	"statehouse.dev/statehouse/sim/interleave/turns"
)

// Options of Explore.
type Options struct {
	Program string        `json:"program,omitempty"` // only this one; empty: all in turn
	Seed    uint64        `json:"seed"`              // the first
	Count   uint64        `json:"count,omitempty"`   // how many seeds; 0: as many as the time allows
	For     time.Duration `json:"for,omitempty"`     // 0: no limit
	Traced  bool          `json:"traced,omitempty"`
}

// Report is what became of an exploration. It ends with the first finding.
type Report struct {
	Schedules int            `json:"schedules"`
	Seconds   float64        `json:"seconds"`
	Runs      map[string]int `json:"runs,omitempty"`    // by program
	Choices   map[string]int `json:"choices,omitempty"` // by program, over all its runs
	// What was found, where.
	Program string         `json:"program,omitempty"`
	Seed    uint64         `json:"seed,omitempty"`
	Finding *turns.Finding `json:"finding,omitempty"`
}

// stuckAfter is how long a schedule may take before it is taken to wait for something that
// is not modelled. One takes milliseconds.
const stuckAfter = 60 * time.Second

// Explore runs schedules and tells of them, once. It is for a process of its own, built
// with the code under test rewritten, which should end then.
func Explore(o Options, tell func(*Report)) {
	start, r := time.Now(), Report{Runs: make(map[string]int), Choices: make(map[string]int)}
	var doing atomic.Uint64
	go watchdog(o, &doing, tell)
	for s := o.Seed; o.Count == 0 || s < o.Seed+o.Count; s++ {
		if o.For > 0 && time.Since(start) > o.For {
			break
		}
		doing.Store(s)
		p := o.choose(s)
		f, choices := p.Run(s, o.Traced)
		r.Schedules++
		r.Runs[p.Name]++
		r.Choices[p.Name] += choices
		if f != nil {
			r.Program, r.Seed, r.Finding = p.Name, s, f
			break
		}
	}
	r.Seconds = time.Since(start).Seconds()
	tell(&r)
}

// choose is the program of a seed.
func (o *Options) choose(seed uint64) *Program {
	list := All()
	for i := range list {
		if list[i].Name == o.Program {
			return &list[i]
		}
	}
	return &list[seed%uint64(len(list))]
}

// watchdog tells of a schedule that is stuck outside of package turns.
func watchdog(o Options, doing *atomic.Uint64, tell func(*Report)) {
	last := o.Seed - 1
	for {
		time.Sleep(stuckAfter)
		s := doing.Load()
		if s == last {
			stacks := make([]byte, 1<<20)
			tell(&Report{Program: o.choose(s).Name, Seed: s, Finding: &turns.Finding{
				Kind: "stuck", Text: "a thread waits for what is not modelled:\n" + string(stacks[:runtime.Stack(stacks, true)]),
			}})
			return
		}
		last = s
	}
}
