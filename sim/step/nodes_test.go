package step_test

import (
	"testing"

	"statehouse.dev/statehouse/sim/step"
)

// TestNodesRead: what names nodes is read as it was printed, and what names too many, or none where it
// must, is refused.
func TestNodesRead(t *testing.T) {
	for _, text := range []string{
		"start n1", "tick n1", "tick n3 20", "campaign n2", "synced n1", "synced n1 1", "deliver n1>n2", "deliver n1>n2 nth=3", "drop n2>n1", "dup n3>n1",
		"cut n1>n2", "hand n1>n2", "cut n3", "heal", "heal n1", "heal n1>n2", "skew n1 +5s", "skew n2 -300ms", "pause n1", "resume n1", "crash n1 mode=torn seed=3",
		"kill n2", "wipe n1", "transfer n2", "flow", "plan n1", "flush n2", "fault n1 sync-error file=wal nth=2", "capacity n2 100", "room n1 5",
		`c1@n2 #7 get alice/k`, `c1@n1 transact t1 put alice/k {"n":1} &`, "deliver c1", "deliver #3", "drop n1",
		"add n4", "add n2>n4", "promote n4", "promote n1>n4", "remove n3", "remove n1>n3", "fetch n3", "remove wal nth=2",
	} {
		s, err := step.Parse(text)
		if err != nil {
			t.Errorf("%v", err)
		} else if s.String() != text {
			t.Errorf("%q is printed %q", text, s)
		}
	}
	for _, text := range []string{
		"campaign", "hand n1", "hand", "deliver n1>n1", "deliver n1>n2 3", "deliver n1>n2 nth=0", "tick n1 0", "tick n1 2 3", "skew n1", "skew n1 much", "cut", "cut n1>n0",
		"pause n1 n2", "transfer", "flow n1", "settle n1", "advance n1 5s", "jump n1 5s", "c1@m1 get alice/k", "start n1 now", "import n1 3",
		"add", "add n4 learner", "promote", "remove n3 nth=2", "remove n3>n3", "fetch", "fetch n1>n3",
	} {
		if s, err := step.Parse(text); err == nil {
			t.Errorf("%q is read as %q", text, s)
		}
	}
}
