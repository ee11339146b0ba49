package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

func (a *app) getCommand() *cobra.Command {
	var (
		at  pointFlags
		ver uint64
		raw bool
	)
	cmd := &cobra.Command{
		Use:   "get AGENT KEY",
		Short: "Print a value",
		Long: "get prints the value of a record: indented on a terminal, otherwise as it is stored.\n" +
			"It exits with 1 when the record does not exist. A value that is bytes is an object with\n" +
			"$bytes in base64; with --raw it is the bytes and nothing else.",
		Example:           "  statehousectl get planner goal\n  statehousectl get planner goal --at -5m\n  statehousectl get planner goal --version 3",
		Args:              show.Takes(2, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	at.register(cmd.Flags())
	cmd.Flags().Uint64Var(&ver, "version", 0, "read this version of the record")
	cmd.Flags().BoolVar(&raw, "raw", false, "print the bytes as they are, or the text as it is stored, without a line end")
	cmd.MarkFlagsMutuallyExclusive("at", "min-read-ts", "version")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		rec, err := s.read(ctx, args[0], args[1], &at, ver, cmd.Flags().Changed("version"))
		if err != nil {
			return err
		}
		var absent error
		if !rec.Exists {
			absent = missing(rec)
		}
		if s.asJSON && !raw {
			return errors.Join(s.p.object(shapeRecord(rec)), absent)
		}
		if absent != nil {
			return absent
		}
		if raw {
			return s.p.raw(&rec)
		}
		return s.p.value(shownAs(rec.Value, rec.Bytes))
	})
	return cmd
}

func (s *session) read(ctx context.Context, agent, key string, at *pointFlags, ver uint64, atVersion bool) (client.Record, error) {
	if atVersion {
		return s.GetAtVersion(ctx, agent, key, client.Version(ver))
	}
	point, err := at.point(s)
	if err != nil {
		return client.Record{}, err
	}
	return s.Get(ctx, agent, key, point)
}

// point is the commit_ts that reads as of at are taken at.
func (s *session) point(ctx context.Context, agent, at string) (client.CommitTS, error) {
	rec, err := s.read(ctx, agent, "any", &pointFlags{at: at}, 0, false) // of any record, there or not
	return rec.ReadTS, err
}

func missing(r client.Record) error {
	if r.Version > 0 {
		return notFoundf("key %s of agent %s does not exist: its version %d, of commit %d, is a delete", quote(r.Key), quote(r.Agent), r.Version, r.CommitTS)
	}
	return notFoundf("key %s of agent %s does not exist in namespace %s", quote(r.Key), quote(r.Agent), quote(r.Namespace))
}
