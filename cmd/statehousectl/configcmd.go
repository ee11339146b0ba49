package main

import (
	"context"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/connect"
	"statehouse.dev/statehouse/cmd/show"
)

type settingShape struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the settings, and where each is from",
		Long: `config shows what a command would reach a daemon with, and whether that is from a flag, a
variable of the environment, a context, or built in. No token is shown.`,
		Args:              show.Takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.RunE = a.local(func(_ context.Context, p *printer, _ []string) error {
		p.headers = !a.noHeaders
		p.list("SETTING", "VALUE", "FROM")
		list := a.daemon.Settings(cmd.Flags())
		if name := a.daemon.ContextName; name != "" {
			list = append([]connect.Setting{{Name: "context", Value: name, From: a.contextFrom(cmd)}}, list...)
		}
		for _, s := range list {
			var err error
			if a.asJSON {
				err = p.object(settingShape(s))
			} else {
				err = p.row(nil, s.Name, dash(s.Value), printable(s.From))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

// contextFrom says what has chosen the context.
func (a *app) contextFrom(cmd *cobra.Command) string {
	switch {
	case cmd.Flags().Changed("context"):
		return "--context"
	case a.getenv("STATEHOUSE_CONTEXT") != "":
		return "STATEHOUSE_CONTEXT"
	}
	return "context use"
}
