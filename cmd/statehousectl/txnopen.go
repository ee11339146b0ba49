package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client/admin"
	"statehouse.dev/statehouse/cmd/show"
)

// openTxnCommands are those on transactions that the daemon holds open.
func (a *app) openTxnCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use: "ls", Aliases: []string{"list"},
		Short: "List the transactions that are open, the oldest first",
		Long: "ls lists the transactions that the daemon holds open: since when, until when, who began\n" +
			"them, what they have staged and read. Transactions that clients hold are not among them.",
		Args: show.Takes(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.connected(a.txnList),
	}, {
		Use:   "abort TXN_ID",
		Short: "Abort an open transaction, whoever began it",
		Args:  show.Takes(1, 1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.connected(func(ctx context.Context, s *session, args []string) error {
			if err := admin.New(s.Client).AbortTransaction(ctx, args[0]); err != nil {
				return err
			}
			if s.asJSON {
				return s.p.object(map[string]any{"txn_id": args[0], "state": "aborted"})
			}
			return s.p.line("%s aborted", quote(args[0]))
		}),
	}}
}

type openTxnShape struct {
	TxnID      string    `json:"txn_id"`
	Principal  string    `json:"principal,omitempty"`
	BeginTime  time.Time `json:"begin_time"`
	ExpireTime time.Time `json:"expire_time"`
	SnapshotTS uint64    `json:"snapshot_ts"`
	Operations uint64    `json:"operations"`
	Bytes      uint64    `json:"bytes"`
	Reads      uint64    `json:"reads"`
}

func (a *app) txnList(ctx context.Context, s *session, _ []string) error {
	open, err := admin.New(s.Client).Transactions(ctx)
	if err != nil {
		return err
	}
	s.p.list("TXN_ID", "PRINCIPAL", "OPEN", "ENDS", "OPERATIONS", "BYTES", "READS")
	if !s.asJSON && len(open) == 0 {
		return s.p.line("no transaction is open")
	}
	for _, x := range open {
		if s.asJSON {
			shape := openTxnShape{x.ID, x.Principal, x.Begun, x.Deadline, x.SnapshotTS, x.Operations, x.Bytes, x.Reads}
			err = errors.Join(err, s.p.object(shape))
			continue
		}
		who := "-"
		if x.Principal != "" {
			who = quote(x.Principal)
		}
		now := a.now()
		err = errors.Join(err, s.p.row(nil, quote(x.ID), who, "open "+age(now.Sub(x.Begun)), "ends in "+age(x.Deadline.Sub(now)),
			show.Count(int(x.Operations), "operation"), size(x.Bytes), show.Count(int(x.Reads), "read")))
	}
	return err
}

// age is a duration for people.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

func (a *app) logLevelCommand() *cobra.Command {
	return &cobra.Command{
		Use: "log-level LEVEL", Short: "Set the level of the daemon's log",
		Long: "log-level sets the level of the daemon's log, to debug, info, warn or error, until the\ndaemon is restarted or reads its level again (SIGHUP).",
		Args: show.Takes(1, 1), ValidArgs: []string{"debug", "info", "warn", "error"},
		RunE: a.connected(func(ctx context.Context, s *session, args []string) error {
			previous, err := admin.New(s.Client).SetLogLevel(ctx, args[0])
			if err != nil {
				return err
			}
			if s.asJSON {
				return s.p.object(map[string]any{"level": args[0], "previous": previous})
			}
			return s.p.line("%s; it was %s", printable(args[0]), printable(previous))
		}),
	}
}
