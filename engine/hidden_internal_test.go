package engine

import (
	"strings"
	"testing"
)

// openStill opens an engine of a test that steps it itself.
func openStill(t *testing.T) *Engine {
	t.Helper()
	env, closeEnv := OSEnv(func(err error) { t.Error(err) }, func(string, ...any) {})
	e, err := Open(env, Options{Dir: t.TempDir() + "/store", NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		closeEnv()
	})
	return e
}

// commitStill commits writes, which may be of hidden records.
func commitStill(t *testing.T, e *Engine, id TxnID, writes ...*Write) CommitResult {
	t.Helper()
	p := newProposal(id, writes, Conditions{})
	p.client = t.Context()
	if err := e.enqueue(p); err != nil {
		t.Fatal(err)
	}
	e.Step()
	<-p.ticket.done
	if p.ticket.err != nil {
		t.Fatal(p.ticket.err)
	}
	return p.ticket.result
}

// TestHiddenRecordsAreNotRead: lists, scans and replays of users have nothing of hidden records, and
// what a transaction listed does not change with them.
func TestHiddenRecordsAreNotRead(t *testing.T) {
	e := openStill(t)
	set := func(key string) *Write {
		return &Write{Name: RecordName{Namespace: "ns", Agent: "a", Key: key}, Value: []byte(`{}`)}
	}
	commitStill(t, e, "both", set("k"), set(leaseKey("k")), set(dueKey("k")))
	commitStill(t, e, "hidden", set(leaseKey("other")))
	head := e.Published()
	snap := Snapshot{e: e, ts: head}
	for _, o := range []ScanOptions{
		{}, {Reverse: true}, {Prefix: "\x01"}, {Prefix: "\x01", Reverse: true}, {Prefix: leaseKey("")}, {After: "\x01"}, {After: "\x01", Reverse: true},
		{After: leaseKey("k"), Prefix: leaseKey(""), Reverse: true}, {After: "a"}, {After: "l", Reverse: true}, {Prefix: "k"},
	} {
		o.Agent = AgentName{Namespace: "ns", Agent: "a"}
		want := 1
		if strings.HasPrefix(o.Prefix, hiddenMark) || o.Reverse && o.After == "\x01" {
			want = 0
		}
		records, more, err := snap.Scan(o)
		if err != nil || more || len(records) != want || want == 1 && records[0].Name.Key != "k" {
			t.Errorf("a scan of %+v: %d records, more %t, %v", o, len(records), more, err)
		}
	}
	for _, c := range []struct {
		f    Filter
		keys string // of the events, one after the other
	}{
		{Filter{Agent: "a"}, "k"},
		{Filter{AllAgents: true}, "k"},
		{Filter{Whole: true}, "k"},
		{Filter{Agent: "a", KeyPrefix: "\x01"}, ""},
		{Filter{Agent: "a", AllOperations: true}, "k lease:k due:k lease:other"},
		{Filter{Agent: "a", AllOperations: true, KeyPrefix: "o"}, "lease:other"},
		{Filter{Agent: "a", Lease: "k"}, "lease:k"},
		{Filter{Agent: "a", Lease: "none"}, ""},
	} {
		c.f.Namespace = "ns"
		events, cursor, err := e.Replay(c.f, 0, head, 0)
		if err != nil || cursor != head {
			t.Errorf("a replay of %+v: cursor %d, %v", c.f, cursor, err)
		}
		var keys []string
		for _, ev := range events {
			for _, op := range ev.Ops {
				kind, name := SplitHidden(op.Name.Key)
				if kind != "" {
					name = string(kind) + ":" + name
				}
				keys = append(keys, name)
			}
		}
		if got := strings.Join(keys, " "); got != c.keys {
			t.Errorf("a replay of %+v shows %q, want %q", c.f, got, c.keys)
		}
	}
	l := listedOf([]readRange{{agent: AgentName{Namespace: "ns", Agent: "a"}}, {agent: AgentName{Namespace: "ns", Agent: "a"}, prefix: "\x01"}}, head)
	if l[0].contains(leaseKey("k")) || !l[0].contains("k") {
		t.Errorf("what a transaction listed: %+v", l)
	}
}
