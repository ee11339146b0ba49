package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/beside"
	"statehouse.dev/statehouse/cmd/show"
)

// Commands that have moved to programs of their own are found here for one more version,
// out of sight: they run that program, and are it to whoever called.

func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify DIR", Short: "Moved: statehoused verify DIR", Hidden: true, Args: show.Takes(1, 1),
		Long: "verify has moved to the program that reads stores: statehoused verify DIR. This runs it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			own := []string{"verify"} // where the daemon is does not matter
			if a.asJSON {
				own = append(own, "--json")
			}
			return a.passOn(cmd, "statehoused", append(own, "--", args[0]))
		},
	}
}

func (a *app) benchCommand() *cobra.Command {
	return &cobra.Command{
		Use: "bench", Short: "Moved: statehouse-bench", Hidden: true,
		DisableFlagParsing: true, // they are those of statehouse-bench
		PersistentPreRunE:  func(*cobra.Command, []string) error { return nil },
		RunE:               func(cmd *cobra.Command, args []string) error { return a.passOn(cmd, "statehouse-bench", args) },
	}
}

// passOn runs another program in place of this one.
func (a *app) passOn(cmd *cobra.Command, program string, args []string) error {
	code, err := beside.Command{Name: program, Args: args, In: a.in, Out: a.out, Err: a.err}.Run(cmd.Context())
	switch {
	case err != nil:
		return &failure{error: err}
	case code != exitOK:
		return passedOn(code)
	}
	return nil
}

// passedOn is the exit code of a program that has said itself what was wrong.
type passedOn int

func (p passedOn) Error() string { return fmt.Sprintf("exit code %d", int(p)) }
