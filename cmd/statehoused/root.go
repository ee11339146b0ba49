package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/engine"
)

// Exit codes, as documented in the help and in docs/OPERATIONS.md.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitDataDir  = 3  // the data directory cannot be used: in use, a file, read-only, a newer format
	exitDamaged  = 65 // damage was found on disk; run statehoused verify
	exitStorage  = 74 // storage failed while running (or opening); nothing unsafe was acknowledged
	usageTrailer = `
Every flag can be set in the environment (--data-dir is STATEHOUSE_DATA_DIR) and
in the file given by --config, as YAML with the flags' names as keys. A flag wins
over the environment, the environment over the file. A variable that is empty is
taken for unset.

SIGTERM and SIGINT stop the daemon in order. SIGHUP reloads the token file, the
certificate with its key, the CA of clients, and the level of the log; a change of
those files is noticed within seconds without it. SIGUSR1 dumps the capture.

Exit codes: 0 stopped cleanly, 1 failed, 2 wrong usage or configuration, 3 the
data directory cannot be used, 65 damage was found on disk, 74 storage failed.
After 74 start the daemon again: it recovers from what is on disk.
`
)

// usageError is a mistake of the person who started the daemon.
type usageError struct{ error }

// run is main without the process: exit is only called when storage fails.
func run(ctx context.Context, args, environ []string, out, errOut io.Writer, exit func(int)) int {
	caught := catchSignals()
	said := newSink(errOut)
	defer said.flush()
	p := &process{log: said, exit: exit, signals: caught, reread: func() (*settings, error) { return reread(args, environ) }}
	cmd := newRoot(p, environ)
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(said)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var offline *offlineError
	if errors.As(err, &offline) {
		fmt.Fprint(said, offline.line())
	} else {
		fmt.Fprintln(said, "statehoused:", err)
	}
	return exitCode(err)
}

// newRoot is the daemon, and the command that examines its store without it. The flags are
// the daemon's alone.
func newRoot(p *process, environ []string) *cobra.Command {
	var s settings
	var check, printOnly bool
	root := &cobra.Command{
		Use:   "statehoused",
		Short: "The Statehouse daemon: durable, versioned, replayable state for agents",
		Long: "statehoused keeps the state of agents in a data directory and serves it over gRPC.\n" +
			"Without any flag it listens on both loopback addresses, port 50051, and keeps\n" +
			"its store in ./data. statehoused verify DIR checks a store that no daemon has open, migrate DIR\n" +
			"rewrites one of an older format; backup verify checks a backup, and restore makes a\n" +
			"store of one.\n" + usageTrailer,
		Version:           version + " (" + gitSHA + ")",
		Args:              usage(cobra.NoArgs), // a stray word is a mistake, not a daemon with a default
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.complete(cmd.Flags(), environ); err != nil {
				return usageError{err}
			}
			switch {
			case printOnly:
				return s.print(cmd.Flags(), cmd.OutOrStdout())
			case check:
				return s.tryOut(cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			return p.serve(cmd.Context(), &s)
		},
	}
	s.register(root.Flags())
	root.Flags().BoolVar(&check, "check-config", false, "check the settings, the files they name and the data directory, and start nothing")
	root.Flags().BoolVar(&printOnly, "print-config", false, "print the settings as YAML, with where each is from and without secrets, and start nothing")
	root.MarkFlagsMutuallyExclusive("check-config", "print-config")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{show.FlagError(err)} })
	root.AddCommand(verifyCommand(p.signals), migrateCommand(p.signals), clusterCommand(p.signals), keyCommand(p.signals), backupCommand(p.signals), restoreCommand(p.signals, p.exit))
	return root
}

// usage makes what f refuses a mistake of whoever started the program.
func usage(f cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := f(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// reread is what the settings would be if the daemon started now.
func reread(args, environ []string) (*settings, error) {
	var s settings
	f := pflag.NewFlagSet("statehoused", pflag.ContinueOnError)
	s.register(f)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	return &s, s.complete(f, environ)
}

func exitCode(err error) int {
	var (
		mistake usageError
		offline *offlineError
	)
	switch {
	case errors.As(err, &offline):
		return offline.code
	case errors.As(err, &mistake), errors.Is(err, engine.ErrInvalid):
		return exitUsage
	case errors.Is(err, engine.ErrUnusable), errors.Is(err, engine.ErrLocked),
		errors.Is(err, engine.ErrNoStore), errors.Is(err, engine.ErrFormat), errors.Is(err, node.ErrRemoved):
		return exitDataDir
	case errors.Is(err, engine.ErrDataLoss):
		return exitDamaged
	case errors.Is(err, engine.ErrStorage), errors.Is(err, engine.ErrDisplaced):
		return exitStorage
	}
	return exitFailed
}
