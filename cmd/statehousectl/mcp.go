package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/mcp"
)

const mcpHelp = `mcp serves the Model Context Protocol on standard input and output, for a program that
runs models: it starts this command, and its models get tools that read and write
state. docs/MCP.md shows what to put into its configuration.

The daemon is the one of every other command: --address and --token-file, their
variables, or a context. What the key may do the models may do, and what they commit
is its principal's.

A namespace that is given, by the flag, STATEHOUSE_NAMESPACE or the context, is the only
one that they reach. Otherwise they work in "default", and can name others. --agent keeps
them to one agent, and --read-only takes the tools away that write.`

func (a *app) mcpCommand() *cobra.Command {
	var agent string
	var readOnly bool
	cmd := &cobra.Command{
		Use:               "mcp",
		Short:             "Serve models on standard input and output, by the Model Context Protocol",
		Long:              mcpHelp,
		Example:           "  statehousectl --namespace agents mcp --agent planner\n  statehousectl --context prod mcp --read-only",
		Args:              show.Takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&agent, "agent", "", "the only agent that models reach")
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "leave out the tools that write")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, _ []string) error {
		if s.asJSON {
			return usagef("mcp prints what the protocol says: leave --json and -o out")
		}
		o := mcp.Options{Client: s.Client, Confined: a.given(cmd, "namespace"), Agent: agent, ReadOnly: readOnly, Version: version, Now: a.now}
		if cmd.Flags().Changed("debug") {
			o.Log = slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
		}
		s.warnUnreachable(ctx)
		err := mcp.New(o).Run(ctx, &sdk.IOTransport{Reader: io.NopCloser(a.in), Writer: unclosed{a.out}})
		if errors.Is(err, context.Canceled) {
			return nil // interrupted: as good an end as that of the input
		}
		return err
	})
	return cmd
}

// given reports whether a setting is from anywhere but the built in default.
func (a *app) given(cmd *cobra.Command, name string) bool {
	for _, s := range a.daemon.Settings(cmd.Flags()) {
		if s.Name == name {
			return s.From != "default"
		}
	}
	return false
}

// warnUnreachable tells a person who looks why models will be told that nothing works. The daemon may
// still come up, so it is no reason to end.
func (s *session) warnUnreachable(ctx context.Context) {
	err := s.Health(ctx)
	if err == nil || errors.Is(err, client.ErrPermissionDenied) {
		return
	}
	_, message := explain(&failure{err, s.daemon.Address, s.daemon.Timeout, s.daemon.HasToken})
	fmt.Fprintln(s.err, "statehousectl: "+printable(message))
}

// unclosed is a writer that others close.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }
