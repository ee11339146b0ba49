package intent

import (
	"reflect"
	"testing"

	"statehouse.dev/statehouse/history"
)

// What the log knows is added only where it is what the user was told, cut short.
func TestExact(t *testing.T) {
	const whole = 1234567
	deleted := history.Event{CommitTS: 2, CommitTime: whole + 1000, Ops: []history.EventOp{{Name: name("k"), Version: 2, Delete: true}}}
	log := []history.Event{{CommitTS: 1, CommitTime: whole, Ops: []history.EventOp{{Name: name("k"), Version: 1, Value: `{}`}}}, deleted}
	absent, tomb := history.Record{Name: name("k")}, history.Record{Name: name("k"), Version: 2, CommitTS: 2, CommitTime: whole + 1000}
	for _, c := range []struct {
		title string
		out   history.Output
		want  history.Output
	}{
		{"a time cut to microseconds", history.Output{CommitTS: 1, CommitTime: 1234000}, history.Output{CommitTS: 1, CommitTime: whole}},
		{"another time", history.Output{CommitTS: 1, CommitTime: 1235000}, history.Output{CommitTS: 1, CommitTime: 1235000}},
		{"a tombstone", history.Output{ReadTS: 2, Records: []history.Record{absent}}, history.Output{ReadTS: 2, Records: []history.Record{tomb}}},
		{"absent where it was not", history.Output{ReadTS: 1, Records: []history.Record{absent}}, history.Output{ReadTS: 1, Records: []history.Record{absent}}},
		{"absent, and it is not told when", history.Output{Records: []history.Record{absent}}, history.Output{Records: []history.Record{absent}}},
	} {
		op := &history.Operation{Kind: history.BatchGet, Out: c.out}
		Exact(&history.History{Operations: []*history.Operation{op}}, log)
		if !reflect.DeepEqual(op.Out, c.want) {
			t.Errorf("%s: %+v, want %+v", c.title, op.Out, c.want)
		}
	}
}

// A user who is told only that a record is not there is wrong where it is, whatever was there
// before.
func TestAbsent(t *testing.T) {
	log := []history.Event{commits(1, 1, "t1", ""), commits(2, 2, "t2", "")}
	log[1].Ops[0] = history.EventOp{Name: name("k"), Version: 2, Delete: true}
	for _, c := range []struct {
		at    uint64
		wrong bool
	}{{0, false}, {1, true}, {2, false}} {
		op := &history.Operation{ID: 1, Client: "c1", Kind: history.Get, Call: 10, Return: 20, Outcome: history.OK}
		op.In = history.Input{Namespace: "default", Agent: "a", Key: "k", At: &c.at}
		op.Out.Records = []history.Record{{Name: name("k")}}
		wire := &history.History{Log: log, Complete: true}
		intents := &history.History{Header: history.Header{Source: history.SourceIntent}, Operations: []*history.Operation{op}}
		if found := Judge(wire, intents, Network{}); (len(found) > 0) != c.wrong {
			t.Errorf("as of commit %d: %+v", c.at, found)
		}
	}
}
