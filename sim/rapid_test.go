package sim

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	lin "statehouse.dev/statehouse/linearizability"
)

// This file is the worked example of docs/SIMULATION.md: a property of one feature,
// under crashes, tested with rapid. What fails is written out as a scenario.

// TestVersionsCount: the version of a record is how often its key was written or
// deleted, whatever happened in between.
func TestVersionsCount(t *testing.T) {
	single(t)
	rapid.Check(t, func(t *rapid.T) {
		r := rapidRun(t)
		if err := versionsCount(r.History.Log); err != nil || r.Failed() {
			t.Fatalf("%v, %s\nagain: statehouse-sim run -v %s", err, describe(r.Violations), keepStory(t, r))
		}
	})
}

// versionsCount is the property.
func versionsCount(log []lin.Event) error {
	count := make(map[lin.Name]uint64)
	for _, ev := range log {
		for _, op := range ev.Ops {
			name := lin.Name{Namespace: op.Namespace, Agent: op.Agent, Key: op.Key}
			if count[name]++; op.Version != count[name] {
				return fmt.Errorf("commit %d is write %d of %s, and calls it version %d", ev.CommitTS, count[name], name.Key, op.Version)
			}
		}
	}
	return nil
}

// rapidRun does steps that rapid draws, and so can make fewer and simpler.
func rapidRun(t *rapid.T) *Result {
	w := NewWorld(1, Config{}, Options{})
	for _, text := range rapid.SliceOfN(rapid.Custom(drawStep), 1, 60).Draw(t, "steps") {
		step, err := ParseStep(text)
		if err != nil {
			t.Fatal(err)
		}
		_ = w.Apply(step) // one that does not fit here is passed over
	}
	return w.Finish()
}

func drawStep(t *rapid.T) string {
	common := []string{"start", "start", "plan", "settle", "reply c1", "deliver c1", "lose c1", "again c1", "dup c1"}
	rare := []string{"crash mode=drop", "crash mode=keep", "crash mode=torn", "kill", "stop", "flush", "compact", "jump -1h", "jump 1h"}
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		return rapid.SampledFrom(rare).Draw(t, "rare")
	case 1, 2:
		return rapid.SampledFrom(common).Draw(t, "common")
	}
	client, txn, key := rapid.IntRange(1, 2).Draw(t, "client"), rapid.IntRange(1, 30).Draw(t, "txn"), rapid.IntRange(1, 2).Draw(t, "key")
	text := fmt.Sprintf(`c%d transact t%d put alice/k%d {"n":%d}`, client, txn, key, txn)
	if rapid.Bool().Draw(t, "delete") {
		text = fmt.Sprintf(`c%d transact t%d del alice/k%d`, client, txn, key)
	}
	if rapid.Bool().Draw(t, "only sent") {
		text += " &"
	}
	return text
}

// keepStory writes a failing run where "statehouse-sim run" finds it. Rapid fails
// last with the smallest run that it has found.
func keepStory(t *rapid.T, r *Result) string {
	dir := filepath.Join("..", "sim-failures")
	path := filepath.Join(dir, "rapid-versions-count.yaml")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := r.Story("rapid-versions-count", "A failure that rapid found").Write(f); err != nil {
		t.Fatal(err)
	}
	return path
}
