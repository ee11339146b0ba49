package show

import (
	"fmt"

	"github.com/spf13/cobra"
)

// Takes refuses a command line with fewer arguments than least or more than most, in words
// that give the form.
func Takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("an argument is missing; the form is: %s", cmd.UseLine())
		case len(args) > most:
			return fmt.Errorf("%q is one argument too many; the form is: %s", args[most], cmd.UseLine())
		}
		return nil
	}
}
