package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

type refusalShape struct {
	Namespace string    `json:"namespace,omitempty"`
	Agent     string    `json:"agent,omitempty"`
	Key       string    `json:"key,omitempty"`
	Lease     string    `json:"lease,omitempty"`
	Principal string    `json:"principal,omitempty"`
	Method    string    `json:"method,omitempty"`
	Code      string    `json:"code"`
	Limit     string    `json:"limit,omitempty"`
	Count     uint64    `json:"count"`
	FirstTime time.Time `json:"first_time"`
	LastTime  time.Time `json:"last_time"`
}

func (a *app) refusalsCommand() *cobra.Command {
	var q client.RefusalQuery
	cmd := &cobra.Command{
		Use:   "refusals",
		Short: "List what was refused in the last hour: conflicts, limits, missing permissions",
		Long: "refusals lists what the daemon refused in the last hour, the last first: how often, to whom, and of\n" +
			"a conflict which key or lease was in the way. It is kept in memory and has no values.",
		Example:           "  statehousectl refusals --conflicts\n  statehousectl refusals --all-namespaces --json",
		Args:              show.Takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.BoolVar(&q.Conflicts, "conflicts", false, "only conflicts: of versions, preconditions, leases and evaluated operations")
	f.BoolVarP(&q.All, "all-namespaces", "A", false, "of all namespaces that the key may read, and of requests that name none")
	f.IntVar(&q.Limit, "limit", 0, "at most this many (0: all)")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, _ []string) error {
		list, err := s.Refusals(ctx, q)
		if err != nil {
			return err
		}
		s.p.list("LAST", "TIMES", "CODE", "WHO", "METHOD", "ABOUT")
		for _, r := range list {
			if s.asJSON {
				err = s.p.object(refusalShape(r))
			} else {
				err = s.p.row(nil, clock(r.LastTime), times(r.Count), r.Code, printable(r.Principal), printable(r.Method), refusedAbout(r, q.All))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// refusedAbout is what a refusal was about, as far as it is known.
func refusedAbout(r client.Refusal, all bool) string {
	var parts []string
	if all && r.Namespace != "" {
		parts = append(parts, "namespace "+quote(r.Namespace))
	}
	for _, p := range []struct{ what, name string }{{"agent", r.Agent}, {"key", r.Key}, {"lease", r.Lease}, {"limit", r.Limit}} {
		if p.name != "" {
			parts = append(parts, p.what+" "+quote(p.name))
		}
	}
	return strings.Join(parts, " ")
}

type streamShape struct {
	Kind      string          `json:"kind"`
	Namespace string          `json:"namespace,omitempty"`
	Agent     string          `json:"agent,omitempty"`
	KeyPrefix string          `json:"key_prefix,omitempty"`
	Lease     string          `json:"lease,omitempty"`
	Due       bool            `json:"due,omitempty"`
	Principal string          `json:"principal,omitempty"`
	Peer      string          `json:"peer,omitempty"`
	BeginTime time.Time       `json:"begin_time"`
	Cursor    client.CommitTS `json:"cursor"`
	Lag       uint64          `json:"lag"`
}

func (a *app) streamsCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "streams",
		Short: "List who watches and replays what, since when, and how far behind",
		Long: "streams lists the watches and replays of the namespace that are open, the oldest first, and how many\n" +
			"commits each has not looked at yet. With --all-namespaces sessions are listed, too.",
		Args:              show.Takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "of all namespaces that the key may read, and sessions")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, _ []string) error {
		list, err := s.Streams(ctx, all)
		if err != nil {
			return err
		}
		s.p.list("KIND", "SINCE", "WHO", "FROM", "LAG", "OF")
		for _, x := range list {
			if s.asJSON {
				err = s.p.object(streamShape(x))
			} else {
				err = s.p.row(nil, x.Kind, clock(x.BeginTime), printable(x.Principal), printable(x.Peer), fmt.Sprintf("%d behind", x.Lag), streamOf(x, all))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

// streamOf is what a stream is about.
func streamOf(x client.Stream, all bool) string {
	if x.Kind == "session" {
		return ""
	}
	var parts []string
	if all {
		parts = append(parts, "namespace "+quote(x.Namespace))
	}
	if x.Agent == "" {
		parts = append(parts, "all agents")
	} else {
		parts = append(parts, "agent "+quote(x.Agent))
	}
	if x.KeyPrefix != "" {
		parts = append(parts, "keys that begin with "+quote(x.KeyPrefix))
	}
	if x.Lease != "" {
		parts = append(parts, "lease "+quote(x.Lease))
	}
	if x.Due {
		parts = append(parts, "what is due")
	}
	return strings.Join(parts, " ")
}
