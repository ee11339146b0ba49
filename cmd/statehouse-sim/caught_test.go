package main

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"statehouse.dev/statehouse/sim/planted"
)

// TestKeepSeeds: seeds are kept beside those of bugs that were not tried, or not caught.
func TestKeepSeeds(t *testing.T) {
	root, list := t.TempDir(), planted.All()
	tried, kept, missed := list[0].Name, list[1].Name, list[2].Name
	file := filepath.Join(root, planted.CaughtList)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(planted.Caught(map[string]uint64{tried: 7, kept: 8})), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := keepSeeds(root, []proof{{Bug: tried, Caught: true, Seed: 70}, {Bug: missed}}); err != nil {
		t.Fatal(err)
	}
	seeds, err := readList(file, planted.ReadCaught)
	if want := map[string]uint64{tried: 70, kept: 8}; err != nil || !maps.Equal(seeds, want) {
		t.Errorf("%v, %v, want %v", seeds, err, want)
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
