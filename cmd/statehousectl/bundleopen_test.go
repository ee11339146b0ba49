package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/bundle"
)

// packed is what a test puts into a bundle.
type packed struct {
	manifest bundle.Manifest
	log      []history.Event
	state    []history.Record
	history  *history.History
}

// newPacked has two commits on a key, one of them on another.
func newPacked() *packed {
	name := func(key string) history.Name { return history.Name{Namespace: "default", Agent: "planner", Key: key} }
	return &packed{
		manifest: bundle.Manifest{Created: time.Unix(1767225600, 0).UTC(), Namespace: "default", Agents: []string{"planner"}, From: 1, To: 3},
		log: []history.Event{
			{CommitTS: 1, CommitTime: 1767225600_000000000, TxnID: "one", Metadata: map[string]string{"run": "7"}, Ops: []history.EventOp{
				{Name: name("goal"), Version: 1, Value: "{\"n\": 1,\n \"x\":\t9007199254740993}"}, {Name: name("note/1"), Version: 1, Value: `{}`},
			}},
			{CommitTS: 3, CommitTime: 1767225601_500000000, TxnID: "two", Ops: []history.EventOp{{Name: name("note/1"), Version: 2, Delete: true}}},
		},
		state: []history.Record{{Name: name("goal"), Exists: true, Version: 1, CommitTS: 1, CommitTime: 1767225600_000000000, Value: `{"n":1,"x":9007199254740993}`}},
	}
}

// write makes the file in the working directory, which the test has to itself, and returns its name.
func (p *packed) write(t *testing.T, name string) string {
	t.Helper()
	w := bundle.NewWriter(t.TempDir())
	put := func(member string, h *history.History) {
		out, err := w.Member(member)
		if err == nil {
			err = h.Write(out)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(bundle.Log, &history.History{Header: history.Header{Unit: "ns"}, Log: p.log})
	put(bundle.State, &history.History{Header: history.Header{Unit: "ns", Base: &history.Base{CommitTS: p.manifest.To, Records: p.state}}})
	if p.history != nil {
		put(bundle.History, p.history)
	}
	var b bytes.Buffer
	if err := w.Finish(&b, p.manifest); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// tool runs statehousectl.
func tool(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = execute(t.Context(), newRoot(strings.NewReader(""), &stdout, &stderr), args)
	return code, stdout.String(), stderr.String()
}

func TestBundleCommands(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("COLUMNS", "120")
	time.Local = time.UTC
	sound := newPacked().write(t, "sound")
	other := newPacked()
	other.log[1].Ops[0].Delete, other.log[1].Ops[0].Value = false, `{"a":1}`
	changed := other.write(t, "changed")
	again := newPacked()
	again.log[0].TxnID, again.log[0].CommitTime = "again", 1767225600_000000001
	redone := again.write(t, "redone")
	wrong := newPacked()
	wrong.state = nil
	unfounded := wrong.write(t, "unfounded")
	digests := newPacked()
	digests.log[0].Ops[0].Value = "digest:0123456789abcdef0123456789abcdef:9"
	digests.manifest.Redaction = &bundle.Redaction{Values: true, KeyID: "k"}
	redacted := digests.write(t, "redacted")
	captured := newPacked()
	captured.history = &history.History{Header: history.Header{Unit: "ns"}, Operations: []*history.Operation{
		{ID: 1, Client: "c", Kind: history.Get, Call: 1, Return: 2, Outcome: history.OK, In: history.Input{Namespace: "default", Agent: "planner", Key: "goal"}},
	}}
	withHistory := captured.write(t, "history")
	broken := "broken"
	text, err := os.ReadFile(sound)
	if err == nil {
		err = os.WriteFile(broken, text[:len(text)-9], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		says string // all of it, a regular expression
	}{
		{"replay " + sound, 0, `2026-01-01 00:00:00.000  1  planner  WRITE   goal    v1  {"n":1,"x":9007199254740993}
2026-01-01 00:00:00.000  1  planner  NOTE    note/1  v1  {}
2026-01-01 00:00:01.500  3  planner  DELETE  note/1  v2
`},
		{"replay --verbose " + sound, 0, `(?s).*    txn one run=7\n.*    txn two\n`},
		{"replay --json " + sound, 0, `{"commit_ts":1,"commit_time":"2026-01-01T00:00:00Z","txn_id":"one","metadata":{"run":"7"},"operations":\[{"namespace":"default","agent":"planner","key":"goal","version":1,"value":{"n":1,"x":9007199254740993}},{.*}\]}
{"commit_ts":3,"commit_time":"2026-01-01T00:00:01.5Z","txn_id":"two","operations":\[{"namespace":"default","agent":"planner","key":"note/1","version":2,"deleted":true}\]}
`},
		{"replay " + redacted, 0, `(?s).*  goal    v1  "digest:0123456789abcdef0123456789abcdef:9"\n.*`},
		{"diff " + sound + " " + sound, 0, "commits 1 to 3: the same, 2 events\n"},
		{"diff --json " + sound + " " + sound, 0, `{"same":true,"from":1,"to":3,"events":2}` + "\n"},
		{"diff " + sound + " " + changed, 1, `commits 1 to 3: 1 event the same, then they differ \(operation\)
commit 3: operation 1 is a delete of key "note/1" of agent "planner", version 2, in A, a write of .* in B
A  .*sound"?
2026-01-01 00:00:01.500  3  planner  DELETE  note/1  v2
    txn two
B  .*changed"?
2026-01-01 00:00:01.500  3  planner  NOTE    note/1  v2  {"a":1}
    txn two
`},
		{"diff --json " + sound + " " + changed, 1, `{"same":false,"from":1,"to":3,"events":1,"difference":{"commit_ts":3,"what":"operation","sentence":".*","a":{.*},"b":{.*}}}` + "\n"},
		{"diff " + sound + " " + redone, 1, `(?s).*\(transaction\)\ncommit 1: .*`},
		{"diff --operations " + sound + " " + redone, 0, `(?s).*the same, 2 events\n`},
		{"diff " + sound + " " + redacted, 7, "statehousectl: they cannot be compared: they are not redacted alike\n"},
		{"diff " + sound + " " + broken, 2, `statehousectl: .*broken"?: .*\n`},
		{"verify " + sound, 0, `(?s).*sound"?: \d+ bytes, hashes right\n.*agents    planner in default\nlog       commits 1 to 3: 2 events, 3 operations\nstate     1 record\nredacted  no\nthe state follows from the log\n`},
		{"verify " + withHistory, 0, `(?s).*history   1 operation\n.*`},
		{"verify --json " + sound, 0, `{"ok":true,"manifest":{.*},"events":2,"operations":3,"records":1,"captured":0}` + "\n"},
		{"verify " + unfounded, 1, `(?s).*WRONG     the state lacks key "goal" of agent "planner", which commit 1 made\nstatehousectl: .*unfounded"? is whole, but not right\n`},
		{"verify --json " + unfounded, 1, `(?s){"ok":false,.*"findings":\["the state lacks .*`},
		{"verify " + broken, 2, `statehousectl: .*broken"?: .*cut off.*\n`},
		{"verify --max-bytes 10 " + sound, 2, `statehousectl: .*more than the limit of 10\n`},
		{"verify .", 2, `statehousectl: .*it is not a regular file\n`},
		{"verify nothing", 2, `statehousectl: .*no such file or directory\n`},
		{"history " + sound + " -o x", 2, `statehousectl: .*it was made without --capture\n`},
		{"history " + withHistory + " -o -", 0, `(?s){"format":"statehouse-history".*{"end":.*}\n`},
		{"history " + withHistory + " -o " + "extracted.jsonl", 0, ``},
	} {
		code, out, errs := tool(t, append([]string{"bundle"}, strings.Fields(c.args)...)...)
		errs = regexp.MustCompile(`See statehousectl bundle \w+ --help\.\n$`).ReplaceAllString(errs, "") // of exit code 2
		if code != c.code || !regexp.MustCompile("^"+c.says+"$").MatchString(out+errs) {
			t.Errorf("bundle %s: exit %d, want %d:\n%s%swant\n%s", c.args, code, c.code, out, errs, c.says)
		}
	}
	f, err := os.Open("extracted.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if h, err := history.ReadHistory(f); err != nil || len(h.Operations) != 1 {
		t.Errorf("the extracted history: %+v, %v", h, err)
	}
}

// TestBundlesReachNoTerminalRaw: whoever made the file, nothing that is not printable
// comes out of any command.
func TestBundlesReachNoTerminalRaw(t *testing.T) {
	t.Chdir(t.TempDir())
	evil := "\x1b[2J\u009b31m\u202e\u2028\x7f\nfoo\r"
	p := newPacked()
	p.manifest.Agents, p.manifest.Namespace = []string{evil}, evil
	p.manifest.Tool, p.manifest.Daemon = bundle.Build{Version: evil, GitSHA: evil}, bundle.Build{Version: evil, GitSHA: evil}
	p.manifest.Store.ID = evil
	p.log[0].TxnID, p.log[0].Metadata = evil, map[string]string{evil: evil}
	for i, value := range []string{evil, `{"a":"` + "\u009b" + `"}`} {
		o := &p.log[0].Ops[i]
		o.Namespace, o.Agent, o.Key, o.Value = evil, evil, evil+string(rune('a'+i)), value
	}
	evilFile := p.write(t, "evil")
	p.log[0].Ops[0].Key, p.log[0].TxnID = evil+"c", evil+"x"
	second := p.write(t, "evil2")
	if code, out, errs := tool(t, "bundle", "verify", "\x1b[2J"); code != exitUsage || out != "" || strings.Contains(errs, "\x1b") {
		t.Errorf("a file that is not there: exit %d, %q %q", code, out, errs)
	}
	bad := regexp.MustCompile(`[\x00-\x09\x0b-\x1f\x7f\x{80}-\x{9f}\x{ad}\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}]`)
	for _, args := range [][]string{
		{"replay", evilFile}, {"replay", "--verbose", evilFile}, {"replay", "--json", evilFile}, {"verify", evilFile}, {"verify", "--json", evilFile},
		{"diff", evilFile, second}, {"diff", "--json", evilFile, second}, {"diff", "--operations", evilFile, second},
	} {
		_, out, errs := tool(t, append([]string{"bundle"}, args...)...)
		if len(out) < 20 || bad.MatchString(out+errs) || strings.Contains("\n"+out+errs, "\nfoo") {
			t.Errorf("%v: %q %q", args, out, errs)
		}
		if args[1] == "--json" {
			for line := range strings.Lines(out) {
				if !json.Valid([]byte(line)) {
					t.Errorf("%v: no JSON: %q", args, line)
				}
			}
		}
	}
}
