package live

import (
	"testing"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// G1 to G6 hold for three daemons that keep one store, whatever becomes of the one that leads, and all three have the same.
func TestClusterOfThree(t *testing.T) {
	o := options(t)
	o.Members, o.For, o.Kills, o.Stops, o.Terms, o.Deaf = 3, 6*time.Second, 1, 1, 1, 1
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	report(t, r)
	s := &r.Stats
	if r.Vacuous() || s.Kills != 2 || s.Stops != 1 || s.Cuts != 1 || len(s.Outages) != 3 || !s.Verified || r.Verdict() != verdict.OK {
		t.Errorf("the run proves too little: %+v, verdict %s", *s, r.Verdict())
	}
}

// TestOutages: an outage is the longest time between two acknowledged commits that a fault lies in or comes before.
func TestOutages(t *testing.T) {
	h := &history.History{Operations: []*history.Operation{{Kind: history.Get, Outcome: history.OK, Return: 5}}}
	for _, at := range []int64{1, 2, 3, 9, 10, 11, 30} {
		h.Operations = append(h.Operations, &history.Operation{Kind: history.Transact, Outcome: history.OK, Return: at})
	}
	got := outages([]span{{from: 4, to: 9}, {from: 5, to: 10}, {from: 10, to: 11}}, h)
	if want := []time.Duration{5, 4, 1}; len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("%v, not %v", got, want)
	}
}
