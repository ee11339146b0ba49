package simdisk

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"
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
	CreateError  FaultKind = "create-error"
	RenameError  FaultKind = "rename-error"
	RemoveError  FaultKind = "remove-error"
	ReadError    FaultKind = "read-error"
	// BitFlip inverts one bit of what a read returns. The medium is not harmed.
	// A read that returns no bytes is passed over.
	BitFlip FaultKind = "bitflip"
	// PowerCut calls the disk's crash hook inside the operation Op. If the hook
	// takes the image with Disk.Crash, the operation then goes on harmlessly.
	PowerCut FaultKind = "crash"
)

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
//
// It first strikes at an operation whose per-file count is Nth or, if it was armed
// too late to see that one, later; and then at the operations it fits that follow,
// whichever file they are on, until it has struck Count times. So a burst goes on
// when a store abandons one file and tries again with a new one.
type Fault struct {
	Kind  FaultKind
	File  string // a Class or the last element of a path; empty fits all
	Op    OpKind // of a PowerCut, and only of that: the operation it happens in
	Nth   int    // from 1
	Count int    // at least 1, or Forever; always 1 for a PowerCut
	When  When   // of a PowerCut, and only of that
}

// target is the kind of operation that each kind of fault strikes; a PowerCut
// names its own.
func (k FaultKind) target() (OpKind, bool) {
	switch k {
	case SyncError, SyncErrorAfter, SyncLie:
		return OpSync, true
	case DirSyncError, DirSyncLie:
		return OpDirSync, true
	case WriteError, NoSpace:
		return OpWrite, true
	case CreateError:
		return OpCreate, true
	case RenameError:
		return OpRename, true
	case RemoveError:
		return OpRemove, true
	case ReadError, BitFlip:
		return OpRead, true
	}
	return "", false
}

// errno is the error of the faults that do nothing but fail the operation.
func (k FaultKind) errno() (syscall.Errno, bool) {
	switch k {
	case DirSyncError, WriteError, CreateError, RenameError, RemoveError, ReadError:
		return syscall.EIO, true
	case NoSpace:
		return syscall.ENOSPC, true
	}
	return 0, false
}

// hits tells whether the fault fits an operation, its count aside.
func (f Fault) hits(op Op) bool {
	target, ok := f.Kind.target()
	if f.Kind == PowerCut {
		target, ok = f.Op, true
	}
	if !ok || op.Kind != target || (f.Kind == BitFlip && op.Size == 0) {
		return false
	}
	if slices.Contains(Classes(), Class(f.File)) {
		return op.Class == Class(f.File)
	}
	return f.File == "" || strings.HasSuffix(op.Path, "/"+f.File)
}

// Validate reports the first thing wrong with the fault.
func (f Fault) Validate() error {
	_, plain := f.Kind.target()
	switch {
	case !plain && f.Kind != PowerCut:
		return fmt.Errorf("fault: unknown kind %q", f.Kind)
	case strings.ContainsFunc(f.File, unicode.IsSpace) || strings.Contains(f.File, "/"):
		return fmt.Errorf("fault: file=%q has white space or a slash", f.File)
	case f.Nth < 1:
		return fmt.Errorf("fault: nth=%d, counted from 1", f.Nth)
	case f.Count < 1 && f.Count != Forever:
		return fmt.Errorf("fault: count=%d", f.Count)
	case plain && (f.Op != "" || f.When != ""):
		return fmt.Errorf("fault: op and when are for crash, not for %s", f.Kind)
	case plain:
		return nil
	case !slices.Contains(OpKinds(), f.Op):
		return fmt.Errorf("fault: crash at unknown op=%q", f.Op)
	case f.When != Before && f.When != After:
		return fmt.Errorf("fault: when=%q, want before or after", f.When)
	case f.Count != 1:
		return fmt.Errorf("fault: count=%d, but a disk crashes once", f.Count)
	}
	return nil
}

// String prints the fault in the form that ParseFault reads. What has its default
// value is left out, except nth.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(string(f.Kind))
	if f.File != "" {
		b.WriteString(" file=" + f.File)
	}
	if f.Op != "" {
		b.WriteString(" op=" + string(f.Op))
	}
	b.WriteString(" nth=" + strconv.Itoa(f.Nth))
	switch f.Count {
	case 1:
	case Forever:
		b.WriteString(" count=forever")
	default:
		b.WriteString(" count=" + strconv.Itoa(f.Count))
	}
	if f.When != "" {
		b.WriteString(" when=" + string(f.When))
	}
	return b.String()
}

// ParseFault reads a fault as String prints it: a kind, then key=value in any
// order. By default file fits all, nth is 1, count is 1 and when is before.
// The fault it returns is valid.
func ParseFault(s string) (Fault, error) {
	words := strings.Fields(s)
	if len(words) == 0 {
		return Fault{}, fmt.Errorf("fault: empty")
	}
	f := Fault{Kind: FaultKind(words[0]), Nth: 1, Count: 1}
	if f.Kind == PowerCut {
		f.When = Before
	}
	seen := make(map[string]bool)
	for _, word := range words[1:] {
		key, value, ok := strings.Cut(word, "=")
		if !ok || value == "" || seen[key] {
			return Fault{}, fmt.Errorf("fault %q: bad or repeated %q", s, word)
		}
		seen[key] = true
		if err := f.set(key, value); err != nil {
			return Fault{}, fmt.Errorf("fault %q: %w", s, err)
		}
	}
	if err := f.Validate(); err != nil {
		return Fault{}, err
	}
	return f, nil
}

func (f *Fault) set(key, value string) (err error) {
	switch key {
	case "file":
		f.File = value
	case "op":
		f.Op = OpKind(value)
	case "nth":
		f.Nth, err = strconv.Atoi(value)
	case "count":
		if value == "forever" {
			f.Count = Forever
		} else if f.Count, err = strconv.Atoi(value); f.Count < 1 {
			err = fmt.Errorf("count=%s", value)
		}
	case "when":
		f.When = When(value)
	default:
		err = fmt.Errorf("unknown key %q", key)
	}
	return err
}
