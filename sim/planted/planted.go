// Package planted holds bugs: small edits of the production code, each of which
// breaks a guarantee in a way that real systems have. They are how the simulator
// proves that it finds such bugs.
//
// A bug is not in the production code, not even under a flag: it is a piece of
// source text and what stands there instead. To try them, the whole tool is built with the
// edited files laid over the real ones ("go build -overlay"): all bugs in one program, of
// which one is on (package mutant), so what runs is the production code with that one
// mistake in it. An edit whose text is no longer found, or found twice, is an error: the
// list cannot go stale.
package planted

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"statehouse.dev/statehouse/sim/mutant"
)

// Bug is one mistake.
type Bug struct {
	Name      string
	About     string // what the mistake is
	Guarantee string // that it breaks
	Edits     []Edit
	// Unseen says why a judge cannot see the bug with the other switched off, by the
	// judge's name. No time is spent on showing that.
	Unseen map[string]string
	By     string // what finds it, unless it is a scenario, too
	Tests  string // of ByTest: a package and, unless it is all of its tests, a pattern
}

// What finds a bug that no scenario is about.
const (
	// ByFuzz: only what seeds draw, or what clients do by themselves, brings it out.
	ByFuzz = "fuzz"
	// ByCluster: only what seeds of three nodes draw brings it out.
	ByCluster = "cluster"
	// ByInterleave: it shows only when goroutines interleave, which they do not in a world.
	ByInterleave = "interleave"
	// ByPython: it is in the Python SDK, which programs use over real connections that break.
	ByPython = "python"
	// ByTest: it is in what no world does, such as work on files without a daemon.
	ByTest = "test"
)

// Why a judge alone cannot see a bug.
var (
	onlyStreams = map[string]string{"serial": "only a stream shows it"}
	onlyAgain   = map[string]string{"serial": "only a request sent again shows it"}
	notAsked    = map[string]string{"oracle": "not asked", "serial": "not asked"}
	noHistory   = map[string]string{"oracle": "the run's own check", "serial": "the run's own check"}
)

// Edit replaces a piece of a file, which must occur exactly once.
type Edit struct {
	File     string // from the root of the repository
	Old, New string
}

// All lists the bugs, in the order of the guarantees that they break.
func All() []Bug {
	list := slices.Concat(durability(), visibility(), conflicts(), conditions(), versions(), replay(), outcomes(), storage(), held(), refusals())
	list = append(list, foundBy("", tampered(), formats())...) // and by scenarios
	list = append(list, foundBy(ByFuzz, limits(), drains(), leaks(), toils(), clients(), readsets(), distant(), worlds(), sessions(), hot(), asking(), wakes(), kinds())...)
	list = append(list, foundBy(ByCluster, clusters())...)
	list = append(list, foundBy(ByInterleave, threads(), hotThreads())...)
	list = append(list, foundBy(ByTest, past(), imports(), backups(), offline(), testedBy("./engine ^Test(Expiry|Lease|Refresh|Tokens|ClockJumps|Fork)", holds()), testedBy("./engine ^Test(WakeUp|Claims)", wakesKept()), acts(), veryMany(), restoredMany(), finding(), members(), movings(), testedBy(inScenarios, accesses(), overloaded()), overloads(), windows(), evaluations())...)
	return append(list, foundBy(ByPython, pythons())...)
}

func foundBy(by string, groups ...[]Bug) []Bug {
	list := slices.Concat(groups...)
	for i := range list {
		list[i].By = by
		if list[i].Unseen == nil {
			list[i].Unseen = notAsked
		}
	}
	return list
}

// inScenarios are the tests that run the scenarios: what these show and seeds take long to.
const inScenarios = "./sim/scenario ^TestScenarios$"

func testedBy(tests string, groups ...[]Bug) []Bug {
	list := slices.Concat(groups...)
	for i := range list {
		list[i].Tests = tests
	}
	return list
}

// Root is the root of the repository that holds dir: bugs are planted in its
// source.
func Root(ctx context.Context, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOMOD")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("bugs are planted in the source: the go command is needed (%w)", err)
	}
	mod := strings.TrimSpace(string(out))
	if text, err := os.ReadFile(mod); err != nil || !strings.HasPrefix(string(text), "module statehouse.dev/statehouse\n") {
		return "", fmt.Errorf("bugs are planted in the source: run this inside the repository of Statehouse")
	}
	return filepath.Dir(mod), nil
}

// Apply returns the edited text of each file of the bug.
func (b *Bug) Apply(root string) (map[string]string, error) {
	texts := make(map[string]string)
	for _, e := range b.Edits {
		text, done := texts[e.File]
		if !done {
			raw, err := os.ReadFile(filepath.Join(root, e.File))
			if err != nil {
				return nil, fmt.Errorf("bug %s: %w", b.Name, err)
			}
			text = string(raw)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, fmt.Errorf("bug %s: its place in %s is found %d times, want once: the code has changed, and the bug must follow:\n%s", b.Name, e.File, n, e.Old)
		}
		texts[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return texts, nil
}

// Overlay writes the edited files into dir, which must be an absolute path, and the list
// that lays them over the source: for the -overlay of "go build" and "go test".
func (b *Bug) Overlay(root, dir string) (list string, err error) {
	texts, err := b.Apply(root)
	if err != nil {
		return "", err
	}
	return mutant.Overlay(texts).Write(root, dir)
}

// Build builds the program of a package with the bug in it. dir is for what it
// needs on the way.
func (b *Bug) Build(ctx context.Context, root, pkg, dir, program string) error {
	texts, err := b.Apply(root)
	if err != nil {
		return err
	}
	if err := mutant.Overlay(texts).Build(ctx, root, pkg, dir, program); err != nil {
		return fmt.Errorf("bug %s: %w", b.Name, err)
	}
	return nil
}

// Combine makes one overlay of bugs: the n-th is in the code while number n+1 is on. Those
// that cannot stand beside others are left out, and have to be built by themselves: alone
// says why, by name.
func Combine(root string, bugs []Bug) (o mutant.Overlay, alone map[string]string, err error) {
	variants := make([]mutant.Variant, len(bugs))
	for i := range bugs {
		texts, err := bugs[i].Apply(root)
		if err != nil {
			return nil, nil, err
		}
		variants[i] = mutant.Variant{Name: bugs[i].Name, Files: texts}
	}
	return mutant.Combine(root, variants)
}
