package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

// claimShape is a record that was claimed, for --json.
type claimShape struct {
	recordShape
	Token client.Version `json:"token"`
	Lease string         `json:"lease"`
}

func (a *app) claimCommand() *cobra.Command {
	var l leaseFlags
	var o client.ClaimOptions
	cmd := &cobra.Command{
		Use:   "claim AGENT|--all-agents",
		Short: "Take records that are due, to work on them",
		Long: "claim takes records that are due (put --due-in, --due-at) and that no worker holds, those that\n" +
			"have been for longest first, and prints each with the token of its lease. They are this worker's\n" +
			"until it completes them, releases the lease due:KEY, or has not renewed it in time: then another\n" +
			"claim takes them. It exits with 1 when there is none.",
		Example: "  statehousectl claim planner --prefix job/ --ttl 5m\n  statehousectl claim --all-agents --wait --json\n" +
			"  statehousectl lease renew planner due:job/7 3",
		Args:              show.Takes(0, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	l.register(cmd)
	cmd.Flags().Lookup("wait").Usage = "wait until there is one"
	f := cmd.Flags()
	f.BoolVar(&o.AllAgents, "all-agents", false, "of all agents of the namespace")
	f.StringVar(&o.Prefix, "prefix", "", "records whose key starts with this")
	f.IntVar(&o.Limit, "limit", 1, "at most so many records")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		if o.AllAgents == (len(args) == 1) {
			return usagef("name an agent or say --all-agents, one of them")
		}
		with := l.options()
		o.Holder, o.TTL, o.Wait = with.Holder, with.TTL, with.Wait
		claimed, err := s.Claim(ctx, firstArg(args), o)
		if err != nil {
			return err
		}
		for _, c := range claimed {
			if err := s.printClaimed(&c); err != nil {
				return err
			}
		}
		if len(claimed) == 0 {
			return failedf("no record is due that no worker holds")
		}
		return nil
	})
	return cmd
}

func firstArg(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func (s *session) printClaimed(c *client.Claimed) error {
	if s.asJSON {
		rec := c.Record
		rec.DueAt = c.DueAt
		return s.p.object(claimShape{shapeRecord(rec), c.Lease.Token, c.Lease.Condition().Lease})
	}
	return s.p.line("%s  %s  token %d  due %s  %s", quote(c.Agent), quote(c.Key), c.Lease.Token, c.DueAt.Format(time.RFC3339), shownAs(c.Value, c.Bytes))
}

func (a *app) completeCommand() *cobra.Command {
	var w writeFlags
	cmd := &cobra.Command{
		Use:   "complete AGENT KEY TOKEN",
		Short: "Say that the work on a record that was due is done",
		Long: "complete ends a claim under its token: the record is no longer due. It is refused once the\n" +
			"claim has lapsed, was released, or another worker holds the record.",
		Example:           "  statehousectl complete planner job/7 3",
		Args:              show.Takes(3, 3),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	w.register(cmd.Flags(), false)
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		token, err := tokenOf(args[2])
		if err != nil {
			return err
		}
		commit, err := s.commitWrite(ctx, &w, cmd.Flags(), client.Complete(args[0], args[1], token))
		switch {
		case err != nil:
			return err
		case s.asJSON:
			return s.p.object(shapeCommit(commit))
		}
		return s.p.line("commit %d", commit.CommitTS)
	})
	return cmd
}

// dueFlags say when a record is due.
type dueFlags struct {
	in time.Duration
	at string
}

func (d *dueFlags) register(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&d.in, "due-in", 0, "when it is due, from its commit on, such as 90s or 24h")
	cmd.Flags().StringVar(&d.at, "due-at", "", "when it is due, such as 2026-01-31T09:00:00Z")
	for _, other := range []string{"due-at", "ttl", "if-absent"} {
		cmd.MarkFlagsMutuallyExclusive("due-in", other)
	}
	cmd.MarkFlagsMutuallyExclusive("due-at", "ttl")
	cmd.MarkFlagsMutuallyExclusive("due-at", "if-absent")
}

// of is a write with what the flags say.
func (d *dueFlags) of(cmd *cobra.Command, w client.Write) (client.Write, error) {
	switch {
	case cmd.Flags().Changed("due-in") && d.in < 0:
		return w, usagef("--due-in %v is negative", d.in)
	case cmd.Flags().Changed("due-in"):
		return w.DueIn(d.in), nil
	case d.at == "":
		return w, nil
	}
	at, err := time.Parse(time.RFC3339Nano, d.at)
	if err != nil {
		return w, usagef("--due-at %q is no time, such as 2026-01-31T09:00:00Z", d.at)
	}
	return w.DueAt(at), nil
}

// watchDue prints what becomes due, and what becomes of it.
func (s *session) watchDue(ctx context.Context, agent, prefix string) error {
	if err := s.p.endless("TIME", "COMMIT", "DONE", "KEY"); err != nil {
		return err
	}
	q := client.WatchQuery{Agent: agent, AllAgents: agent == "", Prefix: prefix, Due: true, NoValues: true, FromNow: true}
	for ev, err := range s.Watch(ctx, q) {
		if errors.Is(err, context.Canceled) {
			return nil // interrupted: how it is meant to end
		}
		if err != nil {
			return err
		}
		for i := range ev.Operations {
			if err := s.printDue(&ev, &ev.Operations[i]); err != nil {
				return err
			}
		}
		if err := s.p.flush(); err != nil {
			return err
		}
	}
	return nil
}

// dueShape is a change of a record that is due, for --json.
type dueShape struct {
	Namespace  string          `json:"namespace"`
	Agent      string          `json:"agent"`
	Key        string          `json:"key"`
	Done       string          `json:"done"` // due, lapsed: it can be claimed; changed; ended
	CommitTS   client.CommitTS `json:"commit_ts"`
	CommitTime time.Time       `json:"commit_time"`
}

func (s *session) printDue(ev *client.Event, o *client.Operation) error {
	done := "changed" // set, claimed or released
	switch {
	case o.Deleted:
		done = "ended"
	case ev.Cause != "":
		done = ev.Cause
	}
	if s.asJSON {
		return s.p.object(dueShape{o.Namespace, o.Agent, o.Key, done, ev.CommitTS, ev.CommitTime})
	}
	if err := s.p.head(); err != nil {
		return err
	}
	return s.p.row(nil, clock(ev.CommitTime), ev.CommitTS.String(), done, quote(o.Key))
}
