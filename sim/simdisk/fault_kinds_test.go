package simdisk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/sim/simdisk"
)

// everyOp does one operation of each kind, on a disk with the file /d/f and nothing
// else, and returns the first error of each.
func everyOp(d *simdisk.Disk) map[simdisk.OpKind]error {
	errs := map[simdisk.OpKind]error{}
	note := func(kind simdisk.OpKind, err error) {
		if errs[kind] == nil {
			errs[kind] = err
		}
	}
	use := func(kind simdisk.OpKind, f vfs.File, err error, do func(vfs.File) error) {
		if note(kind, err); err == nil {
			_ = do(f)
			_ = f.Close()
		}
	}
	f, err := d.OpenReadWrite("/d/f", unspecified)
	use(simdisk.OpOpen, f, err, func(f vfs.File) error {
		_, err := f.ReadAt(make([]byte, 2), 0)
		note(simdisk.OpRead, err)
		_, err = f.WriteAt([]byte("xy"), 0)
		note(simdisk.OpWrite, err)
		note(simdisk.OpSync, f.Sync())
		return nil
	})
	f, err = d.Create("/d/new", unspecified)
	use(simdisk.OpCreate, f, err, func(vfs.File) error { return nil })
	f, err = d.OpenDir("/d")
	use(simdisk.OpOpen, f, err, func(f vfs.File) error {
		note(simdisk.OpDirSync, f.Sync())
		return nil
	})
	note(simdisk.OpLink, d.Link("/d/f", "/d/link"))
	note(simdisk.OpRename, d.Rename("/d/f", "/d/moved"))
	note(simdisk.OpRemove, d.Remove("/d/moved"))
	note(simdisk.OpMkdir, d.MkdirAll("/e", 0o755))
	lock, err := d.Lock("/d/LOCK")
	note(simdisk.OpLock, err)
	if err == nil {
		_ = lock.Close()
	}
	return errs
}

func oneFile(t *testing.T, opts simdisk.DiskOptions) *simdisk.Disk {
	t.Helper()
	d := simdisk.NewDisk(opts)
	must(t, d.MkdirAll("/d", 0o755))
	must(t, put(d, "/d/f", "content"))
	must(t, errors.Join(syncDir(d, "/"), syncDir(d, "/d")))
	return d.Crash(simdisk.CrashOptions{}) // so that counts begin at zero
}

// TestEveryOperationCanFail: there is a fault for every kind of operation that makes
// it fail, once, with EIO, and leaves the others alone.
func TestEveryOperationCanFail(t *testing.T) {
	for _, kind := range simdisk.OpKinds() {
		d := oneFile(t, simdisk.DiskOptions{})
		must(t, d.Arm(parse(t, string(kind)+"-error")))
		errs := everyOp(d)
		for other, err := range errs {
			if want := other == kind; want != errors.Is(err, syscall.EIO) || !want && err != nil && kind != simdisk.OpRename {
				t.Errorf("%s-error: %s got %v", kind, other, err)
			}
		}
		if got := d.Injected(); len(got) != 1 || got[0].Op.Kind != kind {
			t.Errorf("%s-error: injected %v", kind, got)
		}
	}
}

// TestEveryOperationCanBeCutShort: power may fail, or the process be killed, before
// and after the effect of every kind of operation.
func TestEveryOperationCanBeCutShort(t *testing.T) {
	changes := map[simdisk.OpKind]bool{
		simdisk.OpCreate: true, simdisk.OpWrite: true, simdisk.OpRename: true, simdisk.OpLink: true,
		simdisk.OpRemove: true, simdisk.OpMkdir: true, simdisk.OpLock: true, // which makes the file
	}
	for _, kind := range simdisk.OpKinds() {
		digests := map[string]uint64{}
		for _, when := range []string{"before", "after"} {
			for _, how := range []string{"crash", "kill"} {
				d := oneFile(t, simdisk.DiskOptions{})
				var image *simdisk.Disk
				d.OnCrash(func() {
					if how == "kill" {
						image = d.Kill()
					} else {
						image = d.Crash(simdisk.CrashOptions{Mode: simdisk.KeepAll})
					}
				})
				must(t, d.Arm(parse(t, fmt.Sprintf("crash op=%s when=%s", kind, when))))
				for op, err := range everyOp(d) {
					if err != nil {
						t.Errorf("%s %s %s: %s got %v", how, when, kind, op, err)
					}
				}
				if image == nil || !d.Dead() {
					t.Fatalf("%s %s %s: did not happen", how, when, kind)
				}
				digests[how+when] = image.Digest()
				must(t, put(image, "/d/f", "content")) // what is left can be used
				must(t, syncDir(image, "/d"))
			}
		}
		if differ := digests["killbefore"] != digests["killafter"]; !differ && changes[kind] {
			t.Errorf("%s: the same before and after", kind)
		}
	}
}

func TestMisreadReturnsOtherBytesOfTheFile(t *testing.T) {
	text := "the quick brown fox jumps over the lazy dog"
	seen := map[string]bool{}
	for seed := range uint64(40) {
		d := simdisk.NewDisk(simdisk.DiskOptions{Seed: seed})
		must(t, put(d, "000001.sst", text))
		must(t, d.Arm(parse(t, "misread file=sstable nth=2")))
		f, err := d.Open("000001.sst")
		must(t, err)
		for i := range 3 {
			b := bytes.Repeat([]byte("?"), 5)
			_, err := f.ReadAt(b, 4)
			must(t, err)
			if hit := string(b) != "quick"; hit != (i == 1) {
				t.Errorf("seed %d: read %d returned %q", seed, i+1, b)
			}
			if !strings.Contains(text, string(b)) {
				t.Errorf("seed %d: %q is not of this file", seed, b)
			}
			seen[string(b)] = true
		}
		if got := d.Injected(); len(got) != 1 || got[0].Detail == "" {
			t.Errorf("recorded: %v", got)
		}
		if b, err := d.ReadFile("000001.sst"); string(b) != text {
			t.Errorf("the medium was harmed: %q, %v", b, err)
		}
	}
	if len(seen) < 15 {
		t.Errorf("40 seeds returned only %d different things", len(seen))
	}
}

// TestMisreadIsPassedOver where it would make no difference, and waits for a read
// where it does.
func TestMisreadIsPassedOver(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	must(t, put(d, "same", strings.Repeat("x", 2000)))
	must(t, put(d, "other", "abcdefgh"))
	must(t, d.Arm(parse(t, "misread")))
	for _, name := range []string{"same", "other"} {
		f, err := d.Open(name)
		must(t, err)
		b, err := io.ReadAll(f) // of the second: all there is, so there is nothing else
		must(t, err)
		if len(d.Injected()) != 0 || name == "same" && len(b) != 2000 {
			t.Errorf("%s: read %d, injected %v", name, len(b), d.Injected())
		}
		b = make([]byte, 100)
		n, err := f.ReadAt(b, 5)
		if name == "other" && (n != 3 || err != io.EOF || string(b[:3]) == "fgh" || len(d.Injected()) != 1) {
			t.Errorf("a short read returned %q, %v, injected %v", b[:n], err, d.Injected())
		}
		must(t, f.Close())
	}
}

func TestMisdirectedWriteLandsElsewhere(t *testing.T) {
	for seed := range uint64(20) {
		d := simdisk.NewDisk(simdisk.DiskOptions{Seed: seed})
		must(t, put(d, "a", strings.Repeat(".", 30)))
		must(t, d.Arm(parse(t, "misdirected-write")))
		f, err := d.OpenReadWrite("a", unspecified)
		must(t, err)
		_, err = f.WriteAt([]byte("xyz"), 29) // grows the file
		must(t, err)
		must(t, f.Sync())
		got, err := d.ReadFile("a")
		must(t, err)
		if s := string(got); len(s) != 32 || strings.Count(s, "xyz") != 1 || !strings.HasSuffix(s, "\x00\x00") ||
			strings.Trim(s, ".xyz\x00") != "" {
			t.Errorf("seed %d: %q", seed, s)
		}
		if in := d.Injected(); len(in) != 1 || !strings.HasPrefix(in[0].Detail, "went to ") {
			t.Errorf("recorded: %v", in)
		}
	}
}

func TestShortWriteEndsAtASector(t *testing.T) {
	for kind, errno := range map[string]syscall.Errno{"short-write": syscall.EIO, "short-enospc": syscall.ENOSPC} {
		sizes := map[int]bool{}
		for seed := range uint64(40) {
			d := simdisk.NewDisk(simdisk.DiskOptions{Seed: seed})
			must(t, put(d, "a", strings.Repeat("a", 100)))
			must(t, d.Arm(parse(t, kind+" file=a count=2")))
			f, err := d.OpenReadWrite("a", unspecified)
			must(t, err)
			n, err := f.WriteAt(bytes.Repeat([]byte("b"), 1500), 100)
			got, _ := d.ReadFile("a")
			want := strings.Repeat("a", 100) + strings.Repeat("b", n)
			if !errors.Is(err, errno) || n == 0 || (100+n)%512 != 0 || n >= 1500 || string(got) != want {
				t.Errorf("%s, seed %d: wrote %d, %v; the file has %d bytes", kind, seed, n, err, len(got))
			}
			sizes[n] = true
			if n, err := f.WriteAt([]byte("c"), 3); n != 0 || !errors.Is(err, errno) {
				t.Errorf("%s: of one sector %d bytes were written, %v", kind, n, err)
			}
		}
		if len(sizes) != 3 { // boundaries at 512, 1024 and 1536
			t.Errorf("%s: wrote %v", kind, sizes)
		}
	}
}

func TestStallTellsTheClock(t *testing.T) {
	d := oneFile(t, simdisk.DiskOptions{})
	var calls []string
	d.OnOp(func(op simdisk.Op) { calls = append(calls, "op "+string(op.Kind)) })
	d.OnInject(func(i simdisk.Injection) { calls = append(calls, "inject "+string(i.Fault.Kind)) })
	d.OnStall(func(op simdisk.Op) {
		b, _ := d.ReadFile(op.Path) // no lock is held, and nothing has happened yet
		calls = append(calls, fmt.Sprintf("stall %s %s", op.Kind, b))
	})
	must(t, d.Arm(parse(t, "stall op=write file=f"), parse(t, "stall op=sync count=2")))
	f, err := d.OpenReadWrite("/d/f", unspecified)
	must(t, err)
	_, err = f.Write([]byte("C"))
	must(t, err)
	must(t, f.Sync())
	d.OnStall(nil)
	must(t, f.Sync())
	want := "op open, op write, inject stall, stall write content, op sync, inject stall, stall sync Content, op sync, inject stall"
	if got := strings.Join(calls, ", "); got != want {
		t.Errorf("got %s", got)
	}
}

// TestOnInjectHearsOfEveryFault, as Injected lists it, with no lock held.
func TestOnInjectHearsOfEveryFault(t *testing.T) {
	for _, kind := range simdisk.FaultKinds() {
		d := oneFile(t, simdisk.DiskOptions{})
		fault := simdisk.Fault{Kind: kind, Nth: 1, Count: 1}
		if kind == simdisk.PowerCut || kind == simdisk.Stall {
			fault.Op = simdisk.OpRead
		}
		if kind == simdisk.PowerCut {
			fault.When = simdisk.Before
		}
		must(t, d.Arm(fault))
		var heard []simdisk.Injection
		d.OnInject(func(i simdisk.Injection) {
			if d.Dead() {
				t.Errorf("%s: heard of too late", kind)
			}
			heard = append(heard, i)
		})
		d.OnCrash(func() { d.Kill() })
		everyOp(d)
		if listed := d.Injected(); len(heard) != 1 || len(listed) != 1 || heard[0] != listed[0] || heard[0].Fault != fault {
			t.Errorf("%s: heard %v, listed %v", kind, heard, listed)
		}
	}
}
