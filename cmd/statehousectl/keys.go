package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/client"
)

// listFlags are those of keys and scan.
type listFlags struct {
	prefix  string
	reverse bool
	limit   int
	at      string
}

func (l *listFlags) register(f *pflag.FlagSet) {
	f.BoolVar(&l.reverse, "reverse", false, "from last to first")
	f.IntVar(&l.limit, "limit", 0, "at most this many; 0: all")
	f.StringVar(&l.at, "at", "", "read as of this commit_ts or time")
}

func (l *listFlags) query(s *session) (client.ListQuery, error) {
	at, err := parseAt(l.at, s.now())
	if err != nil {
		return client.ListQuery{}, usageError{err}
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
		Use:               "keys AGENT",
		Short:             "List an agent's keys",
		Args:              takes(1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	l.register(cmd.Flags())
	cmd.Flags().StringVar(&l.prefix, "prefix", "", "only keys that start with this")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		q, err := l.query(s)
		if err != nil {
			return err
		}
		for key, err := range s.ListKeys(ctx, args[0], q) {
			if err == nil && s.asJSON {
				err = s.p.object(keyShape{key})
			} else if err == nil {
				err = s.p.line("%s", quote(key))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}
