// Package interleave looks for what depends on how goroutines interleave: a lost wake-up, an
// answer before its commit is published, an unlock too early. The worlds of package sim run
// one step after the other and see nothing of it.
//
// The real code runs under a scheduler of its own (package turns): package rewrite makes of
// its files ones that stop at every lock, atomic, channel operation and go statement, and
// "go build -overlay" lays them over the source while a program is built (explore). Production
// code does not know. What runs are small programs with a few threads (package programs). Which
// thread goes on at each point follows from a seed, so a schedule that fails can be run again.
//
// What is not rewritten is one step to the scheduler, Pebble above all. Plain memory has no
// points: a race between two reads and writes without any lock is the race detector's.
package interleave

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"statehouse.dev/statehouse/sim/interleave/programs"
	"statehouse.dev/statehouse/sim/interleave/rewrite"
)

// rewritten are the packages whose goroutines take turns.
var rewritten = []string{"engine", "server", "server/unsent", "server/answer", "server/limiter", "server/captures", "server/meter", "history/capture"}

// besides are files in them that stay as they are: what they start is gRPC's.
var besides = []string{"server/serve.go"}

// Overlay rewrites the packages, in which the files of edited, if any, have other texts, and
// returns the texts that differ, by path.
func Overlay(root string, edited map[string]string) (map[string]string, error) {
	texts := maps.Clone(edited)
	if texts == nil {
		texts = make(map[string]string)
	}
	for _, dir := range rewritten {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			file := dir + "/" + e.Name()
			if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || slices.Contains(besides, file) {
				continue
			}
			text, isEdited := edited[file]
			if !isEdited {
				raw, err := os.ReadFile(filepath.Join(root, file))
				if err != nil {
					return nil, err
				}
				text = string(raw)
			}
			out, changed, err := rewrite.File(file, []byte(text))
			if err != nil {
				return nil, err
			}
			if changed {
				texts[file] = string(out)
			}
		}
	}
	return texts, nil
}

// Build builds the program that explores, in dir, an absolute path. edited are files of the
// repository with other texts than they have, as of a planted bug.
func Build(ctx context.Context, root, dir string, edited map[string]string) (program string, err error) {
	texts, err := Overlay(root, edited)
	if err != nil {
		return "", err
	}
	overlay := struct{ Replace map[string]string }{make(map[string]string)}
	for file, text := range texts { // one file each: order cannot matter
		path := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return "", err
		}
		overlay.Replace[filepath.Join(root, file)] = path
	}
	raw, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "interleave.json")
	if err := os.WriteFile(list, raw, 0o644); err != nil {
		return "", err
	}
	program = filepath.Join(dir, "explore")
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", list, "-ldflags=-s -w", "-o", program, "./sim/interleave/explore")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the code does not build with its goroutines taking turns: %w\n%s", err, out)
	}
	return program, nil
}

// Explore runs schedules with a program that Build made. One that fails is run again, to
// trace it.
func Explore(ctx context.Context, program string, o programs.Options) (*programs.Report, error) {
	r, err := run(ctx, program, o)
	if err != nil || r.Finding == nil || o.Traced {
		return r, err
	}
	again, err := run(ctx, program, programs.Options{Program: r.Program, Seed: r.Seed, Count: 1, Traced: true})
	switch {
	case err != nil:
		return nil, err
	case again.Finding == nil:
		r.Finding.Text += "\n(the seed alone does not show it: something that is not modelled has a part in it)"
	default:
		r.Finding = again.Finding
	}
	return r, nil
}

func run(ctx context.Context, program string, o programs.Options) (*programs.Report, error) {
	in, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, program)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the schedules ended with %w\n%s", err, said.Bytes())
	}
	var r programs.Report
	return &r, json.Unmarshal(out.Bytes(), &r)
}
