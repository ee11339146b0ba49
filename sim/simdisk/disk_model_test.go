package simdisk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"statehouse.dev/statehouse/sim/simdisk"
)

// TestSyncedContentSurvives writes and syncs a few files at random through several
// crashes. Whatever the mode and the seed: bytes that were synced and not written
// since are there, no file is shorter than its synced size, and outside the ranges
// written since the sync everything is as it was.
func TestSyncedContentSurvives(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := simdisk.NewDisk(simdisk.DiskOptions{Seed: rapid.Uint64().Draw(rt, "seed")})
		for range rapid.IntRange(1, 3).Draw(rt, "lives") {
			files := map[string]*oracle{}
			for _, name := range []string{"000001.log", "MANIFEST-000001", "witness"} {
				content, err := d.ReadFile(name)
				if errors.Is(err, fs.ErrNotExist) {
					must(rt, put(d, name, ""))
				}
				files[name] = &oracle{
					live: bytes.Clone(content), synced: bytes.Clone(content),
					dirty: make([]bool, len(content)), failed: make([]bool, len(content)),
				}
			}
			must(rt, syncDir(d, "/"))
			for range rapid.IntRange(0, 30).Draw(rt, "steps") {
				randomStep(rt, d, files)
			}
			opts := simdisk.CrashOptions{
				Mode: rapid.SampledFrom(simdisk.CrashModes()).Draw(rt, "mode"),
				Seed: rapid.Uint64().Draw(rt, "crash seed"),
			}
			d = d.Crash(opts)
			for name, o := range files {
				content, err := d.ReadFile(name)
				must(rt, err)
				checkSurvivors(rt, fmt.Sprintf("%s %+v", name, opts), content, o)
				if opts.Mode == simdisk.DropAll && !bytes.Equal(content, o.synced) ||
					opts.Mode == simdisk.KeepAll && !bytes.Equal(content, o.live) {
					rt.Fatalf("%s %+v: not exactly the synced or the newest content", name, opts)
				}
			}
		}
	})
}

func randomStep(rt *rapid.T, d *simdisk.Disk, files map[string]*oracle) {
	name := rapid.SampledFrom([]string{"000001.log", "MANIFEST-000001", "witness"}).Draw(rt, "file")
	o := files[name]
	f, err := d.OpenReadWrite(name, unspecified)
	must(rt, err)
	s := step{do: rapid.SampledFrom([]string{"write", "append", "write", "append", "sync", "fail"}).Draw(rt, "do")}
	switch s.do {
	case "sync":
		must(rt, f.Sync())
	case "fail":
		must(rt, d.Arm(parse(rt, "sync-error")))
		if f.Sync() == nil {
			rt.Fatalf("the sync did not fail")
		}
	default:
		s.off = len(o.live)
		if s.do == "write" {
			s.off = rapid.IntRange(0, len(o.live)+600).Draw(rt, "offset")
		}
		s.do = "write"
		s.len = rapid.IntRange(1, 1500).Draw(rt, "length")
		s.fill = rapid.Byte().Draw(rt, "fill")
		_, err := f.WriteAt(bytes.Repeat([]byte{s.fill}, s.len), int64(s.off))
		must(rt, err)
	}
	o.run(s)
	content, err := d.ReadFile(name)
	must(rt, err)
	if !bytes.Equal(content, o.live) {
		rt.Fatalf("%s reads otherwise than it was written", name)
	}
	must(rt, f.Close())
}

func checkSurvivors(rt *rapid.T, what string, content []byte, o *oracle) {
	if len(content) < len(o.synced) || len(content) > len(o.live) {
		rt.Fatalf("%s: size %d; synced %d, live %d", what, len(content), len(o.synced), len(o.live))
	}
	for i, b := range content {
		var want byte // in a hole
		if i < len(o.synced) {
			want = o.synced[i]
		}
		if !o.unsynced(i) && b != want {
			rt.Fatalf("%s: byte %d of %d is %d, want %d", what, i, len(content), b, want)
		}
	}
}

// TestBehavesLikeTheOperatingSystem does the same random things on a simulated
// disk and on a real directory, and expects the same answers.
func TestBehavesLikeTheOperatingSystem(t *testing.T) {
	root := t.TempDir()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		real, simulated := vfs.Default, simdisk.NewDisk(simdisk.DiskOptions{})
		base := fmt.Sprintf("%s/%d", root, run)
		must(rt, real.MkdirAll(base, 0o755))
		must(rt, simulated.MkdirAll(base, 0o755))
		path := rapid.SampledFrom([]string{"a", "b", "d", "d/a", "d/e", "d/e/b"})
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			op := rapid.IntRange(0, 9).Draw(rt, "op")
			x, y := base+"/"+path.Draw(rt, "x"), base+"/"+path.Draw(rt, "y")
			got, want := act(simulated, op, x, y), act(real, op, x, y)
			if got != want {
				rt.Fatalf("op %d on %s, %s: simulated %q, real %q", op, x, y, got, want)
			}
		}
		must(rt, os.RemoveAll(base))
	})
}

// act does one thing and tells all that came of it.
func act(fs vfs.FS, op int, x, y string) string {
	switch op {
	case 0, 1:
		if info, err := fs.Stat(x); err == nil && info.IsDir() {
			return "skipped" // the real Create removes an empty directory, ours refuses
		}
		return verdict(put(fs, x, x+y))
	case 2:
		return verdict(fs.Remove(x))
	case 3:
		return verdict(fs.Rename(x, y))
	case 4:
		return verdict(fs.Link(x, y))
	case 5:
		return verdict(fs.MkdirAll(x, 0o755))
	case 6:
		return verdict(fs.RemoveAll(x))
	case 7:
		names, err := fs.List(x)
		set := map[string]bool{}
		for _, n := range names {
			set[n] = true
		}
		return fmt.Sprint(set, verdict(err))
	case 8:
		f, err := fs.OpenReadWrite(x, unspecified)
		if err != nil {
			return verdict(err)
		}
		defer f.Close()
		_, err = f.WriteAt([]byte("patch"), 3)
		return verdict(err)
	default:
		f, err := fs.Open(x)
		if err != nil {
			return verdict(err)
		}
		defer f.Close()
		content, err := io.ReadAll(f)
		return string(content) + verdict(err)
	}
}

// verdict names the error, without its wrapping.
func verdict(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		return errno.Error()
	}
	return err.Error()
}
