package clustertest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cluster/clustertest"
)

// dial is a client that knows all members, in an order that begins with one that does not lead.
func dial(t *testing.T, c *clustertest.Cluster, change ...func(*client.Config)) *client.Client {
	t.Helper()
	f := c.Followers()
	config := client.Config{Addresses: []string{f[0].Address(), c.Leader().Address(), f[1].Address()}, AttemptTimeout: time.Second}
	for _, ch := range change {
		ch(&config)
	}
	cl, err := client.Dial(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cl.Close() })
	return cl
}

func put(value string) client.Batch {
	return client.Batch{Writes: []client.Write{client.Put("a", "k", json.RawMessage(value))}}
}

// TestClientFindsTheLeader: a client of several addresses goes to the member that leads, and nothing needs to be handed on.
func TestClientFindsTheLeader(t *testing.T) {
	for name, unary := range map[string]bool{"session": false, "calls": true} { // any order
		t.Run(name, func(t *testing.T) {
			c := clustertest.Start(t, clustertest.Options{})
			cl := dial(t, c, func(o *client.Config) { o.Unary = unary })
			for n := range 10 {
				must[client.Commit](t)(cl.Transact(c.Timeout(), put(fmt.Sprint(`{"n":`, n, `}`))))
			}
			if n := c.Leader().Handed(); n > 0 {
				t.Errorf("%d requests were handed on", n)
			}
		})
	}
}

// TestClientGoesOn: while members are killed one after the other a client that has all addresses commits on, each commit
// once, and follows all of them without a gap.
func TestClientGoesOn(t *testing.T) {
	c := clustertest.Start(t, clustertest.Options{})
	cl := dial(t, c)
	const commits = 40
	var watching sync.WaitGroup
	watching.Go(func() {
		ctx, cancel := context.WithCancel(c.Timeout())
		defer cancel()
		last := client.CommitTS(0)
		for ev, err := range cl.Watch(ctx, client.WatchQuery{Agent: "a"}) {
			if err != nil {
				t.Errorf("a watch: %v", err)
				return
			}
			if ev.CommitTS != last+1 {
				t.Errorf("commit %d comes after %d", ev.CommitTS, last)
			}
			if last = ev.CommitTS; last == commits {
				return
			}
		}
	})
	for n := range commits {
		if n == 10 || n == 25 {
			leader := c.Leader()
			leader.Cut(true)
			leader.Stop()
			leader.Cut(false)
			if n == 10 { // one of three may be away
				c.Leader()
				leader.Start()
				c.Settle()
			}
		}
		sum, err := cl.Increment(c.Timeout(), "a", "k", "/n", json.Number("1"))
		if err != nil {
			t.Fatal(err)
		}
		if sum.CommitTS != client.CommitTS(n+1) {
			t.Fatalf("count %d is commit %d", n+1, sum.CommitTS)
		}
	}
	watching.Wait()
}

// TestClientReadsReplicas: reads that may be stale go to all members in turn, and show what the client has been told of.
func TestClientReadsReplicas(t *testing.T) {
	c := clustertest.Start(t, clustertest.Options{})
	cl := dial(t, c)
	done := must[client.Commit](t)(cl.Transact(c.Timeout(), put(`{"n":1}`)))
	c.Settle()
	leader := c.Leader()
	leader.Freeze(true) // and cut off it confirms nothing
	leader.Cut(true)
	for range 9 {
		rec, err := cl.Get(c.Timeout(), "a", "k", client.NotBefore(done.CommitTS).AtMostStale(time.Hour))
		if err != nil || string(rec.Value) != `{"n":1}` {
			t.Errorf("a replica has %s, %v", rec.Value, err)
		}
	}
	leader.Freeze(false)
	leader.Cut(false)
}
