package simdisk_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/sim/simdisk"
)

const unspecified = vfs.WriteCategoryUnspecified

// TestSameSeedSameImage runs one program twice, the second time with the work on
// another file mixed in differently, and expects the same of each file.
func TestSameSeedSameImage(t *testing.T) {
	run := func(seed uint64, mode simdisk.CrashMode, otherFirst bool) *simdisk.Disk {
		d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 7})
		work := func(name string) {
			f, err := d.OpenReadWrite(name, unspecified)
			must(t, err)
			for i := range 5 {
				_, err := f.WriteAt(bytes.Repeat([]byte{byte('a' + i)}, 900), int64(i*700))
				must(t, err)
				if i == 1 {
					must(t, f.Sync())
				}
			}
		}
		must(t, put(d, "000001.log", ""))
		must(t, put(d, "000002.sst", ""))
		must(t, syncDir(d, "/"))
		if otherFirst {
			work("000002.sst")
			work("000001.log")
		} else {
			work("000001.log")
			work("000002.sst")
		}
		return d.Crash(simdisk.CrashOptions{Mode: mode, Seed: seed})
	}
	different := map[string]bool{}
	alike := 0
	for _, mode := range simdisk.CrashModes() {
		for seed := range uint64(30) {
			one, two, three := run(seed, mode, false), run(seed, mode, false), run(seed, mode, true)
			if a, b, c := contents(one), contents(two), contents(three); a != b || a != c {
				t.Fatalf("mode %s, seed %d: the images differ", mode, seed)
			}
			if a, b := one.Aftermath(), two.Aftermath(); !reflect.DeepEqual(a, b) {
				t.Fatalf("mode %s, seed %d: %+v, then %+v", mode, seed, a, b)
			}
			different[contents(one)] = true
			if f := one.Aftermath().Files; mode == simdisk.Garbage && f[0].Size == f[1].Size && f[0].Lost == f[1].Lost {
				alike++
			}
		}
	}
	if len(different) < 50 {
		t.Errorf("only %d different images", len(different))
	}
	if alike > 15 {
		t.Errorf("two files survived alike under %d of 30 seeds", alike)
	}
}

func TestDeadDiskStillWorksForItself(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{Capacity: 2048, Trace: true})
	must(t, put(d, "f", "synced"))
	must(t, syncDir(d, "/"))
	f, err := d.OpenReadWrite("f", unspecified)
	must(t, err)
	lock, err := d.Lock("LOCK")
	must(t, err)
	must(t, d.Arm(parse(t, "sync-error nth=2 count=forever")))
	after := d.Crash(simdisk.CrashOptions{Mode: simdisk.KeepAll})
	traced := len(d.Trace())
	d.OnOp(func(op simdisk.Op) { t.Errorf("hook called for %s", op) })

	_, err = f.Write(bytes.Repeat([]byte("x"), 5000)) // past the capacity, too
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
	must(t, put(d, "g", "new"))
	if b, err := d.ReadFile("g"); string(b) != "new" {
		t.Errorf("read back %q, %v", b, err)
	}
	must(t, d.Remove("f"))
	must(t, syncDir(d, "/"))
	must(t, lock.Close())
	if got := contents(after); got != "LOCK= f=synced" {
		t.Errorf("the image has %q", got)
	}
	if len(d.Injected()) != 0 || len(d.Trace()) != traced {
		t.Errorf("recorded after death: %v, %v", d.Injected(), d.Trace()[traced:])
	}
	if _, err := after.Lock("LOCK"); err != nil {
		t.Errorf("a lock outlived the crash: %v", err)
	}
}

func TestCapacity(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{Capacity: 4100}) // eight sectors and a bit
	usage := func() (used, avail uint64) {
		u, err := d.GetDiskUsage("/")
		must(t, err)
		if u.TotalBytes != 4100 {
			t.Errorf("total is %d", u.TotalBytes)
		}
		return u.UsedBytes, u.AvailBytes
	}
	f, err := d.Create("f", unspecified)
	must(t, err)
	if _, err := f.Write(make([]byte, 1000)); err != nil {
		t.Error(err)
	}
	if used, avail := usage(); used != 1024 || avail != 3076 {
		t.Errorf("used %d, available %d", used, avail)
	}
	must(t, f.Preallocate(0, 2048))
	if err := f.Preallocate(0, 4097); !vfs.IsNoSpaceError(err) {
		t.Errorf("got %v", err)
	}
	if used, _ := usage(); used != 2048 {
		t.Errorf("used %d after preallocating", used)
	}
	n, err := f.Write(make([]byte, 4000)) // a part of it fits
	if n != 3096 || !vfs.IsNoSpaceError(err) {
		t.Errorf("wrote %d, %v", n, err)
	}
	if _, err := f.WriteAt([]byte("over"), 0); err != nil { // needs no space
		t.Error(err)
	}
	must(t, d.Remove("f"))
	if used, _ := usage(); used != 4096 {
		t.Errorf("used %d with the removed file still open", used)
	}
	must(t, f.Close())
	if used, avail := usage(); used != 0 || avail != 4100 {
		t.Errorf("used %d, available %d at the end", used, avail)
	}

	must(t, put(d, "g", strings.Repeat("x", 3000)))
	must(t, d.Rename("g", "i"))
	must(t, d.Link("i", "h"))
	if used, _ := usage(); used != 3072 {
		t.Errorf("used %d after renaming", used)
	}
	after := d.Crash(simdisk.CrashOptions{Mode: simdisk.KeepAll})
	if u, _ := after.GetDiskUsage("/"); u.UsedBytes != 3072 {
		t.Errorf("the image uses %d", u.UsedBytes)
	}
	after.SetCapacity(1024)
	if err := put(after, "j", "x"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	after.SetCapacity(0)
	must(t, put(after, "j", strings.Repeat("x", 1<<20)))
}

func TestGateHoldsAnOperation(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	must(t, put(d, "000001.log", "old "))
	must(t, syncDir(d, "/"))
	arrived, proceed := make(chan simdisk.Op), make(chan struct{})
	d.OnOp(func(op simdisk.Op) {
		if op.Class == simdisk.ClassWAL && op.Kind == simdisk.OpSync {
			arrived <- op
			<-proceed
		}
	})
	done := make(chan error)
	go func() { done <- put(d, "000001.log", "new") }()
	op := <-arrived
	if op.Path != "/000001.log" || op.Count != 2 {
		t.Errorf("held %+v", op)
	}
	if b, _ := d.ReadFile("000001.log"); string(b) != "new" { // a read in the window sees it
		t.Errorf("read %q", b)
	}
	before := d.Clone().Crash(simdisk.CrashOptions{Mode: simdisk.DropAll})
	close(proceed)
	must(t, <-done)
	must(t, syncDir(d, "/"))
	if a, b := contents(before), contents(d.Crash(simdisk.CrashOptions{})); a != "000001.log=old " || b != "000001.log=new" {
		t.Errorf("left %q before the sync, %q after", a, b)
	}
}

func TestTraceIsSortedByPath(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{Trace: true})
	must(t, put(d, "b", "12"))
	must(t, put(d, "a", "345"))
	must(t, d.Rename("b", "c"))
	_, err := d.Open("nowhere")
	if err == nil {
		t.Error("opened nowhere")
	}
	var got []string
	for _, op := range d.Trace() {
		got = append(got, op.String())
	}
	want := []string{
		"create /a #1", "write /a #1 [0+3]", "sync /a #1",
		"create /b #1", "write /b #1 [0+2]", "sync /b #1",
		"rename /c #1 from /b", "open /nowhere #1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestCorruptionAtRest(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	must(t, put(d, "a", "abcdef"))
	must(t, put(d, "b", "b"))
	must(t, put(d, "c", "c"))
	must(t, d.FlipBit("a", 1, 0))
	must(t, d.Truncate("a", 4))
	must(t, d.RemoveFile("b")) // though its name is only pending
	for _, err := range []error{
		d.FlipBit("a", 4, 0), d.FlipBit("a", 0, 8), d.FlipBit("x", 0, 0), d.Truncate("a", 5),
		d.Truncate("a", -1), d.RemoveFile("b"), d.RemoveFile("/"),
	} {
		if err == nil {
			t.Error("accepted damage where there is nothing")
		}
	}
	clone := d.Clone()
	must(t, d.FlipBit("c", 0, 1))
	if got := contents(d.Crash(simdisk.CrashOptions{Mode: simdisk.KeepAll})); got != "a=accd c=a" {
		t.Errorf("left %q", got)
	}
	if got := contents(clone); got != "a=accd c=c" {
		t.Errorf("the clone has %q", got)
	}
	if got := contents(clone.Crash(simdisk.CrashOptions{})); got != "" {
		t.Errorf("the clone forgot what was pending and leaves %q", got)
	}
}

// TestRemovedFileNeverComesBack: no state that a crash may leave has it.
func TestRemovedFileNeverComesBack(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	must(t, put(d, "durable", ""))
	must(t, syncDir(d, "/"))
	must(t, put(d, "pending", ""))
	must(t, put(d, "other", ""))
	must(t, d.RemoveFile("durable"))
	must(t, d.RemoveFile("pending"))
	for seed := range uint64(100) {
		got := contents(d.Clone().Crash(simdisk.CrashOptions{Mode: simdisk.Torn, Seed: seed}))
		if got != "" && got != "other=" {
			t.Fatalf("left %q", got)
		}
	}
}

func TestErrorsAreWhatPebbleLooksFor(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	must(t, put(d, "f", "x"))
	must(t, d.MkdirAll("d/e", 0o755))
	_, openErr := d.Open("nowhere/f")
	_, statErr := d.Stat("nowhere")
	_, listErr := d.List("nowhere")
	for _, err := range []error{openErr, statErr, listErr, d.Remove("nowhere"), d.Rename("nowhere", "x")} {
		if !oserror.IsNotExist(err) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	}
	if err := d.Link("f", "d"); !oserror.IsExist(err) || !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if err := d.Remove("d"); !errors.Is(err, syscall.ENOTEMPTY) {
		t.Errorf("got %v", err)
	}
	lock, err := d.Lock("LOCK")
	must(t, err)
	if _, err := d.Lock("LOCK"); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("got %v", err)
	}
	must(t, lock.Close())
	if _, err := d.Lock("LOCK"); err != nil {
		t.Error(err)
	}
	f, err := d.Open("f")
	must(t, err)
	if _, err := f.Write([]byte("x")); !errors.Is(err, syscall.EBADF) {
		t.Errorf("got %v", err)
	}
	must(t, f.Close())
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) || errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestClockIsTheOneGiven(t *testing.T) {
	now := time.Unix(1000, 0)
	d := simdisk.NewDisk(simdisk.DiskOptions{Clock: func() time.Time { return now }})
	must(t, put(d, "f", "x"))
	now = time.Unix(2000, 0)
	info, err := d.Stat("f")
	must(t, err)
	if !info.ModTime().Equal(time.Unix(1000, 0)) || info.Size() != 1 || info.Name() != "f" {
		t.Errorf("got %v, %d, %s", info.ModTime(), info.Size(), info.Name())
	}
}
