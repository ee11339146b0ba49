package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine/layout"
)

// TestListedContains: ranges put together contain the keys that one of them contains.
func TestListedContains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune{'a', 'b', '\xff', '\U0010ffff'}), 0, 3, -1)
		agents := []AgentName{{Namespace: "n", Agent: "a"}, {Namespace: "n", Agent: "b"}, {Namespace: "m", Agent: "b"}}
		ranges := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) readRange {
			r := readRange{agent: rapid.SampledFrom(agents).Draw(t, "agent"), prefix: text.Draw(t, "prefix")}
			if rapid.Bool().Draw(t, "bounded") {
				r.first, r.last = text.Draw(t, "first"), text.Draw(t, "last")
			}
			return r
		}), 0, 8).Draw(t, "ranges")
		all := listedOf(ranges, 7)
		for range 20 {
			agent, key := rapid.SampledFrom(agents).Draw(t, "of"), text.Filter(func(s string) bool { return s != "" }).Draw(t, "key")
			want, got := false, false
			for i := range ranges {
				want = want || ranges[i].agent == agent && ranges[i].contains(key)
			}
			for i := range all {
				got = got || all[i].agent == agent && all[i].contains(key)
			}
			if got != want {
				t.Fatalf("%q of %v: %v in %+v, %v in %+v", key, agent, want, ranges, got, all)
			}
		}
		for i := range all {
			for j := 1; j < len(all[i].intervals); j++ {
				if s := all[i].intervals; s[j-1].to == "" || s[j-1].to >= s[j].from {
					t.Fatalf("not apart: %+v", all[i])
				}
			}
			if i > 0 && compareAgents(all[i-1].agent, all[i].agent) >= 0 {
				t.Fatalf("not in order: %+v", all)
			}
		}
	})
}

// TestListedTouch: prefixes that are neighbours, listed page by page and more than once,
// are one interval.
func TestListedTouch(t *testing.T) {
	a := AgentName{Namespace: "n", Agent: "a"}
	var ranges []readRange
	for range 100 {
		ranges = append(ranges, readRange{agent: a, prefix: "b"}, readRange{agent: a, prefix: "a", last: "am"}, readRange{agent: a, prefix: "a", first: "am"})
	}
	all := listedOf(ranges, 1)
	if len(all) != 1 || len(all[0].intervals) != 1 || all[0].intervals[0] != (interval{"a", "c"}) {
		t.Errorf("300 listings of a and b are %+v", all)
	}
}

// countingState counts the keys that events are read for.
type countingState struct {
	stateReader
	looked int
}

func (c *countingState) events(a AgentName, after, upTo CommitTS, visit func(CommitTS, *layout.EventRow) bool) (bool, error) {
	return c.stateReader.events(a, after, upTo, func(ts CommitTS, ev *layout.EventRow) bool {
		c.looked += 1 + len(ev.Ops)
		return visit(ts, ev)
	})
}

// listingRig is an engine that is stepped by hand and counts what validating costs.
type listingRig struct {
	*Engine
	t     *testing.T
	state *countingState
	ids   int
	leave bool // requests are left to wait
}

func newListingRig(t *testing.T) *listingRig {
	r := &listingRig{t: t}
	env := MemoryEnv(func(err error) { t.Errorf("halted: %v", err) }, func(string, ...any) {})
	env.Await = func(_ context.Context, ready <-chan struct{}) error {
		for {
			select {
			case <-ready:
				return nil
			default:
			}
			if r.leave || !r.Step() {
				return errors.New("nobody waits")
			}
		}
	}
	var err error
	if r.Engine, err = Open(env, Options{Dir: "/data", Limits: Limits{TxnTimeout: time.Hour, QueuedTime: time.Hour}, Tuning: Tuning{MemTableBytes: 1 << 20, CacheBytes: 1 << 20}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	r.state = &countingState{stateReader: r.planner.state}
	r.planner.state = r.state
	return r
}

// commit writes keys of an agent in one commit.
func (r *listingRig) commit(agent string, keys ...string) error {
	r.ids++
	var ws []Write
	for _, k := range keys {
		ws = append(ws, Write{Name: RecordName{Agent: agent, Key: k}, Value: []byte(`{}`)})
	}
	_, err := r.Transact(context.Background(), TxnID(fmt.Sprint("c-", r.ids)), ws, Conditions{})
	return err
}

func (r *listingRig) mustCommit(agent string, keys ...string) {
	r.t.Helper()
	if err := r.commit(agent, keys...); err != nil {
		r.t.Fatal(err)
	}
}

// lists opens a transaction that lists n prefixes of an agent and writes elsewhere.
func (r *listingRig) lists(agent string, n int) TxnID {
	r.t.Helper()
	id, _, _, err := r.Begin(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range n {
		if _, _, _, err := r.TxnScan(context.Background(), id, ScanOptions{Agent: AgentName{Agent: agent}, Prefix: fmt.Sprint("listed-", i, "/")}); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := r.Stage(id, Write{Name: RecordName{Agent: "own", Key: string(id)}, Value: []byte(`{}`)}); err != nil {
		r.t.Fatal(err)
	}
	return id
}

// TestListingsCostTheSum (G9): what a commit looks at grows with the events since its
// snapshot plus its listings, not with their product, and nearly all of it is looked at
// before the writer has it.
func TestListingsCostTheSum(t *testing.T) {
	r := newListingRig(t)
	const listings, commits = 300, 3200
	id, late := r.lists("a", listings), r.lists("a", listings)
	for i := range commits {
		r.mustCommit("a", fmt.Sprint("other-", i))
	}
	r.state.looked = 0
	r.leave = true
	if _, err := r.Commit(context.Background(), id, Conditions{}); !errors.Is(err, ErrOutcomeUnknown) {
		t.Fatal(err)
	}
	ahead := r.state.looked
	r.leave = false
	if result, err := r.Commit(context.Background(), id, Conditions{}); err != nil || result.CommitTS != commits+1 {
		t.Fatalf("G3: nothing that it listed has changed: %v, %v", result, err)
	}
	t.Logf("%d listings over %d commits: %d keys before the writer, %d by the writer", listings, commits, ahead, r.state.looked-ahead)
	if ahead > 2*commits+listings || r.state.looked-ahead > 4*int(r.opts.Tuning.LeftToWriter) {
		t.Errorf("G9: %d listings over %d commits: %d keys are looked at, %d of them by the writer", listings, commits, r.state.looked, r.state.looked-ahead)
	}
	// The same where the last of all commits has changed something.
	r.mustCommit("a", "listed-299/new")
	if _, err := r.Commit(context.Background(), late, Conditions{}); !errors.Is(err, ErrConflict) {
		t.Errorf("G3: a key that is new among those listed: %v", err)
	}
}

// TestWriterIsNotHeldUp (G9): a listing transaction that finds the writer far ahead of
// it, for much was queued before it, is looked at in parts; whoever waits with it is
// answered in between.
func TestWriterIsNotHeldUp(t *testing.T) {
	for _, conflict := range []bool{false, true} {
		r := newListingRig(t)
		r.mustCommit("a", "first")
		id := r.lists("a", 100)
		r.leave = true
		for i := range 3000 {
			keys := make([]string, 10)
			for j := range keys {
				keys[j] = fmt.Sprint("other-", i%7, "-", j)
			}
			if conflict && i == 2900 {
				keys[5] = "listed-50/new"
			}
			_ = r.commit("a", keys...)
		}
		if _, err := r.Commit(context.Background(), id, Conditions{}); !errors.Is(err, ErrOutcomeUnknown) {
			t.Fatal(err)
		}
		behind := 0 // steps that somebody waits who came after it
		waiting := false
		for {
			if o, _ := r.Outcome(id); o.State != TxnOpen {
				break
			}
			if !waiting {
				_ = r.commit("b", "k")
				waiting = true
			}
			r.state.looked = 0
			if !r.Step() {
				t.Fatal("G9: the transaction waits and nothing is queued")
			}
			if r.state.looked > r.opts.Tuning.StepLookups+100 {
				t.Errorf("G9: %d keys are looked at in one step", r.state.looked)
			}
			if o, _ := r.Outcome(TxnID(fmt.Sprint("c-", r.ids))); o.State == TxnCommitted {
				waiting = false
				behind++
			}
		}
		if behind < 3 {
			t.Errorf("G9: %d others were answered while a transaction was looked at", behind)
		}
		r.leave = false
		_, err := r.Commit(context.Background(), id, Conditions{})
		if errors.Is(err, ErrConflict) != conflict || err != nil && !conflict {
			t.Errorf("G3: something that it listed has changed: %v; it is answered %v", conflict, err)
		}
	}
}

// TestListingsFillAStep (G9): a step takes no second proposal behind one that is far
// behind in what it listed, nor many that each have to look at all that it planned.
func TestListingsFillAStep(t *testing.T) {
	const most = 8192
	p := &proposal{listed: listedOf([]readRange{{agent: AgentName{Namespace: "n", Agent: "a"}, prefix: "k"}}, 5)}
	for _, c := range []struct {
		head          CommitTS
		planned, want int
	}{{5, 0, 2}, {105, 0, 202}, {5, 300, 302}, {1_000_000, 0, most + 2}} {
		if got := p.lookups(c.head, c.planned, most); got != c.want {
			t.Errorf("at commit %d, with %d keys planned: %d, want %d", c.head, c.planned, got, c.want)
		}
	}
}
