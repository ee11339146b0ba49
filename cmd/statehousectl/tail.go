package main

import (
	"context"
	"errors"
	"iter"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

type tailFlags struct {
	follow    bool
	last      int
	allAgents bool
	prefix    string
	verbose   bool
	after     uint64
	epoch     string
	resume    bool // --after was given
}

func (a *app) tailCommand() *cobra.Command {
	var t tailFlags
	cmd := &cobra.Command{
		Use:   "tail [AGENT]",
		Short: "Show what happened last, and go on with what happens",
		Long: `tail shows the last operations of an agent, or of a whole namespace, as replay does.
With -f it goes on as commits are made, over restarts of the daemon too, until it
is interrupted.`,
		Example:           "  statehousectl tail -f planner\n  statehousectl tail --all-agents -n 50",
		Args:              show.Takes(0, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.BoolVarP(&t.follow, "follow", "f", false, "go on with what happens")
	f.IntVarP(&t.last, "lines", "n", 10, "this many operations to start with; with --json as many commits as hold them")
	f.Uint64Var(&t.after, "after", 0, "with -f: go on after this commit_ts, in place of the last operations")
	f.StringVar(&t.epoch, "epoch", "", "epoch in which --after is that commit, as --json shows it")
	f.BoolVar(&t.allAgents, "all-agents", false, "every agent of the namespace")
	f.StringVar(&t.prefix, "prefix", "", "only operations on keys that start with this")
	f.BoolVar(&t.verbose, "verbose", false, "show transaction ids and metadata")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		t.resume = cmd.Flags().Changed("after")
		err := s.tail(ctx, &t, args)
		if t.follow && errors.Is(err, context.Canceled) {
			return nil // interrupted: how it is meant to end
		}
		return err
	})
	return cmd
}

func (s *session) tail(ctx context.Context, t *tailFlags, args []string) error {
	agent, err := agentOrAll(args, t.allAgents)
	if err != nil {
		return err
	}
	if t.last < 0 {
		return usagef("-n is negative")
	}
	s.p.list(eventColumns...)
	if t.follow {
		if err := s.p.endless(eventColumns...); err != nil {
			return err
		}
	}
	switch {
	case t.resume && !t.follow:
		return usagef("--after goes with -f; without it say replay --from")
	case t.epoch != "" && !t.resume:
		return usagef("--epoch goes with --after")
	case t.resume:
		out := eventPrinter{p: s.p, verbose: t.verbose, asJSON: s.asJSON}
		return s.follow(ctx, &out, client.WatchQuery{Agent: agent, AllAgents: t.allAgents, Prefix: t.prefix, After: client.CommitTS(t.after), Epoch: t.epoch})
	}
	now, err := s.point(ctx, "any", "now")
	if err != nil {
		return err
	}
	q := client.ReplayQuery{Agent: agent, AllAgents: t.allAgents, Prefix: t.prefix}
	head := now
	if !t.allAgents {
		known, found, err := s.findAgent(ctx, agent)
		if err != nil {
			return err
		}
		if !found && !t.follow {
			return noSuchAgent(s, agent)
		}
		head = min(head, known.Head) // nothing of it comes later; 0 when it is not known
	}
	events, skip, err := lastEvents(min(t.last, 1<<30), head, func(from, to client.CommitTS) iter.Seq2[client.Event, error] {
		q.From, q.To = from, to
		return s.Replay(ctx, q)
	})
	if err != nil {
		return err
	}
	out := eventPrinter{p: s.p, verbose: t.verbose, asJSON: s.asJSON}
	for _, ev := range events {
		if err := out.print(ev, skip); err != nil {
			return err
		}
		skip = 0
	}
	switch {
	case t.follow:
		return s.follow(ctx, &out, client.WatchQuery{Agent: agent, AllAgents: t.allAgents, Prefix: t.prefix, After: now})
	case len(events) == 0 && t.allAgents:
		return s.noteNothing(ctx)
	}
	return nil
}

// follow shows what happens until it is interrupted.
func (s *session) follow(ctx context.Context, out *eventPrinter, w client.WatchQuery) error {
	if err := s.p.flush(); err != nil {
		return err
	}
	for ev, err := range s.Watch(ctx, w) {
		if err == nil {
			err = errors.Join(out.print(ev, 0), s.p.flush())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lastEvents finds the events up to head that hold the last n operations, and how
// many operations of the first are too many. The log is read forwards only, so it
// looks at windows that grow as they go back.
func lastEvents(n int, head client.CommitTS, replay func(from, to client.CommitTS) iter.Seq2[client.Event, error]) (events []client.Event, skip int, err error) {
	have := 0
	for to, span := head, client.CommitTS(64+4*n); to > 0 && have < n; span *= 8 {
		from := client.CommitTS(1)
		if to > span {
			from = to - span + 1
		}
		var window []client.Event
		got := 0
		for ev, err := range replay(from, to) {
			if err != nil {
				return nil, 0, err
			}
			window, got = append(window, ev), got+len(ev.Operations)
			for got-len(window[0].Operations) >= n-have { // the first is not needed
				got -= len(window[0].Operations)
				window = window[1:]
			}
		}
		events, have = append(window, events...), have+got
		to = from - 1
	}
	return events, max(0, have-n), nil
}
