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
