package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

// Exit codes, as documented in the help.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells have it: 128 + SIGINT
)

// failure is an error of the work. What cobra returns without one around it is a mistake
// in the command line.
type failure struct{ error }

func (f *failure) Unwrap() error { return f.error }

// usageError is a mistake in the command line that is found at work.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// execute runs the tool and returns the exit code.
func execute(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil || errors.Is(err, syscall.EPIPE) { // the reader has had enough
		return exitOK
	}
	code, word, message := explain(err)
	if code == exitUsage {
		message += "\nSee statehouse-bench --help."
	}
	if slices.Contains(args, "--json") || slices.Contains(args, "--json=true") { // whether or not the command line could be read
		_, _ = root.ErrOrStderr().Write(show.Failure{Error: word, Message: message, Applied: "no", ExitCode: code}.Line()) // there is nowhere to say more
	} else {
		fmt.Fprintln(root.ErrOrStderr(), "statehouse-bench: "+show.Printable(message))
	}
	return code
}

// explain says how to exit and what to tell.
func explain(err error) (code int, word, message string) {
	var (
		work    *failure
		mistake usageError
		invalid *client.Error
	)
	switch {
	case errors.As(err, &invalid) && errors.Is(invalid, client.ErrInvalid) && !invalid.Answered: // the address, the certificate
		return exitUsage, show.CodeUsage, invalid.Message
	case !errors.As(err, &work), errors.As(err, &mistake):
		return exitUsage, show.CodeUsage, err.Error()
	case errors.Is(err, context.Canceled), status.Code(work.error) == codes.Canceled:
		return exitInterrupted, show.CodeInterrupted, "interrupted"
	}
	return exitFailed, show.CodeFailed, err.Error()
}
