package main

import (
	"context"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

func (a *app) deleteCommand() *cobra.Command {
	var w writeFlags
	cmd := &cobra.Command{
		Use:   "delete AGENT KEY",
		Short: "Delete a record",
		Long: "delete deletes a record in a transaction of its own. Its history stays; deleting a\n" +
			"record that does not exist is a version too, and delete says that there was nothing.",
		Args:              show.Takes(2, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	w.register(cmd.Flags(), true)
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		commit, err := s.commitWrite(ctx, &w, cmd.Flags(), client.Delete(args[0], args[1]))
		if err != nil {
			return err
		}
		existed, err := s.existedBefore(ctx, args[0], args[1], commit.Versions[0].Version)
		if s.asJSON {
			shape := deletedShape{commitShape: shapeCommit(commit)}
			if err == nil {
				shape.Existed = &existed
			}
			return s.p.object(shape)
		}
		if perr := s.printWrite(commit); perr != nil || existed {
			return perr
		}
		if err != nil { // it is deleted all the same
			return s.p.line("whether it existed cannot be told: %s", printable(err.Error()))
		}
		return s.p.line("key %s of agent %s did not exist; that it was deleted is on record all the same", quote(args[1]), quote(args[0]))
	})
	return cmd
}

type deletedShape struct {
	commitShape
	Existed *bool `json:"existed,omitempty"` // before; absent when it cannot be told
}

// existedBefore reports whether there was a value that version v, a delete, ended. It
// is asked of the version before, which nothing changes any more.
func (s *session) existedBefore(ctx context.Context, agent, key string, v client.Version) (bool, error) {
	if v <= 1 {
		return false, nil
	}
	rec, err := s.GetAtVersion(ctx, agent, key, v-1)
	return rec.Exists, err
}
