package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/admin"
	"statehouse.dev/statehouse/client/moment"
	"statehouse.dev/statehouse/cmd/show"
)

const retentionHelp = `retention says how much of a namespace's past is kept. Without it all of it is.

  statehousectl retention set --max-age 30d
  statehousectl --namespace scratch retention set --max-versions 100
  statehousectl retention ls

--max-age moves the namespace's floor: what was replaced longer ago can no longer be read,
replayed or watched, and goes. --max-versions takes the values of old versions of a key; the
history still shows that there were such versions. The current version of a key stays.

What went does not come back when more is asked for later. statehousectl compact gives its
space back at once; the daemon does so by and by.`

func (a *app) retentionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "retention", Short: "Say how much of the past is kept", Long: retentionHelp}
	cmd.AddCommand(a.retentionSetCommand(), &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List what was set, by namespace", Args: show.Takes(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.connected(func(ctx context.Context, s *session, _ []string) error {
			s.p.list("NAMESPACE", "MAX AGE", "MAX VERSIONS", "READABLE")
			list, err := admin.New(s.Client).Retentions(ctx)
			for i := range list {
				if err == nil {
					err = s.printRetention(&list[i])
				}
			}
			return err
		}),
	})
	return cmd
}

func (a *app) retentionSetCommand() *cobra.Command {
	var age string
	var versions uint64
	cmd := &cobra.Command{
		Use: "set", Short: "Set it for the namespace; what is not given is kept for ever", Args: show.Takes(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&age, "max-age", "", "how long what was replaced can be read (30d, 12h); empty: for ever")
	cmd.Flags().Uint64Var(&versions, "max-versions", 0, "how many versions of a key keep their values; 0: all")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, _ []string) error {
		r := admin.Retention{Namespace: s.Namespace(), MaxVersions: versions}
		var err error
		if age != "" {
			if r.MaxAge, err = moment.ParseDuration(age); err != nil || r.MaxAge <= 0 {
				return usagef("--max-age %s is not a duration, such as 30d or 12h", quote(age))
			}
		}
		if r, err = admin.New(s.Client).SetRetention(ctx, r); err != nil {
			return err
		}
		return s.printRetention(&r)
	})
	return cmd
}

type retentionShape struct {
	Namespace   string          `json:"namespace"`
	MaxAge      string          `json:"max_age,omitempty"`
	MaxVersions uint64          `json:"max_versions,omitempty"`
	Floor       client.CommitTS `json:"floor_ts,omitempty"`
}

func (s *session) printRetention(r *admin.Retention) error {
	shape := retentionShape{Namespace: r.Namespace, MaxVersions: r.MaxVersions, Floor: r.Floor}
	age, versions, floor := "for ever", "all versions", "everything can be read"
	if r.MaxAge > 0 {
		age, shape.MaxAge = ageText(r.MaxAge), r.MaxAge.String()
	}
	if r.MaxVersions > 0 {
		versions = fmt.Sprintf("%d versions", r.MaxVersions)
	}
	if r.Floor > 0 {
		floor = "from commit " + r.Floor.String()
	}
	if s.asJSON {
		return s.p.object(shape)
	}
	return s.p.row(nil, quote(r.Namespace), age, versions, floor)
}

func ageText(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", days)
	}
	return d.String()
}
