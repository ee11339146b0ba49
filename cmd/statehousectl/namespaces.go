package main

import (
	"context"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
)

type namespaceShape struct {
	Namespace string `json:"namespace"`
}

func (a *app) namespacesCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "namespaces",
		Short:             "List the namespaces",
		Args:              show.Takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.connected(func(ctx context.Context, s *session, _ []string) error {
			s.p.list("NAMESPACE")
			for name, err := range s.ListNamespaces(ctx) {
				if err == nil && s.asJSON {
					err = s.p.object(namespaceShape{name})
				} else if err == nil {
					err = s.p.line("%s", quote(name))
				}
				if err != nil {
					return err
				}
			}
			return nil
		}),
	}
}
