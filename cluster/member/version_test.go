package member_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/wiretest"
)

// audits asks a member for what is new in version 2 of a cluster.
func (m *machine) audits() error {
	_, err := m.Forward(wiretest.Timeout(m.t), &server.Forwarded{Method: server.Auditing})
	return err
}

// follower is one that does not lead.
func follower(t *testing.T, all []*machine) *machine {
	t.Helper()
	leads := leader(t, all...)
	for _, m := range all {
		if m != leads {
			return m
		}
	}
	return nil
}

// TestRollingRestart: members of a build of before are replaced one after the other while commits go on. What is new is
// refused, with the reason, until the last of them is; after that none of before takes part any more.
func TestRollingRestart(t *testing.T) {
	lacks := map[*machine]*atomic.Bool{}
	all := threeOf(t, func(m *machine) {
		m.knows = node.Version - 1
		said := new(atomic.Bool)
		lacks[m] = said
		m.env.Log = func(event string, _ ...any) {
			if strings.HasPrefix(event, "not all members") {
				said.Store(true)
			}
		}
	})
	leader(t, all...).commit(1)
	old := func(when string) {
		t.Helper()
		if err := follower(t, all).audits(); !errors.Is(err, engine.ErrNotLeader) || !strings.Contains(err.Error(), "not all members run a build") {
			t.Errorf("%s: %v", when, err)
		}
	}
	old("before")
	for i, m := range all {
		m.stop()
		m.knows = 0
		m.run()
		leader(t, all...).commit(2 + i)
		if i < len(all)-1 {
			wiretest.Eventually(t, "the one that is new leads, and has asked the others", func() error {
				if m.Leader().Here && lacks[m].Load() {
					return nil
				}
				if leads := leader(t, all...); leads != m {
					return errors.Join(wiretest.ErrNotYet, leads.HandOver(wiretest.Timeout(t), m.id.ID))
				}
				return wiretest.ErrNotYet
			})
			old("in between")
		}
	}
	wiretest.Eventually(t, "what is new is done", func() error { return follower(t, all).audits() })
	leader(t, all...).commit(9)
	last := all[0]
	last.stop()
	last.knows = node.Version - 1
	if err := last.opens(); err == nil || !strings.Contains(err.Error(), "start a newer build") {
		t.Errorf("a build of before opens what is of this one's version: %v", err)
	}
}
