package scenario

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/planted"
	"statehouse.dev/statehouse/sim/simtest"
	"statehouse.dev/statehouse/sim/step"
)

const scenarioDir = "../../scenarios"

// scenarios reads every scenario of the repository, by the name of its file.
func scenarios(t *testing.T) map[string]*Scenario {
	t.Helper()
	files, err := filepath.Glob(scenarioDir + "/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	clusters, err := filepath.Glob(scenarioDir + "/cluster/*.yaml")
	if err != nil || len(clusters) < 15 {
		t.Errorf("there are %d scenarios of clusters, %v", len(clusters), err)
	}
	files = append(files, clusters...)
	all := make(map[string]*Scenario)
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Read(f)
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		all[strings.TrimSuffix(strings.TrimPrefix(path, scenarioDir+"/"), ".yaml")] = s
	}
	return all
}

// TestScenarios runs every scenario twice: it ends as it says, and the same both times.
// Every fault that a scenario arms has to strike, or the scenario tells something else than
// what happens.
func TestScenarios(t *testing.T) {
	simtest.Single(t)
	all := scenarios(t)
	if len(all) < 25 {
		t.Errorf("there are %d scenarios", len(all))
	}
	canaries := 0
	for name, s := range all { // each on its own: order cannot matter
		if s.Expect == ExpectViolation {
			canaries++
		}
		t.Run(name, func(t *testing.T) {
			if s.ID != filepath.Base(name) {
				t.Errorf("%s.yaml is scenario %s", name, s.ID)
			}
			first, second := run(t, s), run(t, s)
			if err := s.Verdict(first); err != nil {
				t.Error(err)
			}
			for i := range first.Digests {
				if i >= len(second.Digests) || first.Digests[i] != second.Digests[i] {
					t.Fatalf("step %d (%s) went otherwise the second time", i+1, first.Steps[min(i, len(first.Steps)-1)])
				}
			}
			if first.Sum != second.Sum {
				t.Error("the steps went alike, the log or the verdict did not")
			}
			armed := make(map[string]int)
			for i := range s.Steps {
				if st := &s.Steps[i]; st.Verb == step.Fault {
					armed[st.Fault.String()]++
				}
			}
			for fault, n := range armed { // order cannot matter
				struck := 0
				for _, note := range first.History.Notes {
					if strings.HasPrefix(note.Text, fault+" at ") {
						struck++
					}
				}
				if struck < n {
					t.Errorf("%q is armed %d times, and struck %d times", fault, n, struck)
				}
			}
		})
	}
	if canaries < 4 {
		t.Errorf("there are %d canaries", canaries)
	}
}

func run(t *testing.T, s *Scenario) *Run {
	t.Helper()
	r, err := s.Run(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestCanaryMustDie: a canary that lives is a failure, whether nothing breaks or
// something else than it says.
func TestCanaryMustDie(t *testing.T) {
	simtest.Single(t)
	for name, c := range map[string]struct{ was, is, want string }{ // order cannot matter
		"nothing breaks":        {"forge coder", "deliver coder", "the canary lives"},
		"another promise":       {"promise: G1", "promise: G2", "the canary lives"},
		"another check":         {"check: acked-commit-lost", "check: stale-read", "the canary lives"},
		"another answer":        {"=> ts=1", "=> ts=2", "was answered ts=1"},
		"a step that is absurd": {"- forge coder", "- plan", "does not fit"},
	} {
		text, err := os.ReadFile(scenarioDir + "/canary-lost-ack.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(text), c.was) != 1 {
			t.Fatalf("%s: %q is not in the scenario once", name, c.was)
		}
		s, err := Read(strings.NewReader(strings.Replace(string(text), c.was, c.is, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verdict(run(t, s)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the verdict is %v, want %q", name, err, c.want)
		}
	}
}

// TestVerdict: a scenario that ends otherwise than it says fails, and says why.
func TestVerdict(t *testing.T) {
	simtest.Single(t)
	for name, c := range map[string]struct{ expect, must, steps, want string }{ // order cannot matter
		"another answer":    {"ok", "[]", "[start, 'c get a/k => {\"n\":1}']", "was answered absent"},
		"a refusal":         {"ok", "[]", "[start, 'c transact t put a/k {} expect=1 => ok']", "was answered PRECONDITION_FAILED"},
		"not that definite": {"ok", "[]", "['c transact t put a/k {} => fail']", "was answered unavailable"},
		"a probe not met":   {"ok", "['duplicated request']", "[start]", "does not come by"},
		"nothing detected":  {"detected", "[]", "[start, stop]", "was not detected"},
		"no such call":      {"ok", "[]", "[start, deliver nobody]", "step 2 (deliver nobody)"},
		"no daemon to kill": {"ok", "[]", "[kill]", "step 1 (kill)"},
		"a page of nothing": {"ok", "[]", "[start, 'c scan a page=#9']", "did not answer with another page"},
	} {
		text := "scenario: a\ntitle: b\nclass: recoverable\nexpect: " + c.expect + "\nmust: " + c.must + "\nsteps: " + c.steps + "\n"
		s, err := Read(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verdict(run(t, s)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the verdict is %v, want %q", name, err, c.want)
		}
	}
}

// TestScenarioErrors: what is wrong in a scenario is said with its line or its field.
func TestScenarioErrors(t *testing.T) {
	const good = "scenario: a\ntitle: b\nclass: recoverable\nexpect: ok\nsteps:\n  - start\n  - STEP\n"
	for step, want := range map[string]string{ // order cannot matter
		"jmp -1h":                           `line 7: step "jmp -1h": "jmp" is no verb`,
		"crush":                             `line 7: step "crush"`,
		"advance -1s":                       "line 7",
		"advance soon":                      "line 7",
		"plan now":                          `line 7: step "plan now": "now" is too much`,
		"deliver":                           "line 7",
		"crash mode=soft":                   `unknown crash mode "soft"`,
		"crash nth=1":                       `unknown "nth"`,
		"fault sync-eror file=wal":          `line 7: step "fault sync-eror file=wal": fault: unknown kind "sync-eror"`,
		"fault sync-error nth=0":            "nth=0",
		"fault sync-error file=wal op=sync": "op is for crash and stall",
		"fault crash file=wal op=synch":     `unknown op="synch"`,
		"fault sync-error mode=torn":        "mode=torn is for crash",
		"rot":                               "want a class of files",
		"rot sstable bits=3":                `unknown "bits"`,
		"truncate wal bit=3":                `unknown "bit"`,
		"tamper log":                        "want a kind of rows",
		"tamper meta swap":                  `"swap" of "meta" is no tampering`,
		"tamper log flip bit=8":             "bit=8",
		"capacity much":                     "line 7",
		"c1 put a/k {}":                     `"put" nothing that a client can call`,
		"C1 get a/k":                        "neither a verb nor a client",
		"c1 get k":                          `"k" is not agent/key`,
		"c1 get a/k at=now":                 `"now" is not a number`,
		"c1 get a/k colour=red":             `unknown option "colour=red"`,
		"c1 transact t put a/k {n:1}":       "is not JSON",
		"c1 transact t if a/k":              "has no @version",
		"c1 begin t timeout=long":           `"long" is not a duration`,
		"c1 get a/k => maybe":               `no client is told "maybe"`,
		"c1 get a/k => colour=red":          `no answer has a part "colour"`,
		"c1 get a/k => {n:1}":               "is not JSON",
		"c1 get a/k => ok ok":               `"ok" is too much`,
	} {
		_, err := Read(strings.NewReader(strings.Replace(good, "STEP", "'"+step+"'", 1)))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "line 7") {
			t.Errorf("%s: the error is %v, want %q", step, err, want)
		}
	}
	whole := strings.Replace(good, "STEP", "stop", 1)
	for _, c := range []struct{ was, is, want string }{
		{"expect: ok", "expect: ok\ncolour: red", "line 5: field colour not found"},
		{"expect: ok", "expect: ok\nconfig: {colour: red}", "line 5: field colour not found"},
		{"expect: ok", "expect: violation\nviolation: {promise: G1, colour: red}", "line 5: field colour not found"},
		{"expect: ok", "expect: ok\nconfig: {txn_timeout: long}", "line 5"},
		{"expect: ok", "expect: fine", "expect:"},
		{"expect: ok", "expect: violation", "violation:"},
		{"expect: ok", "expect: ok\nviolation: {promise: G1}", "violation:"},
		{"class: recoverable", "class: lucky", "class:"},
		{"scenario: a", "scenario: A", "scenario:"},
		{"title: b", "title: ''", "title:"},
		{"steps:\n  - start\n  - stop", "steps: []", "steps:"},
		{"  - start", "  - [start]", "line 6"},
	} {
		_, err := Read(strings.NewReader(strings.Replace(whole, c.was, c.is, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v, want %q", c.is, err, c.want)
		}
	}
}

// caughtBy says for every planted bug which scenario has to fail with it.
var caughtBy = map[string]string{
	"ack-before-sync":               "crash-after-answer",
	"ack-at-plan":                   "crash-between-write-and-sync",
	"sync-error-ignored":            "sync-fails-for-good",
	"sync-retried":                  "sync-fails-once",
	"directory-not-synced":          "lost-directory-entry",
	"read-before-durable":           "reader-during-commit",
	"newest-version-read":           "as-of-across-merge",
	"version-read-unpublished":      "reader-during-commit",
	"outcome-before-durable":        "client-gives-up",
	"refusal-before-durable":        "refusal-waits-for-what-it-rests-on",
	"reads-not-checked":             "two-workers-conflict",
	"ranges-not-checked":            "phantom",
	"phantom-in-step":               "phantom",
	"absent-key-not-checked":        "two-workers-conflict",
	"precondition-too-old":          "precondition-fails",
	"only-if-absent-ignored":        "precondition-fails",
	"first-precondition-only":       "precondition-fails",
	"last-head-only":                "precondition-fails",
	"head-not-checked":              "precondition-fails",
	"snapshot-moves":                "two-workers-conflict",
	"own-writes-unseen":             "own-writes-in-transaction",
	"as-of-off-by-one":              "as-of-across-merge",
	"clock-not-clamped":             "clock-jumps",
	"page-not-pinned":               "page-tokens-across-writes",
	"tombstone-listed":              "delete-and-recreate",
	"version-reused-after-delete":   "delete-and-recreate",
	"version-forgotten-at-recovery": "delete-and-recreate",
	"resume-skips-one":              "replay-whole-namespace",
	"resume-repeats-one":            "watch-resumed-across-crash",
	"replay-unpublished":            "watch-shows-only-durable",
	"event-without-state":           "own-writes-in-transaction",
	"part-of-a-commit":              "many-in-one-step",
	"two-batches":                   "torn-tail",
	"limit-drops-an-agent":          "replay-whole-namespace",
	"watch-cursor-runs-ahead":       "watch-resumed-across-crash",
	"watch-waits-for-the-next":      "watch-resumed-across-crash",
	"prefix-anywhere":               "replay-whole-namespace",
	"foreign-namespace":             "replay-whole-namespace",
	"outcomes-not-recovered":        "lost-answer-then-retry",
	"outcome-row-not-written":       "kill-keeps-what-was-written",
	"outcomes-dropped-early":        "outcome-forgotten",
	"id-reused":                     "same-id-other-content",
	"fingerprint-of-bytes":          "same-id-other-spelling",
	"conflict-without-reading":      "blind-writes-never-conflict",
	"deleted-is-not-absent":         "delete-and-recreate",
	"full-disk-refuses-first":       "disk-full-then-room",
	"retry-answers-head":            "lost-answer-then-retry",
	"expiry-races-commit":           "expiry-races-commit",
	"abort-while-committing":        "abort-races-commit",
	"halt-only-logs":                "disk-full-under-the-log",
	"tail-loss-unnoticed":           "log-lost-its-tail",
	"marker-loss-unnoticed":         "marker-lost",
	"damage-read-as-absent":         "bad-read",
	"answer-lost-in-batch":          "many-in-one-step",
	"begin-slots-leak":              "refused-for-a-reason",
	"open-limit-early":              "refused-for-a-reason",
	"open-limit-late":               "refused-for-a-reason",
	"expired-not-found":             "refused-for-a-reason",
	"expires-early":                 "refused-for-a-reason",
	"disk-full-sticks":              "refused-for-a-reason",
	"disk-full-late":                "refused-for-a-reason",
	"full-disk-is-a-limit":          "refused-for-a-reason",
	"page-token-refused":            "refused-for-a-reason",
	"missing-version-is-data-loss":  "refused-for-a-reason",
	"watch-from-now-refused":        "refused-for-a-reason",
	"start-refuses-small-disk":      "refused-for-a-reason",
	"request-ended-is-definite":     "client-gives-up",
	"read-error-is-data-loss":       "retry-while-reads-fail",
	"doubt-not-told":                "copy-of-what-is-in-flight",
	"drain-refuses-before":          "many-in-one-step",
	"point-reads-unchecked":         "tampered-row",
	"walked-rows-unchecked":         "tampered-row",
	"row-sum-without-key":           "tampered-rows-swapped",
	"chain-first-part-only":         "tampered-commit",
	"verify-ends-early":             "tampered-commit",
	"witness-hash-ignored":          "tampered-witness",
	"witness-newest-only":           "tampered-witness",
	"digest-of-a-prefix":            "tampered-commit",
	"verify-trusts-times":           "tampered-commit",
	"verify-counts-no-outcomes":     "tampered-commit",
	"verify-trusts-agents":          "tampered-commit",
	"verify-trusts-namespaces":      "tampered-commit",
	"verify-trusts-later-events":    "tampered-commit",
	"verify-forgets-tombstones":     "tampered-commit",
	"verify-skips-records":          "tampered-commit",
	"salts-not-drawn":               "tampered-field",
	"part-digest-trusted":           "tampered-field",
	"unknown-fields-ignored":        "tampered-field",
	"erased-by-nobody":              "tampered-field",
}

// A scenario that cannot fail proves nothing: with a bug planted in the code, the scenario
// that is about it fails. Each costs a build, so it is for where there is time
// (STATEHOUSE_SWEEP=full); STATEHOUSE_BUGS names which.
func TestScenariosCatchBugs(t *testing.T) {
	all := scenarios(t)
	for _, bug := range planted.All() {
		if bug.By == "" && all[caughtBy[bug.Name]] == nil {
			t.Errorf("no scenario is said to catch %s: %s", bug.Name, bug.About)
		}
	}
	if os.Getenv("STATEHOUSE_SWEEP") != "full" {
		t.Skip("it takes minutes; STATEHOUSE_SWEEP=full runs it")
	}
	root, err := planted.Root(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	only := strings.FieldsFunc(os.Getenv("STATEHOUSE_BUGS"), func(r rune) bool { return r == ',' })
	for _, bug := range planted.All() {
		if bug.By != "" || len(only) > 0 && !slices.Contains(only, bug.Name) {
			continue
		}
		t.Run(bug.Name, func(t *testing.T) {
			dir := t.TempDir()
			program := filepath.Join(dir, "statehouse-sim")
			if err := bug.Build(t.Context(), root, "./cmd/statehouse-sim", dir, program); err != nil {
				t.Fatal(err)
			}
			scenario := caughtBy[bug.Name]
			out, err := exec.CommandContext(t.Context(), program, "run", filepath.Join(root, "scenarios", scenario+".yaml")).CombinedOutput()
			if err == nil || !strings.HasPrefix(string(out), "FAIL  "+scenario) {
				t.Errorf("%s: the scenario ends well:\n%s", bug.About, out)
			}
			t.Logf("%.300s", out)
		})
	}
}
