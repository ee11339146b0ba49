package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// TestMain: the commands that need worker processes start this program.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "worker" {
		os.Exit(execute(context.Background(), newRoot(os.Stdin, os.Stdout, os.Stderr), os.Args[1:]))
	}
	testscript.Main(m, map[string]func(){"statehouse-sim": main})
}

const scenarios = "../../scenarios/"

// folder makes a directory of files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files { // order cannot matter
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// bold is a canary that claims to be none.
func bold(t *testing.T) string {
	text := readFile(t, scenarios+"canary-lost-ack.yaml")
	text = regexp.MustCompile(`(?m)^violation:\n(  .*\n)+`).ReplaceAllString(text, "")
	return strings.NewReplacer("expect: violation", "expect: ok", "scenario: canary-lost-ack", "scenario: bold").Replace(text)
}

// golden is a good history, complete, and broken the same with one answer edited.
func golden(t *testing.T) (good, broken string) {
	good = readFile(t, "../../history/testdata/registers.jsonl")
	read := regexp.MustCompile(`("kind":"get",.*"outcome":"ok".*"exists":true.*"version":)(\d)`)
	at := read.FindStringSubmatchIndex(good)
	if at == nil {
		t.Fatal("no client read anything")
	}
	return good, good[:at[4]] + "999" + good[at[5]:]
}

// lossy is a history that cannot be checked: of two commits the first is not in it.
const lossy = `{"format":"statehouse-history","version":1,"unit":"ns"}
{"op":{"id":1,"client":"c1","kind":"transact","call":1,"return":2,"in":{"txn":"t2","writes":[{"ns":"n","agent":"a","key":"k","value":"{}"}]},"outcome":"ok","out":{"commit_ts":2,"commit_time":5,"versions":[{"ns":"n","agent":"a","key":"k","version":2}]}}}
{"end":{"complete":false,"lines":2}}
`

func junitOf(t *testing.T, path string) junitSuites {
	t.Helper()
	var s junitSuites
	if err := xml.Unmarshal([]byte(readFile(t, path)), &s); err != nil {
		t.Fatal(err)
	}
	failures, tests := 0, 0
	for _, suite := range s.Suites {
		failed := 0
		for _, c := range suite.Cases {
			if c.Failure != nil {
				failed++
			}
		}
		if failed != suite.Failures || len(suite.Cases) != suite.Tests {
			t.Errorf("suite %s counts %d of %d failed, has %d of %d", suite.Name, suite.Failures, suite.Tests, failed, len(suite.Cases))
		}
		if _, err := time.Parse(time.RFC3339, suite.Timestamp); err != nil {
			t.Error(err)
		}
		failures, tests = failures+failed, tests+len(suite.Cases)
	}
	if s.XMLName.Local != "testsuites" || s.Failures != failures || s.Tests != tests {
		t.Errorf("%s: %d of %d failed, has %d of %d", s.XMLName.Local, s.Failures, s.Tests, failures, tests)
	}
	return s
}

// TestCIPasses: scenarios, seeds and regressions that are as they should be.
func TestCIPasses(t *testing.T) {
	unraced(t)
	good, broken := golden(t)
	dir := folder(t, map[string]string{
		"good.jsonl": good, "broken.jsonl": broken, "broken.expect": "illegal\n", "lossy.jsonl": lossy, "lossy.expect": "unknown",
		"notes.md": "not looked at", "scenario.yaml": readFile(t, scenarios+"write-skew.yaml"),
	})
	junit := filepath.Join(t.TempDir(), "new", "ci.xml")
	code, out, errs := tool(t, "ci", "--seeds", "6", "--seed", "3", "--regressions", dir, "--junit", junit, scenarios+"canary-lost-ack.yaml", scenarios+"phantom.yaml")
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	for _, want := range []string{`scenarios +2 +2 +0 `, `seeds +6 +\d +0 `, `regressions +4 +4 +0 `, `total +12 +\d+ +0 `, `6 run twice`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	s := junitOf(t, junit)
	if len(s.Suites) != 3 || s.Failures != 0 || s.Tests != 2+1+4 || s.Suites[0].Cases[0].Name != "canary-lost-ack" || s.Suites[0].Cases[0].Class != "statehouse-sim.scenarios" {
		t.Errorf("%+v", s)
	}
	again := regexp.MustCompile(`again, at commit \S+: statehouse-sim (ci .*)\n`).FindStringSubmatch(out)
	if again == nil {
		t.Fatalf("it does not say how to repeat it:\n%s", out)
	}
	code, second, _ := tool(t, words(again[1])...)
	digest := regexp.MustCompile(`digest .*`)
	if code != 0 || digest.FindString(second) != digest.FindString(out) {
		t.Errorf("%s: exit code %d, and not the same\n%s", again[1], code, second)
	}
}

// TestCIFails: whatever is wrong with one, the others are run, and each failure says
// what broke and how to see it again. The first decides the exit code.
func TestCIFails(t *testing.T) {
	good, broken := golden(t)
	for _, c := range []struct {
		name  string
		files map[string]string
		code  int
		want  []string // in the failure's text
	}{
		{"a bold canary", map[string]string{"bold.yaml": bold(t)}, exitViolation, []string{"regressions bold G1 (Durable) is broken: acked-commit-lost", "again     statehouse-sim run -v FILE(bold.yaml)"}},
		{"no scenario", map[string]string{"no.yaml": "scenario: [\n"}, exitUsage, []string{"no.yaml is no scenario"}},
		{"a dead canary", map[string]string{"c.yaml": strings.Replace(readFile(t, scenarios+"canary-lost-ack.yaml"), "check: acked-commit-lost", "check: other", 1)}, exitViolation, []string{"canary-lost-ack does not end as it says", "the canary lives"}},
		{"the same twice", map[string]string{"a.yaml": readFile(t, scenarios+"phantom.yaml"), "b.yaml": readFile(t, scenarios+"phantom.yaml")}, exitUsage, []string{"phantom is there twice"}},
		{"a broken history", map[string]string{"b.jsonl": broken}, exitViolation, []string{"regressions b.jsonl G", "is broken: ", "999", "again     statehouse-sim check FILE(b.jsonl)"}},
		{"broken otherwise", map[string]string{"b.jsonl": broken, "b.expect": "illegal G7"}, exitViolation, []string{"it was expected to show that G7 (Fail-stop) is broken"}},
		{"a cut history", map[string]string{"cut.jsonl": good[:len(good)/2]}, exitUsage, []string{"cut.jsonl cannot be read"}},
		{"an unchecked one", map[string]string{"u.jsonl": lossy}, exitUnchecked, []string{"u.jsonl could not be checked", "commits [1] are not in it"}},
		{"a good one", map[string]string{"g.jsonl": good, "g.expect": "illegal"}, exitViolation, []string{"g.jsonl keeps every guarantee", "expected to be illegal"}},
		{"an odd wish", map[string]string{"g.jsonl": good, "g.expect": "illegal G11"}, exitUsage, []string{"it can say ok, unknown, illegal"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t, c.files)
			if err := os.WriteFile(filepath.Join(dir, "z.jsonl"), []byte(good), 0o644); err != nil {
				t.Fatal(err)
			}
			junit, keep := filepath.Join(t.TempDir(), "ci.xml"), filepath.Join(t.TempDir(), "kept")
			code, out, errs := tool(t, "ci", "--seeds", "0", "--regressions", dir, "--junit", junit, "--artifacts", keep, scenarios+"write-skew.yaml")
			if code != c.code {
				t.Errorf("exit code %d, want %d: %s", code, c.code, errs)
			}
			n := len(junitOf(t, junit).Suites[2].Cases)
			if want := fmt.Sprintf(`total +%d +%d +1 `, n+1, n); !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("no %q in\n%s", want, out)
			}
			for _, want := range c.want {
				want = regexp.MustCompile(`FILE\((.*)\)`).ReplaceAllStringFunc(want, func(file string) string {
					return shellWord(filepath.Join(dir, file[len("FILE("):len(file)-1]))
				})
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			checkJUnitFailure(t, junit, out)
			for _, path := range regexp.MustCompile(`(?m)^(?:report|history) +(.*)$`).FindAllStringSubmatch(out, -1) {
				if info, err := os.Stat(path[1]); err != nil || info.Size() < 100 {
					t.Errorf("%v, %v", info, err)
				}
			}
		})
	}
}

// checkJUnitFailure: what the summary says of the one failure, the file says, too.
func checkJUnitFailure(t *testing.T, path, out string) {
	t.Helper()
	for _, suite := range junitOf(t, path).Suites {
		for _, k := range suite.Cases {
			if f := k.Failure; f != nil && (!strings.Contains(out, strings.TrimSpace(f.Text)) || f.Message == "" || f.Type == "" || !strings.Contains(f.Text, "again ")) {
				t.Errorf("%s: %+v\nis not in\n%s", k.Name, f, out)
			}
		}
	}
}

// TestCISeedFails: of a seed that fails the rest of the file speaks, whichever it is.
func TestCISeedFails(t *testing.T) {
	unraced(t)
	a := &app{out: &bytes.Buffer{}, err: &bytes.Buffer{}, now: time.Now}
	c := &ciRun{a: a, o: ciFlags{artifacts: t.TempDir()}, started: time.Now()}
	v := []verdict.Violation{{Guarantee: "G9", Check: "never-answered", Sentence: "\x01 <&> was never answered", Expected: "an answer"}}
	f := c.seed(t.Context(), &outcome{Seed: 7, Class: "fatal", Violations: v}, 1, fuzzFlags{dir: c.o.artifacts}, nil)
	c.group("seeds").keep(ciCase{name: "seed 7", failure: f})
	var b bytes.Buffer
	if err := c.junit(&b); err != nil {
		t.Fatal(err)
	}
	var s junitSuites
	if err := xml.Unmarshal(b.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	got := s.Suites[0].Cases[0]
	if got.Name != "seed 7" || got.Failure.Type != "G9" || !strings.Contains(got.Failure.Text, "<&> was never") || !strings.Contains(got.Failure.Text, "statehouse-sim run -v --seed 7\n") {
		t.Errorf("%+v", got.Failure)
	}
	if err := c.conclude(); err.(*failure).code != exitLiveness {
		t.Error(err)
	}
	if _, err := history.ReadHistory(strings.NewReader(readFile(t, f.History))); err != nil {
		t.Error(err)
	}
}

// TestCIJSON: one line that has it all.
func TestCIJSON(t *testing.T) {
	unraced(t)
	dir := folder(t, map[string]string{"bold.yaml": bold(t)})
	code, out, errs := tool(t, "ci", "--json", "--seeds", "2", "--seed", "5", dir)
	var got struct {
		Passed   bool
		Exit     int
		Command  string
		Total    ciGroup
		Failures []struct{ What, Promise, Check, Sentence, Command string }
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || strings.Count(out, "\n") != 1 || errs != "statehouse-sim: 1 of 3 failed\n" {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	if code != exitViolation || got.Exit != code || got.Passed || got.Total.Total != 3 || got.Total.Failed != 1 || got.Command != "statehouse-sim ci --seeds 2 --seed 5 "+shellWord(dir) {
		t.Errorf("%d: %+v", code, got)
	}
	if f := got.Failures[0]; f.What != "scenarios bold" || f.Promise != "G1" || f.Check != "acked-commit-lost" || f.Sentence == "" || f.Command != "statehouse-sim run -v "+shellWord(dir+"/bold.yaml") {
		t.Errorf("%+v", f)
	}
}

// TestCIRefuses what makes no sense, before it runs anything.
func TestCIRefuses(t *testing.T) {
	stray := folder(t, map[string]string{"gone.expect": "illegal"})
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"nowhere.yaml"}, exitUsage, "no such file"},
		{[]string{t.TempDir()}, exitUsage, "there are no scenarios in"},
		{[]string{"--no-scenarios", "--regressions", "nowhere"}, exitUsage, "no such file"},
		{[]string{"--no-scenarios", "--regressions", stray}, exitUsage, "speaks of a history that is not there"},
		{[]string{"--seeds", "-1"}, exitUsage, "must not be negative"},
		{[]string{"--seeds", "0", "--no-scenarios"}, exitVacuous, "there is nothing to run"},
	} {
		if code, _, errs := tool(t, append([]string{"ci"}, c.args...)...); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit code %d, %s", c.args, code, errs)
		}
	}
}

// TestCIEveryBound: seeds that leave bounds out have not passed where every bound is wanted.
func TestCIEveryBound(t *testing.T) {
	unraced(t)
	args := []string{"ci", "--no-scenarios", "--seeds", "1", "--seed", "1", "--check-determinism=false"}
	if code, _, errs := tool(t, args...); code != 0 {
		t.Errorf("exit code %d, %s", code, errs)
	}
	if code, out, errs := tool(t, append(args, "--every-bound")...); code != exitVacuous || !strings.Contains(out, "none came by ") || !strings.Contains(out, "--seed 1 --check-determinism=false --every-bound") {
		t.Errorf("exit code %d, %s%s", code, out, errs)
	}
}

// TestCIInterrupted: a half is not taken for the whole.
func TestCIInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var o, e bytes.Buffer
	junit := filepath.Join(t.TempDir(), "ci.xml")
	code := execute(ctx, newRoot(strings.NewReader(""), &o, &e), []string{"ci", "--seeds", "3", "--junit", junit, scenarios + "phantom.yaml"})
	if code != exitInterrupted || junitOf(t, junit).Failures != 2 {
		t.Errorf("exit code %d\n%s%s", code, o.String(), e.String())
	}
}
