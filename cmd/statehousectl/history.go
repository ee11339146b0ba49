package main

import (
	"context"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

func (a *app) historyCommand() *cobra.Command {
	var (
		q       client.HistoryQuery
		at      pointFlags
		verbose bool
	)
	cmd := &cobra.Command{
		Use:               "history AGENT KEY",
		Short:             "List the versions of a record",
		Long:              "history lists the versions of a record, newest first, deletes among them. It exits\nwith 1 when the record never was.",
		Args:              show.Takes(2, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.BoolVar(&q.OldestFirst, "oldest-first", false, "from the first version to the last")
	f.IntVar(&q.Limit, "limit", 0, "at most this many; 0: all")
	at.register(f)
	f.BoolVar(&verbose, "verbose", false, "show transaction ids and metadata")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) (err error) {
		if q.At, err = at.point(s); err != nil {
			return err
		}
		if q.Limit < 0 {
			return usagef("--limit is negative")
		}
		s.p.list("VERSION", "TIME", "COMMIT", "DONE", "VALUE")
		found := false
		for e, err := range s.History(ctx, args[0], args[1], q) {
			if err == nil {
				found, err = true, s.printHistory(e, verbose)
			}
			if err != nil {
				return err
			}
		}
		if !found {
			return missing(client.Record{RecordName: client.RecordName{Namespace: s.Namespace(), Agent: args[0], Key: args[1]}})
		}
		return nil
	})
	return cmd
}

func (s *session) printHistory(e client.HistoryEntry, verbose bool) error {
	if s.asJSON {
		return s.p.object(shapeHistory(e))
	}
	what := "WRITE"
	if e.Deleted {
		what = "DELETE"
	}
	if what += show.Gone(e.Erased, e.Pruned); e.Cause != "" {
		what += " " + printable(e.Cause)
	}
	err := s.p.row(shownAs(e.Value, e.Bytes), "v"+e.Version.String(), clock(e.CommitTime), e.CommitTS.String(), what)
	if err == nil && verbose {
		err = s.p.line("%s", show.Provenance(e.TxnID, e.Principal, e.TraceID, e.Metadata))
	}
	return err
}
