// Package bench measures targets side by side. A target is something with operations: a
// daemon, a server that does nothing, another database. A case is an operation at a number
// of clients. Run goes round by round through all cases and in each through all targets,
// in short bursts, so that whatever else the machine does hits all alike; what counts is
// the median of the rounds, and of a comparison the median of what each round compared.
//
// Rates depend on the machine and on what else it does. Processor time an operation hardly
// does: it is taken from the system's clocks of the processes, that of the client (this
// process) beside that of the server. So figures of two machines cannot be compared, their
// ratios can, and ratios of processor time even where the machine is busy.
//
// The package knows no protocol: package wire speaks Statehouse's, package rivals others'.
package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// Op does an operation for a client and returns how many things it did: writes of a
// batch, events of a page. i counts the calls of this client.
type Op func(ctx context.Context, client, i int) (n int, err error)

// Case is what is measured of each target that can do it.
type Case struct {
	Op      string // the name of the operation
	Clients int
}

// String is how a report names the case.
func (c Case) String() string {
	if c.Clients == 1 {
		return c.Op + ", 1 client"
	}
	return fmt.Sprintf("%s, %d clients", c.Op, c.Clients)
}

// Target is something that is measured.
type Target struct {
	Name string
	// Ops has the operations by name. A case whose operation is not there is left out.
	Ops map[string]Op
	// Clients, if not 0, is the only concurrency that it is measured at.
	Clients int
	// Missing says why it cannot be measured, if so. An Optional target that fails is
	// missing from then on; the failure of another ends the run.
	Missing  string
	Optional bool
	// CPU is the processor time of its server so far; nil if that cannot be known.
	CPU func() (time.Duration, error)
	// Around brings about what is to hold during a burst; the function that it returns
	// takes it back. Neither is part of the burst.
	Around func(ctx context.Context) (func(), error)
	// Delivered counts what reached others than the clients: events of watches.
	Delivered func() int64
}

// Takes reports whether the target is measured in a case, unless it is missing.
func (t *Target) Takes(c Case) bool {
	_, has := t.Ops[c.Op]
	return has && (t.Clients == 0 || t.Clients == c.Clients)
}

// Options says what to measure.
type Options struct {
	Targets  []*Target
	Cases    []Case
	Duration time.Duration // of a burst
	Rounds   int           // at least 1; one more is run first and not counted
	// Progress is told what is about to run.
	Progress func(round int, c Case, t *Target)
}

// Rounds are the bursts of a target in a case, one a round.
type Rounds []Burst

// Results has the rounds of each target, by its name, in each case.
type Results struct {
	cases []Case
	by    map[Case]map[string]Rounds
}

// Run measures everything that o asks for.
func Run(ctx context.Context, o Options) (*Results, error) {
	r := NewResults(o.Cases...)
	for round := range o.Rounds + 1 {
		for k := range o.Cases {
			// What a case leaves to be done in the background does not always fall to the same one.
			c := o.Cases[(k+round)%len(o.Cases)]
			for i := range o.Targets {
				t := o.Targets[i]
				if round%2 == 1 { // who is after whom is not so always
					t = o.Targets[len(o.Targets)-1-i]
				}
				if !t.Takes(c) || t.Missing != "" {
					continue
				}
				o.Progress(round, c, t)
				b, err := burst(ctx, t, t.Ops[c.Op], c.Clients, o.Duration)
				if err != nil && t.Optional && ctx.Err() == nil {
					t.Missing = err.Error()
					continue
				}
				if err != nil {
					return nil, fmt.Errorf("%s: %s: %w", t.Name, c, err)
				}
				if round > 0 {
					r.Add(c, t.Name, b)
				}
			}
		}
	}
	return r, nil
}

// NewResults has no rounds yet, of these cases.
func NewResults(cases ...Case) *Results {
	r := &Results{cases: slices.Clone(cases), by: make(map[Case]map[string]Rounds)}
	for _, c := range cases {
		r.by[c] = make(map[string]Rounds)
	}
	return r
}

// Add adds a burst that Run did not measure.
func (r *Results) Add(c Case, target string, b Burst) {
	if r.by[c] == nil {
		r.by[c] = make(map[string]Rounds)
		r.cases = append(r.cases, c)
	}
	r.by[c][target] = append(r.by[c][target], b)
}

// Cases are those measured, in order.
func (r *Results) Cases() []Case { return r.cases }

// Of returns the rounds of a target in a case; none if it was not measured.
func (r *Results) Of(op string, clients int, target string) Rounds {
	return r.by[Case{op, clients}][target]
}

// Measure runs one burst of a case that Run does not.
func Measure(ctx context.Context, t *Target, c Case, d time.Duration) (Burst, error) {
	return burst(ctx, t, t.Ops[c.Op], c.Clients, d)
}

// Lines is a Progress that writes a line a round, or on a terminal one line that changes.
func Lines(w io.Writer, rounds int, terminal bool) func(int, Case, *Target) {
	last := -1
	return func(round int, c Case, t *Target) {
		name := fmt.Sprintf("round %d of %d", round, rounds)
		if round == 0 {
			name = "warming up"
		}
		switch {
		case terminal:
			fmt.Fprintf(w, "\r%-79.79s", fmt.Sprintf("%s: %s: %s", name, c, t.Name))
		case round != last:
			fmt.Fprintln(w, name)
		}
		last = round
	}
}
