package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"statehouse.dev/statehouse/sim/planted"
)

// reachedShare is how much of a package runs have reached, in statements.
type reachedShare struct {
	Statements int `json:"statements"`
	Fuzz       int `json:"fuzz"`
	All        int `json:"all"` // by seeds or scenarios
}

// coverage runs seeds, then scenarios, and prints what of the production code they reach. A
// mistake where no run comes by is one that no judge can see.
func (a *app) coverage(ctx context.Context, o proveFlags) error {
	root, err := planted.Root(ctx, ".")
	if err != nil {
		return failed(exitUsage, "%v", err)
	}
	files, err := scenarioFiles([]string{filepath.Join(root, scenarioDir)})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "statehouse-coverage-")
	if err != nil {
		return failed(exitInternal, "%v", err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "statehouse-sim")
	// A program writes what it has counted only if its main package is counted, too.
	counted := strings.Join(append([]string{"./cmd/statehouse-sim"}, o.mutants.packages...), ",")
	if _, err := goCommand(ctx, root, "build", "-tags", "grpcnotrace", "-cover", "-coverpkg="+counted, "-o", program, "./cmd/statehouse-sim"); err != nil {
		return err
	}
	for name, next := range map[string]func() (job, bool){"fuzz": jobsOf(o.mutants.seeds), "scenarios": jobsOf(0, files...)} { // into a folder each: order cannot matter
		into := filepath.Join(dir, name)
		if err := os.Mkdir(into, 0o755); err != nil {
			return failed(exitInternal, "%v", err)
		}
		f := &fleet{size: o.workers, binary: program, recycle: 500, env: []string{"GOCOVERDIR=" + into}}
		if err := f.run(ctx, next, func(outcome) {}); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return failed(exitInterrupted, "interrupted")
	}
	return a.printCoverage(ctx, root, dir, o)
}

func (a *app) printCoverage(ctx context.Context, root, dir string, o proveFlags) error {
	fuzz, all := filepath.Join(dir, "fuzz"), filepath.Join(dir, "scenarios")
	shares := make(map[string]*reachedShare)
	profile := filepath.Join(dir, "profile")
	for _, from := range []struct {
		dirs  string
		count func(*reachedShare, int, bool)
	}{
		{fuzz, func(s *reachedShare, n int, reached bool) {
			if s.Statements += n; reached {
				s.Fuzz += n
			}
		}},
		{fuzz + "," + all, func(s *reachedShare, n int, reached bool) {
			if reached {
				s.All += n
			}
		}},
	} {
		if _, err := goCommand(ctx, root, "tool", "covdata", "textfmt", "-i="+from.dirs, "-o="+profile); err != nil {
			return err
		}
		text, err := os.ReadFile(profile)
		if err != nil {
			return failed(exitInternal, "%v", err)
		}
		text = withoutMain(text)
		if err := os.WriteFile(profile, text, 0o644); err != nil {
			return failed(exitInternal, "%v", err)
		}
		if err := countBlocks(text, shares, from.count); err != nil {
			return err
		}
	}
	for key, s := range shares { // each by itself: order cannot matter
		if whole := shares[key+" and below"]; whole != nil && whole.Statements == s.Statements {
			delete(shares, key+" and below")
		}
	}
	if len(shares) == 0 {
		return failed(exitVacuous, "nothing of %s is in this program", strings.Join(o.mutants.packages, " "))
	}
	functions, err := goCommand(ctx, root, "tool", "cover", "-func="+profile)
	if err != nil {
		return err
	}
	never := neverReached(functions)
	if a.asJSON {
		return json.NewEncoder(a.out).Encode(struct {
			Packages map[string]*reachedShare `json:"packages"`
			Never    []string                 `json:"functions_never_reached"`
			Commit   string                   `json:"commit"`
		}{shares, never, commit()})
	}
	for _, line := range never {
		fmt.Fprintln(a.out, "never reached:", line)
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\nstatements\treached by fuzz\tby scenarios, too\t  of\t\n")
	for _, pkg := range slices.Sorted(maps.Keys(shares)) {
		s := shares[pkg]
		fmt.Fprintf(w, "%d\t%.1f %%\t%.1f %%\t  %s\t\n", s.Statements, 100*float64(s.Fuzz)/float64(s.Statements), 100*float64(s.All)/float64(s.Statements), pkg)
	}
	return w.Flush()
}

// withoutMain leaves this program's own blocks out of a profile.
func withoutMain(profile []byte) (kept []byte) {
	for line := range bytes.Lines(profile) {
		if !bytes.HasPrefix(line, []byte("statehouse.dev/statehouse/cmd/")) {
			kept = append(kept, line...)
		}
	}
	return kept
}

// countBlocks adds the blocks of a profile to the shares of their packages, and of the room
// that a package is a part of.
func countBlocks(profile []byte, shares map[string]*reachedShare, count func(s *reachedShare, n int, reached bool)) error {
	lines := bufio.NewScanner(bytes.NewReader(profile))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 3 { // the mode
			continue
		}
		file, _, _ := strings.Cut(words[0], ":")
		n, err := strconv.Atoi(words[1])
		if err != nil {
			return failed(exitInternal, "a profile that cannot be read: %v", err)
		}
		pkg := path.Dir(strings.TrimPrefix(file, "statehouse.dev/statehouse/"))
		keys := []string{pkg}
		if room, _, nested := strings.Cut(pkg, "/"); nested {
			keys = append(keys, room+" and below")
		} else {
			keys = append(keys, pkg+" and below")
		}
		for _, key := range keys {
			if shares[key] == nil {
				shares[key] = &reachedShare{}
			}
			count(shares[key], n, words[2] != "0")
		}
	}
	return lines.Err()
}

// neverReached picks the functions of which no statement is reached out of what "go tool
// cover" prints.
func neverReached(functions string) (list []string) {
	for line := range strings.Lines(functions) {
		words := strings.Fields(line)
		if len(words) == 3 && words[2] == "0.0%" && words[0] != "total:" {
			list = append(list, strings.TrimPrefix(words[0], "statehouse.dev/statehouse/")+" "+words[1])
		}
	}
	return list
}

// goCommand runs the go command in the repository and returns what it prints.
func goCommand(ctx context.Context, root string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", failed(exitInternal, "go %s: %v\n%s", args[0], err, complaint.String())
	}
	return out.String(), nil
}
