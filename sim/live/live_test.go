package live

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"statehouse.dev/statehouse/linearizability/verdict"
)

// The real binary, built once.
var (
	binary     string
	buildFlags []string
)

func TestMain(m *testing.M) { os.Exit(withBinary(m.Run)) }

func withBinary(run func() int) int {
	dir, err := os.MkdirTemp("", "statehouse-live-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = Build(context.Background(), ".", dir, buildFlags...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}

// options of a run in a test. What it waits for is bounded generously: on a busy
// machine everything is slow, and nothing is wrong.
func options(t *testing.T) Options {
	return Options{
		Daemon: binary, Dir: filepath.Join(t.TempDir(), "data"), For: 8 * time.Second, AtLeast: 1000,
		Clients: 6, Kills: 3, Stops: 2, Terms: 1, Seed: 1, Patience: 3 * time.Minute,
	}
}

func report(t *testing.T, r *Result) {
	t.Helper()
	t.Logf("%+v", r.Stats)
	for i := range r.Violations {
		v := &r.Violations[i]
		t.Errorf("%s is broken (%s): %s\nexpected %s\ngot %s", v.Guarantee, v.Check, v.Sentence, v.Expected, v.Got)
		if i == 9 {
			t.Logf("and %d more", len(r.Violations)-10)
			return
		}
	}
}

// G1 to G6 hold for the real daemon, killed and stopped under real clients.
func TestKillsAndStops(t *testing.T) {
	r, err := Run(t.Context(), options(t))
	if err != nil {
		t.Fatal(err)
	}
	report(t, r)
	s := &r.Stats
	if r.Vacuous() || s.Kills < 4 || s.Stops < 2 || s.Terms != 1 || !s.Verified || r.Verdict() != verdict.OK {
		t.Errorf("the run proves too little: %+v, verdict %s", *s, r.Verdict())
	}
}
