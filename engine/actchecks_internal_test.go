package engine

import (
	"errors"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine/layout"
)

// TestCheckerHoldsRowsToTheirAct: a row that a backup has of a delete or restore of very many keys is what that can
// have made, or the backup is refused.
func TestCheckerHoldsRowsToTheirAct(t *testing.T) {
	a, at := AgentName{Namespace: "default", Agent: "a"}, time.UnixMilli(1_800_000_000_000)
	key := layout.AppendVersion(layout.RecordPrefix(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: "k"}), 2)
	deleted, restored := layout.RecordRow{Tombstone: true, CommitTS: 7, CommitTime: at}, layout.RecordRow{CommitTS: 7, CommitTime: at, Value: []byte("{}")}
	for name, c := range map[string]struct { // each by itself
		restores bool
		row      layout.RecordRow
		spoil    func(*Row)
		ok       bool
	}{
		"what a delete made":                 {row: deleted, ok: true},
		"what a restore deleted":             {row: deleted, restores: true, ok: true},
		"what a restore wrote":               {row: restored, restores: true, ok: true},
		"a value that a delete made":         {row: restored},
		"what another commit made":           {row: layout.RecordRow{Tombstone: true, CommitTS: 6, CommitTime: at}},
		"what was made at another time":      {row: layout.RecordRow{Tombstone: true, CommitTS: 7, CommitTime: at.Add(1)}},
		"what does not have its checksum":    {row: deleted, spoil: func(r *Row) { r.Value[1] ^= 1 }},
		"what is cut short":                  {row: deleted, spoil: func(r *Row) { r.Value = r.Value[:2] }},
		"what is no record, with a checksum": {row: deleted, spoil: func(r *Row) { *r = rowOf(r.Key, []byte{0xff}) }},
	} {
		g := &rangeAct{agent: a, at: 7, time: at, restores: c.restores}
		check := NewChecker(Stretch{})
		check.head.ts, check.manyAt, check.many = 7, 7, map[AgentName]*rangeAct{a: g}
		row := rowOf(key, c.row.Append(nil))
		if c.spoil != nil {
			c.spoil(&row)
		}
		if check.manyOf(&row) != g {
			t.Fatalf("%s: it is not taken for a row of the act", name)
		}
		if n, err := check.Commit([]Row{row}); c.ok && (n != 1 || err != nil) || !c.ok && !errors.Is(err, ErrDataLoss) {
			t.Errorf("%s: %d rows, %v", name, n, err)
		}
	}
}

// failingState cannot read what is asked for while it fails.
type failingState struct {
	stateReader
	heads, holds error
}

func (f *failingState) recordHead(prefix string) (keyHead, error) {
	if f.heads != nil {
		return keyHead{}, f.heads
	}
	return f.stateReader.recordHead(prefix)
}

func (f *failingState) hold(prefix string) (*layout.Hold, error) {
	if f.holds != nil {
		return nil, f.holds
	}
	return f.stateReader.hold(prefix)
}

// TestRenewalThatCannotRead: a renewal that could not see whether the lease is held is an error, and not that it is
// lost; nor is it called renewed.
func TestRenewalThatCannotRead(t *testing.T) {
	r := newListingRig(t)
	state := &failingState{stateReader: r.planner.state}
	r.planner.state = state
	lease := Renewal{Agent: AgentName{Namespace: "default", Agent: "a"}, Lease: "main", Token: 1, TTL: time.Minute}
	if _, err := r.Transact(t.Context(), "t1", []Write{evalOf("a", "main", Acquire{Holder: "me", TTL: time.Minute})}, Conditions{}); err != nil {
		t.Fatal(err)
	}
	renew := func() ([]Renewed, error) { return r.RenewLeases(t.Context(), []Renewal{lease}, nil) }
	before, err := renew()
	if err != nil || before[0].Lost {
		t.Fatal(before, err)
	}
	refused := errors.New("no")
	if _, err := r.RenewLeases(t.Context(), []Renewal{lease}, func() error { return refused }); !errors.Is(err, refused) {
		t.Errorf("a renewal that may not be made is answered %v", err)
	}
	broken := errors.New("it cannot be read")
	fresh := newPlanner(state.stateReader, r.planner.head, r.planner.lastTime, &r.opts, &r.reached)
	r.planner.keys, r.planner.holds = fresh.keys, fresh.holds // which know nothing
	for _, f := range []*error{&state.heads, &state.holds} {
		*f = broken
		if got, err := renew(); !errors.Is(err, broken) {
			t.Errorf("a renewal that cannot read is answered %+v, %v", got, err)
		}
		*f = nil
	}
	if after, err := renew(); err != nil || after[0].Lost || after[0].Deadline.Before(before[0].Deadline) {
		t.Errorf("%+v, %v", after, err)
	}
}
