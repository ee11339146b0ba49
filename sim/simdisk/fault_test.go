package simdisk_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"statehouse.dev/statehouse/sim/simdisk"
)

func drawFault(t *rapid.T) simdisk.Fault {
	f := simdisk.Fault{
		Kind: rapid.SampledFrom(simdisk.FaultKinds()).Draw(t, "kind"),
		File: rapid.OneOf(
			rapid.Just(""),
			rapid.Map(rapid.SampledFrom(simdisk.Classes()), func(c simdisk.Class) string { return string(c) }),
			rapid.StringMatching(`[0-9A-Za-z=._-]{1,20}`),
			rapid.String(),
		).Draw(t, "file"),
		Nth:   rapid.Int().Draw(t, "nth"),
		Count: rapid.OneOf(rapid.Just(1), rapid.Just(simdisk.Forever), rapid.Int()).Draw(t, "count"),
	}
	if f.Kind == simdisk.PowerCut || f.Kind == simdisk.Stall {
		f.Op = rapid.SampledFrom(simdisk.OpKinds()).Draw(t, "op")
	}
	if f.Kind == simdisk.PowerCut {
		f.When = rapid.SampledFrom([]simdisk.When{simdisk.Before, simdisk.After}).Draw(t, "when")
	}
	return f
}

func TestFaultPrintsAndParsesBack(t *testing.T) {
	valid := 0
	rapid.Check(t, func(t *rapid.T) {
		f := drawFault(t)
		if f.Validate() != nil {
			if simdisk.NewDisk(simdisk.DiskOptions{}).Arm(f) == nil {
				t.Fatalf("an invalid fault was armed: %#v", f)
			}
			return
		}
		valid++
		if back, err := simdisk.ParseFault(f.String()); err != nil || back != f {
			t.Fatalf("%q parses to %#v, %v", f, back, err)
		}
	})
	if valid == 0 {
		t.Error("no valid fault was drawn")
	}
}

func TestParseFault(t *testing.T) {
	for in, want := range map[string]string{
		"sync-error":                                     "sync-error nth=1",
		"sync-error file=wal nth=3":                      "sync-error file=wal nth=3",
		" write-error  count=3 nth=2\tfile=sstable":      "write-error file=sstable nth=2 count=3",
		"sync-lie file=wal nth=1 count=1":                "sync-lie file=wal nth=1",
		"enospc file=000002.log nth=5 count=forever":     "enospc file=000002.log nth=5 count=forever",
		"crash file=wal op=sync nth=3":                   "crash file=wal op=sync nth=3 when=before",
		"crash when=after op=dirsync":                    "crash op=dirsync nth=1 when=after",
		"dirsync-error file=dir nth=9223372036854775807": "dirsync-error file=dir nth=9223372036854775807",
		"":                                   "",
		"sink-error":                         "",
		"sync-error nth=0":                   "",
		"sync-error nth=x":                   "",
		"sync-error nth=1 nth=2":             "",
		"sync-error count=0":                 "",
		"sync-error count=-1":                "",
		"sync-error file=":                   "",
		"sync-error file=a/b":                "",
		"sync-error wal":                     "",
		"sync-error where=wal":               "",
		"sync-error op=sync":                 "",
		"sync-error when=after":              "",
		"crash":                              "",
		"crash op=fsync":                     "",
		"crash op=sync when=during":          "",
		"crash op=sync count=2":              "",
		"stall op=read count=20":             "stall op=read nth=1 count=20",
		"stall":                              "",
		"stall op=read when=before":          "",
		"misread file=sstable nth=2 count=3": "misread file=sstable nth=2 count=3",
		"misread op=read":                    "",
	} {
		f, err := simdisk.ParseFault(in)
		if got := f.String(); err == nil && got != want || err != nil && want != "" {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
}

// attempt runs a fixed program and returns the error of each of its operations.
func attempt(t *testing.T, d *simdisk.Disk) map[string][]error {
	errs := map[string][]error{}
	note := func(what string, err error) { errs[what] = append(errs[what], err) }
	for _, name := range []string{"000001.log", "000002.log"} {
		f, err := d.Create(name, vfs.WriteCategoryUnspecified)
		note("create", err)
		if err != nil {
			continue
		}
		for range 3 {
			_, err := f.Write(make([]byte, 100))
			note("write", err)
			note("sync", f.Sync())
			_, err = f.ReadAt(make([]byte, 1), 0)
			note("read", err)
		}
		must(t, f.Close())
		note("rename", d.Rename(name, name+".old"))
		note("remove", d.Remove(name+".old"))
		note("dirsync", syncDir(d, "/"))
	}
	return errs
}

func TestFaultStrikesWhereItSays(t *testing.T) {
	eio, enospc := syscall.EIO, syscall.ENOSPC
	tests := []struct {
		fault, op string
		want      []error
	}{
		{"sync-error file=wal nth=3", "sync", []error{nil, nil, eio, nil, nil, nil}},
		{"sync-error-after file=wal nth=2", "sync", []error{nil, eio, nil, nil, nil, nil}},
		{"sync-error file=000002.log nth=2", "sync", []error{nil, nil, nil, nil, eio, nil}},
		{"sync-error file=manifest", "sync", []error{nil, nil, nil, nil, nil, nil}},
		{"sync-error nth=4", "sync", []error{nil, nil, nil, nil, nil, nil}}, // counted per file
		{"write-error file=wal nth=3 count=3", "write", []error{nil, nil, eio, eio, eio, nil}},
		{"enospc file=wal nth=2 count=forever", "write", []error{nil, enospc, enospc, enospc, enospc, enospc}},
		{"read-error nth=2", "read", []error{nil, eio, nil, nil, nil, nil}},
		{"create-error file=wal", "create", []error{eio, nil}},
		{"rename-error file=000002.log.old", "rename", []error{nil, eio}},
		{"remove-error count=2", "remove", []error{eio, eio}},
		{"dirsync-error file=dir nth=2", "dirsync", []error{nil, eio}},
	}
	for _, test := range tests {
		d := simdisk.NewDisk(simdisk.DiskOptions{})
		must(t, d.Arm(parse(t, test.fault)))
		got := attempt(t, d)[test.op]
		struck := 0
		for i, want := range test.want {
			if !errors.Is(got[i], want) {
				t.Errorf("%s: %s %d: got %v, want %v", test.fault, test.op, i+1, got[i], want)
			}
			if want != nil {
				struck++
			}
		}
		injected := d.Injected()
		if len(injected) != struck {
			t.Errorf("%s: %d injections recorded, want %d", test.fault, len(injected), struck)
		}
		for _, i := range injected {
			if i.Fault != parse(t, test.fault) || string(i.Op.Kind) != test.op {
				t.Errorf("%s: recorded as %s", test.fault, i)
			}
		}
	}
}

func TestBitFlipHarmsOneReadOnly(t *testing.T) {
	flipped := func(seed uint64) (bits, at int) {
		d := simdisk.NewDisk(simdisk.DiskOptions{Seed: seed})
		must(t, put(d, "000001.sst", string(make([]byte, 1000))))
		must(t, d.Arm(parse(t, "bitflip file=sstable nth=2")))
		f, err := d.Open("000001.sst")
		must(t, err)
		for i := range 4 {
			b := make([]byte, 1000)
			_, err := f.ReadAt(b, int64(i%2)*1000) // every other read returns nothing
			if i%2 == 0 {
				must(t, err)
			}
			for k, x := range b {
				for ; x != 0; x &= x - 1 {
					bits++
					at = k
					if i != 2 {
						t.Errorf("read %d was hit", i+1)
					}
				}
			}
		}
		content, err := d.ReadFile("000001.sst")
		must(t, err)
		if string(content) != string(make([]byte, 1000)) {
			t.Error("the medium was harmed")
		}
		if got := d.Injected(); len(got) != 1 || got[0].Detail == "" {
			t.Errorf("recorded: %v", got)
		}
		return bits, at
	}
	offsets := map[int]bool{}
	for seed := range uint64(20) {
		bits, at := flipped(seed)
		if _, again := flipped(seed); bits != 1 || again != at {
			t.Errorf("seed %d: %d bits, at %d and at %d", seed, bits, at, again)
		}
		offsets[at] = true
	}
	if len(offsets) < 15 {
		t.Errorf("20 seeds flipped only %d different bytes", len(offsets))
	}
}

// TestWhatAFaultySyncLeaves tells apart the faults of a sync by what is durable.
func TestWhatAFaultySyncLeaves(t *testing.T) {
	for fault, want := range map[string]struct{ first, then string }{
		"sync-error file=wal":       {"000001.log=", "000001.log="},
		"sync-error-after file=wal": {"000001.log=x", "000001.log=x"},
		"sync-lie file=wal":         {"000001.log=", "000001.log=x"},
		"dirsync-error file=dir":    {"", "000001.log=x"},
		"dirsync-lie file=dir":      {"", "000001.log=x"},
	} {
		d := simdisk.NewDisk(simdisk.DiskOptions{})
		must(t, d.Arm(parse(t, fault)))
		f, err := d.Create("000001.log", vfs.WriteCategoryUnspecified)
		must(t, err)
		_, err = f.Write([]byte("x"))
		must(t, err)
		left := func() string {
			got := contents(d.Clone().Crash(simdisk.CrashOptions{Mode: simdisk.DropAll}))
			return strings.ReplaceAll(got, "\x00", "") // a size may outlive its data
		}
		_, _ = f.Sync(), syncDir(d, "/")
		if got := left(); got != want.first {
			t.Errorf("%s: left %q, want %q", fault, got, want.first)
		}
		must(t, f.Sync())
		must(t, syncDir(d, "/"))
		if got := left(); got != want.then {
			t.Errorf("%s, then synced: left %q, want %q", fault, got, want.then)
		}
		must(t, f.Close())
	}
}

// TestPowerCutInsideAnOperation checks that the image is the one from before or
// from after the effect, and that the operation itself ends well.
func TestPowerCutInsideAnOperation(t *testing.T) {
	for when, want := range map[string]string{"before": "one", "after": "onetwo"} {
		d := simdisk.NewDisk(simdisk.DiskOptions{})
		var image *simdisk.Disk
		d.OnCrash(func() { image = d.Crash(simdisk.CrashOptions{Mode: simdisk.DropAll}) })
		must(t, put(d, "witness", ""))
		must(t, syncDir(d, "/"))
		must(t, d.Arm(parse(t, "crash file=witness op=sync nth=3 when="+when)))
		f, err := d.OpenReadWrite("witness", vfs.WriteCategoryUnspecified)
		must(t, err)
		for _, s := range []string{"one", "two", "three"} {
			_, err := f.Write([]byte(s))
			must(t, err)
			must(t, f.Sync())
		}
		if image == nil || !d.Dead() {
			t.Fatalf("when=%s: no crash", when)
		}
		if got, _ := image.ReadFile("witness"); string(got) != want {
			t.Errorf("when=%s: left %q, want %q", when, got, want)
		}
		if len(d.Injected()) != 1 || len(image.Injected()) != 0 {
			t.Errorf("when=%s: injected %v, then %v", when, d.Injected(), image.Injected())
		}
	}
}

func TestPowerCutWithoutHookIsNoticed(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	must(t, d.Arm(parse(t, "crash op=create")))
	_ = put(d, "f", "")
}

func TestHeal(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	must(t, d.Arm(parse(t, "enospc count=forever")))
	if err := put(d, "f", "x"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	d.Heal()
	must(t, put(d, "f", "x"))
}

func TestClassOf(t *testing.T) {
	for name, want := range map[string]simdisk.Class{
		"/db/000012.log": simdisk.ClassWAL, "000012-001.log": simdisk.ClassWAL, "x.log": simdisk.ClassOther,
		"MANIFEST-000001": simdisk.ClassManifest, "MANIFEST-": simdisk.ClassOther,
		"marker.manifest.000001.MANIFEST-000001": simdisk.ClassMarker,
		"db/000004.sst":                          simdisk.ClassSSTable, "000004.blob": simdisk.ClassSSTable,
		"a000004.sst": simdisk.ClassOther, "OPTIONS-000003": simdisk.ClassOptions, "LOCK": simdisk.ClassLock,
		"temporary.000003.dbtmp": simdisk.ClassOther, "witness": simdisk.ClassWitness,
		"/x/witness.tmp": simdisk.ClassWitness, "STATEHOUSE": simdisk.ClassIdentity, "/": simdisk.ClassDir,
		"db/": simdisk.ClassDir, "": simdisk.ClassDir, ".log": simdisk.ClassOther, "ballast": simdisk.ClassOther,
	} {
		if got := simdisk.ClassOf(name); got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
}
