package clustertest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
)

const (
	storeDir = "/store"
	raftDir  = "/raft"
	tick     = 20 * time.Millisecond
	patience = 2 * time.Minute
)

// Options change what is run. The zero value is three members.
type Options struct {
	Members int
	// Config changes a member's service before it is assembled.
	Config func(id uint64, c *server.Config, env *engine.Env)
	// Assembled is told of each service before it serves.
	Assembled func(id uint64, s *server.Service)
}

// Cluster is members that keep one store.
type Cluster struct {
	Members []*Member // of the ids 1, 2, 3 …

	t       testing.TB
	options Options
	lost    atomic.Bool  // answers to what is forwarded
	skew    atomic.Int64 // of the members' clocks to the real one, in nanoseconds
}

// Start runs a cluster until the test ends.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	if o.Members == 0 {
		o.Members = 3
	}
	c := &Cluster{t: t, options: o}
	disk := vfs.NewMem()
	env := c.env(disk)
	made, err := engine.Open(env, engineOptions())
	if err == nil {
		err = made.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range o.Members {
		m := &Member{ID: uint64(i + 1), cluster: c, disk: vfs.NewMem()}
		if _, err := vfs.Clone(disk, m.disk, storeDir, storeDir, vfs.CloneSync); err != nil {
			t.Fatal(err)
		}
		c.Members = append(c.Members, m)
	}
	for _, m := range c.Members {
		m.Start()
	}
	t.Cleanup(func() {
		for _, m := range c.Members {
			m.Stop()
		}
	})
	return c
}

func engineOptions() engine.Options {
	return engine.Options{Dir: storeDir, NoSync: true, Tuning: engine.Tuning{CacheBytes: 4 << 20, MemTableBytes: 1 << 20}}
}

func (c *Cluster) env(disk vfs.FS) engine.Env {
	env := engine.MemoryEnv(func(err error) { c.t.Errorf("an engine halted: %v", err) }, nil)
	env.FS = disk
	env.Now = func() time.Time { return time.Now().Add(time.Duration(c.skew.Load())) }
	return env
}

// Addresses are where clients reach the members.
func (c *Cluster) Addresses() []string {
	var list []string
	for _, m := range c.Members {
		list = append(list, m.Address())
	}
	return list
}

// Leader waits until a member leads that is not cut off and that all others know of, and returns it.
func (c *Cluster) Leader() *Member {
	c.t.Helper()
	var found *Member
	c.Eventually("a member leads", func() error {
		found = nil
		for _, m := range c.Members {
			if s := m.seen(); s != nil && s.leads && !m.cut.Load() && (found == nil || s.status.Term > found.seen().status.Term) {
				found = m
			}
		}
		if found == nil {
			return errors.New("none does")
		}
		for _, m := range c.Members {
			if s := m.seen(); s != nil && !m.cut.Load() && s.status.Leader != found.ID {
				return fmt.Errorf("%d does not know that %d leads", m.ID, found.ID)
			}
		}
		return nil
	})
	return found
}

// Followers are the members that do not lead.
func (c *Cluster) Followers() []*Member {
	c.t.Helper()
	leader := c.Leader()
	var list []*Member
	for _, m := range c.Members {
		if m != leader {
			list = append(list, m)
		}
	}
	return list
}

// Advance moves the members' clocks.
func (c *Cluster) Advance(d time.Duration) { c.skew.Add(int64(d)) }

// LoseAnswers has the answers to forwarded requests get lost, or ends that.
func (c *Cluster) LoseAnswers(lose bool) { c.lost.Store(lose) }

// Eventually polls for what is about to come true.
func (c *Cluster) Eventually(what string, check func() error) {
	c.t.Helper()
	for end := time.Now().Add(patience); ; {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s: never: %v", what, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Settle waits until all members that run have published the same.
func (c *Cluster) Settle() {
	c.t.Helper()
	c.Eventually("all members have the same", func() error {
		last := c.Leader().Service().Engine().Published()
		for _, m := range c.Members {
			if s := m.Service(); s != nil && s.Engine().Published() != last {
				return fmt.Errorf("%d has %d, and not %d", m.ID, s.Engine().Published(), last)
			}
		}
		return nil
	})
}

// Timeout is the context of one call.
func (c *Cluster) Timeout() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	c.t.Cleanup(cancel)
	return ctx
}
