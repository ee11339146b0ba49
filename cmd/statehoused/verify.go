package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/access"
)

// Exit codes of verify. They are those of statehousectl, which had the command first, and
// not the daemon's: what scripts ask of a check must not change with where it lives.
const (
	exitWrong       = 6   // the store is not right
	exitInterrupted = 130 // as shells have it: 128 + SIGINT
)

const verifyHelp = `verify rebuilds the state from the log and compares it with what is stored, commit
by commit: the hash chain, every event, every version and value, the outcomes, and
that there is nothing else; and that the audit log is a chain. It works on a data directory that no daemon has open
(stop it, or verify a copy) and changes nothing. Flags, variables and the config file
of the daemon do not matter to it.

It exits with 0 when everything holds, 6 when something is wrong, 1 when the
directory cannot be verified: missing, empty, not a store, in use; 2 after wrong
usage, and 130 when interrupted.`

// verifyCommand reads a store itself instead of asking a daemon: a store that no daemon
// can open must be examined without one.
func verifyCommand(s *signals) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "Check a data directory: does the state follow from the log?",
		Long:  verifyHelp,
		Args:  usage(show.Takes(1, 1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s.release() // there is nothing to reload or dump
			shape, err := verify(cmd.Context(), args[0], cmd.ErrOrStderr())
			text := shape.text()
			if asJSON {
				text = shape.json()
			}
			if _, werr := io.WriteString(cmd.OutOrStdout(), text); !errors.Is(werr, syscall.EPIPE) { // else the reader has had enough
				err = errors.Join(err, werr)
			}
			if err != nil {
				return &offlineError{err, asJSON, verifyCode(err)}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object; an error is one on standard error")
	return cmd
}

// verifyShape is what verify found, as JSON.
type verifyShape struct {
	Directory string `json:"directory"`
	OK        bool   `json:"ok"`
	Error     string `json:"error,omitempty"`
	engine.Report
}

// verify checks dir and writes its progress to progress.
func verify(ctx context.Context, dir string, progress io.Writer) (*verifyShape, error) {
	v := &verifyShape{Directory: dir}
	done := make(chan error, 1)
	go func() {
		// Nothing is written, so storage cannot fail in a way that must end the process:
		// what goes wrong is an error like any other.
		var halted error
		env, closeEnv := engine.OSEnv(func(err error) { halted = err }, func(string, ...any) {})
		defer closeEnv()
		report, err := engine.Verify(env, dir, func(done, total engine.CommitTS) {
			fmt.Fprintf(progress, "%d of %d commits\n", done, total)
		})
		v.Report = report
		if err == nil {
			err = engine.ReadSystem(env, dir, access.Verify) // the engine knows only the form of these rows
		}
		done <- errors.Join(err, halted)
	}()
	select {
	case err := <-done:
		if v.OK = err == nil; !v.OK {
			v.Error = err.Error()
		}
		return v, err
	case <-ctx.Done(): // it only reads, so the end of the process may stop it anywhere
		return &verifyShape{Directory: dir, Error: "interrupted"}, ctx.Err()
	}
}

func (v *verifyShape) json() string {
	var e show.Encoder
	text, err := e.Encode(v)
	if err != nil {
		panic(err) // strings and numbers
	}
	return string(text) + "\n"
}

// text is for a person; what is wrong goes to standard error instead.
func (v *verifyShape) text() string {
	if !v.OK {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s is right\n", show.Quote(v.Directory))
	if v.Lost > 0 {
		fmt.Fprintf(&b, "lost        %d acknowledged commits that the witness knew of: the machine went down while the store ran without syncs\n", v.Lost)
	}
	fmt.Fprintf(&b, "commits     %d, the last witnessed is %d\n", v.Commits, v.Witnessed)
	fmt.Fprintf(&b, "operations  %d\n", v.Operations)
	fmt.Fprintf(&b, "records     %s of keys of %s in %s\n", show.Count(v.Records, "version"), show.Count(v.Agents, "agent"), show.Count(v.Namespaces, "namespace"))
	if v.Erased > 0 || v.Pruned > 0 {
		fmt.Fprintf(&b, "gone        %s erased, %s pruned\n", show.Count(v.Erased, "value"), show.Count(v.Pruned, "value"))
	}
	if v.Staged > 0 {
		fmt.Fprintf(&b, "imports     %s staged by those under way\n", show.Count(v.Staged, "row"))
	}
	fmt.Fprintf(&b, "chain       %s\n", v.ChainHash)
	if v.BaseHash != "" {
		fmt.Fprintf(&b, "begins with %s, the head of the chain of format 1 that it was migrated from\n", v.BaseHash)
	}
	fmt.Fprintf(&b, "epoch       %s\n", v.Epoch)
	return b.String()
}

// verifyCode is the exit code of a check that did not end well.
func verifyCode(err error) int {
	switch {
	case errors.Is(err, engine.ErrDataLoss):
		return exitWrong
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailed
}

// offlineError is why work without a daemon did not end well.
type offlineError struct {
	error
	asJSON bool
	code   int
}

func (e *offlineError) Unwrap() error { return e.error }

// line is the error as it goes to standard error. It may name files, whoever named those.
func (e *offlineError) line() string {
	if !e.asJSON {
		return "statehoused: " + show.Printable(e.Error()) + "\n"
	}
	word := show.CodeFailed
	switch e.code {
	case exitWrong, exitDamaged:
		word = show.CodeDataLoss
	case exitInterrupted:
		word = show.CodeInterrupted
	}
	return string(show.Failure{Error: word, Message: e.Error(), Applied: "no", ExitCode: e.code}.Line())
}
