package simdisk

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// DiskOptions configures a disk. The zero value is a disk without limit, whose
// clock stands still.
type DiskOptions struct {
	Seed     uint64           // of what faults draw at random, such as the bit that flips
	Clock    func() time.Time // for the time a file was changed, must not use the disk; nil: the Unix epoch
	Capacity int64            // bytes; 0: no limit
	Trace    bool             // remember every operation, for Disk.Trace
}

// Disk is a simulated disk with one file system on it, safe for concurrent use.
// The package documentation says what it promises.
//
// Once Crash or Kill was called the disk is dead. It still works, on its own content
// and without faults, hooks, counts or limits, so that a store which is open on it can
// be closed; nothing done to it reaches the image that was returned.
type Disk struct {
	opts DiskOptions

	mu      sync.Mutex
	root    *node
	journal journal
	locks   map[string]bool // paths; only looked up
	handles map[string]int  // open ones, by the path that they were opened at
	births  map[string]int  // files created so far, by path; only looked up
	used    int64           // sum of allocated() over files with a link or an open handle
	dead    bool
	ledger  ledger
	hooks   hooks
	after   Aftermath
}

var _ vfs.FS = (*Disk)(nil)

// NewDisk returns an empty disk.
func NewDisk(opts DiskOptions) *Disk {
	if opts.Clock == nil {
		opts.Clock = func() time.Time { return time.Unix(0, 0).UTC() }
	}
	return &Disk{
		opts:   opts,
		root:   newDirNode(opts.Clock()),
		locks:  make(map[string]bool),
		births: make(map[string]int), handles: make(map[string]int),
		ledger: newLedger(opts.Trace),
	}
}

// Arm adds faults, to strike in addition to those armed before. Where two would
// strike one operation, the one armed first does.
func (d *Disk) Arm(faults ...Fault) error {
	for _, f := range faults {
		if err := f.Validate(); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range faults {
		d.ledger.faults = append(d.ledger.faults, armed{Fault: f, left: f.Count})
	}
	return nil
}

// Heal disarms all faults. What they did stays done.
func (d *Disk) Heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ledger.faults = nil
}

// Injected lists the faults that struck, in the order they did.
func (d *Disk) Injected() []Injection {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.ledger.injected)
}

// Trace lists the operations done so far if DiskOptions.Trace is set, sorted by
// path and then in order. Operations that failed are among them.
func (d *Disk) Trace() []Op {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ledger.traced()
}

// Dead tells whether Crash or Kill was called. What a store acknowledged after that
// moment was never acknowledged to anyone.
func (d *Disk) Dead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// SetCapacity changes the size of the disk, in bytes; 0 is no limit. It may be set
// below what is used: then nothing more can be written.
func (d *Disk) SetCapacity(capacity int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opts.Capacity = capacity
}

func (d *Disk) classOf(op Op) Class {
	if op.Kind == OpMkdir || op.Kind == OpDirSync {
		return ClassDir
	}
	if n, err := d.find(op.Path); err == nil && n.dir {
		return ClassDir
	}
	return ClassOf(op.Path)
}

// find returns the node at a path.
func (d *Disk) find(name string) (*node, error) {
	n := d.root
	for part, rest := next(clean(name)); part != ""; part, rest = next(rest) {
		if !n.dir {
			return nil, syscall.ENOTDIR
		}
		if n = n.entries[part]; n == nil {
			return nil, syscall.ENOENT
		}
	}
	return n, nil
}

// next splits the first element off a clean path, or off the rest of one.
func next(name string) (part, rest string) {
	part, rest, _ = strings.Cut(strings.TrimPrefix(name, "/"), "/")
	return part, rest
}

// locate returns the directory that holds, or would hold, the last element of a
// path, that element, and the node there if there is one.
func (d *Disk) locate(name string) (dir *node, base string, n *node, err error) {
	name = clean(name)
	if name == "/" {
		return nil, "", nil, syscall.EINVAL // it has no directory
	}
	base = path.Base(name)
	dir, err = d.find(path.Dir(name))
	if err == nil && !dir.dir {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, "", nil, err
	}
	return dir, base, dir.entries[base], nil
}

// apply makes a change to the live directories and appends it to the journal.
func (d *Disk) apply(c change) {
	for _, e := range c { // all of them first: a renamed file is not released between its names
		if e.node != nil {
			e.node.links++
		}
	}
	for _, e := range c {
		old := e.dir.entries[e.name]
		setEntry(e.dir.entries, e.name, e.node)
		if old != nil {
			old.links--
			d.release(old)
		}
		e.dir.mtime = d.opts.Clock()
	}
	d.journal = append(d.journal, c)
}

// release frees the space of a file that can no longer be reached. A crash may
// bring its name back, and its content with it; the image accounts for itself.
func (d *Disk) release(n *node) {
	if n.links == 0 && n.opens == 0 {
		d.used -= n.allocated()
	}
}

// grow runs a change of one file's allocation and accounts for it.
func (d *Disk) grow(n *node, f func()) {
	before := n.allocated()
	f()
	d.used += n.allocated() - before
}

// room is the size in bytes that a file can have before the disk is full.
func (d *Disk) room(n *node) int64 {
	if d.opts.Capacity == 0 || d.dead {
		return 1 << 62
	}
	free := max(0, d.opts.Capacity-d.used)
	return n.allocated() + free/sectorSize*sectorSize
}

// clean makes a path absolute. One that is clean already, as Pebble's are, costs
// nothing.
func clean(name string) string {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	return path.Clean(name)
}

func pathError(op OpKind, name string, err error) error {
	return &fs.PathError{Op: string(op), Path: name, Err: err}
}
