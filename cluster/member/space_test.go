package member_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/wiretest"
)

// limited is a disk that tells how much of it is free.
type limited struct {
	vfs.FS
	full atomic.Bool
}

func (l *limited) GetDiskUsage(string) (vfs.DiskUsage, error) {
	u := vfs.DiskUsage{AvailBytes: 4 << 30, TotalBytes: 8 << 30}
	if l.full.Load() {
		u.AvailBytes = 1 << 10
	}
	return u, nil
}

// TestMakeWay: a member whose disk is full leads no longer than it takes for another to lead whose disk is not, and commits
// go on.
func TestMakeWay(t *testing.T) {
	disks := map[*machine]*limited{}
	var asked sync.Map // who was to lead in place of another
	all := threeOf(t, func(m *machine) {
		disks[m] = &limited{FS: m.env.FS}
		m.env.FS = disks[m]
		log := m.env.Log
		m.env.Log = func(event string, attrs ...any) {
			if event == "another member leads, since this one refuses writes" {
				asked.Store(attrs[1], true)
			}
			log(event, attrs...)
		}
	})
	first := leader(t, all...)
	var others []*machine
	for _, m := range all {
		if m != first {
			others = append(others, m)
		}
	}
	first.commit(1)
	disks[others[0]].full.Store(true)
	wiretest.Eventually(t, "a follower would refuse writes", func() error { return refuses(others[0]) })
	wiretest.Eventually(t, "all have as much: the follower would be chosen", func() error {
		for _, o := range first.Status().Members {
			if o.Match != first.Status().Applied {
				return wiretest.ErrNotYet
			}
		}
		return nil
	})
	disks[first].full.Store(true)
	wiretest.Eventually(t, "the one leads whose disk is not full", func() error {
		if !others[1].Leader().Here {
			return wiretest.ErrNotYet
		}
		return nil
	})
	others[1].commit(2)
	if _, was := asked.Load(others[0].Status().ID); was {
		t.Error("the one was to lead whose disk is full, too")
	}
}

func refuses(m *machine) error {
	if !errors.Is(m.engine.Refuses(), engine.ErrDiskFull) {
		return wiretest.ErrNotYet
	}
	return nil
}
