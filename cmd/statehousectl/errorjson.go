package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

// errorShape is an error under --json. Its fields are only ever added to.
type errorShape struct {
	Error    string            `json:"error"` // a code of the contract, or one of those below
	Message  string            `json:"message"`
	Details  map[string]string `json:"details,omitempty"`
	Applied  string            `json:"applied"`          // no, or unknown
	TxnID    string            `json:"txn_id,omitempty"` // to ask about when it is unknown
	ExitCode int               `json:"exit_code"`
}

// Codes of errors that the daemon did not send.
const (
	codeUsage       = "USAGE"
	codeNotFound    = "NOT_FOUND"
	codeFailed      = "FAILED"
	codeInterrupted = "INTERRUPTED"
	codeDataLoss    = "DATA_LOSS"
	codeUnknown     = "OUTCOME_UNKNOWN"
)

// jsonError is an error as one line of JSON.
func jsonError(err error, code int, message string) []byte {
	var (
		encoder show.Encoder
		no      errFailed
		unknown *client.OutcomeUnknownError
		e       *client.Error
		shape   = errorShape{Error: codeFailed, Message: message, Applied: "no", ExitCode: code}
	)
	if code == exitUnknown {
		shape.Applied = "unknown"
	}
	switch {
	case code == exitUsage:
		shape.Error = codeUsage
	case errors.As(err, &no):
		if no.notFound {
			shape.Error = codeNotFound
		}
	case errors.As(err, &unknown):
		shape.Error, shape.TxnID = codeUnknown, unknown.TxnID
	case errors.Is(err, context.Canceled):
		shape.Error = codeInterrupted
	case errors.As(err, &e):
		shape.Error, shape.Details = string(e.Code), e.Details
	case code == exitDataLoss: // found by verify
		shape.Error = codeDataLoss
	}
	text, eerr := encoder.Encode(shape)
	if eerr != nil {
		panic(eerr) // strings and a number
	}
	return text
}

// wantsJSON reports whether errors are to be JSON: also of a command line that could
// not be read to the flag that says so.
func wantsJSON(root *cobra.Command, args []string) bool {
	asJSON, err := root.PersistentFlags().GetBool("json")
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return err == nil && (asJSON || slices.Contains(args, "--json") || slices.Contains(args, "--json=true"))
}
