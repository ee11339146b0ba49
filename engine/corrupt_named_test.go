package engine_test

import (
	"errors"
	"os"
	"path"
	"strings"
	"testing"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

// tabledStore is one with a clean end whose commits are in tables but the last few.
func tabledStore(t *testing.T, clock *rigClock) (*simdisk.Disk, *script) {
	t.Helper()
	d, s := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &script{}
	p := openOn(t, d, clock)
	ok(t, s.commits(p, 6))
	ok(t, p.Flush())
	ok(t, s.commits(p, 3))
	ok(t, p.Flush())
	ok(t, s.commits(p, 2))
	ok(t, p.Close())
	return d, s
}

// tablesOf are the paths of a store's tables, oldest first.
func tablesOf(d *simdisk.Disk) (paths []string) {
	for _, f := range d.Files() {
		if f.Class == simdisk.ClassSSTable {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

func fileOf(t *testing.T, d *simdisk.Disk, class simdisk.Class) simdisk.FileStat {
	t.Helper()
	return newest(t, d, class)
}

// A mishap is what was done to a store, and what is to be said of it.
type mishap struct {
	do    func(d *simdisk.Disk) (file string)
	names string // instead of the file's
}

// TestCorruptionIsNamed does to the files of a store at rest what happens to files. Open and
// verify call it damage, and name the file, in words of ours (G8).
func TestCorruptionIsNamed(t *testing.T) {
	base, _ := tabledStore(t, &rigClock{})
	other := &rigClock{}
	other.ms.Store(1 << 20)
	twin, _ := tabledStore(t, other) // as large, file by file
	from := func(d *simdisk.Disk, twin *simdisk.Disk, name string) {
		content, err := twin.ReadFile(name)
		ok(t, err)
		ok(t, writeFile(d, name, content))
	}
	cases := map[string]mishap{ // order does not matter
		"the identity is missing":          {do: func(d *simdisk.Disk) string { ok(t, d.RemoveFile(rigDir+"/STATEHOUSE")); return "STATEHOUSE" }},
		"the identity is of another store": {do: func(d *simdisk.Disk) string { from(d, twin, rigDir+"/STATEHOUSE"); return "" }, names: "belongs to store"},
		"the witness is missing":           {do: func(d *simdisk.Disk) string { ok(t, d.RemoveFile(rigDir+"/witness")); return "witness" }},
		"the witness is empty":             {do: func(d *simdisk.Disk) string { ok(t, d.Truncate(rigDir+"/witness", 0)); return "witness" }},
		"the witness is zeros": {do: func(d *simdisk.Disk) string {
			ok(t, writeFile(d, rigDir+"/witness", make([]byte, 16<<10)))
			return "witness"
		}},
		"the witness is text": {do: func(d *simdisk.Disk) string {
			ok(t, writeFile(d, rigDir+"/witness", []byte("hello")))
			return "witness"
		}},
		"the witness is of another store": {do: func(d *simdisk.Disk) string { from(d, twin, rigDir+"/witness"); return "" }, names: "not the one the witness saw"},
		"the list of tables has a flip":   {do: flipAt(t, simdisk.ClassManifest, 0.4), names: "is missing from the log"},
		"the list of tables is cut":       {do: cutBy(t, simdisk.ClassManifest, 300), names: "store"},
		"the list of tables is missing": {do: func(d *simdisk.Disk) string {
			f := fileOf(t, d, simdisk.ClassManifest)
			ok(t, d.RemoveFile(f.Path))
			return ""
		}, names: "store"},
		"the marker is missing":             {do: func(d *simdisk.Disk) string { f := markerOf(t, d, "manifest"); ok(t, d.RemoveFile(f)); return "" }, names: "has lost its files"},
		"the options are of another engine": {do: edit(t, simdisk.ClassOptions, "comparer=statehouse.v1", "comparer=statehouse.v9")},
		"the options are no text":           {do: edit(t, simdisk.ClassOptions, "[Options]", "[0ptions")},
		"the store is missing": {do: func(d *simdisk.Disk) string {
			for _, f := range d.Files() {
				if strings.HasPrefix(f.Path, rigDir+"/store/") {
					ok(t, d.RemoveFile(f.Path))
				}
			}
			ok(t, d.Remove(rigDir+"/store"))
			return ""
		}, names: "has lost its files"},
	}
	for i, table := range tablesOf(base) {
		n := path.Base(table)
		cases[n+" is missing"] = mishap{do: func(d *simdisk.Disk) string { ok(t, d.RemoveFile(table)); return n }}
		cases[n+" is empty"] = mishap{do: func(d *simdisk.Disk) string { ok(t, d.Truncate(table, 0)); return n }}
		cases[n+" is a byte short"] = mishap{do: func(d *simdisk.Disk) string {
			ok(t, d.Truncate(table, size(t, d, table)-1))
			return n
		}}
		cases[n+" is a byte long"] = mishap{do: func(d *simdisk.Disk) string {
			content, err := d.ReadFile(table)
			ok(t, err)
			ok(t, writeFile(d, table, append(content, 0)))
			return n
		}}
		cases[n+" is of another store"] = mishap{do: func(d *simdisk.Disk) string {
			if size(t, d, table) != size(t, twin, table) {
				t.Fatalf("%s is not as large in both stores", n)
			}
			from(d, twin, table)
			return n
		}}
		cases[n+" is another of this store"] = mishap{do: func(d *simdisk.Disk) string {
			content, err := base.ReadFile(tablesOf(base)[(i+1)%len(tablesOf(base))])
			ok(t, err)
			ok(t, writeFile(d, table, content))
			return n
		}}
		cases[n+" has a damaged foot"] = mishap{do: func(d *simdisk.Disk) string {
			ok(t, d.FlipBit(table, size(t, d, table)-5, 2))
			return n
		}}
	}
	for what, c := range cases { // order does not matter
		d := base.Clone()
		file := c.do(d)
		if c.names != "" {
			file = c.names
		}
		_, verr := verifyOn(d.Clone())
		namesDamage(t, "verify when "+what, verr, file)
		p := newProcess(d, &rigClock{}, nil)
		namesDamage(t, "open when "+what, p.open(), file)
		again := newProcess(d.Clone(), &rigClock{}, nil)
		namesDamage(t, "open once more when "+what, again.open(), file)
	}
}

func namesDamage(t *testing.T, what string, err error, file string) {
	t.Helper()
	wantKind(t, what, err, engine.ErrDataLoss)
	if err == nil {
		return
	}
	for _, theirs := range []string{"carrier", "pebble", "Pebble", "L0:", "corruption"} {
		if strings.Contains(err.Error(), theirs) {
			t.Errorf("%s: it is not in our words: %q", what, err)
		}
	}
	if !strings.Contains(err.Error(), file) {
		t.Errorf("%s: %q does not name %s", what, err, file)
	}
}

func size(t *testing.T, d *simdisk.Disk, path string) int64 {
	t.Helper()
	info, err := d.Stat(path)
	ok(t, err)
	return info.Size()
}

func markerOf(t *testing.T, d *simdisk.Disk, what string) (path string) {
	t.Helper()
	for _, f := range d.Files() {
		if strings.Contains(f.Path, "marker."+what) {
			path = f.Path
		}
	}
	return path
}

func flipAt(t *testing.T, class simdisk.Class, where float64) func(d *simdisk.Disk) string {
	return func(d *simdisk.Disk) string {
		f := fileOf(t, d, class)
		ok(t, d.FlipBit(f.Path, int64(where*float64(f.Size)), 3))
		return path.Base(f.Path)
	}
}

func cutBy(t *testing.T, class simdisk.Class, n int64) func(d *simdisk.Disk) string {
	return func(d *simdisk.Disk) string {
		f := fileOf(t, d, class)
		ok(t, d.Truncate(f.Path, max(0, f.Size-n)))
		return path.Base(f.Path)
	}
}

func edit(t *testing.T, class simdisk.Class, old, now string) func(d *simdisk.Disk) string {
	return func(d *simdisk.Disk) string {
		f := fileOf(t, d, class)
		content, err := d.ReadFile(f.Path)
		ok(t, err)
		if !strings.Contains(string(content), old) {
			t.Fatalf("%s does not say %q", f.Path, old)
		}
		ok(t, writeFile(d, f.Path, []byte(strings.Replace(string(content), old, now, 1))))
		return path.Base(f.Path)
	}
}

// TestFlipsInOptions: whatever bit of the options is flipped, the store opens as it was
// or is called damaged, with the file named; the disk is not blamed.
func TestFlipsInOptions(t *testing.T) {
	simtest.Serial(t)
	base, s := tabledStore(t, &rigClock{})
	options := fileOf(t, base, simdisk.ClassOptions)
	opened, refused := 0, 0
	for at := range options.Size {
		if at%int64(stride(7)) != 0 {
			continue
		}
		d := base.Clone()
		ok(t, d.FlipBit(options.Path, at, int(at%8)))
		_, verr := verifyOn(d.Clone())
		p := newProcess(d, &rigClock{}, nil)
		err := p.open()
		if (err == nil) != (verr == nil) {
			t.Fatalf("byte %d: open says %v, verify %v", at, err, verr)
		}
		if err != nil {
			refused++
			namesDamage(t, "open", err, path.Base(options.Path))
			namesDamage(t, "verify", verr, path.Base(options.Path))
			continue
		}
		opened++
		s.mustCheck(t, p, len(s.attempts), len(s.attempts))
		ok(t, p.Close())
	}
	t.Logf("%d flips made no difference, %d were found", opened, refused)
	if !raceBuild() && (opened == 0 || refused == 0) {
		t.Error("the flips were all of one kind")
	}
}

// TestMissingWitnessAccepted: a store without its witness opens for who accepts that,
// once: it has a witness again, and says so.
func TestMissingWitnessAccepted(t *testing.T) {
	for what, harm := range map[string]func(d *simdisk.Disk) error{ // order does not matter
		"missing": func(d *simdisk.Disk) error { return d.RemoveFile(rigDir + "/witness") },
		"empty":   func(d *simdisk.Disk) error { return d.Truncate(rigDir+"/witness", 0) },
	} {
		d, s := tabledStore(t, &rigClock{})
		ok(t, harm(d))
		p := newProcess(d, &rigClock{}, nil)
		wantKind(t, what, p.open(), engine.ErrDataLoss)
		var err error
		p.Engine, err = engine.Open(p.env, engine.Options{Dir: rigDir, Tuning: rigTuning, AcceptMissingWitness: true})
		ok(t, err)
		s.mustCheck(t, p, len(s.attempts), len(s.attempts))
		if !p.said("the witness is gone, as accepted") {
			t.Errorf("the log says %q", p.logged)
		}
		// From the first moment on.
		r, err := verifyOn(crashed(d, simdisk.DropAll, 0))
		ok(t, err)
		if r.Witnessed != r.Commits {
			t.Errorf("the new witness saw %d of %d commits", r.Witnessed, r.Commits)
		}
		ok(t, p.Close())
		p.Engine, err = engine.Open(p.env, engine.Options{Dir: rigDir, Tuning: rigTuning, AcceptMissingWitness: true})
		ok(t, err)
		if !p.said("the witness is there") {
			t.Errorf("the log says %q", p.logged)
		}
		ok(t, p.Close())
	}
}

// TestAcceptedWitnessOnly: who accepts that the witness is gone does not accept what one
// that is there says.
func TestAcceptedWitnessOnly(t *testing.T) {
	d, s := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &script{}
	p := openOn(t, d, &rigClock{})
	ok(t, s.commits(p, 6))
	left := crashed(d, kill, 0)
	ok(t, left.RemoveFile(newestLog(t, left)))
	q := newProcess(left, &rigClock{}, nil)
	_, err := engine.Open(q.env, engine.Options{Dir: rigDir, Tuning: rigTuning, AcceptMissingWitness: true})
	wantKind(t, "open without the log", err, engine.ErrDataLoss)
}

// TestWitnessSurvivesAnyCrash: one word of the witness is whole after every crash, so a
// witness without any is damage and no crash's doing.
func TestWitnessSurvivesAnyCrash(t *testing.T) {
	simtest.Serial(t)
	_, images, _ := record(t)
	for i, img := range images {
		if i%stride(1) != 0 {
			continue
		}
		for seed := range uint64(3) {
			d := crashed(img.disk, simdisk.Garbage, uint64(i)*3+seed)
			if _, err := d.ReadFile(rigDir + "/STATEHOUSE"); errors.Is(err, os.ErrNotExist) {
				continue
			}
			if _, err := verifyOn(d); err != nil {
				t.Fatalf("after a crash at operation %d, %v: %v", i, img.op, err)
			}
		}
	}
}
