package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/engine"
)

const verifyHelp = `verify rebuilds the state from the log and compares it with what is stored, commit
by commit: the hash chain, every event, every version and value, the outcomes, and
that there is nothing else. It works on a data directory that no daemon has open
(stop it, or verify a copy) and changes nothing.

It exits with 0 when everything holds, 6 when something is wrong, and 1 when the
directory cannot be verified: missing, empty, not a store, in use.`

// verifyCommand is the one command that reads a store itself instead of asking a
// daemon: what a daemon cannot open must be looked at without one.
func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify DIR",
		Short: "Check a data directory: does the state follow from the log?",
		Long:  verifyHelp,
		Args:  takes(1, 1),
		RunE: a.local(func(_ context.Context, p *printer, args []string) error {
			return a.verify(p, args[0])
		}),
	}
}

type verifyShape struct {
	Directory string `json:"directory"`
	OK        bool   `json:"ok"`
	Error     string `json:"error,omitempty"`
	engine.Report
}

func (a *app) verify(p *printer, dir string) error {
	// Nothing is written, so storage cannot fail in a way that must end the process:
	// what goes wrong is an error like any other.
	var halted error
	env, closeEnv := engine.OSEnv(func(err error) { halted = err }, func(string, ...any) {})
	defer closeEnv()
	report, err := engine.Verify(env, dir, func(done, total engine.CommitTS) {
		fmt.Fprintf(a.err, "%d of %d commits\n", done, total)
	})
	err = errors.Join(err, halted)
	shape := verifyShape{Directory: dir, OK: err == nil, Report: report}
	if err != nil {
		shape.Error = err.Error()
	}
	switch {
	case a.asJSON:
		return errors.Join(p.object(shape), checkFailed(err))
	case err != nil:
		return checkFailed(err)
	}
	err = p.line("%s is right", quote(dir))
	if report.Lost > 0 {
		err = errors.Join(err, p.line("lost        %d acknowledged commits that the witness knew of: the machine went down while the store ran without syncs", report.Lost))
	}
	return errors.Join(
		err,
		p.line("commits     %d, the last witnessed is %d", report.Commits, report.Witnessed),
		p.line("operations  %d", report.Operations),
		p.line("records     %s of keys of %s in %s", show.Count(report.Records, "version"), show.Count(report.Agents, "agent"), show.Count(report.Namespaces, "namespace")),
		p.line("chain       %s", report.ChainHash),
	)
}

// checkFailed gives a failed check its exit code.
func checkFailed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrDataLoss):
		return damagedError{err}
	}
	return failedf("%v", err)
}

// damagedError is damage that verify found.
type damagedError struct{ error }
