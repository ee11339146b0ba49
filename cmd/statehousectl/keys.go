package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

// listFlags are those of keys and scan.
type listFlags struct {
	prefix  string
	reverse bool
	limit   int
	point   pointFlags
}

func (l *listFlags) register(f *pflag.FlagSet) {
	f.StringVar(&l.prefix, "prefix", "", "only keys that start with this; may be an argument, too")
	f.BoolVar(&l.reverse, "reverse", false, "from last to first")
	f.IntVar(&l.limit, "limit", 0, "at most this many; 0: all")
	l.point.register(f)
}

// query is what the flags and the arguments AGENT [PREFIX] ask for.
func (l *listFlags) query(s *session, f *pflag.FlagSet, args []string) (client.ListQuery, error) {
	if len(args) == 2 {
		if f.Changed("prefix") {
			return client.ListQuery{}, usagef("the prefix is given twice: %s, and by --prefix", quote(args[1]))
		}
		l.prefix = args[1]
	}
	at, err := l.point.point(s)
	if err != nil {
		return client.ListQuery{}, err
	}
	if l.limit < 0 {
		return client.ListQuery{}, usagef("--limit is negative")
	}
	return client.ListQuery{Prefix: l.prefix, Reverse: l.reverse, Limit: l.limit, At: at}, nil
}

type keyShape struct {
	Key string `json:"key"`
}

func (a *app) keysCommand() *cobra.Command {
	var l listFlags
	cmd := &cobra.Command{
		Use:               "keys AGENT [PREFIX]",
		Short:             "List an agent's keys",
		Long:              "keys lists an agent's keys, one a line. It exits with 1 when the agent has no commits.",
		Args:              show.Takes(1, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	l.register(cmd.Flags())
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		q, err := l.query(s, cmd.Flags(), args)
		if err != nil {
			return err
		}
		s.p.list("KEY")
		found := false
		for key, err := range s.ListKeys(ctx, args[0], q) {
			if err == nil && s.asJSON {
				err = s.p.object(keyShape{key})
			} else if err == nil {
				err = s.p.line("%s", quote(key))
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
