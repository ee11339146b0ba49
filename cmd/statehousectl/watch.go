package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

func (a *app) watchCommand() *cobra.Command {
	var prefix string
	var due bool
	cmd := &cobra.Command{
		Use:   "watch AGENT [KEY]",
		Short: "Show a record, or those under a prefix, and every change to it",
		Long: `watch shows a record as it is, and again each time that it is written or deleted, over
restarts of the daemon too, until it is interrupted. Without a key it does so for all
records of the agent, or for those under --prefix. Nothing is left out between what
is shown first and the first change.

With --json each line is a record as get shows it: exists is false after a delete.

With --due it shows instead, from now on, when records become due (put --due-in), lapse
from the worker that had claimed them, are set, claimed or released (changed), and ended.`,
		Example:           "  statehousectl watch planner plan\n  statehousectl watch planner --prefix tool/ --json",
		Args:              show.Takes(1, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "records whose key starts with this")
	cmd.Flags().BoolVar(&due, "due", false, "instead, what becomes of records as ones that are due, from now on")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		if due {
			if len(args) == 2 {
				return usagef("--due is of an agent, or with --prefix of some of its keys: leave the key out")
			}
			return s.watchDue(ctx, args[0], prefix)
		}
		w := watch{session: s, agent: args[0], prefix: prefix}
		if len(args) == 2 {
			if cmd.Flags().Changed("prefix") {
				return usagef("name a key or say --prefix, not both")
			}
			w.key, w.prefix, w.single = args[1], args[1], true
		}
		if err := s.p.endless("TIME", "COMMIT", "DONE", "KEY", "VERSION", "VALUE"); err != nil {
			return err
		}
		err := w.run(ctx)
		if errors.Is(err, context.Canceled) {
			return nil // interrupted: how it is meant to end
		}
		return err
	})
	return cmd
}

// watch is one run of the command.
type watch struct {
	*session
	agent, key, prefix string
	single             bool // one key; prefix is it, too
}

func (w *watch) run(ctx context.Context) error {
	now, err := w.point(ctx, w.agent, "now")
	if err != nil {
		return err
	}
	if err := w.state(ctx, now); err != nil {
		return err
	}
	if err := w.p.flush(); err != nil {
		return err
	}
	for ev, err := range w.Watch(ctx, client.WatchQuery{Agent: w.agent, Prefix: w.prefix, After: now}) {
		if err == nil {
			err = errors.Join(w.change(ev), w.p.flush())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// state prints what is there as of a commit.
func (w *watch) state(ctx context.Context, now client.CommitTS) error {
	if now == 0 && !w.single {
		return nil
	}
	if w.single {
		rec, err := w.read(ctx, w.agent, w.key, &pointFlags{at: "now"}, 0, false)
		if now > 0 {
			rec, err = w.Get(ctx, w.agent, w.key, client.AtCommit(now))
		}
		if err != nil {
			return err
		}
		return w.print(rec)
	}
	for rec, err := range w.Scan(ctx, w.agent, client.ListQuery{Prefix: w.prefix, At: client.AtCommit(now)}) {
		if err == nil {
			err = w.print(rec)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// change prints what a commit has made of records.
func (w *watch) change(ev client.Event) error {
	for _, o := range ev.Operations {
		if w.single && o.Key != w.key {
			continue
		}
		rec := client.Record{Exists: !o.Deleted, Version: o.Version, CommitTS: ev.CommitTS, CommitTime: ev.CommitTime, Value: o.Value, Bytes: o.Bytes}
		rec.Namespace, rec.Agent, rec.Key = o.Namespace, o.Agent, o.Key
		if err := w.print(rec); err != nil {
			return err
		}
	}
	return nil
}

func (w *watch) print(rec client.Record) error {
	if w.asJSON {
		shape := shapeRecord(rec)
		shape.ReadTS = 0 // the same of what is read and of what changes
		return w.p.object(shape)
	}
	if err := w.p.head(); err != nil {
		return err
	}
	if rec.Version == 0 {
		return w.p.row(nil, clock(time.Time{}), "-", "ABSENT", quote(rec.Key), "-")
	}
	done := "WRITE "
	if !rec.Exists {
		done = "DELETE"
	}
	return w.p.table.Change(!rec.Exists, shownAs(rec.Value, rec.Bytes), clock(rec.CommitTime), rec.CommitTS.String(), done, quote(rec.Key), "v"+rec.Version.String())
}
