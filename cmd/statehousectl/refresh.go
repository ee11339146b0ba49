package main

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

func (a *app) refreshCommand() *cobra.Command {
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "refresh AGENT KEY...",
		Short: "Keep records that expire for longer",
		Long: "refresh has records that were written with --ttl expire later: as long from now as each was\n" +
			"written to last, or as --ttl says. It is no commit and no version. None expires earlier for it.\n" +
			"It exits with 1 if any of the records is not there or does not expire.",
		Example:           "  statehousectl put planner seen '{}' --ttl 1h\n  statehousectl refresh planner seen --ttl 24h",
		Args:              show.Takes(2, math.MaxInt),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "for how long from now; as it was written by default")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		if cmd.Flags().Changed("ttl") && ttl <= 0 {
			return usagef("--ttl %v: records are kept for a while from now", ttl)
		}
		var names []client.RecordName
		for _, key := range args[1:] {
			names = append(names, client.RecordName{Agent: args[0], Key: key})
		}
		until, err := s.RefreshExpiry(ctx, ttl, names...)
		if err != nil {
			return err
		}
		return s.printRefreshed(names, until)
	})
	return cmd
}

type refreshedShape struct {
	Namespace string    `json:"namespace"`
	Agent     string    `json:"agent"`
	Key       string    `json:"key"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // absent: it is not there, or does not expire
}

func (s *session) printRefreshed(names []client.RecordName, until []time.Time) (err error) {
	s.p.list("KEY", "EXPIRES")
	var not []string
	for i, n := range names {
		if until[i].IsZero() {
			not = append(not, quote(n.Key))
		}
		switch {
		case s.asJSON:
			err = errors.Join(err, s.p.object(refreshedShape{s.Namespace(), n.Agent, n.Key, until[i]}))
		case !until[i].IsZero():
			err = errors.Join(err, s.p.row(nil, quote(n.Key), "until "+until[i].Format(time.RFC3339)))
		}
	}
	if len(not) > 0 {
		err = errors.Join(err, notFoundf("of agent %s these do not exist, or do not expire: %s", quote(names[0].Agent), strings.Join(not, ", ")))
	}
	return err
}
