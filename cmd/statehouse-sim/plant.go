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
	var sourceOnly bool
	cmd := &cobra.Command{
		Use: "plant BUG", Short: "Build the daemon and this tool with a known bug in them", Args: cobra.ExactArgs(1),
		Long: `plant builds statehoused and statehouse-sim from this repository with one of the bugs
that "prove" knows laid over the source, which stays as it is. It is for trying what
finds bugs: docs/REPRODUCING.md.

Beside the programs it leaves overlay.json, with which "go test -overlay" runs a test of
yours on the code with the bug in it: docs/SIMULATION.md. With --source-only that is all.`,
		Example: "  statehouse-sim plant reads-not-checked -o buggy\n" +
			"  statehouse-sim plant version-reused-after-delete --source-only && go test -overlay buggy/overlay.json ./sim/fuzz -run TestVersionsCount",
		RunE: func(cmd *cobra.Command, args []string) error { return a.plant(cmd.Context(), args[0], dir, sourceOnly) },
	}
	cmd.Flags().StringVarP(&dir, "output", "o", "buggy", "folder for the programs")
	cmd.Flags().BoolVar(&sourceOnly, "source-only", false, "build nothing")
	return cmd
}

// bugNamed is a bug of the list.
func bugNamed(name string) (*planted.Bug, error) {
	all := planted.All()
	at := slices.IndexFunc(all, func(b planted.Bug) bool { return b.Name == name })
	if at < 0 {
		var names []string
		for _, b := range all {
			names = append(names, b.Name)
		}
		return nil, failed(exitUsage, "there is no bug %q; there are %s", name, strings.Join(names, ", "))
	}
	return &all[at], nil
}

func (a *app) plant(ctx context.Context, name, dir string, sourceOnly bool) error {
	bug, err := bugNamed(name)
	if err != nil {
		return err
	}
	root, err := planted.Root(ctx, ".")
	if err != nil {
		return failed(exitUsage, "%v", err)
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return failed(exitUsage, "%v", err)
	}
	if bug.By == planted.ByPython {
		return a.plantPython(bug, root, dir)
	}
	source := filepath.Join(full, "source")
	if err := os.MkdirAll(source, 0o755); err != nil {
		return failed(exitUsage, "%v", err)
	}
	if !sourceOnly {
		for _, program := range []string{"statehoused", "statehouse-sim"} {
			if err := bug.Build(ctx, root, "./cmd/"+program, source, filepath.Join(full, program)); err != nil {
				return failed(exitInternal, "%v", err)
			}
		}
		fmt.Fprintf(a.out, "%s: statehoused and statehouse-sim in which %s\n", dir, bug.About)
	}
	list, err := bug.Overlay(root, source)
	if err == nil {
		err = os.Rename(list, filepath.Join(full, "overlay.json"))
	}
	if err != nil {
		return failed(exitInternal, "%v", err)
	}
	fmt.Fprintf(a.out, "a test of yours with that bug in the code:\n  go test -overlay %s PACKAGE -run TEST\n", shellWord(filepath.Join(dir, "overlay.json")))
	return nil
}
