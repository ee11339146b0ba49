package wiretest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"google.golang.org/grpc"
)

// An Agent is one that newer clients were at work on.
type Agent struct {
	Name     string
	Together bool // several events may have one commit_ts: it was forked, or very many keys changed at once
	Events   int  // that a client of the base contract is shown; 0: any number
}

// SeesWhatItKnows holds what a client of the base contract is shown of agents to the rules of that contract alone.
func SeesWhatItKnows(t testing.TB, conn grpc.ClientConnInterface, agents ...Agent) {
	t.Helper()
	l := newLegacy(t, conn)
	for i := range agents {
		l.consistent(&agents[i])
	}
}

// Sees holds the value that it is shown under a key to a text.
func Sees(t testing.TB, conn grpc.ClientConnInterface, agent, key, value string) {
	t.Helper()
	var is oldState
	newLegacy(t, conn).ask("GetState", &is, map[string]any{"agent_id": agent, "key": key})
	if string(is.Value) != value {
		t.Errorf("%s of %s is %s, not %s", key, agent, is.Value, value)
	}
}

// The answers of the base contract, as a client without our stubs reads them.
type (
	oldState struct {
		Key      string          `json:"key"`
		Value    json.RawMessage `json:"value"`
		Version  uint64          `json:"version,string"`
		CommitTS uint64          `json:"commit_ts,string"`
		Exists   bool            `json:"exists"`
	}
	oldEvent struct {
		CommitTS   uint64     `json:"commit_ts,string"`
		Operations []oldState `json:"operations"`
	}
)

func (l *legacy) ask(method string, out any, request map[string]any) {
	l.t.Helper()
	text, err := json.Marshal(request)
	if err != nil {
		l.t.Fatal(err)
	}
	got, err := l.call(method, string(text))
	if err == nil {
		err = json.Unmarshal([]byte(got), out)
	}
	if err != nil {
		l.t.Fatalf("%s %s: %s, %v", method, text, got, err)
	}
}

// consistent holds all that is answered of an agent to what its replay folds to.
func (l *legacy) consistent(a *Agent) {
	l.t.Helper()
	agent := a.Name
	state, last := map[string]oldState{}, uint64(0)
	events := l.replay(`{"agent_id":"` + agent + `"}`)
	if a.Events > 0 && len(events) != a.Events {
		l.t.Errorf("of %s there are %d events: %q", agent, len(events), events)
	}
	for _, text := range events {
		var ev oldEvent
		if err := json.Unmarshal([]byte(text), &ev); err != nil {
			l.t.Fatal(err)
		}
		if ev.CommitTS < last || ev.CommitTS == last && !a.Together || len(ev.Operations) == 0 {
			l.t.Errorf("%s: after commit %d comes %s", agent, last, text)
		}
		last = ev.CommitTS
		for _, op := range ev.Operations {
			if op.Key == "" || op.Key[0] < ' ' {
				l.t.Errorf("%s: an operation on %q", agent, op.Key)
			}
			if before, known := state[op.Key]; known && op.Version != before.Version+1 {
				l.t.Errorf("%s: after version %d of %s comes %d", agent, before.Version, op.Key, op.Version)
			}
			op.CommitTS, op.Exists = ev.CommitTS, op.Value != nil
			state[op.Key] = op
			var at oldState
			l.ask("GetStateAtVersion", &at, map[string]any{"agent_id": agent, "key": op.Key, "version": fmt.Sprint(op.Version)})
			if string(at.Value) != string(op.Value) || at.Exists != op.Exists || at.Version != op.Version {
				l.t.Errorf("%s: version %d of %s is %+v, and was written as %+v", agent, op.Version, op.Key, at, op)
			}
		}
	}
	var keys struct{ Keys []string }
	l.ask("ListKeys", &keys, map[string]any{"agent_id": agent})
	var scan struct{ Entries []oldState }
	l.ask("ScanPrefix", &scan, map[string]any{"agent_id": agent})
	maps.DeleteFunc(state, func(_ string, s oldState) bool { return !s.Exists })
	if want := slices.Sorted(maps.Keys(state)); !slices.Equal(keys.Keys, want) || len(scan.Entries) != len(want) {
		l.t.Errorf("%s has the keys %q and %d entries, by its replay %q", agent, keys.Keys, len(scan.Entries), want)
	}
	for _, e := range scan.Entries {
		want := state[e.Key]
		var is oldState
		l.ask("GetState", &is, map[string]any{"agent_id": agent, "key": e.Key})
		if string(e.Value) != string(want.Value) || e.Version != want.Version || string(is.Value) != string(e.Value) || is.Version != e.Version || !is.Exists {
			l.t.Errorf("%s: %s is %+v and %+v, by its replay %+v", agent, e.Key, is, e, want)
		}
	}
}
