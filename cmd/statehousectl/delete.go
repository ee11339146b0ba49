package main

import (
	"context"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
)

func (a *app) deleteCommand() *cobra.Command {
	var w writeFlags
	cmd := &cobra.Command{
		Use:   "delete AGENT KEY",
		Short: "Delete a record",
		Long: "delete deletes a record in a transaction of its own. Its history stays; deleting a\n" +
			"record that does not exist is a version too.",
		Args:              takes(2, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	w.register(cmd.Flags(), true)
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		return s.commitWrite(ctx, &w, cmd.Flags(), client.Delete(args[0], args[1]))
	})
	return cmd
}
