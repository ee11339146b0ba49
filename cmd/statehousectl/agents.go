package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

type agentShape struct {
	Namespace string          `json:"namespace"`
	Agent     string          `json:"agent"`
	First     client.CommitTS `json:"first_ts"`
	Head      client.CommitTS `json:"head_ts"`
	HeadTime  time.Time       `json:"head_time,omitzero"`
}

func (a *app) agentsCommand() *cobra.Command {
	var prefix string
	cmd := &cobra.Command{
		Use:               "agents",
		Short:             "List the agents of the namespace with their first and last commit, and its time",
		Args:              show.Takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only agents that start with this")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, _ []string) error {
		s.p.list("AGENT", "FIRST", "HEAD", "TIME")
		found := false
		for agent, err := range s.ListAgents(ctx, prefix) {
			if err == nil && s.asJSON {
				err = s.p.object(agentShape(agent))
			} else if err == nil {
				err = s.p.row(nil, quote(agent.Agent), "first "+agent.First.String(), "head "+agent.Head.String(), clock(agent.HeadTime))
			}
			if err != nil {
				return err
			}
			found = true
		}
		if !found {
			return s.noteNothing(ctx)
		}
		return nil
	})
	return cmd
}
