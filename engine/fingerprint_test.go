package engine_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
)

// What a request is that is sent again (G6): the same operations and conditions,
// however they are spelled and in whatever order.

type request struct {
	about  string
	writes []engine.Write
	on     engine.Conditions
}

func version(v engine.Version) *engine.Version { return &v }

func setting(agent, key, value string) engine.Write {
	return engine.Write{Name: engine.RecordName{Agent: agent, Key: key}, Value: []byte(value)}
}

func expecting(w engine.Write, v engine.Version) engine.Write {
	w.Expected = version(v)
	return w
}

func absent(agent, key string) engine.KeyPrecondition {
	return engine.KeyPrecondition{Name: engine.RecordName{Agent: agent, Key: key}}
}

func headless(agent string) engine.HeadPrecondition {
	return engine.HeadPrecondition{Agent: engine.AgentName{Agent: agent}}
}

const planText = `{"b":1.50,"a":["\u00e9",9007199254740993,1e2]}`

// firstRequest is what sameRequests repeat, and otherRequests do not.
var firstRequest = request{"", []engine.Write{
	expecting(setting("alice", "plan", planText), 0), {Name: engine.RecordName{Agent: "alice", Key: "old"}, Tombstone: true}, setting("bob", "plan", `{}`),
}, engine.Conditions{Keys: []engine.KeyPrecondition{absent("alice", "x"), absent("bob", "y")}, Heads: []engine.HeadPrecondition{headless("alice"), headless("carol")}}}

func changed(about string, change func(r *request)) request {
	r := request{about, slices.Clone(firstRequest.writes), firstRequest.on}
	r.on.Keys, r.on.Heads = slices.Clone(r.on.Keys), slices.Clone(r.on.Heads)
	change(&r)
	return r
}

var sameRequests = []request{
	changed("byte for byte", func(*request) {}),
	changed("members in another order", func(r *request) { r.writes[0].Value = []byte(`{"a":["\u00e9",9007199254740993,1e2],"b":1.50}`) }),
	changed("white space", func(r *request) { r.writes[0].Value = []byte(`{ "b": 1.50, "a": ["\u00e9", 9007199254740993, 1e2]}`) }),
	changed("the letter for its escape", func(r *request) { r.writes[0].Value = []byte(`{"b":1.50,"a":["é",9007199254740993,1e2]}`) }),
	changed("an escape in a name", func(r *request) { r.writes[0].Value = []byte(`{"\u0062":1.50,"a":["\u00E9",9007199254740993,1e2]}`) }),
	changed("numbers spelled otherwise", func(r *request) { r.writes[0].Value = []byte(`{"b":1.5,"a":["\u00e9",9007199254740993.0,100]}`) }),
	changed("operations in another order", func(r *request) { slices.Reverse(r.writes) }),
	changed("preconditions in another order", func(r *request) { slices.Reverse(r.on.Keys); slices.Reverse(r.on.Heads) }),
	changed("preconditions twice", func(r *request) {
		r.on.Keys = append(r.on.Keys, r.on.Keys[0])
		r.on.Heads = append(r.on.Heads, r.on.Heads[1])
	}),
	changed("the expected version as a precondition", func(r *request) {
		r.writes[0].Expected = nil
		r.on.Keys = append(r.on.Keys, absent("alice", "plan"))
	}),
	changed("a write that a later one replaces", func(r *request) {
		r.writes = append([]engine.Write{setting("bob", "plan", `{"draft":true}`)}, r.writes...)
	}),
	changed("the default namespace by name", func(r *request) { r.writes[0].Name.Namespace = "default"; r.on.Keys[1].Name.Namespace = "default" }),
	changed("other metadata", func(r *request) { r.on.Metadata = map[string]string{"trace_id": "second"} }),
}

var otherRequests = []request{
	changed("a number that rounds to the same double", func(r *request) { r.writes[0].Value = []byte(`{"b":1.50,"a":["\u00e9",9007199254740992,1e2]}`) }),
	changed("another letter", func(r *request) { r.writes[0].Value = []byte(`{"b":1.50,"a":["e",9007199254740993,1e2]}`) }),
	changed("another order in a list", func(r *request) { r.writes[0].Value = []byte(`{"b":1.50,"a":[9007199254740993,"\u00e9",1e2]}`) }),
	changed("a string for a number", func(r *request) { r.writes[0].Value = []byte(`{"b":"1.50","a":["\u00e9",9007199254740993,1e2]}`) }),
	changed("an operation less", func(r *request) { r.writes = r.writes[:2] }),
	changed("a write for a delete", func(r *request) { r.writes[1] = setting("alice", "old", `{}`) }),
	changed("another key", func(r *request) { r.writes[2].Name.Key = "plans" }),
	changed("another agent", func(r *request) { r.writes[2].Name.Agent = "carol" }),
	changed("another namespace", func(r *request) { r.writes[2].Name.Namespace = "team-b" }),
	changed("a precondition less", func(r *request) { r.on.Keys = r.on.Keys[:1] }),
	changed("a head less", func(r *request) { r.on.Heads = r.on.Heads[:1] }),
	changed("another expected version", func(r *request) { r.on.Keys[0].Expected = 1 }),
	changed("a duplicate of which the first counts", func(r *request) { r.writes = append(r.writes, setting("bob", "plan", `{"n":2}`)) }),
}

// TestSameRequest: an id's first request and every other spelling of it have one
// outcome and one event, in whatever state the first one is; other requests are
// refused. What is read is what the first one wrote, byte for byte.
func TestSameRequest(t *testing.T) {
	for _, m := range moments {
		if m.name == "after a crash that took the first" {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			w := newWorld(t, 1, engine.Limits{})
			defer w.close()
			send := func(r *request) (engine.CommitResult, error) {
				return w.Transact(context.Background(), "client-1", r.writes, r.on)
			}
			unanswered := func(r *request) {
				_ = w.abandon(func() error { _, err := send(r); return err })
			}
			unanswered(&firstRequest)
			m.pass(w, func() { unanswered(&sameRequests[1]) })
			first, err := send(&firstRequest)
			ok(t, err)
			for i := range sameRequests {
				r, err := send(&sameRequests[i])
				if err != nil || r.CommitTS != first.CommitTS || !slices.Equal(r.Versions, first.Versions) {
					t.Errorf("G6: with %s it is answered %+v, %v; the first was %+v", sameRequests[i].about, r, err, first)
				}
			}
			for i := range otherRequests {
				if r, err := send(&otherRequests[i]); !errors.Is(err, engine.ErrTxnIDReused) {
					t.Errorf("G6: with %s it is answered %+v, %v", otherRequests[i].about, r, err)
				}
			}
			s, err := w.Snapshot(engine.At{})
			ok(t, err)
			rec, err := s.Get(engine.RecordName{Agent: "alice", Key: "plan"})
			if err != nil || string(rec.Value) != planText || rec.Version != 1 {
				t.Errorf("what was written reads as %s, version %d, %v", rec.Value, rec.Version, err)
			}
		})
	}
}

// TestSameRefusedRequest: a one-shot that was refused stays refused, in any spelling
// of it, and its id is used.
func TestSameRefusedRequest(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	defer w.close()
	send := func(value string, on engine.Version) error {
		_, err := w.Transact(context.Background(), "client-1", []engine.Write{expecting(setting("alice", "plan", value), on)}, engine.Conditions{})
		return err
	}
	if err := send(`{"b":1,"a":2}`, 7); !errors.Is(err, engine.ErrPrecondition) {
		t.Fatal(err)
	}
	if err := send(`{"a":2.0,"b":1}`, 7); !errors.Is(err, engine.ErrPrecondition) {
		t.Errorf("the refused request in another spelling: %v", err)
	}
	if err := send(`{"a":2,"b":2}`, 7); !errors.Is(err, engine.ErrTxnIDReused) {
		t.Errorf("another request under its id: %v", err)
	}
}

// TestFingerprintsOfOlderBuilds: ids that a build committed which took fingerprints of
// bytes are known again by those bytes, in a store that it left.
func TestFingerprintsOfOlderBuilds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	copyTree(t, vfs.Default, goldenDir, vfs.Default, dir)
	p := goldenEngine(t, dir)
	g := describe(t, p)
	repeated := 0
	for _, c := range g.Commits {
		var writes []engine.Write
		for _, op := range c.Ops {
			writes = append(writes, engine.Write{
				Name: engine.RecordName{Namespace: op.Namespace, Agent: op.Agent, Key: op.Key}, Value: []byte(op.Value), Tombstone: op.Deleted,
			})
		}
		r, err := p.Transact(t.Context(), c.TxnID, writes, engine.Conditions{})
		if err != nil || r.CommitTS != c.CommitTS {
			t.Errorf("G6: %s, commit %d, sent again is answered %d, %v", c.TxnID, c.CommitTS, r.CommitTS, err)
		}
		repeated++
		if len(writes) > 0 && !writes[0].Tombstone {
			writes[0].Value = []byte(`{"other":true}`)
			if _, err := p.Transact(t.Context(), c.TxnID, writes, engine.Conditions{}); !errors.Is(err, engine.ErrTxnIDReused) {
				t.Errorf("G6: other operations under %s: %v", c.TxnID, err)
			}
		}
	}
	if repeated < 40 {
		t.Errorf("only %d commits were repeated", repeated)
	}
	ok(t, p.Close())
}
