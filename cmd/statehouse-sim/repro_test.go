package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"statehouse.dev/statehouse/linearizability/verdict"
)

// TestReproOfGoodHistory: there is nothing to look for, and this build does the same.
func TestReproOfGoodHistory(t *testing.T) {
	good, _ := golden(t)
	dir := folder(t, map[string]string{"good.jsonl": good})
	code, out, errs := tool(t, "repro", filepath.Join(dir, "good.jsonl"), "--dir", dir)
	if code != 0 || !strings.Contains(out, "the logs agree") || !strings.Contains(out, "nothing to reproduce") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// TestReproOfWhatCannotBe: an answer that no daemon gave. It says how far it came and
// why that may be; the next one goes on from there.
func TestReproOfWhatCannotBe(t *testing.T) {
	_, broken := golden(t)
	dir := folder(t, map[string]string{"broken.jsonl": broken})
	file := filepath.Join(dir, "broken.jsonl")
	repro := func(flags ...string) (string, reproduced) {
		t.Helper()
		code, out, errs := tool(t, append([]string{"repro", file, "--dir", dir, "--for", "200ms", "--json"}, flags...)...)
		var rep reproduced
		if err := json.Unmarshal([]byte(out), &rep); err != nil || code != exitUnchecked {
			t.Fatalf("exit code %d (%v)\n%s%s", code, err, out, errs)
		}
		state, err := os.ReadFile(file + ".search")
		if err != nil {
			t.Fatal(err)
		}
		return string(state), rep
	}
	state, first := repro()
	if first.Verdict != verdict.Illegal || first.Violation == nil || first.Reproduced || first.Tries == 0 || len(first.Reasons) < 3 {
		t.Errorf("%+v", first)
	}
	if d := first.Again.Divergence; d == nil || d.Op != first.Violation.Op || !strings.Contains(d.Captured, "version 999") {
		t.Errorf("what was edited is not the first difference: %+v", first.Again)
	}
	var before, after searchState
	on, _ := repro()
	fresh, third := repro("--fresh", "--commits", "0")
	if json.Unmarshal([]byte(state), &before) != nil || json.Unmarshal([]byte(on), &after) != nil || before.Try != first.Tries || after.Try <= before.Try {
		t.Errorf("the second search does not go on: %s, then %s", state, on)
	}
	if json.Unmarshal([]byte(fresh), &after) != nil || after.Try != third.Tries || third.Again != nil {
		t.Errorf("--fresh is none: %s after %+v", fresh, third)
	}
	code, out, _ := tool(t, "repro", file, "--dir", dir, "--for", "100ms")
	if code != exitUnchecked || !strings.Contains(out, "going on with try") || !strings.Contains(out, "It may be that") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func TestReproRefuses(t *testing.T) {
	dir := folder(t, map[string]string{"lossy.jsonl": lossy, "none.jsonl": "{}\n"})
	for file, want := range map[string]int{"lossy.jsonl": exitUnchecked, "none.jsonl": exitUsage, "missing.jsonl": exitUsage} {
		if code, out, errs := tool(t, "repro", filepath.Join(dir, file), "--dir", dir); code != want {
			t.Errorf("%s: exit code %d instead of %d\n%s%s", file, code, want, out, errs)
		}
	}
}

func TestPlantRefuses(t *testing.T) {
	code, _, errs := tool(t, "plant", "no-such-bug", "-o", t.TempDir())
	if code != exitUsage || !strings.Contains(errs, "reads-not-checked") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
