package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Show the versions of this tool and of the daemon",
		Args:              show.Takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.connected(showVersion),
	}
}

type buildShape struct {
	Version string `json:"version"`
	GitSHA  string `json:"git_sha"`
}

type versionShape struct {
	Tool   buildShape  `json:"statehousectl"`
	Daemon *buildShape `json:"statehoused,omitempty"`
}

func showVersion(ctx context.Context, s *session, _ []string) error {
	shape := versionShape{Tool: buildShape{version, gitSHA}}
	b, err := s.Version(ctx)
	if err == nil {
		shape.Daemon = &buildShape{b.Version, b.GitSHA}
	}
	if s.asJSON {
		return errors.Join(s.p.object(shape), err)
	}
	perr := s.p.line("statehousectl %s (%s)", version, gitSHA)
	if err != nil {
		return errors.Join(perr, err)
	}
	return s.p.line("statehoused   %s (%s) at %s", printable(b.Version), printable(b.GitSHA), quote(s.daemon.Address))
}
