package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/sim/planted"
)

type proveFlags struct {
	only    []string
	budget  time.Duration
	shrink  time.Duration
	workers int
	control int
	keep    string
}

func (a *app) proveCommand() *cobra.Command {
	var o proveFlags
	cmd := &cobra.Command{
		Use: "prove", Short: "Plant bugs in the code, and see every one of them caught", Args: cobra.NoArgs,
		Long: `prove plants one bug after the other in the source of the engine and the server,
builds this tool with it, and fuzzes until a promise breaks, on one core, within the
budget. Then it runs the same seeds on the code as it is, where nothing may break.

It needs the go command and the repository: the bugs are edits of the source, laid
over it while building, and not in the code at all otherwise.`,
		Example: "  statehouse-sim prove\n  statehouse-sim prove --only ack-before-sync,resume-skips-one",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.prove(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.only, "only", nil, "only these bugs")
	f.DurationVar(&o.budget, "budget", time.Minute, "how long each may take to be caught, on one core")
	f.DurationVar(&o.shrink, "shrink-for", 10*time.Second, "how long to shrink each failure; 0: do not")
	f.IntVar(&o.workers, "workers", runtime.NumCPU(), "bugs tried at a time")
	f.IntVar(&o.control, "control", 0, "seeds to run on the code as it is; 0: as many as the slowest bug took, at least 200")
	f.StringVar(&o.keep, "out", "", "keep the scenario of each bug in this directory")
	return cmd
}

// proof is what became of one bug.
type proof struct {
	Bug     string  `json:"bug"`
	Promise string  `json:"promise"`
	Caught  bool    `json:"caught"`
	By      string  `json:"by,omitempty"`
	Seeds   int     `json:"seeds"`
	Seconds float64 `json:"seconds"`
	Steps   int     `json:"scenario_steps,omitempty"`
	Error   string  `json:"error,omitempty"`
}

func (a *app) prove(ctx context.Context, o proveFlags) error {
	if o.budget <= 0 || o.shrink < 0 || o.workers < 1 || o.control < 0 {
		return failed(exitUsage, "--budget must be more than 0, --workers at least 1, --shrink-for and --control not negative")
	}
	root, err := planted.Root(ctx, ".")
	if err != nil {
		return failed(exitUsage, "%v", err)
	}
	bugs := planted.All()
	for _, name := range o.only {
		if _, err := bugNamed(name); err != nil {
			return err
		}
	}
	if len(o.only) > 0 {
		bugs = slices.DeleteFunc(bugs, func(b planted.Bug) bool { return !slices.Contains(o.only, b.Name) })
	}
	if o.keep != "" {
		if err := os.MkdirAll(o.keep, 0o755); err != nil {
			return failed(exitInternal, "%v", err)
		}
	}
	if !a.asJSON {
		fmt.Fprintf(a.out, "%-32s %-4s %-44s %6s %8s %6s\n", "bug", "", "caught by", "seeds", "seconds", "steps")
	}
	proofs := a.tryAll(ctx, root, bugs, o)
	if ctx.Err() != nil {
		return failed(exitInterrupted, "interrupted")
	}
	return a.concludeProof(ctx, proofs, o)
}

// tryAll tries the bugs, some at a time, and prints each when it is done.
func (a *app) tryAll(ctx context.Context, root string, bugs []planted.Bug, o proveFlags) []proof {
	var mu sync.Mutex
	var wg sync.WaitGroup
	proofs := make([]proof, len(bugs))
	next := make(chan int)
	for range o.workers {
		wg.Go(func() {
			for i := range next {
				p := a.try(ctx, root, &bugs[i], o)
				mu.Lock()
				proofs[i] = p
				a.printProof(&p)
				mu.Unlock()
			}
		})
	}
	for i := range bugs {
		if ctx.Err() == nil {
			next <- i
		}
	}
	close(next)
	wg.Wait()
	return proofs
}

func (a *app) printProof(p *proof) {
	if a.asJSON {
		_ = json.NewEncoder(a.out).Encode(p) // a broken pipe ends the program elsewhere
		return
	}
	by := p.By
	switch {
	case p.Error != "":
		by = p.Error
	case !p.Caught:
		by = "NOT CAUGHT"
	}
	fmt.Fprintf(a.out, "%-32s %-4s %-44s %6d %8.1f %6d\n", p.Bug, p.Promise, by, p.Seeds, p.Seconds, p.Steps)
}

// try builds the tool with a bug in it and fuzzes with that.
func (a *app) try(ctx context.Context, root string, b *planted.Bug, o proveFlags) proof {
	p := proof{Bug: b.Name, Promise: b.Guarantee}
	fail := func(err error) proof { p.Error = err.Error(); return p }
	dir, err := os.MkdirTemp("", "statehouse-planted-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "statehouse-sim")
	if err := b.Build(ctx, root, "./cmd/statehouse-sim", dir, program); err != nil {
		return fail(err)
	}
	start := a.now()
	cmd := exec.CommandContext(ctx, program, "fuzz", "--json", "--workers", "1", "--seeds", "0", "--for", o.budget.String(),
		"--shrink-for", o.shrink.String(), "--out", dir)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	p.Seconds = a.now().Sub(start).Seconds()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fail(err)
	}
	var total summary
	var rep failureReport
	d := json.NewDecoder(&out)
	if err := d.Decode(&total); err != nil {
		return fail(fmt.Errorf("the fuzz died: %s", lastLine(errs.String())))
	}
	p.Seeds, p.Seconds = total.Runs, total.Elapsed
	if d.Decode(&rep) == nil && rep.Check != "" {
		p.Caught, p.By, p.Steps = true, rep.Promise+" "+rep.Check, rep.Steps
		if o.keep != "" && rep.Scenario != "" {
			p.Error = keepScenario(rep.Scenario, filepath.Join(o.keep, b.Name+".yaml"))
		}
	}
	return p
}

func keepScenario(from, to string) string {
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o644)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// concludeProof runs the control and prints the table's last lines.
func (a *app) concludeProof(ctx context.Context, proofs []proof, o proveFlags) error {
	caught, broken, seeds := 0, 0, max(o.control, 200)
	var steps []int
	for i := range proofs {
		p := &proofs[i]
		if p.Caught {
			caught++
		}
		if p.Error != "" {
			broken++
		}
		if p.Steps > 0 {
			steps = append(steps, p.Steps)
		}
		if o.control == 0 {
			seeds = max(seeds, p.Seeds)
		}
	}
	slices.Sort(steps)
	median := 0
	if len(steps) > 0 {
		median = steps[len(steps)/2]
	}
	fleet, err := newFleet(o.workers)
	if err != nil {
		return err
	}
	c := newCampaign(a, fuzzFlags{seeds: seeds, from: 1, workers: o.workers, keepGoing: true})
	if err := c.run(ctx, fleet); err != nil {
		return err
	}
	if a.asJSON {
		line := struct {
			Caught  int `json:"caught"`
			Of      int `json:"of"`
			Control int `json:"control_seeds"`
			False   int `json:"false_alarms"`
			Median  int `json:"scenario_steps_median"`
		}{caught, len(proofs), c.total.Runs, c.total.Failed, median}
		if err := json.NewEncoder(a.out).Encode(line); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "caught %d of %d, scenarios of %d steps (median); %d false alarms in %d seeds of the code as it is\n",
			caught, len(proofs), median, c.total.Failed, c.total.Runs)
	}
	switch {
	case broken > 0:
		return failed(exitInternal, "%d bugs could not be tried", broken)
	case caught < len(proofs):
		return failed(exitViolation, "%d bugs were not caught", len(proofs)-caught)
	case c.total.Failed > 0:
		return failed(exitViolation, "%d false alarms", c.total.Failed)
	}
	return c.vacuous()
}
