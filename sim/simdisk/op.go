package simdisk

import (
	"fmt"
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

var opKinds = [...]OpKind{
	OpCreate, OpOpen, OpRead, OpWrite, OpSync, OpDirSync,
	OpRename, OpLink, OpRemove, OpMkdir, OpLock,
}

// OpKinds lists every kind, in a fixed order.
func OpKinds() []OpKind { return slices.Clone(opKinds[:]) }

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

// number is the place of a kind in OpKinds.
func (k OpKind) number() int { return slices.Index(opKinds[:], k) }

// ledger is what a disk remembers of the operations done on it.
type ledger struct {
	tracing  bool
	paths    map[string]*record
	faults   []armed
	injected []Injection
}

// record is what it remembers of those on one path.
type record struct {
	class    Class // of the first
	counts   [len(opKinds)]int
	sequence uint64 // digest of the kinds, in order
	trace    []Op
}

// armed is a fault and how far it has gone.
type armed struct {
	Fault
	begun bool // it has struck once
	left  int  // times it still strikes; negative: for ever
}

func newLedger(tracing bool) ledger {
	return ledger{tracing: tracing, paths: make(map[string]*record)}
}

// enter counts and traces an operation, and fills in its count.
func (l *ledger) enter(op *Op) {
	r := l.paths[op.Path]
	if r == nil {
		r = &record{class: op.Class}
		l.paths[op.Path] = r
	}
	kind := op.Kind.number()
	r.counts[kind]++
	r.sequence = mix(r.sequence, uint64(kind)+1)
	op.Count = r.counts[kind]
	if l.tracing {
		r.trace = append(r.trace, *op)
	}
}

// strike finds the fault that hits an operation, the first armed one that does and
// makes a difference, records it and returns the number of that record, or -1.
func (l *ledger) strike(t task) int {
	for i := range l.faults {
		f := &l.faults[i]
		if f.left == 0 || !f.Fault.hits(t.Op) || (!f.begun && t.Count < f.Nth) {
			continue
		}
		if !t.able(f.Kind) {
			continue
		}
		f.begun = true
		if f.left > 0 {
			f.left--
		}
		l.injected = append(l.injected, Injection{Fault: f.Fault, Op: t.Op})
		return len(l.injected) - 1
	}
	return -1
}

// traced lists the operations, sorted by path and then in order: the order
// between files is not the disk's to promise.
func (l *ledger) traced() []Op {
	var all []Op
	for _, p := range sortedKeys(l.paths) {
		all = append(all, l.paths[p].trace...)
	}
	return all
}
