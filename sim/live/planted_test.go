package live

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/sim/planted"
)

// beyond are the bugs that a run of the real daemon cannot show, and why: there the
// simulator is alone.
var beyond = map[string]string{}

// A daemon with a bug planted in it is caught, as the simulator with that bug is.
// Each costs a build, so it is for where there is time (STATEHOUSE_SWEEP=full);
// STATEHOUSE_BUGS names some of them.
func TestPlantedBugsAreCaught(t *testing.T) {
	if os.Getenv("STATEHOUSE_SWEEP") != "full" {
		t.Skip("it takes minutes; STATEHOUSE_SWEEP=full runs it")
	}
	root, err := planted.Root(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	only := strings.FieldsFunc(os.Getenv("STATEHOUSE_BUGS"), func(r rune) bool { return r == ',' })
	for _, bug := range planted.All() {
		if why := beyond[bug.Name]; why != "" || len(only) > 0 && !slices.Contains(only, bug.Name) {
			continue
		}
		t.Run(bug.Name, func(t *testing.T) {
			dir := t.TempDir()
			program := filepath.Join(dir, "statehoused")
			if err := bug.Build(t.Context(), root, "./cmd/statehoused", dir, program); err != nil {
				t.Fatal(err)
			}
			for seed := range uint64(4) {
				o := options(t)
				o.Daemon, o.Seed, o.For, o.Patience = program, seed+1, 4*time.Second, 30*time.Second
				r, err := Run(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				if len(r.Violations) > 0 {
					v := &r.Violations[0]
					t.Logf("seed %d: %s is broken (%s): %.200s", o.Seed, v.Promise, v.Check, v.Sentence)
					return
				}
			}
			t.Errorf("%s is not caught: %s", bug.Name, bug.About)
		})
	}
}
