package simdisk_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"statehouse.dev/statehouse/sim/simdisk"
)

// TestDigestSeesEverything: each of these disks differs from the others in one thing
// only, and has a digest of its own.
func TestDigestSeesEverything(t *testing.T) {
	variants := map[string]func(d *simdisk.Disk) error{
		"nothing": func(d *simdisk.Disk) error { return nil },
		"a byte":  func(d *simdisk.Disk) error { return d.FlipBit("a", 99_999, 7) },
		"a byte of the manifest": func(d *simdisk.Disk) error {
			return d.FlipBit("MANIFEST-000001", 0, 0)
		},
		"a size": func(d *simdisk.Disk) error { return d.Truncate("a", 99_999) },
		"a size, of zeros": func(d *simdisk.Disk) error {
			return d.Truncate("zeros", 99_999)
		},
		"a name":             func(d *simdisk.Disk) error { return errors.Join(d.Rename("a", "b"), syncDir(d, "/")) },
		"a name not durable": func(d *simdisk.Disk) error { return d.Rename("a", "b") },
		"an empty file":      func(d *simdisk.Disk) error { return put(d, "empty", "") },
		"an empty directory": func(d *simdisk.Disk) error { return d.MkdirAll("empty", 0o755) },
		"a byte not synced":  func(d *simdisk.Disk) error { return patchFile(d, "a", "b", 50_000, false) },
		"a byte synced":      func(d *simdisk.Disk) error { return patchFile(d, "a", "b", 50_000, true) },
		"growth not synced":  func(d *simdisk.Disk) error { return patchFile(d, "a", "b", 100_000, false) },
		"growth synced":      func(d *simdisk.Disk) error { return patchFile(d, "a", "b", 100_000, true) },
	}
	seen := map[uint64]string{}
	for what, f := range variants {
		digest := func() uint64 {
			d := simdisk.NewDisk(simdisk.DiskOptions{})
			must(t, put(d, "a", strings.Repeat("a", 100_000)))
			must(t, put(d, "zeros", string(make([]byte, 100_000))))
			must(t, put(d, "MANIFEST-000001", "m"))
			must(t, syncDir(d, "/"))
			d.Digest() // so that what is remembered must be forgotten
			must(t, f(d))
			if one, clone := d.Digest(), d.Clone().Digest(); one != clone {
				t.Errorf("%s: %x, its clone %x", what, one, clone)
			}
			if what == "nothing" || what == "a byte of the manifest" {
				if other := d.Digest(simdisk.ClassManifest); seen[other] != "" && seen[other] != "no manifest" {
					t.Errorf("%s: left out, the manifest still counts", what)
				} else {
					seen[other] = "no manifest"
				}
			}
			return d.Digest()
		}
		one, again := digest(), digest()
		if one != again {
			t.Errorf("%s: %x, then %x", what, one, again)
		}
		if other, ok := seen[one]; ok {
			t.Errorf("the same digest with %s and with %s", what, other)
		}
		seen[one] = what
	}
	if len(seen) != len(variants)+1 {
		t.Errorf("%d digests", len(seen))
	}
}

func patchFile(d *simdisk.Disk, name, with string, off int64, sync bool) error {
	f, err := d.OpenReadWrite(name, unspecified)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte(with), off); err != nil {
		return err
	}
	if sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// TestDigestIsOfContents, not of how they came about.
func TestDigestIsOfContents(t *testing.T) {
	one := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
	must(t, put(one, "a", strings.Repeat("x", 70_000)))
	must(t, put(one, "b", "\x00\x00\x00"))
	must(t, syncDir(one, "/"))
	two := simdisk.NewDisk(simdisk.DiskOptions{Seed: 2})
	must(t, put(two, "b", ""))
	must(t, put(two, "a", "y"))
	for i := 69_993; i >= 0; i -= 7 { // backwards, through holes
		must(t, patchFile(two, "a", "xxxxxxx", int64(i), i == 0))
	}
	must(t, patchFile(two, "b", "z\x00\x00", 0, false))
	must(t, patchFile(two, "b", "\x00", 0, true))
	must(t, syncDir(two, "/"))
	two = two.Crash(simdisk.CrashOptions{})
	if a, b := contents(one), contents(two); a != b || one.Digest() != two.Digest() {
		t.Errorf("contents alike: %v, digests %x and %x", a == b, one.Digest(), two.Digest())
	}
}

func TestOpDigest(t *testing.T) {
	run := func(program string) *simdisk.Disk {
		d := simdisk.NewDisk(simdisk.DiskOptions{})
		for _, line := range strings.Split(program, "; ") {
			var do, name string
			if _, err := fmt.Sscan(line, &do, &name); err != nil {
				t.Fatal(err)
			}
			switch do {
			case "put":
				must(t, put(d, name, "x"))
			case "rm":
				must(t, d.Remove(name))
			case "open":
				_, _ = d.Open(name)
			}
		}
		return d
	}
	base := "put a; put b; open a; rm a"
	for program, same := range map[string]bool{
		base:                                 true,
		"put a; open a; rm a; put b":         true, // another order between files
		"put b; put a; open a; rm a":         true,
		"put a; put b; rm a; open a":         false, // another order on one
		"put a; put b; open a; open a; rm a": false,
		"put a; put b; open b; rm a":         false,
		"put a; put c; open a; rm a":         false,
		"put a; put b; open a; rm a; open x": false, // failed, but done
	} {
		if got := run(program).OpDigest() == run(base).OpDigest(); got != same {
			t.Errorf("%s: same is %v", program, got)
		}
	}
	with, without := run(base+"; put MANIFEST-000001").OpDigest(simdisk.ClassManifest), run(base).OpDigest()
	if with != without {
		t.Error("left out, the manifest still counts")
	}
	d := run(base)
	if next := d.Kill(); next.OpDigest() != simdisk.NewDisk(simdisk.DiskOptions{}).OpDigest() {
		t.Error("counts outlive the process")
	}
	before := d.OpDigest()
	must(t, put(d, "z", ""))
	if d.OpDigest() != before {
		t.Error("the dead are counted")
	}
}

// TestImagesAreIndependent: they share bytes, but none sees what another writes.
func TestImagesAreIndependent(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	must(t, put(d, "a", strings.Repeat("a", 40_000)))
	must(t, syncDir(d, "/"))
	images := []*simdisk.Disk{d}
	for i := range 4 {
		last := images[len(images)-1]
		switch i % 2 {
		case 0:
			images = append(images, last.Clone(), last.Kill())
		case 1:
			images = append(images, last.Clone(), last.Crash(simdisk.CrashOptions{Mode: simdisk.KeepAll}))
		}
	}
	for round := range 3 {
		for i, d := range images {
			must(t, patchFile(d, "a", string(rune('A'+i)), int64(round*30_000), round == 1)) // in place
			must(t, patchFile(d, "a", string(rune('A'+i)), int64(40_000+round), round == 1)) // at the end
			if round == 1 && i%2 == 0 {
				must(t, d.FlipBit("a", 7, 0))
			}
		}
	}
	for i, d := range images {
		want := bytes.Repeat([]byte("a"), 40_000)
		for round := range 3 {
			at := round * 30_000
			for len(want) <= at {
				want = append(want, 0)
			}
			want[at] = byte('A' + i)
			for len(want) <= 40_000+round {
				want = append(want, 0)
			}
			want[40_000+round] = byte('A' + i)
		}
		if i%2 == 0 {
			want[7] ^= 1
		}
		if got, _ := d.ReadFile("a"); !bytes.Equal(got, want) {
			t.Errorf("image %d is not what was written to it", i)
		}
	}
}

// TestHolesCostNothing: a terabyte that nobody wrote, or that is only preallocated.
func TestHolesCostNothing(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	f, err := d.Create("a", unspecified)
	must(t, err)
	must(t, f.Preallocate(0, 1<<40))
	must(t, syncDir(d, "/"))
	must(t, patchFile(d, "a", "x", 1<<30, true))
	must(t, patchFile(d, "a", "y", 1<<30+5, false))
	if allocated := testing.AllocsPerRun(5, func() { d.Clone().Digest() }); allocated > 200 {
		t.Errorf("%v allocations", allocated)
	}
	next := d.Crash(simdisk.CrashOptions{Mode: simdisk.Torn, Seed: 1})
	f, err = next.Open("a")
	must(t, err)
	b := make([]byte, 3)
	_, err = f.ReadAt(b, 1<<30-2)
	must(t, err)
	if string(b) != "\x00\x00x" {
		t.Errorf("read %q", b)
	}
}

// TestFlipInAHoleStays, also where the hole was not durable yet when a bit was flipped.
func TestFlipInAHoleStays(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	must(t, put(d, "a", ""))
	must(t, syncDir(d, "/"))
	must(t, patchFile(d, "a", "xx", 1, false))
	must(t, d.FlipBit("a", 0, 0))
	must(t, patchFile(d, "a", "y", 2, true))
	if got := contents(d.Crash(simdisk.CrashOptions{})); got != "a=\x01xy" {
		t.Errorf("left %q", got)
	}
}
