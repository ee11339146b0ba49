package main

import (
	"context"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
)

func (a *app) scanCommand() *cobra.Command {
	var l listFlags
	cmd := &cobra.Command{
		Use:   "scan AGENT [PREFIX]",
		Short: "List an agent's records with their values",
		Long: "scan lists records, one a line: key, version, and the value cut to the width of the\n" +
			"terminal. --json prints values whole. It exits with 1 when the agent has no commits.",
		Args:              show.Takes(1, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	l.register(cmd.Flags())
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		q, err := l.query(s, cmd.Flags(), args)
		if err != nil {
			return err
		}
		s.p.list("KEY", "VERSION", "VALUE")
		found := false
		for rec, err := range s.Scan(ctx, args[0], q) {
			if err == nil && s.asJSON {
				err = s.p.object(shapeRecord(rec))
			} else if err == nil {
				err = s.p.row(shownAs(rec.Value, rec.Bytes), quote(rec.Key), "v"+rec.Version.String())
			}
			if err != nil {
				return err
			}
			found = true
		}
		if !found {
			return s.mustExist(ctx, args[0])
		}
		return nil
	})
	return cmd
}
