package simdisk

import (
	"slices"
	"strings"
	"syscall"
)

// FaultKind says what a fault does to the operation it strikes.
type FaultKind string

// The kinds of faults. Errors are EIO unless said otherwise, and an operation
// that returns an error has no effect unless said otherwise.
const (
	// SyncError fails a sync. What was dirty stays readable, and no later sync
	// makes it durable unless it is written again: the cache of Linux behaves so.
	SyncError FaultKind = "sync-error"
	// SyncErrorAfter makes everything durable and then reports an error.
	SyncErrorAfter FaultKind = "sync-error-after"
	// SyncLie reports success and makes nothing durable; a later honest sync does.
	SyncLie      FaultKind = "sync-lie"
	DirSyncError FaultKind = "dirsync-error" // a later sync of the directory can succeed
	DirSyncLie   FaultKind = "dirsync-lie"
	WriteError   FaultKind = "write-error"
	NoSpace      FaultKind = "enospc" // a write fails with ENOSPC
	// ShortWrite writes some of the sectors, from the first, and then fails.
	// A write that is given no bytes is passed over.
	ShortWrite FaultKind = "short-write"
	// ShortNoSpace is a ShortWrite with ENOSPC.
	ShortNoSpace FaultKind = "short-enospc"
	// MisdirectedWrite puts the bytes at another offset of the same file and reports
	// success. Where they should have gone the file is as it was; if it should have
	// grown it has, by zeros. Passed over if nowhere else in the file is room.
	MisdirectedWrite FaultKind = "misdirected-write"
	CreateError      FaultKind = "create-error"
	OpenError        FaultKind = "open-error" // of a file or directory that is there or not
	RenameError      FaultKind = "rename-error"
	LinkError        FaultKind = "link-error"
	RemoveError      FaultKind = "remove-error"
	MkdirError       FaultKind = "mkdir-error"
	LockError        FaultKind = "lock-error"
	ReadError        FaultKind = "read-error"
	// Misread returns the bytes of another offset of the same file, as many. The
	// medium is not changed. Passed over if they would be the same bytes, or the file
	// has no others.
	Misread FaultKind = "misread"
	// BitFlip inverts one bit of what a read returns. The medium is not changed.
	// A read that returns no bytes is passed over.
	BitFlip FaultKind = "bitflip"
	// PowerCut calls the disk's crash hook inside the operation Op. If the hook
	// takes the image with Disk.Crash, the operation then goes on harmlessly.
	PowerCut FaultKind = "crash"
	// Stall calls the disk's stall hook at the start of the operation Op, which takes
	// long. It changes nothing.
	Stall FaultKind = "stall"
)

// FaultKinds lists every kind, in a fixed order.
func FaultKinds() []FaultKind {
	return []FaultKind{
		SyncError, SyncErrorAfter, SyncLie, DirSyncError, DirSyncLie,
		WriteError, NoSpace, ShortWrite, ShortNoSpace, MisdirectedWrite,
		CreateError, OpenError, RenameError, LinkError, RemoveError, MkdirError, LockError,
		ReadError, Misread, BitFlip, PowerCut, Stall,
	}
}

// Forever as a Count makes a fault permanent.
const Forever = -1

// When places a PowerCut relative to the effect of its operation.
type When string

// The two places.
const (
	Before When = "before"
	After  When = "after"
)

// Fault is one thing that goes wrong, as a value that can be printed and parsed:
//
//	sync-error file=wal nth=3
//	write-error file=sstable nth=2 count=3
//	enospc file=wal nth=5 count=forever
//	crash file=wal op=sync nth=3 when=before
//	stall file=sstable op=write nth=1 count=20
//
// It first strikes at an operation whose per-file count is Nth or, if it was armed
// too late to see that one, later; and then at the operations it fits that follow,
// whichever file they are on, until it has struck Count times. So a burst goes on
// when a store abandons one file and tries again with a new one.
type Fault struct {
	Kind  FaultKind
	File  string // a Class or the last element of a path; empty fits all
	Op    OpKind // of a PowerCut or Stall, and only of those: the operation it happens in
	Nth   int    // from 1
	Count int    // at least 1, or Forever; always 1 for a PowerCut
	When  When   // of a PowerCut, and only of that
}

// target is the kind of operation that each kind of fault strikes; a PowerCut and
// a Stall name their own.
func (k FaultKind) target() (OpKind, bool) {
	switch k {
	case SyncError, SyncErrorAfter, SyncLie:
		return OpSync, true
	case DirSyncError, DirSyncLie:
		return OpDirSync, true
	case WriteError, NoSpace, ShortWrite, ShortNoSpace, MisdirectedWrite:
		return OpWrite, true
	case CreateError:
		return OpCreate, true
	case OpenError:
		return OpOpen, true
	case RenameError:
		return OpRename, true
	case LinkError:
		return OpLink, true
	case RemoveError:
		return OpRemove, true
	case MkdirError:
		return OpMkdir, true
	case LockError:
		return OpLock, true
	case ReadError, Misread, BitFlip:
		return OpRead, true
	}
	return "", false
}

// errno is the error of the faults that do nothing but fail the operation.
func (k FaultKind) errno() (syscall.Errno, bool) {
	switch k {
	case DirSyncError, WriteError, CreateError, OpenError, RenameError, LinkError,
		RemoveError, MkdirError, LockError, ReadError:
		return syscall.EIO, true
	case NoSpace:
		return syscall.ENOSPC, true
	}
	return 0, false
}

// Target is the operation that a valid fault strikes.
func (f Fault) Target() OpKind {
	if f.Kind.namesOp() {
		return f.Op
	}
	op, _ := f.Kind.target()
	return op
}

// namesOp tells whether a fault of this kind says itself which operation it strikes.
func (k FaultKind) namesOp() bool { return k == PowerCut || k == Stall }

// hits tells whether the fault fits an operation, its count aside.
func (f Fault) hits(op Op) bool {
	if op.Kind != f.Target() {
		return false
	}
	switch f.Kind {
	case BitFlip, Misread, ShortWrite, ShortNoSpace, MisdirectedWrite:
		if op.Size == 0 {
			return false
		}
	}
	if slices.Contains(Classes(), Class(f.File)) {
		return op.Class == Class(f.File)
	}
	return f.File == "" || strings.HasSuffix(op.Path, "/"+f.File)
}
