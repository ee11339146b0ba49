package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/moment"
	"statehouse.dev/statehouse/cmd/show"
)

// replayFlags are those of replay as they were given.
type replayFlags struct {
	allAgents    bool
	from, to     uint64
	epoch        string
	since, until string
	prefix       string
	limit        int
	verbose      bool
	lineage      bool
}

func (a *app) replayCommand() *cobra.Command {
	var r replayFlags
	cmd := &cobra.Command{
		Use:   "replay [AGENT]",
		Short: "Show what happened, in order",
		Long: `replay shows the commits of an agent, or of a whole namespace, in the order they
were made. Each operation is a line: time, commit_ts, agent, what was done, key,
version and the value cut to the width of the terminal. What was done is WRITE or
DELETE, or TOOL, NOTE, FINAL for keys under tool/, note/, final/.

--json prints a line a commit, with every operation and value whole. It exits with 1
when the agent has no commits.`,
		Example:           "  statehousectl replay planner\n  statehousectl replay --all-agents --since 1h --verbose",
		Args:              show.Takes(0, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.BoolVar(&r.allAgents, "all-agents", false, "every agent of the namespace")
	f.Uint64Var(&r.from, "from", 0, "first commit_ts")
	f.Uint64Var(&r.to, "to", 0, "last commit_ts")
	f.StringVar(&r.epoch, "epoch", "", "epoch in which --from is that commit: refused when the store was restored to one before it since")
	f.StringVar(&r.since, "since", "", "only commits from this time on (or this long ago: 5m)")
	f.StringVar(&r.until, "until", "", "only commits up to this time")
	f.StringVar(&r.prefix, "prefix", "", "only operations on keys that start with this")
	f.IntVar(&r.limit, "limit", 0, "at most this many commits; 0: all")
	f.BoolVar(&r.verbose, "verbose", false, "show transaction ids and metadata")
	f.BoolVar(&r.lineage, "with-lineage", false, "of an agent that was forked, first what happened to what it was forked from")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		q, err := r.query(args, s.now())
		if err != nil {
			return err
		}
		s.p.list(eventColumns...)
		out, found := eventPrinter{p: s.p, verbose: r.verbose, asJSON: s.asJSON}, false
		for ev, err := range s.Replay(ctx, q) {
			if err == nil {
				err = out.print(ev, 0)
			}
			if err != nil {
				return err
			}
			found = true
		}
		switch {
		case found:
			return nil
		case r.allAgents:
			return s.noteNothing(ctx)
		}
		return s.mustExist(ctx, q.Agent)
	})
	return cmd
}

func (r *replayFlags) query(args []string, now time.Time) (q client.ReplayQuery, err error) {
	q = client.ReplayQuery{
		AllAgents: r.allAgents, Prefix: r.prefix, From: client.CommitTS(r.from), To: client.CommitTS(r.to), Limit: r.limit, Epoch: r.epoch, AllOperations: r.lineage, WithLineage: r.lineage,
	}
	if q.Agent, err = agentOrAll(args, r.allAgents); err != nil {
		return q, err
	}
	if r.since != "" {
		if q.FromTime, err = moment.Parse(r.since, now); err != nil {
			return q, usageError{err}
		}
	}
	if r.until != "" {
		if q.ToTime, err = moment.Parse(r.until, now); err != nil {
			return q, usageError{err}
		}
	}
	if r.limit < 0 {
		return q, usagef("--limit is negative")
	}
	return q, nil
}

// agentOrAll is the agent named, or none with --all-agents.
func agentOrAll(args []string, all bool) (string, error) {
	switch {
	case all && len(args) > 0:
		return "", usagef("name an agent or say --all-agents, not both")
	case all:
		return "", nil
	case len(args) == 0:
		return "", usagef("name an agent, or say --all-agents")
	}
	return args[0], nil
}
