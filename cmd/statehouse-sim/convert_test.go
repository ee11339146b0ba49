package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestConvert: to EDN and back a history is the same, judged the same in each format, and
// what is for Elle is written.
func TestConvert(t *testing.T) {
	good, broken := golden(t)
	dir := folder(t, map[string]string{"good.jsonl": good, "broken.jsonl": broken})
	at := func(name string) string { return filepath.Join(dir, name) }
	convert := func(args ...string) {
		t.Helper()
		if code, out, errs := tool(t, append([]string{"convert"}, args...)...); code != 0 {
			t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
	}
	convert(at("good.jsonl"), at("good.edn"))
	convert(at("good.edn"), at("again.edn.zst"))
	convert(at("again.edn.zst"), at("again.jsonl"))
	if readFile(t, at("again.jsonl")) != good {
		t.Error("it is not what it was")
	}
	convert(at("broken.jsonl"), at("broken.edn"))
	for name, want := range map[string]int{"good.edn": 0, "again.edn.zst": 0, "broken.edn": exitViolation} {
		if code, out, errs := tool(t, "check", at(name)); code != want {
			t.Errorf("%s: exit code %d\n%s%s", name, code, out, errs)
		}
	}
	convert(at("good.jsonl"), at("elle.edn"), "--workload", "rw-register")
	if text := readFile(t, at("elle.edn")); !strings.Contains(text, `:f :txn, :value [[:r "`) || !strings.Contains(text, "[:w ") {
		t.Error(text)
	}
	for _, args := range [][]string{
		{at("good.jsonl"), at("good.txt")}, {at("good.jsonl"), at("x.jsonl"), "--workload", "rw-register"}, {at("good.jsonl"), at("x.edn"), "--workload", "bank"},
		{at("missing.jsonl"), at("x.edn")}, {at("good.edn"), at("good.edn.zst.gz")},
	} {
		if code, _, errs := tool(t, append([]string{"convert"}, args...)...); code != exitUsage || errs == "" {
			t.Errorf("%v: exit code %d, %s", args, code, errs)
		}
	}
}
