package server

import (
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// slowDisk is a disk whose syncs of the log can be held up.
type slowDisk struct {
	vfs.FS
	waiting chan struct{} // gets one for each sync that is held
	mu      sync.Mutex
	gate    chan struct{} // nil while syncs pass
}

func newSlowDisk(fs vfs.FS) *slowDisk {
	d := &slowDisk{waiting: make(chan struct{}, 1000)}
	d.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			if strings.HasSuffix(op.Path, ".log") {
				d.pass()
			}
		}
		return nil
	}))
	return d
}

func (d *slowDisk) pass() {
	d.mu.Lock()
	gate := d.gate
	d.mu.Unlock()
	if gate != nil {
		d.waiting <- struct{}{}
		<-gate
	}
}

// block holds up every sync of the log until release is called.
func (d *slowDisk) block() (release func()) {
	gate := make(chan struct{})
	d.mu.Lock()
	d.gate = gate
	d.mu.Unlock()
	return func() {
		d.mu.Lock()
		d.gate = nil
		d.mu.Unlock()
		close(gate)
	}
}
