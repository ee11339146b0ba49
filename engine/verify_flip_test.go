package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

// A specimen is a store that is right, to be damaged: what is in it, what verify
// says of it and what its clients are told.
type specimen struct {
	name   string
	disk   *simdisk.Disk
	script script
	report engine.Report
	want   dump
}

// finish notes how a specimen is before any damage.
func (sp *specimen) finish(t *testing.T) *specimen {
	t.Helper()
	var err error
	sp.report, err = verifyOn(sp.disk)
	ok(t, err)
	p := openOn(t, sp.disk.Clone(), &rigClock{})
	sp.want, err = readAll(p.Engine, sp.script.ids())
	ok(t, err)
	if diff := sp.want.differs(sp.script.model(len(sp.script.attempts)).dump(sp.script.ids())); diff != "" {
		t.Fatalf("%s is not right to begin with: %s", sp.name, diff)
	}
	ok(t, p.Close())
	return sp
}

// specimens are stores in all the states that a directory can be found in.
func specimens(t *testing.T) (all []*specimen) {
	t.Helper()
	build := func(name string, live func(p *process, s *script) error) {
		sp := &specimen{name: name, disk: simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})}
		p := openOn(t, sp.disk, &rigClock{})
		ok(t, live(p, &sp.script))
		sp.disk = sp.disk.Clone() // a store still open is killed here
		all = append(all, sp.finish(t))
	}
	build("closed", func(p *process, s *script) error {
		return steps(s.chats(p, 20), p.Flush, s.chats(p, 20), p.Close)
	})
	build("killed", func(p *process, s *script) error {
		return steps(s.chats(p, 10), p.Flush, s.chats(p, 30))
	})
	build("never flushed", func(p *process, s *script) error {
		return steps(s.chats(p, 30))
	})
	build("compacted", func(p *process, s *script) error {
		return steps(s.chats(p, 40), p.Compact, s.chats(p, 5), p.Close)
	})
	build("hundreds", func(p *process, s *script) error {
		return steps(s.chats(p, 100), p.Flush, s.chats(p, 100), p.Compact, s.chats(p, 50), p.Flush, s.chats(p, 50))
	})
	return append(all, copiedFromOS(t))
}

func (s *script) chats(p *process, n int) func() error {
	return func() error { return s.chatter(p, n) }
}

func steps(do ...func() error) error {
	for _, f := range do {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// copiedFromOS is a directory of a real file system, with its preallocated logs,
// copied while the store is open.
func copiedFromOS(t *testing.T) *specimen {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	p := newProcess(nil, &rigClock{}, func(err error) { t.Errorf("halted: %v", err) })
	p.env.FS = vfs.Default
	var err error
	p.Engine, err = engine.Open(p.env, engine.Options{Dir: dir, Tuning: rigTuning})
	ok(t, err)
	sp := &specimen{name: "copied from the OS", disk: simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})}
	ok(t, steps(sp.script.chats(p, 20), p.Flush, sp.script.chats(p, 20)))
	copyTree(t, vfs.Default, dir, sp.disk, rigDir)
	ok(t, p.Close())
	return sp.finish(t)
}

// copyTree copies a data directory from one file system to another.
func copyTree(t *testing.T, from vfs.FS, dir string, to vfs.FS, newDir string) {
	t.Helper()
	ok(t, to.MkdirAll(newDir, 0o700))
	names, err := from.List(dir)
	ok(t, err)
	for _, n := range names {
		at, newAt := from.PathJoin(dir, n), to.PathJoin(newDir, n)
		info, err := from.Stat(at)
		ok(t, err)
		if info.IsDir() {
			copyTree(t, from, at, to, newAt)
			continue
		}
		f, err := from.Open(at)
		ok(t, err)
		content := make([]byte, info.Size())
		if len(content) > 0 {
			_, err = f.ReadAt(content, 0)
			ok(t, err)
		}
		ok(t, f.Close())
		ok(t, writeFile(to, newAt, content))
	}
}

// A harm is something done to a file of a store.
type harm struct {
	what string
	do   func(d *simdisk.Disk) error
	undo func(d *simdisk.Disk) error // nil: only on a copy
}

// flip changes one byte.
func flip(path string, at int64, mask byte) harm {
	do := func(d *simdisk.Disk) error {
		for bit := range 8 {
			if mask>>bit&1 != 0 {
				if err := d.FlipBit(path, at, bit); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return harm{fmt.Sprintf("byte %d of %s changed by %#02x", at, path, mask), do, do}
}

// flips are bytes of every file: all of a small one and a sample of a large one in
// the full sweep, else few.
func (sp *specimen) flips(perFile int) (all []harm) {
	rng := rand.New(rand.NewPCG(uint64(len(sp.name)), 11))
	for _, f := range sp.disk.Files() {
		mask := func() byte {
			if rng.IntN(2) == 0 {
				return 1 << rng.IntN(8)
			}
			return byte(1 + rng.IntN(255))
		}
		if f.Size <= int64(perFile) {
			for at := range f.Size {
				all = append(all, flip(f.Path, at, mask()))
			}
			continue
		}
		for i := range perFile {
			at := rng.Int64N(f.Size)
			if i%4 == 0 { // the ends of files are where Pebble looks away
				at = f.Size - 1 - rng.Int64N(min(f.Size, 2048))
			}
			all = append(all, flip(f.Path, at, mask()))
		}
	}
	return all
}

// losses cut and remove each file.
func (sp *specimen) losses() (all []harm) {
	for _, f := range sp.disk.Files() {
		for _, size := range []int64{0, f.Size / 3, f.Size / 2, f.Size - 100, f.Size - 1} {
			if size >= 0 && size < f.Size {
				all = append(all, harm{fmt.Sprintf("%s cut to %d of %d bytes", f.Path, size, f.Size),
					func(d *simdisk.Disk) error { return d.Truncate(f.Path, size) }, nil})
			}
		}
		all = append(all, harm{f.Path + " removed", func(d *simdisk.Disk) error { return d.RemoveFile(f.Path) }, nil})
	}
	return all
}

// verdicts counts what was said of damage.
type verdicts struct{ noticed, harmless, answered int }

// verify holds Verify to G8: of a damaged store it says that it is damaged, or
// what it says of the undamaged one.
func (v *verdicts) verify(t *testing.T, sp *specimen, h harm) {
	t.Helper()
	d := sp.disk
	if h.undo == nil {
		d = d.Clone()
	} else {
		defer func() { ok(t, h.undo(d)) }()
	}
	ok(t, h.do(d))
	r, err := verifyOn(d)
	if err != nil {
		v.noticed++
		if !isOneOf(err, engine.ErrDataLoss, engine.ErrStorage, engine.ErrFormat, engine.ErrNoStore) {
			t.Errorf("%s, %s: verify answered %v", sp.name, h.what, err)
		}
		return
	}
	v.harmless++
	r.Witnessed = sp.report.Witnessed // a slot of the witness may be spoiled: the other speaks
	if r != sp.report {
		t.Errorf("%s, %s: verify reports %+v, and without the damage %+v", sp.name, h.what, r, sp.report)
	}
}

// open holds Open and all reads to the same: what was committed, or an error, and
// never a log that is shorter.
func (v *verdicts) open(t *testing.T, sp *specimen, h harm) {
	t.Helper()
	d := sp.disk.Clone()
	ok(t, h.do(d))
	p := newProcess(d, &rigClock{}, func(err error) { t.Errorf("%s, %s: halted: %v", sp.name, h.what, err) })
	before := contents(t, d)
	if err := p.open(); err != nil {
		v.noticed++
		if !isOneOf(err, engine.ErrDataLoss, engine.ErrStorage, engine.ErrFormat) {
			t.Errorf("%s, %s: open answered %v", sp.name, h.what, err)
		}
		// A repair must find what there was, and the next open the same. (Without an
		// identity Pebble is opened as for a new store, and only tidies up.)
		if exists(d, rigDir+"/STATEHOUSE") {
			sameContents(t, sp.name+", "+h.what, d, before)
		}
		if newProcess(d, &rigClock{}, nil).open() == nil {
			t.Errorf("%s, %s: open answered %v, and the next time nothing", sp.name, h.what, err)
		}
		return
	}
	if p.Published() != sp.report.Commits {
		t.Errorf("%s, %s: %d of %d commits are there", sp.name, h.what, p.Published(), sp.report.Commits)
		return
	}
	got, err := readAll(p.Engine, sp.script.ids())
	switch diff := got.differs(sp.want); {
	case err != nil && isOneOf(err, engine.ErrDataLoss, engine.ErrStorage):
		v.answered++
		if errors.Is(err, engine.ErrDataLoss) {
			wantKind(t, "health", p.Healthy(), engine.ErrDataLoss)
		}
	case err != nil:
		t.Errorf("%s, %s: a read answered %v", sp.name, h.what, err)
	case diff != "" || !slices.EqualFunc(got.times, sp.want.times, time.Time.Equal):
		t.Errorf("%s, %s: %s", sp.name, h.what, diff)
	default:
		v.harmless++
	}
	_ = p.Close()
}

// TestFirstLogIsLeftBehind: the first log that Pebble makes for a store cannot be
// told damaged from ended (TestPebbleCorruptWAL), so no commit is ever in it, and
// damage in a log is Pebble's to say where it can.
func TestFirstLogIsLeftBehind(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
	p := openOn(t, d, &rigClock{})
	var s script
	ok(t, s.chatter(p, 150))
	d = d.Clone()
	wal := newest(t, d, simdisk.ClassWAL)
	if wal.Size < 64<<10 {
		t.Fatalf("the log has %d bytes: too few for damage to be told from its end", wal.Size)
	}
	ok(t, d.FlipBit(wal.Path, 2000, 1))
	err := newProcess(d, &rigClock{}, nil).open()
	if wantKind(t, "open", err, engine.ErrDataLoss); err != nil && strings.Contains(err.Error(), "witness") {
		t.Errorf("the witness had to say it, Pebble did not: %v", err)
	}
}

// TestHoleIsNoticed damages the manifest of a store with many tables, none of them
// compacted away, and a log: with the tables of any earlier time all of them would
// be there, and the newest commits, and what is between would be missing.
func TestHoleIsNoticed(t *testing.T) {
	simtest.Serial(t)
	sp := &specimen{name: "many tables", disk: simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})}
	p := openOn(t, sp.disk, &rigClock{})
	for range 9 {
		ok(t, steps(sp.script.chats(p, 4), p.Flush))
	}
	ok(t, sp.script.chatter(p, 3))
	sp.disk = sp.disk.Clone()
	sp.finish(t)
	manifest := newest(t, sp.disk, simdisk.ClassManifest)
	step := int64(37)
	if fullSweep() {
		step = 1
	}
	var opened verdicts
	for at := int64(0); at < manifest.Size; at += step {
		opened.open(t, sp, flip(manifest.Path, at, 1<<(at%8)))
		opened.open(t, sp, harm{fmt.Sprintf("the manifest cut to %d bytes", at), func(d *simdisk.Disk) error { return d.Truncate(manifest.Path, at) }, nil})
	}
	t.Logf("open %+v", opened)
}

// TestCorruptionIsNoticed changes bytes of, cuts and removes every file of stores in
// every state.
func TestCorruptionIsNoticed(t *testing.T) {
	simtest.Serial(t)
	for _, sp := range specimens(t) {
		start := time.Now()
		verifyPerFile, openPerFile, losses := 4, 1, 6
		switch {
		case fullSweep():
			verifyPerFile, openPerFile, losses = 3000, 400, 1
		case sp.report.Commits > 100:
			verifyPerFile, openPerFile, losses = 1, 0, 15
		}
		var verified, opened verdicts
		before := contents(t, sp.disk)
		for _, h := range sp.flips(verifyPerFile) {
			verified.verify(t, sp, h)
		}
		sameContents(t, sp.name, sp.disk, before) // the harms are undone, and verify has changed nothing
		for _, h := range sp.flips(openPerFile) {
			opened.open(t, sp, h)
		}
		for i, h := range sp.losses() {
			if i%losses == 0 {
				verified.verify(t, sp, h)
				opened.open(t, sp, h)
			}
		}
		t.Logf("%s: verify %+v, open %+v in %v", sp.name, verified, opened, time.Since(start).Round(time.Millisecond))
	}
}
