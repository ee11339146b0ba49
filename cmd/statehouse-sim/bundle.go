package main

import (
	"errors"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/beside"
)

// bundleCommand is where bundles were opened once: for one more version it runs the program
// that makes them, which opens them as well.
func (a *app) bundleCommand() *cobra.Command {
	return &cobra.Command{
		Use: "bundle", Short: "Moved: statehousectl bundle", Hidden: true,
		DisableFlagParsing: true, // they are those of statehousectl
		RunE: func(cmd *cobra.Command, args []string) error {
			code, err := beside.Command{Name: "statehousectl", Args: append([]string{"bundle"}, args...), In: a.in, Out: a.raw.out, Err: a.raw.err}.Run(cmd.Context())
			switch {
			case err != nil && cmd.Context().Err() != nil:
				return failed(exitInterrupted, "interrupted")
			case err != nil:
				return failed(exitInternal, "%v", err)
			case code != 0:
				return &failure{code, errors.New("")} // it has said why
			}
			return nil
		},
	}
}
