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

// visible are the planted bugs that a run of the real daemon shows within seconds.
// The others need what only the simulator has: a disk that fails or loses what was
// not synced, a clock that jumps, thousands of stores that are young.
var visible = []string{
	"ack-at-plan", "read-before-durable", "newest-version-read", "reads-not-checked", "ranges-not-checked",
	"precondition-too-old", "only-if-absent-ignored", "head-not-checked", "snapshot-moves", "as-of-off-by-one",
	"first-precondition-only", "last-head-only", "prefix-anywhere", "page-not-pinned", "tombstone-listed", "version-reused-after-delete", "version-forgotten-at-recovery",
	"resume-skips-one", "resume-repeats-one", "replay-unpublished", "event-without-state", "part-of-a-commit",
	"two-batches", "watch-cursor-runs-ahead", "foreign-namespace", "outcomes-not-recovered", "outcome-row-not-written",
	"id-reused", "retry-answers-head", "expiry-races-commit", "abort-while-committing", "answer-lost-in-batch",
}

// A daemon with a bug planted in it is caught, as the simulator with that bug is.
// Each costs a build, so it is for where there is time (STATEHOUSE_SWEEP=full);
// STATEHOUSE_BUGS names which.
func TestPlantedBugsAreCaught(t *testing.T) {
	if os.Getenv("STATEHOUSE_SWEEP") != "full" {
		t.Skip("it takes minutes; STATEHOUSE_SWEEP=full runs it")
	}
	root, err := planted.Root(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	only := strings.FieldsFunc(os.Getenv("STATEHOUSE_BUGS"), func(r rune) bool { return r == ',' })
	if len(only) == 0 {
		only = visible
	}
	for _, bug := range planted.All() {
		if !slices.Contains(only, bug.Name) {
			continue
		}
		t.Run(bug.Name, func(t *testing.T) {
			dir := t.TempDir()
			program := filepath.Join(dir, "statehoused")
			if err := bug.Build(t.Context(), root, "./cmd/statehoused", dir, program); err != nil {
				t.Fatal(err)
			}
			for seed := range uint64(8) {
				o := options(t)
				o.Daemon, o.Seed, o.For, o.Patience = program, seed+1, 4*time.Second, 30*time.Second
				r, err := Run(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				if len(r.Violations) > 0 {
					v := &r.Violations[0]
					t.Logf("seed %d: %s is broken (%s): %.200s", o.Seed, v.Guarantee, v.Check, v.Sentence)
					return
				}
			}
			t.Errorf("%s is not caught: %s", bug.Name, bug.About)
		})
	}
}
