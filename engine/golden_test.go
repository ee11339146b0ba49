package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
)

// The kept data directories and, beside each, what it holds. A released format is never made
// anew: every later build must open what is there, or migrate it. To make the newest while it
// is not released yet, and look at the difference:
//
//	STATEHOUSE_MAKE_GOLDEN=1 go test ./engine -run TestGolden
const (
	goldenDir  = "testdata/format-2"
	goldenDir1 = "testdata/format-1"
)

// A goldenStore is what a store holds, for a person to read too.
type goldenStore struct {
	Report   engine.Report   `json:"report"`
	Commits  []goldenCommit  `json:"commits"`
	Records  []goldenOp      `json:"records"` // the live ones
	Outcomes []goldenOutcome `json:"outcomes"`
}

type goldenCommit struct {
	CommitTS engine.CommitTS   `json:"commit_ts"`
	Time     time.Time         `json:"commit_time"`
	TxnID    engine.TxnID      `json:"txn_id"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Ops      []goldenOp        `json:"operations"`
}

type goldenOp struct {
	Namespace string          `json:"namespace"`
	Agent     string          `json:"agent_id"`
	Key       string          `json:"key"`
	Version   engine.Version  `json:"version"`
	CommitTS  engine.CommitTS `json:"commit_ts,omitempty"`
	Deleted   bool            `json:"deleted,omitempty"`
	Value     string          `json:"value,omitempty"` // the text, byte for byte
}

type goldenOutcome struct {
	TxnID    engine.TxnID    `json:"txn_id"`
	State    string          `json:"state"`
	CommitTS engine.CommitTS `json:"commit_ts,omitempty"`
	Versions int             `json:"versions,omitempty"`
}

// goldenEngine opens a directory of the OS's with a clock and ids that are always
// the same.
func goldenEngine(t *testing.T, dir string) *process {
	t.Helper()
	p := newProcess(nil, &rigClock{}, func(err error) { t.Errorf("halted: %v", err) })
	p.env.FS = vfs.Default
	var err error
	p.Engine, err = engine.Open(p.env, engine.Options{Dir: dir, Tuning: rigTuning})
	ok(t, err)
	return p
}

// goldenValues are JSON that a careless store would change.
var goldenValues = []string{
	`{}`,
	`{"":""}`,
	`{"n":9007199254740993,"min":-9223372036854775808,"max":18446744073709551615}`,
	`{"big":1e308,"small":5e-324,"tenth":0.1,"sum":0.30000000000000004,"zero":-0,"e":1E+2}`,
	`{"b":1,"a":2,"a ":3}`,
	`{"list":[],"object":{},"mixed":[null,true,false,"",0,[{}],{"x":[]}]}`,
	`{"text":"\u0000\u001f\"\\\/\b\f\n\r\t\ud83e\udd16","raw":"🤖 ÿ 文 ` + "\u2028" + `"}`,
	`{"deep":` + strings.Repeat(`{"d":`, 26) + `[]` + strings.Repeat(`}`, 26) + `}`,
	`{"messages":[{"role":"user","content":"How many people live in Paris?"},{"role":"tool","content":"2.1 million","id":"call-1"}]}`,
}

// goldenLife is what the kept store has been through.
func goldenLife(t *testing.T, p *process) {
	t.Helper()
	var txns int
	transact := func(c engine.Conditions, writes ...engine.Write) {
		t.Helper()
		txns++
		_, err := p.Transact(t.Context(), engine.TxnID(fmt.Sprintf("client-%d", txns)), writes, c)
		ok(t, err)
	}
	set := func(ns, agent, key, value string) engine.Write {
		return engine.Write{Name: engine.RecordName{Namespace: ns, Agent: agent, Key: key}, Value: []byte(value)}
	}
	del := func(ns, agent, key string) engine.Write {
		return engine.Write{Name: engine.RecordName{Namespace: ns, Agent: agent, Key: key}, Tombstone: true}
	}
	for i, v := range goldenValues {
		transact(engine.Conditions{}, set("", "json", fmt.Sprintf("value/%02d", i), v))
	}
	transact(engine.Conditions{Metadata: map[string]string{"actor": "planner", "reason": "Größe 文 🤖", "empty": "", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}},
		set("", "planner", "plan", `{"step":1}`), set("", "researcher", "task", `{"query":"Paris"}`), set("team-b", "planner", "plan", `{"step":0}`))
	for _, key := range []string{"../../etc/passwd", "-rf", "a:b", "a b", "\x7f", "é", "\U0010ffff", strings.Repeat("k", engine.MaxKeyBytes)} {
		transact(engine.Conditions{}, set(strings.Repeat("n", engine.MaxNamespaceBytes), strings.Repeat("a", engine.MaxAgentBytes), key, `{"odd":true}`))
	}
	ok(t, p.Flush())
	for i := range 20 {
		transact(engine.Conditions{Heads: nil}, set("", "planner", "plan", fmt.Sprintf(`{"step":%d}`, i+2)), set("", "researcher", fmt.Sprint("note/", i%4), `{"text":"`+strings.Repeat("found 2.1 million, ", i)+`"}`))
	}
	transact(engine.Conditions{}, del("", "researcher", "note/1"), del("", "researcher", "never-there"))
	ok(t, p.Compact())
	transact(engine.Conditions{}, set("", "researcher", "note/1", `{"back":true}`))
	id, _, _, err := p.Begin(nil)
	ok(t, err)
	_, _, err = p.TxnGet(id, engine.RecordName{Agent: "planner", Key: "plan"})
	ok(t, err)
	ok(t, p.Stage(id, set("", "planner", "plan", `{"step":"done"}`)))
	ok(t, p.Stage(id, del("team-b", "planner", "plan")))
	_, err = p.Commit(t.Context(), id, engine.Conditions{Metadata: map[string]string{"run_id": "r-1"}})
	ok(t, err)
	ok(t, p.Flush())
	for i := range 5 { // the tail, which stays in the log
		transact(engine.Conditions{}, set("", "tail", "turn", fmt.Sprintf(`{"turn":%d}`, i)), del("", "tail", "none"))
	}
}

// describe reads a store through the engine's public methods.
func describe(t *testing.T, p *process) (g goldenStore) {
	t.Helper()
	s, err := p.Snapshot(engine.At{})
	ok(t, err)
	namespaces, _, err := s.Namespaces("", engine.Page{})
	ok(t, err)
	byTS := make([]goldenCommit, s.TS())
	for _, ns := range namespaces {
		for cursor := engine.Cursor(0); cursor < s.TS(); {
			var events []engine.Event
			events, cursor, err = p.Replay(engine.Filter{Namespace: ns, AllAgents: true}, cursor, s.TS(), 0)
			ok(t, err)
			for _, ev := range events {
				c := &byTS[ev.CommitTS-1]
				c.CommitTS, c.Time, c.TxnID, c.Metadata = ev.CommitTS, ev.CommitTime, ev.TxnID, ev.Metadata
				for _, op := range ev.Ops {
					c.Ops = append(c.Ops, goldenOp{op.Name.Namespace, op.Name.Agent, op.Name.Key, op.Version, 0, op.Tombstone, string(op.Value)})
				}
			}
		}
		agents, _, err := s.Agents(ns, "", "", engine.Page{})
		ok(t, err)
		for _, a := range agents {
			records, _, err := s.Scan(engine.ScanOptions{Agent: a.Name})
			ok(t, err)
			for _, r := range records {
				g.Records = append(g.Records, goldenOp{r.Name.Namespace, r.Name.Agent, r.Name.Key, r.Version, r.CommitTS, false, string(r.Value)})
			}
		}
	}
	g.Commits = byTS
	ids := []engine.TxnID{"client-0"}
	for _, c := range byTS {
		ids = append(ids, c.TxnID)
	}
	for _, id := range ids {
		o, err := p.Outcome(id)
		ok(t, err)
		g.Outcomes = append(g.Outcomes, goldenOutcome{id, o.State.String(), o.Result.CommitTS, len(o.Result.Versions)})
	}
	return g
}

func (g goldenStore) text(t *testing.T) string {
	t.Helper()
	b, err := json.MarshalIndent(g, "", " ")
	ok(t, err)
	return string(b) + "\n"
}

// TestGolden opens the kept directory, verifies it, and finds in it byte for byte what was put
// there.
func TestGolden(t *testing.T) {
	if os.Getenv("STATEHOUSE_MAKE_GOLDEN") != "" {
		makeGolden(t)
	}
	dir := filepath.Join(t.TempDir(), "data")
	copyTree(t, vfs.Default, goldenDir, vfs.Default, dir)
	report, err := engine.Verify(osEnv(), dir, nil)
	ok(t, err)
	want := wantGolden(t, goldenDir)
	holdsGolden(t, dir, report, want)
}

// TestGoldenOfFormat1 migrates the kept directory of format 1. Everything is as it was, but for
// the chain, which begins where the old one ended.
func TestGoldenOfFormat1(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	copyTree(t, vfs.Default, goldenDir1, vfs.Default, dir)
	env := osEnv()
	for range 2 {
		_, verr := engine.Verify(env, dir, nil)
		_, oerr := engine.Open(env, engine.Options{Dir: dir, Tuning: rigTuning})
		for _, err := range []error{verr, oerr} {
			if !errors.Is(err, engine.ErrFormat) || !strings.Contains(err.Error(), `run "statehoused migrate `+dir) {
				t.Errorf("a store of format 1 answered %v", err)
			}
		}
	}
	m, err := engine.Migrate(env, dir, engine.MigrateOptions{Tuning: rigTuning})
	ok(t, err)
	report, err := engine.Verify(env, dir, nil)
	ok(t, err)
	if m.Store == nil || *m.Store != report || m.From != 1 || m.To != engine.FormatVersion || m.Finished {
		t.Errorf("the migration reports %+v, verify %+v", m, report)
	}
	holdsGolden(t, dir, report, migrated(wantGolden(t, goldenDir1), report))
}

// migrated is what a store of format 1 holds after a migration.
func migrated(was goldenStore, report engine.Report) goldenStore {
	was.Report.Format, was.Report.BaseHash = engine.FormatVersion, was.Report.ChainHash
	was.Report.ChainHash, was.Report.Epoch = report.ChainHash, report.Epoch
	return was
}

func osEnv() engine.Env {
	p := newProcess(nil, &rigClock{}, nil)
	p.env.FS = vfs.Default
	return p.env
}

func wantGolden(t *testing.T, dir string) (g goldenStore) {
	t.Helper()
	text, err := os.ReadFile(dir + ".json")
	ok(t, err)
	ok(t, json.Unmarshal(text, &g))
	return g
}

func holdsGolden(t *testing.T, dir string, report engine.Report, want goldenStore) {
	t.Helper()
	p := goldenEngine(t, dir)
	g := describe(t, p)
	g.Report = report
	if got, want := g.text(t), want.text(t); got != want {
		t.Errorf("the store holds something else: %s", firstDifference(got, want))
	}
	// It is not only for reading: a key's versions go on, and a commit sent again
	// is known.
	last := g.Commits[len(g.Commits)-1]
	var again []engine.Write
	for _, op := range last.Ops {
		again = append(again, engine.Write{
			Name: engine.RecordName{Namespace: op.Namespace, Agent: op.Agent, Key: op.Key}, Value: []byte(op.Value), Tombstone: op.Deleted,
		})
	}
	r, err := p.Transact(t.Context(), last.TxnID, again, engine.Conditions{})
	ok(t, err)
	if r.CommitTS != last.CommitTS {
		t.Errorf("a commit sent again got %d, had %d", r.CommitTS, last.CommitTS)
	}
	r, err = p.Transact(t.Context(), "after", again, engine.Conditions{})
	ok(t, err)
	if r.CommitTS != last.CommitTS+1 || r.CommitTime.Before(last.Time) {
		t.Errorf("the next commit is %d at %v, the last was %d at %v", r.CommitTS, r.CommitTime, last.CommitTS, last.Time)
	}
	ok(t, p.Close())
	_, err = engine.Verify(p.env, dir, nil)
	ok(t, err)
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d is %s, want %s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(a), len(b))
}

// makeGolden makes the directory and its description.
func makeGolden(t *testing.T) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "made")
	p := goldenEngine(t, dir)
	goldenLife(t, p)
	g := describe(t, p)
	ok(t, p.Close())
	var err error
	g.Report, err = engine.Verify(p.env, dir, nil)
	ok(t, err)
	ok(t, os.RemoveAll(goldenDir))
	copyTree(t, vfs.Default, dir, vfs.Default, goldenDir)
	ok(t, os.WriteFile(goldenDir+".json", []byte(g.text(t)), 0o644))
}
