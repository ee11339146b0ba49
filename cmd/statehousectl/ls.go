package main

import (
	"context"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
)

type listedShape struct {
	Key    string `json:"key,omitempty"`
	Folder string `json:"folder,omitempty"`
}

func (a *app) lsCommand() *cobra.Command {
	var l listFlags
	var delimiter string
	cmd := &cobra.Command{
		Use:   "ls AGENT [PREFIX]",
		Short: "List an agent's keys by folders",
		Long: "ls lists the keys directly under a prefix, and the folders there: what keys with a\n" +
			"delimiter after the prefix have up to it. It does not read what is in a folder. It\n" +
			"exits with 1 when the agent has no commits.",
		Args:              show.Takes(1, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	l.register(cmd.Flags())
	cmd.Flags().StringVar(&delimiter, "delimiter", "/", "what ends the name of a folder")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		q, err := l.query(s, cmd.Flags(), args)
		if err != nil {
			return err
		}
		if delimiter == "" {
			return usagef("--delimiter is empty: keys lists without folders")
		}
		s.p.list("NAME")
		found := false
		for item, err := range s.List(ctx, args[0], delimiter, q) {
			switch {
			case err != nil:
			case s.asJSON && item.Folder:
				err = s.p.object(listedShape{Folder: item.Name})
			case s.asJSON:
				err = s.p.object(listedShape{Key: item.Name})
			default:
				err = s.p.line("%s", quote(item.Name))
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
