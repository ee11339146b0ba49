package mutant

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/sim/mutant/toggle"
)

const fixture = "sim/mutant/testdata/fixture"

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// built builds the fixture with an overlay.
func built(t *testing.T, o Overlay) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "fixture")
	if err := o.Build(t.Context(), root(t), "./"+fixture, dir, program); err != nil {
		t.Fatal(err)
	}
	return program
}

// run is what the fixture prints, with a mutant on; 0: none.
func run(t *testing.T, program string, number uint32) string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", toggle.Variable, number))
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return out.String() + err.Error()
	}
	return out.String()
}

// TestEveryRule: a mutant of each rule compiles beside all others, does nothing while it is
// off, and what the rule says while it is on.
func TestEveryRule(t *testing.T) {
	mutants, overlay, err := Generate(t.Context(), root(t), []string{"./" + fixture})
	if err != nil {
		t.Fatal(err)
	}
	program := built(t, overlay)
	plain := run(t, built(t, Overlay{}), 0)
	if off := run(t, program, 0); off != plain {
		t.Fatalf("with none on it prints\n%swant\n%s", off, plain)
	}
	rules, ids := make(map[string]int), make(map[string]bool)
	for _, m := range mutants {
		if ids[m.ID] {
			t.Errorf("two mutants are called %s", m.ID)
		}
		ids[m.ID] = true
		if m.Function == "main" { // what the others are asked is no matter
			continue
		}
		if run(t, program, m.Number) == plain {
			t.Errorf("%s:%d: %s changes nothing: %s", m.File, m.Line, m.ID, m.Change)
			continue
		}
		rules[m.Rule]++
	}
	for _, rule := range strings.Fields("negate bound more less swap drop swallow empty once before after unlocked") {
		if rules[rule] == 0 {
			t.Errorf("no mutant of rule %s does anything", rule)
		}
	}
}
