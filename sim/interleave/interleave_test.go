package interleave

import (
	"testing"
	"time"

	"statehouse.dev/statehouse/sim/interleave/programs"
	"statehouse.dev/statehouse/sim/planted"
)

// explored builds with the edits of a bug, if any, and explores.
func explored(t *testing.T, bug string, o programs.Options) *programs.Report {
	t.Helper()
	root, err := planted.Root(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	var edited map[string]string
	for _, b := range planted.All() {
		if b.Name == bug {
			if edited, err = b.Apply(root); err != nil {
				t.Fatal(err)
			}
		}
	}
	if bug != "" && edited == nil {
		t.Fatalf("there is no bug %s", bug)
	}
	program, err := Build(t.Context(), root, t.TempDir(), edited)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Explore(t.Context(), program, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSound: the code as it is survives every schedule, and every program runs.
func TestSound(t *testing.T) {
	r := explored(t, "", programs.Options{Seed: 1, Count: 2000})
	if r.Finding != nil {
		t.Errorf("program %s, seed %d: %+v", r.Program, r.Seed, r.Finding)
	}
	for _, p := range programs.All() {
		if r.Runs[p.Name] == 0 || r.Choices[p.Name] < 5*r.Runs[p.Name] {
			t.Errorf("%s: %d schedules, %d choices", p.Name, r.Runs[p.Name], r.Choices[p.Name])
		}
	}
}

// TestFindsLostWakeUps: a watch that looks before it registers sleeps past a commit, and so
// does one that is woken before that is published. Both are found, and happen again.
func TestFindsLostWakeUps(t *testing.T) {
	for _, bug := range []string{"watch-looks-before-it-arms", "wake-before-publish"} {
		r := explored(t, bug, programs.Options{Seed: 1, For: time.Minute})
		if r.Finding == nil || r.Finding.Kind != "deadlock" || len(r.Finding.Trace) == 0 {
			t.Errorf("%s: %d schedules: %+v", bug, r.Schedules, r.Finding)
		}
	}
}
