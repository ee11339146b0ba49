package simdisk

import (
	"fmt"
	"maps"
	"slices"
)

// OpKind is a kind of disk operation.
type OpKind string

// The kinds of operations that are counted, traced and open to faults.
const (
	OpCreate  OpKind = "create" // also by OpenReadWrite, when there is no such file
	OpOpen    OpKind = "open"   // a file, for reading or writing
	OpRead    OpKind = "read"
	OpWrite   OpKind = "write"
	OpSync    OpKind = "sync"    // a file: Sync, SyncData and SyncTo
	OpDirSync OpKind = "dirsync" // a directory
	OpRename  OpKind = "rename"  // also by ReuseForWrite; counted for the new path
	OpLink    OpKind = "link"    // counted for the new path
	OpRemove  OpKind = "remove"
	OpMkdir   OpKind = "mkdir"
	OpLock    OpKind = "lock"
)

// OpKinds lists every kind, in a fixed order.
func OpKinds() []OpKind {
	return []OpKind{
		OpCreate, OpOpen, OpRead, OpWrite, OpSync, OpDirSync,
		OpRename, OpLink, OpRemove, OpMkdir, OpLock,
	}
}

// Op is one operation on a disk.
type Op struct {
	Kind   OpKind
	Class  Class
	Path   string // absolute and clean
	From   string // the old path of a rename or link
	Count  int    // this is the Count-th operation of this kind on this path, from 1
	Offset int64  // of a read or write, in bytes
	Size   int64  // bytes a read will return or a write was given
}

// String gives the operation on one line.
func (o Op) String() string {
	s := fmt.Sprintf("%s %s #%d", o.Kind, o.Path, o.Count)
	if o.From != "" {
		s += " from " + o.From
	}
	if o.Kind == OpRead || o.Kind == OpWrite {
		s += fmt.Sprintf(" [%d+%d]", o.Offset, o.Size)
	}
	return s
}

// Injection is a fault that a disk put into an operation.
type Injection struct {
	Fault  Fault
	Op     Op
	Detail string // what exactly was done, where the fault alone does not say it
}

// String gives the injection on one line.
func (i Injection) String() string {
	s := i.Fault.String() + " at " + i.Op.String()
	if i.Detail != "" {
		s += ": " + i.Detail
	}
	return s
}

// ledger is what a disk remembers of the operations done on it.
type ledger struct {
	counts   map[opKey]int
	tracing  bool
	trace    map[string][]Op // by path, in order
	faults   []armed
	injected []Injection
}

type opKey struct {
	path string
	kind OpKind
}

// armed is a fault and how far it has gone.
type armed struct {
	Fault
	begun bool // it has struck once
	left  int  // times it still strikes; negative: for ever
}

func newLedger(tracing bool) ledger {
	return ledger{counts: make(map[opKey]int), tracing: tracing, trace: make(map[string][]Op)}
}

// enter counts and traces an operation, and fills in its count.
func (l *ledger) enter(op *Op) {
	key := opKey{op.Path, op.Kind}
	l.counts[key]++
	op.Count = l.counts[key]
	if l.tracing {
		l.trace[op.Path] = append(l.trace[op.Path], *op)
	}
}

// strike finds the fault that hits op, the first armed one that does, and
// records it. It returns nil if there is none. The Injection is for the caller
// to add a detail to, before the next call.
func (l *ledger) strike(op Op) *Injection {
	for i := range l.faults {
		f := &l.faults[i]
		if f.left == 0 || !f.Fault.hits(op) || (!f.begun && op.Count < f.Nth) {
			continue
		}
		f.begun = true
		if f.left > 0 {
			f.left--
		}
		l.injected = append(l.injected, Injection{Fault: f.Fault, Op: op})
		return &l.injected[len(l.injected)-1]
	}
	return nil
}

// traced lists the operations, sorted by path and then in order: the order
// between files is not the disk's to promise.
func (l *ledger) traced() []Op {
	var all []Op
	for _, p := range slices.Sorted(maps.Keys(l.trace)) {
		all = append(all, l.trace[p]...)
	}
	return all
}
