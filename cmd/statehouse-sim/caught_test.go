package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"statehouse.dev/statehouse/sim/planted"
)

// TestCaughtList: seeds are kept beside those of bugs that were not tried, bugs that are no
// more are dropped, and the list that is kept has planted bugs only.
func TestCaughtList(t *testing.T) {
	root, list := t.TempDir(), planted.All()
	tried, kept, missed := list[0].Name, list[1].Name, list[2].Name
	file := filepath.Join(root, caughtList)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(caughtHead+tried+" 7\n"+kept+" 8\nno-such-bug 9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var o proveFlags
	if err := o.keepSeeds(root, []proof{{Bug: tried, Caught: true, Seed: 70}, {Bug: missed}}); err != nil {
		t.Fatal(err)
	}
	seeds, err := readList(file, readCaught)
	if want := map[string]uint64{tried: 70, kept: 8}; err != nil || !maps.Equal(seeds, want) {
		t.Errorf("%v, %v, want %v", seeds, err, want)
	}
	if _, err := readCaught(strings.NewReader("a-bug\n")); err == nil {
		t.Error("a bug without a seed was read")
	}
	seeds, err = readList(filepath.Join("../..", caughtList), readCaught)
	if err != nil || len(seeds) < leastAlone {
		t.Fatalf("%d seeds, %v", len(seeds), err)
	}
	for bug := range seeds { // each by itself
		if _, err := bugNamed(bug); err != nil {
			t.Error(err)
		}
	}
}

// TestSeedThatCaughtBefore: it is tried first, and then the others from 1 on.
func TestSeedThatCaughtBefore(t *testing.T) {
	tr := trial{before: 544}
	for _, want := range []uint64{544, 1, 2} {
		if j, more := tr.next(); j.Seed != want || !more {
			t.Errorf("seed %d, want %d", j.Seed, want)
		}
	}
}
