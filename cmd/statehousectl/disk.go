package main

import (
	"context"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client/admin"
	"statehouse.dev/statehouse/cmd/show"
)

type diskShape struct {
	Part  string `json:"part"`
	Bytes uint64 `json:"bytes"`
}

func (a *app) diskCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "disk",
		Short:             "Show what takes space in the daemon's data directory",
		Args:              show.Takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.connected(func(ctx context.Context, s *session, _ []string) error {
			u, err := admin.New(s.Client).DiskUsage(ctx)
			if err != nil {
				return err
			}
			s.p.list("PART", "SIZE")
			parts := append(u.Parts, admin.DiskPart{Name: "total", Bytes: u.Total}, admin.DiskPart{Name: "free", Bytes: u.Free})
			for _, part := range parts {
				if s.asJSON {
					err = s.p.object(diskShape{part.Name, part.Bytes})
				} else {
					err = s.p.row(nil, part.Name, size(part.Bytes))
				}
				if err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

type compactShape struct {
	Bytes uint64 `json:"bytes"`
	Done  bool   `json:"done"`
}

func (a *app) compactCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Rewrite the daemon's files without what was erased, pruned or replaced",
		Long: `compact rewrites the daemon's files. After it no file of the store holds what was erased, pruned
or dropped before. It reads and writes all of the store, needs about as much free space, and lets
the daemon serve meanwhile.`,
		Args:              show.Takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.connected(func(ctx context.Context, s *session, _ []string) error {
			var last admin.CompactProgress
			progress := s.progress("rewriting, bytes", true)
			defer progress.end()
			for p, err := range admin.New(s.Client).Compact(ctx) {
				if err != nil {
					return err
				}
				last = p
				progress.to(p.Done, p.Total)
			}
			progress.end()
			if s.asJSON {
				return s.p.object(compactShape{last.Total, last.Ended})
			}
			return s.p.line("compacted %s", size(last.Total))
		}),
	}
}
