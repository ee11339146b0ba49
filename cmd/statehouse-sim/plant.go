package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/sim/planted"
)

func (a *app) plantCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "plant BUG", Short: "Build the daemon and this tool with a known bug in them", Args: cobra.ExactArgs(1),
		Long: `plant builds statehoused and statehouse-sim from this repository with one of the bugs
that "prove" knows laid over the source, which stays as it is. It is for trying what
finds bugs: docs/REPRODUCING.md.`,
		Example: "  statehouse-sim plant reads-not-checked -o buggy",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.plant(cmd.Context(), args[0], dir) },
	}
	cmd.Flags().StringVarP(&dir, "output", "o", "buggy", "folder for the programs")
	return cmd
}

func (a *app) plant(ctx context.Context, name, dir string) error {
	all := planted.All()
	at := slices.IndexFunc(all, func(b planted.Bug) bool { return b.Name == name })
	if at < 0 {
		var names []string
		for _, b := range all {
			names = append(names, b.Name)
		}
		return failed(exitUsage, "there is no bug %q; there are %s", name, strings.Join(names, ", "))
	}
	root, err := planted.Root(ctx, ".")
	if err != nil {
		return failed(exitUsage, "%v", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return failed(exitUsage, "%v", err)
	}
	edited, err := os.MkdirTemp("", "statehouse-plant-")
	if err != nil {
		return failed(exitInternal, "%v", err)
	}
	defer os.RemoveAll(edited)
	for _, program := range []string{"statehoused", "statehouse-sim"} {
		if err := all[at].Build(ctx, root, "./cmd/"+program, edited, filepath.Join(dir, program)); err != nil {
			return failed(exitInternal, "%v", err)
		}
	}
	fmt.Fprintf(a.out, "%s: statehoused and statehouse-sim in which %s\n", dir, all[at].About)
	return nil
}
