package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

// jsonError is an error as one line of JSON.
func jsonError(err error, code int, message string) []byte {
	var (
		no      errFailed
		unknown *client.OutcomeUnknownError
		e       *client.Error
		shape   = show.Failure{Error: show.CodeFailed, Message: message, Applied: "no", ExitCode: code}
	)
	if code == exitUnknown {
		shape.Applied = "unknown"
	}
	switch {
	case code == exitUsage:
		shape.Error = show.CodeUsage
	case errors.As(err, &no):
		if no.notFound {
			shape.Error = show.CodeNotFound
		} else if no.lost {
			shape.Error = "LEASE_LOST" // as the daemon calls it
		}
	case errors.As(err, &unknown):
		shape.Error, shape.TxnID = show.CodeUnknown, unknown.TxnID
	case errors.Is(err, context.Canceled):
		shape.Error = show.CodeInterrupted
	case errors.As(err, &e):
		shape.Error, shape.Details = string(e.Code), e.Details
	}
	return shape.Line()
}

// wantsJSON reports whether errors are to be JSON: also of a command line that could
// not be read to the flag that says so.
func wantsJSON(root *cobra.Command, args []string) bool {
	asJSON, err := root.PersistentFlags().GetBool("json")
	if output, oerr := root.PersistentFlags().GetString("output"); oerr == nil {
		asJSON = asJSON || slices.Contains([]string{formatJSON, formatYAML, formatJSONL}, output)
	}
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return err == nil && (asJSON || slices.Contains(args, "--json") || slices.Contains(args, "--json=true"))
}
