package show

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"
)

// FlagKind says in words what the value of a flag must be.
func FlagKind(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "bool":
		return "true or false"
	case "duration":
		return "a duration, such as 30s or 1h30m"
	case "int", "int64":
		return "a whole number"
	case "uint64":
		return "a whole number that is not negative"
	case "intSlice":
		return "whole numbers with commas between them"
	}
	return "a " + f.Value.Type()
}

// FlagError is an error of a command line in the words of the tools: what is wrong with
// a value, instead of what a parser made of it.
func FlagError(err error) error {
	if bad := (*pflag.InvalidValueError)(nil); errors.As(err, &bad) {
		return fmt.Errorf("--%s: %q is not %s", bad.GetFlag().Name, bad.GetValue(), FlagKind(bad.GetFlag()))
	}
	return err
}
