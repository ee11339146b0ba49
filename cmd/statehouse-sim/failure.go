package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/fuzz"
	"statehouse.dev/statehouse/sim/scenario"
)

// name of the files that a failure leaves.
func name(v *verdict.Violation, seed uint64) string {
	return fmt.Sprintf("%s-%s-seed-%d", strings.ToLower(v.Guarantee), v.Check, seed)
}

func text(s *scenario.Scenario) string {
	var b bytes.Buffer
	_ = s.Write(&b) // to memory
	return b.String()
}

// failureReport is what a failure prints.
type failureReport struct {
	Guarantee string `json:"promise"`
	Check     string `json:"check"`
	Sentence  string `json:"sentence"`
	Expected  string `json:"expected,omitempty"`
	Got       string `json:"got,omitempty"`
	// Culprit is the request, the commit and the step of the writer that it is about, a line each.
	Culprit  []linearizability.Fact `json:"culprit,omitempty"`
	Seed     uint64                 `json:"seed,omitempty"`
	Class    string                 `json:"class"`
	Commit   string                 `json:"commit"`
	Command  string                 `json:"command"`
	Scenario string                 `json:"scenario,omitempty"`
	Steps    int                    `json:"scenario_steps,omitempty"`
	From     int                    `json:"steps,omitempty"`
	Report   string                 `json:"report,omitempty"`
	History  string                 `json:"history,omitempty"`
	Note     string                 `json:"note,omitempty"`
}

// reportOf is a failure that a violation is, without where it was found.
func reportOf(v *verdict.Violation) failureReport {
	return failureReport{Guarantee: v.Guarantee, Check: v.Check, Sentence: v.Sentence, Expected: v.Expected, Got: v.Got, Commit: commit()}
}

// reportFailure says how a seed failed.
func (a *app) reportFailure(ctx context.Context, o *outcome, flags fuzzFlags, f *fleet) error {
	rep, err := a.lookInto(ctx, o, flags, f)
	if err != nil {
		return err
	}
	return a.printFailure(rep, &o.Violations[0])
}

// lookInto shrinks a failing seed in a process of its own, and writes what a person
// needs to look into it.
func (a *app) lookInto(ctx context.Context, o *outcome, flags fuzzFlags, f *fleet) (*failureReport, error) {
	v := &o.Violations[0]
	rep := reportOf(v)
	rep.Seed, rep.Class, rep.From = o.Seed, string(o.Class), o.Stats.Steps
	rep.Command = "statehouse-sim run -v " + sizedFlags(o.Seed, flags.class, fuzz.Size{Nodes: flags.nodes})
	if v.Check == "process-died" {
		if err := a.keepDead(ctx, &rep, o, flags, f); err != nil {
			rep.Note = "shrinking failed: " + err.Error()
		}
	} else if flags.shrinkFor > 0 && ctx.Err() == nil {
		fmt.Fprintf(a.err, "shrinking seed %d for at most %v\n", o.Seed, flags.shrinkFor)
		w, err := f.hire(ctx)
		if err != nil {
			return nil, err
		}
		shrunk, err := w.do(job{Seed: o.Seed, Class: sim.Class(flags.class), Nodes: flags.nodes, Shrink: flags.shrinkFor})
		_ = w.dismiss() // it has answered
		switch {
		case err != nil:
			rep.Note = "shrinking failed: " + err.Error()
		case shrunk.Small != nil:
			if err := a.keepSmall(&rep, v, shrunk.Small, flags); err != nil {
				return nil, err
			}
		case shrunk.Scenario == "":
			rep.Note = "shrinking failed: " + shrunk.ShrinkErr
		default:
			if err := a.keep(&rep, name(v, o.Seed), shrunk.Scenario, flags.dir); err != nil {
				return nil, err
			}
		}
	}
	return &rep, nil
}

// keep writes the scenario of a failure and the report of running it.
func (a *app) keep(rep *failureReport, name, source, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return failed(exitInternal, "%v", err)
	}
	rep.Scenario = filepath.Join(dir, name+".yaml")
	if err := os.WriteFile(rep.Scenario, []byte(source), 0o644); err != nil {
		return failed(exitInternal, "%v", err)
	}
	s, err := scenario.Read(strings.NewReader(source))
	if err != nil {
		return failed(exitInternal, "the scenario just written cannot be read: %v", err)
	}
	rep.Steps = len(s.Steps)
	rep.Command = "statehouse-sim run -v " + rep.Scenario
	r, err := s.Run(sim.Options{Command: rep.Command})
	if err != nil {
		rep.Note = "the scenario runs only where steps that do not fit are passed over: " + err.Error()
		return nil
	}
	if list := broken(r.Result); len(list) > 0 {
		rep.show(&list[0], r.History, r.When)
	}
	rep.Report = filepath.Join(dir, name+".html")
	if err := writeReport(rep.Report, r.Result); err != nil {
		return err
	}
	rep.History = filepath.Join(dir, name+".jsonl")
	return historyTo(rep.History, r.History)
}

// show is what a run that is kept broke: it says so in its own steps.
func (rep *failureReport) show(v *verdict.Violation, h *history.History, when func(int64) string) {
	rep.Sentence, rep.Expected, rep.Got = v.Sentence, v.Expected, v.Got
	rep.Culprit = linearizability.Culprit(h, v, when)
}

func writeReport(path string, r *sim.Result) error {
	judged := r.Judged
	judged.Violations = r.Violations
	if len(r.Violations) > 0 {
		judged.Verdict = verdict.Illegal
	}
	return reportTo(path, r.History, judged)
}

func (a *app) printFailure(rep *failureReport, v *verdict.Violation) error {
	if a.asJSON {
		if err := json.NewEncoder(a.out).Encode(rep); err != nil {
			return err
		}
		return &failure{codeOf(v), fmt.Errorf("%s is broken", rep.Guarantee)}
	}
	fmt.Fprintf(a.out, "\nFAIL      %s is broken: %s\n", named(rep.Guarantee), rep.Check)
	rep.print(a.out)
	return &failure{codeOf(v), fmt.Errorf("%s is broken", rep.Guarantee)}
}

// print prints what is known of a failure, a line each, under a headline of the
// caller's.
func (rep *failureReport) print(w io.Writer) {
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-10s%s\n", label, text)
		}
	}
	line("", firstLines(rep.Sentence, 12))
	line("expected", rep.Expected)
	line("got", rep.Got)
	for _, f := range rep.Culprit {
		line(f.Label, f.Text)
	}
	if rep.Seed != 0 {
		line("seed", fmt.Sprintf("%d (class %s, %d steps), commit %s", rep.Seed, rep.Class, rep.From, rep.Commit))
	}
	if rep.Scenario != "" {
		line("scenario", fmt.Sprintf("%s (%d steps)", rep.Scenario, rep.Steps))
	}
	line("report", rep.Report)
	line("history", rep.History)
	line("note", rep.Note)
	line("again", rep.Command)
}

func firstLines(s string, n int) string {
	lines := strings.SplitN(s, "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "\n          ")
}

// named is a guarantee with its name (docs/GUARANTEES.md).
func named(g string) string {
	names := map[string]string{
		"G1": "Durable", "G2": "Atomic", "G3": "Strictly serializable", "G4": "No ghosts", "G5": "Replay is the truth",
		"G6": "Exactly once", "G7": "Fail-stop", "G8": "Detected or harmless", "G9": "Bounded", "G10": "Isolated",
	}
	if n := names[g]; n != "" {
		return g + " (" + n + ")"
	}
	return g
}

// reportDifference runs a seed twice more and names the first step that differs.
// It always answers an error.
func (a *app) reportDifference(ctx context.Context, seed uint64, flags fuzzFlags, f *fleet) error {
	var runs [2]outcome
	for i, disturb := range []uint64{0, disturbance(seed)} {
		w, err := f.hire(ctx)
		if err != nil {
			return err
		}
		if runs[i], err = w.do(job{Seed: seed, Class: sim.Class(flags.class), Nodes: flags.nodes, Digests: true, Disturb: disturb}); err != nil {
			return failed(exitInternal, "seed %d: %v", seed, err)
		}
		_ = w.dismiss() // it has answered
	}
	x, y := &runs[0], &runs[1]
	for i := range min(len(x.Digests), len(y.Digests)) {
		if x.Digests[i] != y.Digests[i] {
			step := "after the last step"
			if i < len(x.Steps) {
				step = fmt.Sprintf("step %d (%s)", i+1, x.Steps[i])
			}
			return failed(exitNondetermism, "seed %d: two runs differ first at %s", seed, step)
		}
	}
	return failed(exitNondetermism, "seed %d: two runs differed; two more did not: something outside the simulated world had an effect (a busy machine can)", seed)
}
