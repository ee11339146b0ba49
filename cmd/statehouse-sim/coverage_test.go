package main

import (
	"slices"
	"testing"
)

// TestCoverageIsCounted: statements are counted per package and per room, this program's own
// are not, and a function of which nothing is reached is named.
func TestCoverageIsCounted(t *testing.T) {
	profile := withoutMain([]byte("mode: set\n" +
		"statehouse.dev/statehouse/cmd/statehouse-sim/main.go:1.1,2.2 9 1\n" +
		"statehouse.dev/statehouse/server/reads.go:1.1,2.2 3 1\n" +
		"statehouse.dev/statehouse/server/reads.go:3.1,4.2 1 0\n" +
		"statehouse.dev/statehouse/server/conns/conn.go:3.1,4.2 4 0\n"))
	shares := make(map[string]*reachedShare)
	err := countBlocks(profile, shares, func(s *reachedShare, n int, reached bool) {
		if s.Statements += n; reached {
			s.Fuzz += n
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg, want := range map[string]reachedShare{"server": {4, 3, 0}, "server/conns": {4, 0, 0}, "server and below": {8, 3, 0}} {
		if got := shares[pkg]; got == nil || *got != want {
			t.Errorf("%s: %v, want %v", pkg, got, want)
		}
	}
	if len(shares) != 3 {
		t.Errorf("%d packages and rooms", len(shares))
	}
	never := neverReached("statehouse.dev/statehouse/engine/a.go:3:\tf\t0.0%\nstatehouse.dev/statehouse/engine/a.go:9:\tg\t1.0%\ntotal:\t(statements)\t0.0%\n")
	if !slices.Equal(never, []string{"engine/a.go:3: f"}) {
		t.Errorf("never reached: %q", never)
	}
}
