package node_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// TestRepeats: what a cluster does follows from its seed: elections, what is fetched, who comes and goes.
func TestRepeats(t *testing.T) {
	for seed := range uint64(3) {
		var digests []string
		for range 2 {
			c := newCluster(t, 5+seed)
			c.keep = 8 << 10
			c.lossy, c.kills = true, true
			c.write("one", 20)
			c.change(func(m *member, done func(error)) { m.AddLearner(4, added(m, 4, done)) })
			joined := c.join(4)
			c.write("two", 20)
			c.until(func() bool { return joined.up() && joined.engine != nil })
			c.settle()
			c.check(nil)
			digests = append(digests, fmt.Sprintf("%x, %d killed, %d stretches", c.sent.Sum(nil), c.killed, c.fetched))
		}
		if digests[0] != digests[1] {
			t.Errorf("two runs of a seed sent %v", digests)
		}
	}
}

func TestCluster(t *testing.T) {
	killed, refused := 0, 0
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := newCluster(t, seed)
			c.lossy, c.kills = seed%3 > 0, seed%4 > 0
			var all []acked
			for i := range 200 {
				id, w := engine.TxnID(fmt.Sprint("commit-", i)), []engine.Write{put(fmt.Sprint("agent-", i%3), fmt.Sprint("key-", i%5), i)}
				cond := engine.Conditions{}
				if i%4 == 0 {
					w[0].TTL = time.Second
				}
				if i%5 == 4 {
					cond.Heads = []engine.HeadPrecondition{{Agent: engine.AgentName{Agent: "agent-0"}, Expected: 1}}
				}
				r, err := c.commit(id, w, cond)
				switch {
				case err == nil:
					all = append(all, acked{id, w, r})
				case errors.Is(err, engine.ErrPrecondition):
					refused++
				default:
					t.Fatalf("%s: %v", id, err)
				}
				if len(all) > 0 && i%7 == 0 { // what was acknowledged is answered as before, whoever leads
					was := all[c.rng.IntN(len(all))]
					if r, err := c.commit(was.id, was.w, engine.Conditions{}); err != nil || r.CommitTS != was.r.CommitTS {
						t.Fatalf("%s was commit %d and is %d, %v", was.id, was.r.CommitTS, r.CommitTS, err)
					}
				}
			}
			c.settle()
			c.check(all)
			killed += c.killed
		})
	}
	if killed < 50 || refused == 0 {
		t.Errorf("%d members were killed, %d commits refused", killed, refused)
	}
}

// TestDeposed: a leader that is cut off answers nothing, not even a refusal, until it knows that it leads no
// more; and what it planned is not there, unless it is.
func TestDeposed(t *testing.T) {
	for seed := range uint64(4) {
		c := newCluster(t, seed)
		_, err := c.commit("first", []engine.Write{put("a", "k", 1)}, engine.Conditions{})
		ok(t, err)
		old := c.leader()
		for _, id := range c.ids {
			c.cut[id] = c.members[id] == old
		}
		w, cond := []engine.Write{put("a", "k", 2)}, engine.Conditions{}
		if seed%2 == 0 {
			cond.Heads = []engine.HeadPrecondition{{Agent: engine.AgentName{Agent: "a"}, Expected: 9}}
		}
		_, err = old.engine.Transact(context.Background(), "second", w, cond)
		next := c.leader()
		switch {
		case seed%2 == 0 && !errors.Is(err, engine.ErrNotLeader):
			t.Errorf("a refusal by a leader that was cut off: %v", err)
		case seed%2 == 1 && !errors.Is(err, engine.ErrOutcomeUnknown):
			t.Errorf("a commit by a leader that was cut off: %v", err)
		case next == old:
			t.Error("a leader that was cut off leads still")
		}
		_, err = c.commit("third", []engine.Write{put("a", "k", 3)}, engine.Conditions{})
		ok(t, err)
		c.settle()
		for _, id := range c.ids {
			if o, err := c.members[id].engine.Outcome("second"); err != nil || o.State != engine.TxnNeverSeen {
				t.Errorf("on member %d what a leader planned that was cut off is %+v, %v", id, o, err)
			}
		}
		c.check(nil)
	}
}
