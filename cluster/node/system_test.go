package node_test

import (
	"context"
	"fmt"
	"testing"

	"statehouse.dev/statehouse/engine"
)

// TestSystemIsTold: whoever keeps something made of system rows is told on every member when they have changed,
// and finds what has; of rows of another kind it is not.
func TestSystemIsTold(t *testing.T) {
	c := newCluster(t, 1)
	told := map[uint64][]string{}
	for _, id := range c.ids {
		e := c.members[id].engine
		e.OnSystem("key", func() {
			body, err := e.System("key", "one")
			ok(t, err)
			told[id] = append(told[id], string(body))
		})
	}
	for _, change := range []engine.SystemChange{
		{Kind: "key", Name: "one", Body: []byte("first")}, {Kind: "other", Name: "one", Body: []byte("no key")},
		{Kind: "key", Name: "one", Body: []byte("second")}, {Kind: "key", Name: "one"},
	} {
		ok(t, c.leader().engine.PutSystem(context.Background(), change))
	}
	c.settle()
	c.until(func() bool { return len(told[1]) == 3 && len(told[2]) == 3 && len(told[3]) == 3 })
	for _, id := range c.ids {
		if got := fmt.Sprintf("%q", told[id]); got != `["first" "second" ""]` {
			t.Errorf("member %d was told %s", id, got)
		}
	}
}
