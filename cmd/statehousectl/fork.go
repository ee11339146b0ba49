package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/moment"
	"statehouse.dev/statehouse/cmd/show"
)

// The commands that are about all keys of an agent: fork, lineage, delete-prefix, delete-agent and restore-agent.

func (a *app) forkCommand() *cobra.Command {
	var w writeFlags
	var at string
	cmd := &cobra.Command{
		Use:   "fork AGENT NEW",
		Short: "Begin a new agent with the state of another",
		Long: "fork makes a new agent that begins with the state of AGENT, now or as of a commit_ts or a\n" +
			"time. It is one commit, however many keys there are: nothing is copied. Versions go on: after\n" +
			"an inherited version 7 comes 8. What is done to one of the two the other does not see.",
		Example:           "  statehousectl fork planner planner-b\n  statehousectl fork planner what-if --at 5m",
		Args:              show.Takes(2, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	w.register(cmd.Flags(), false)
	cmd.Flags().StringVar(&at, "at", "", "the state as of this commit_ts or time")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		point, err := moment.ParseAt(at, s.now())
		if err != nil {
			return usageError{err}
		}
		w.of = args[0]
		commit, err := s.commitWrite(ctx, &w, cmd.Flags(), client.ForkAgent(args[1], args[0], point))
		if err != nil {
			return err
		}
		if s.asJSON {
			return s.p.object(forkShape{commitShape: shapeCommit(commit), Agent: args[1], From: args[0]})
		}
		return s.p.line("commit %d · agent %s is a fork of %s", commit.CommitTS, quote(args[1]), quote(args[0]))
	})
	return cmd
}

type forkShape struct {
	commitShape
	Agent string `json:"agent"`
	From  string `json:"from"`
}

type lineageShape struct {
	agentShape
	From  *originShape `json:"forked_from,omitempty"`
	Forks []agentShape `json:"forks,omitempty"`
}

type originShape struct {
	Agent    string          `json:"agent"`
	CommitTS client.CommitTS `json:"commit_ts"`
	ForkedTS client.CommitTS `json:"forked_ts"`
	ForkedAt time.Time       `json:"forked_at"`
}

func (a *app) lineageCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "lineage AGENT",
		Short:             "Show what an agent was forked from, and its forks",
		Args:              show.Takes(1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.connected(func(ctx context.Context, s *session, args []string) error {
			l, err := s.Lineage(ctx, args[0])
			if err != nil {
				return err
			}
			if l.Head == 0 {
				return s.mustExist(ctx, args[0])
			}
			if s.asJSON {
				return s.p.object(shapeLineage(&l))
			}
			return s.printLineage(&l)
		}),
	}
}

func shapeLineage(l *client.Lineage) lineageShape {
	shape := lineageShape{agentShape: agentShape(l.Agent)}
	if f := l.From; f != nil {
		shape.From = &originShape{f.Agent, f.CommitTS, f.ForkedTS, f.ForkedAt}
	}
	for _, f := range l.Forks {
		shape.Forks = append(shape.Forks, agentShape(f))
	}
	return shape
}

func (s *session) printLineage(l *client.Lineage) error {
	origin := "is no fork"
	if f := l.From; f != nil {
		origin = "is a fork of " + quote(f.Agent) + " as of commit " + f.CommitTS.String() + ", made by commit " + f.ForkedTS.String() + " at " + f.ForkedAt.UTC().Format(time.RFC3339)
	}
	if err := s.p.line("%s %s", quote(l.Agent.Agent), origin); err != nil {
		return err
	}
	for _, f := range l.Forks {
		if err := s.p.line("fork %s, made by commit %d", quote(f.Agent), f.First); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) deletePrefixCommand() *cobra.Command {
	var w writeFlags
	cmd := &cobra.Command{
		Use:   "delete-prefix AGENT PREFIX",
		Short: "Delete every key that starts with a prefix",
		Long: "delete-prefix deletes every key of an agent that starts with PREFIX, in one commit,\n" +
			"however many they are. Their history stays.",
		Args:              show.Takes(2, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	w.register(cmd.Flags(), false)
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		return s.changeMany(ctx, &w, cmd.Flags(), client.DeletePrefix(args[0], args[1]))
	})
	return cmd
}

func (a *app) deleteAgentCommand() *cobra.Command {
	var w writeFlags
	cmd := &cobra.Command{
		Use:   "delete-agent AGENT",
		Short: "Delete every key of an agent",
		Long: "delete-agent deletes every key of an agent, in one commit, however many they are, as\n" +
			"delete-prefix does. Their history stays.",
		Args:              show.Takes(1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	w.register(cmd.Flags(), false)
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		return s.changeMany(ctx, &w, cmd.Flags(), client.DeleteAgent(args[0]))
	})
	return cmd
}

func (a *app) restoreAgentCommand() *cobra.Command {
	var w writeFlags
	var to string
	cmd := &cobra.Command{
		Use:   "restore-agent AGENT [PREFIX]",
		Short: "Give an agent the state that it had",
		Long: "restore-agent gives every key of an agent, or those that start with PREFIX, the state that they\n" +
			"had at a commit_ts or a time. It is one commit, however many keys there are, and nothing is\n" +
			"lost: what is there now stays in the history. A key whose value of then was erased or\n" +
			"pruned cannot be restored, and then nothing is.",
		Example:           "  statehousectl restore-agent planner --to 1200\n  statehousectl restore-agent planner plan/ --to 10m",
		Args:              show.Takes(1, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	w.register(cmd.Flags(), false)
	cmd.Flags().StringVar(&to, "to", "", "the commit_ts or time whose state it gets")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		if to == "" {
			return usagef("say --to which commit_ts or time")
		}
		point, err := moment.ParseAt(to, s.now())
		if err != nil {
			return usageError{err}
		}
		prefix := ""
		if len(args) > 1 {
			prefix = args[1]
		}
		return s.changeMany(ctx, &w, cmd.Flags(), client.Restore(args[0], prefix, point))
	})
	return cmd
}

type changedShape struct {
	commitShape
	Keys uint64 `json:"keys"`
}

// changeMany commits an operation on many keys, and says how many it changed.
func (s *session) changeMany(ctx context.Context, w *writeFlags, f *pflag.FlagSet, write client.Write) error {
	commit, err := s.commitWrite(ctx, w, f, write)
	if err != nil {
		return err
	}
	keys := uint64(0)
	if len(commit.Results) == 1 {
		keys = commit.Results[0].Keys
	}
	if s.asJSON {
		return s.p.object(changedShape{shapeCommit(commit), keys})
	}
	return s.p.line("commit %d · %s", commit.CommitTS, show.Count(keys, "key"))
}
