package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim/fuzz"
	"statehouse.dev/statehouse/sim/repro"
	"statehouse.dev/statehouse/sim/scenario"
)

// notInIDs is what an id of a scenario cannot have.
var notInIDs = regexp.MustCompile(`[^a-z0-9]+`)

type reproFlags struct {
	limit, shrinkFor time.Duration
	commits          int
	dir              string
	fresh            bool
	limits           readLimits
}

func (a *app) reproCommand() *cobra.Command {
	var o reproFlags
	cmd := &cobra.Command{
		Use: "repro history.jsonl", Short: "Make what a captured history shows happen again, in the simulator", Args: cobra.ExactArgs(1),
		Long: `repro takes a history that a daemon or a client captured, and

  judges it: which guarantee does it show broken?
  does its commits again, in their order, and compares the logs: does this build
    do what that one did when nothing fails?
  searches, if a guarantee is broken: clients ask in the simulated world what they
    asked then, in other orders and steps, with crashes and failing disks, until the
    same guarantee breaks in the same way;
  shrinks what it has found to a scenario, ready to be committed.

Build it from the source of the daemon that the capture is of: it looks for the bug in
the code that it is built from. Started again, an interrupted search goes on where it was
(--fresh: from the beginning). If it reproduces nothing it says so, with what it tried and
what the reason may be.

It exits with 0 when it has reproduced the violation, or there is none and the logs
agree; 1 when they do not, 7 when it could not.`,
		Example: "  statehouse-sim repro incident.jsonl\n  statehouse-sim repro incident.jsonl --for 30m --dir scenarios",
		RunE: func(_ *cobra.Command, files []string) error {
			if o.limit <= 0 || o.shrinkFor < 0 || o.commits < 0 {
				return failed(exitUsage, "--for must be more than 0, --shrink-for and --commits not negative")
			}
			return a.repro(files[0], o)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&o.limit, "for", 5*time.Minute, "how long to search")
	f.DurationVar(&o.shrinkFor, "shrink-for", time.Minute, "how long to shrink what was found")
	f.IntVar(&o.commits, "commits", 2000, "how many commits, the last before the violation, to do again; 0: none")
	f.StringVar(&o.dir, "dir", "repro", "where the scenario and its report are written")
	f.BoolVar(&o.fresh, "fresh", false, "forget how far an earlier search of this history was")
	o.limits.flags(f)
	return cmd
}

// reproduced is what came of it, as JSON.
type reproduced struct {
	File       string             `json:"file"`
	Build      string             `json:"build"`
	CapturedOf string             `json:"captured_of,omitempty"`
	Verdict    verdict.Verdict    `json:"verdict"`
	Violation  *verdict.Violation `json:"violation,omitempty"`
	Again      *repro.Reexecution `json:"reexecution,omitempty"`
	Reproduced bool               `json:"reproduced"`
	Exact      bool               `json:"exact"`
	Captured   bool               `json:"by_captured_requests"`
	Tries      uint64             `json:"tries"`
	Seconds    float64            `json:"seconds"`
	Found      *failureReport     `json:"found,omitempty"`
	Reasons    []string           `json:"reasons,omitempty"`
}

func (a *app) repro(file string, o reproFlags) error {
	h, _, c, err := a.judge(file, judging{limits: o.limits})
	if err != nil {
		return err
	}
	if c.Operations == 0 {
		return failed(exitVacuous, "%s holds no operation: there is nothing to judge, and nothing to do again", file)
	}
	rep := &reproduced{File: file, Build: commit(), CapturedOf: h.Header.Build, Verdict: c.Verdict}
	a.tell("%s: %d operations, %d commits: %s", file, c.Operations, c.Commits, c.Verdict)
	if c.Partial {
		a.tell("%s", c.partly())
	}
	if !h.Complete {
		return a.conclude(rep, failed(exitUnchecked, "%s: its log is not complete, so there is nothing to compare with", file))
	}
	if c.Verdict == verdict.Illegal {
		rep.Violation = &c.Violations[0]
		a.tell("%s is broken (%s): %s", named(rep.Violation.Guarantee), rep.Violation.Check, rep.Violation.Sentence)
	}
	defer single()()
	if err := a.reexecute(h, rep, o.commits); err != nil {
		return err
	}
	switch {
	case rep.Violation == nil && rep.Again != nil && rep.Again.Divergence != nil:
		return a.conclude(rep, failed(exitViolation, "this build does not do what was captured"))
	case rep.Violation == nil && c.Verdict != verdict.OK:
		return a.conclude(rep, failed(exitUnchecked, "%s could not be judged", file))
	case rep.Violation == nil:
		a.tell("there is nothing to reproduce: what was captured keeps every guarantee")
		return a.conclude(rep, nil)
	}
	return a.search(h, rep, o)
}

func (a *app) tell(format string, args ...any) {
	if !a.asJSON {
		fmt.Fprintf(a.out, format+"\n", args...)
	}
}

// conclude prints the whole as JSON, if that was asked for.
func (a *app) conclude(rep *reproduced, err error) error {
	if a.asJSON {
		if jerr := json.NewEncoder(a.out).Encode(rep); jerr != nil {
			return jerr
		}
	}
	return err
}

func (a *app) reexecute(h *history.History, rep *reproduced, limit int) (err error) {
	if limit == 0 {
		return nil
	}
	part := *h
	if v := rep.Violation; v != nil && v.CommitTS > 0 { // up to what went wrong
		for len(part.Log) > 1 && part.Log[len(part.Log)-1].CommitTS > v.CommitTS {
			part.Log = part.Log[:len(part.Log)-1]
		}
	}
	progress := a.every(time.Second)
	rep.Again, err = repro.Reexecute(&part, limit, func(done, of int) {
		progress(func() string { return fmt.Sprintf("doing it again: %d of %d commits", done, of) })
	})
	a.clearLine()
	if err != nil {
		return failed(exitInternal, "doing it again: %v", err)
	}
	g := rep.Again
	a.tell("done again: commits %d to %d, %d of them rebuilt from the log, and %d reads", g.First, g.Last, g.Rebuilt, g.Reads)
	if d := g.Divergence; d != nil {
		a.tell("first difference at commit %d: %s\n  captured  %s\n  now       %s", d.CommitTS, d.What, d.Captured, d.Now)
	} else {
		a.tell("the logs agree: without a fault, and one after the other, this build does the same")
	}
	return nil
}

// every makes a progress line that appears at most so often, where a person watches.
func (a *app) every(pause time.Duration) func(func() string) {
	last := a.now()
	return func(text func() string) {
		if now := a.now(); a.terminal() && now.Sub(last) >= pause {
			last = now
			a.clearLine()
			fmt.Fprint(a.err, text())
		}
	}
}

func (a *app) search(h *history.History, rep *reproduced, o reproFlags) error {
	script, err := repro.NewScript(h, *rep.Violation)
	if err != nil {
		rep.Reasons = []string{err.Error()}
		return a.conclude(rep, failed(exitUnchecked, "not reproduced: %v", err))
	}
	state, err := openSearch(rep.File, o)
	if err != nil {
		return err
	}
	began, progress, collect := a.now(), a.every(time.Second), collector()
	s := &repro.Search{
		Script: script, Target: scenario.Breach{Guarantee: rep.Violation.Guarantee, Check: rep.Violation.Check}, Try: state.Try,
		Now: a.now, Deadline: began.Add(o.limit),
		Progress: func(tries uint64) {
			progress(func() string {
				return fmt.Sprintf("searching: %d tries in %.0fs", tries, a.now().Sub(began).Seconds())
			})
			collect()
			if tries%50 == 0 {
				state.keep(tries)
			}
		},
	}
	if state.Try > 0 {
		a.tell("going on with try %d of an earlier search", state.Try+1)
	}
	found := s.Run()
	a.clearLine()
	rep.Tries, rep.Seconds = s.Try-state.Try, a.now().Sub(began).Seconds()
	if found == nil {
		state.keep(s.Try)
		rep.Reasons = whyNot(h, rep, s)
		a.tell("not reproduced in %d tries, %.0fs. It may be that\n  - %s", rep.Tries, rep.Seconds, strings.Join(rep.Reasons, "\n  - "))
		return a.conclude(rep, failed(exitUnchecked, "%s (%s) was not reproduced", rep.Violation.Guarantee, rep.Violation.Check))
	}
	state.forget()
	return a.reproduce(rep, found, o)
}

// reproduce shrinks what was found, and writes it.
func (a *app) reproduce(rep *reproduced, f *repro.Found, o reproFlags) error {
	rep.Reproduced, rep.Exact, rep.Captured = true, f.Exact, f.Captured
	how := "by the captured requests"
	if !f.Captured {
		how = "by the simulator's own clients"
	}
	a.tell("reproduced %s, in %d tries, %.1fs (try %d)", how, rep.Tries, rep.Seconds, f.Try+1)
	if !f.Exact {
		a.tell("what broke is not the same check, but the nearest that was found in this build: %s (%s)", named(f.Violation.Guarantee), f.Violation.Check)
	}
	out := reportOf(&f.Violation)
	out.Class, out.From = string(f.Result.Class), f.Result.Stats.Steps
	sh := fuzz.Shrinker{
		Between: collector(),
		Seed:    f.Result.Seed, Config: f.Result.Config, Class: f.Result.Class, Breach: scenario.Breach{Guarantee: f.Violation.Guarantee, Check: f.Violation.Check},
		Deadline: a.now().Add(o.shrinkFor), Now: a.now,
	}
	shrunk, err := sh.Shrink(f.Result.Steps)
	if err != nil {
		return failed(exitInternal, "%v", err)
	}
	base := strings.TrimSuffix(filepath.Base(rep.File), filepath.Ext(rep.File))
	shrunk.ID = strings.Trim(notInIDs.ReplaceAllString(strings.ToLower(base+"-"+f.Violation.Check), "-"), "-")
	shrunk.Title = fmt.Sprintf("%s (%s), as in %s", named(f.Violation.Guarantee), f.Violation.Check, filepath.Base(rep.File))
	shrunk.Story = fmt.Sprintf("Found %s of a capture in try %d, and shrunk: %s", how, f.Try+1, shrunk.Story)
	if err := a.keep(&out, shrunk.ID, text(shrunk), o.dir); err != nil {
		return err
	}
	rep.Found = &out
	if !a.asJSON {
		fmt.Fprintln(a.out)
		out.print(a.out)
		fmt.Fprintf(a.out, "\nIt fails while the bug is there, and is one of your scenarios from then on:\n  cp %s scenarios/\n", out.Scenario)
	}
	return a.conclude(rep, nil)
}

// whyNot says what could be the reason.
func whyNot(h *history.History, rep *reproduced, s *repro.Search) []string {
	var list []string
	add := func(when bool, format string, args ...any) {
		if when {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(rep.CapturedOf != "" && !strings.Contains(rep.CapturedOf, rep.Build), "the bug is not in this build (%s): the capture is of %s", rep.Build, rep.CapturedOf)
	add(true, "it takes threads that run at once inside the daemon, the kernel or the hardware: the simulator has one thread (run the daemon under the race detector)")
	add(strings.HasPrefix(h.Header.Redaction, "digest"), "it depends on what values are, not only on which are equal: they are digests here (dump with --redact none)")
	add(len(h.Gaps) > 0, "what leads up to it is in one of the %d times of which not everything was recorded", len(h.Gaps))
	add(h.Header.Base != nil, "it happened before the capture begins")
	add(true, "it needs a bigger store, more clients or more time than a simulated run has (a run is of at most some hundred requests)")
	kinds := make([]string, 0, len(s.Faults()))
	for kind := range s.Faults() { // only counted
		kinds = append(kinds, kind)
	}
	add(true, "longer is needed: --for. %d kinds of faults were injected until now", len(kinds))
	return list
}

// searchSuffix ends the name of the file in which a search remembers how far it is.
const searchSuffix = ".search"

// searchState is how far a search is, beside the history.
type searchState struct {
	History string `json:"history"` // SHA-256
	Build   string `json:"build"`
	Try     uint64 `json:"try"`
	path    string
}

func openSearch(file string, o reproFlags) (*searchState, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, failed(exitUsage, "%v", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return nil, failed(exitUsage, "%v", err)
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return nil, failed(exitInternal, "%v", err)
	}
	now := &searchState{History: hex.EncodeToString(sum.Sum(nil)), Build: commit(), path: filepath.Join(o.dir, filepath.Base(file)+searchSuffix)}
	raw, err := os.ReadFile(now.path)
	var before searchState
	switch {
	case errors.Is(err, fs.ErrNotExist) || o.fresh:
	case err != nil:
		return nil, failed(exitUsage, "%v", err)
	case json.Unmarshal(raw, &before) == nil && before.History == now.History && before.Build == now.Build:
		now.Try = before.Try
	}
	return now, nil
}

// keep remembers how far it is; that it cannot is no reason to stop.
func (s *searchState) keep(try uint64) {
	next := *s
	next.Try = try
	if raw, err := json.Marshal(next); err == nil {
		_ = os.WriteFile(s.path, raw, 0o644)
	}
}

func (s *searchState) forget() { _ = os.Remove(s.path) } // it may never have been kept
