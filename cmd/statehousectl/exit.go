package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

// Exit codes, as documented in the help.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitRefused     = 3
	exitUnavailable = 4
	exitUnknown     = 5
	exitDataLoss    = 6
	exitUnchecked   = 7
	exitInterrupted = 130 // as shells have it: 128 + SIGINT
)

// failure is an error of a command at work. What cobra returns without one around
// it is a mistake in the command line.
type failure struct {
	error
	address  string
	timeout  time.Duration
	hasToken bool
}

func (f *failure) Unwrap() error { return f.error }

// usageError is a mistake in the command line that a command found at work.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errFailed is the answer no: not found, or a check that failed. The message, if
// any, goes to standard error.
type errFailed struct {
	message  string
	notFound bool
	lost     bool // a lease is, which the daemon says in an answer
}

func (e errFailed) Error() string { return e.message }

func failedf(format string, args ...any) error {
	return errFailed{message: fmt.Sprintf(format, args...)}
}

func notFoundf(format string, args ...any) error {
	return errFailed{message: fmt.Sprintf(format, args...), notFound: true}
}

func lostf(format string, args ...any) error {
	return errFailed{message: fmt.Sprintf(format, args...), lost: true}
}

// noted is an error with something to add to what is told of it.
type noted struct {
	error
	note string
}

func (n noted) Unwrap() error { return n.error }

// execute runs the tool and returns the exit code.
func execute(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	code, message := explain(err)
	if n := (noted{}); errors.As(err, &n) && message != "" {
		message += "\n" + n.note
	}
	if code == exitUsage && message != "" {
		message += "\nSee " + cmd.CommandPath() + " --help."
	}
	if errors.As(err, new(troubleError)) && code != exitInterrupted {
		code = exitUsage
	}
	switch {
	case message == "":
	case wantsJSON(root, args):
		_, _ = root.ErrOrStderr().Write(jsonError(err, code, message)) // there is nowhere to say more
	default:
		name := "statehousectl: "
		if w, ok := root.ErrOrStderr().(*show.Writer); ok && w.Alert(name) == nil {
			name = ""
		}
		fmt.Fprintln(root.ErrOrStderr(), name+printable(message))
	}
	return code
}

// explain says how to exit and what to tell: what happened and what to do.
func explain(err error) (code int, message string) {
	var (
		f       *failure
		usage   usageError
		no      errFailed
		passed  passedOn
		answer  answerError
		apart   incomparableError
		unknown *client.OutcomeUnknownError
		e       *client.Error
	)
	switch {
	case errors.As(err, &passed):
		return int(passed), ""
	case !errors.As(err, &f), errors.As(err, &usage):
		return exitUsage, err.Error()
	case errors.Is(err, syscall.EPIPE): // the reader has had enough
		return exitOK, ""
	case errors.As(err, &answer):
		return answer.code, answer.message
	case errors.As(err, &apart):
		return exitUnchecked, apart.Error()
	case errors.As(err, &no) && no.lost:
		return exitRefused, no.message
	case errors.As(err, &no):
		return exitFailed, no.message
	case errors.As(err, &unknown):
		return exitUnknown, fmt.Sprintf("it is unknown whether transaction %s took effect: %v\n"+
			"Ask with: statehousectl txn status %[1]s\nor run the same command again with --txn-id %[1]s: it takes effect once.", unknown.TxnID, reason(unknown.Last))
	case errors.Is(err, context.Canceled):
		return exitInterrupted, "interrupted"
	case errors.As(err, &e):
		return explainError(f, e)
	}
	return exitFailed, err.Error()
}

func explainError(f *failure, e *client.Error) (code int, message string) {
	switch {
	case errors.Is(e, client.ErrDataLoss):
		return exitDataLoss, e.Message + "\nThe daemon met damage on its disk. Stop it and run: statehoused verify DIR"
	case errors.Is(e, client.ErrNotFound):
		return exitFailed, e.Message
	case errors.Is(e, client.ErrUnauthenticated) && f.hasToken:
		return exitRefused, e.Message + "\nThe token that was given (--token-file, STATEHOUSE_TOKEN_FILE or STATEHOUSE_TOKEN) is not this daemon's."
	case errors.Is(e, client.ErrUnauthenticated):
		return exitRefused, e.Message + "\nGive a key or the token with --token-file or STATEHOUSE_TOKEN."
	case errors.Is(e, client.ErrInvalid) && !e.Answered: // the configuration
		return exitUsage, e.Message
	case errors.Is(e, client.ErrInternal), errors.Is(e, client.ErrUnimplemented):
		return exitUnavailable, e.Message
	case errors.Is(e, client.ErrTLS):
		return exitUnavailable, fmt.Sprintf("no agreement on TLS with %s: %s; see --tls and --ca-file", f.address, e.Message)
	case !errors.Is(e, client.ErrUnavailable):
		if e.MaybeApplied {
			return exitUnknown, e.Message + "\nAn earlier try of the same transaction got no answer; should it still be under way it may yet take effect."
		}
		return exitRefused, e.Message
	case e.Answered:
		return exitUnavailable, e.Message
	case errors.Is(e, context.DeadlineExceeded):
		return exitUnavailable, fmt.Sprintf("%s did not answer in time (--timeout %v)", f.address, f.timeout)
	}
	message = fmt.Sprintf("cannot reach %s (%v): is statehoused running?\n", f.address, reason(e))
	if strings.Contains(e.Message, "preface") || strings.Contains(e.Message, "handshake") {
		return exitUnavailable, message + "Does it want TLS? See --tls and --ca-file."
	}
	return exitUnavailable, message + "Start it with: statehoused   or name another with --address or STATEHOUSE_ADDRESS."
}

// reason is what lies at the bottom of gRPC's layers of wrapping.
func reason(err error) string {
	s := err.Error()
	for _, wrapping := range []string{"no answer: ", "desc = ", "transport: ", "Error while dialing: "} {
		if i := strings.LastIndex(s, wrapping); i >= 0 {
			s = s[i+len(wrapping):]
		}
	}
	return strings.Trim(s, `"`)
}
