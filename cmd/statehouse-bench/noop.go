package main

import (
	"context"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/cmd/statehouse-bench/bench"
	"statehouse.dev/statehouse/cmd/statehouse-bench/child"
	"statehouse.dev/statehouse/cmd/statehouse-bench/noop"
	"statehouse.dev/statehouse/cmd/statehouse-bench/wire"
)

// noopCommand is the server that does nothing, in a process of its own so that its
// processor time can be told from that of the clients.
func (a *app) noopCommand() *cobra.Command {
	return &cobra.Command{
		Use: "no-op-server", Short: "The server that does nothing; ends with standard input", Hidden: true, Args: show.Takes(0, 0),
		PreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := noop.Serve(cmd.Context(), a.in, a.out); err != nil {
				return &failure{err}
			}
			return nil
		},
	}
}

// addNoop starts it and adds what is measured of it.
func (s *stand) addNoop(ctx context.Context, a *app) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	p, err := child.Start(ctx, child.Command{Path: own, Args: []string{"no-op-server"}, Dir: s.dir, Ready: regexp.MustCompile(`^listening on (\S+)`)})
	if err != nil {
		return err
	}
	s.atEnd(p.End)
	conns, err := s.connect(client.Config{Address: p.Said[1]}, a.conns)
	if err != nil {
		return err
	}
	unary := wire.New(a.records, a.events(), conns...)
	s.targets = append(s.targets,
		&bench.Target{Name: noopName, Ops: only(unary.Ops(), wire.Read, wire.Commit, wire.Batch, wire.History), CPU: p.CPU},
		&bench.Target{Name: noopName + sessionSuffix, Ops: only(s.sessions(unary, conns).Ops(), wire.Read, wire.Commit, wire.Batch), CPU: p.CPU})
	return nil
}
