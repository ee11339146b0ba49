package simdisk_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/sim/simdisk"
)

// These tests are the simulated disk's own proof: for small programs they
// enumerate what crashes leave over many seeds, and compare with what the rules in
// the documentation of CrashOptions allow, worked out by an oracle that shares no
// code with the disk. Every allowed state must be seen, and no other.

// step is one step of a program on one file.
type step struct {
	do       string // write, sync, fail (a sync that fails), lie (one that lies) or kill
	off, len int
	fill     byte
}

// oracle keeps, byte by byte, what may become of a file.
type oracle struct {
	live, synced  []byte
	dirty, failed []bool // as long as live
	sizes         []int
}

func (o *oracle) run(s step) {
	switch s.do {
	case "write":
		for i := s.off; i < s.off+s.len; i++ {
			for len(o.live) <= i {
				o.live = append(o.live, 0)
				o.dirty, o.failed = append(o.dirty, false), append(o.failed, false)
			}
			o.live[i] = s.fill
			o.dirty[i] = true
		}
		for b := s.off / 512 * 512; b < min(len(o.live), (s.off+s.len+511)/512*512); b++ {
			o.dirty[b] = o.dirty[b] || o.failed[b]
			o.failed[b] = false
		}
		if n := len(o.live); n > o.size() {
			o.sizes = append(o.sizes, n)
		}
	case "sync":
		o.synced = append(o.synced, make([]byte, len(o.live)-len(o.synced))...)
		for i, dirty := range o.dirty {
			if dirty {
				o.synced[i] = o.live[i]
			}
		}
		clear(o.dirty)
		o.sizes = nil
	case "fail":
		for i, dirty := range o.dirty {
			o.failed[i] = o.failed[i] || dirty
		}
		clear(o.dirty)
	}
}

// size is the newest one.
func (o *oracle) size() int {
	if len(o.sizes) > 0 {
		return o.sizes[len(o.sizes)-1]
	}
	return len(o.synced)
}

func (o *oracle) unsynced(i int) bool { return o.dirty[i] || o.failed[i] }

func (o *oracle) sectors() []int {
	var list []int
	for i := range o.live {
		if o.unsynced(i) && (len(list) == 0 || list[len(list)-1] != i/512) {
			list = append(list, i/512)
		}
	}
	return list
}

// allowed is the set of contents that a crash may leave, garbage written as '?'.
func (o *oracle) allowed(mode simdisk.CrashMode) map[string]bool {
	states := map[string]bool{}
	if mode == simdisk.Random {
		for _, m := range simdisk.CrashModes()[:5] {
			maps.Copy(states, o.allowed(m))
		}
		return states
	}
	sectors := o.sectors()
	total := 1
	for range sectors {
		total *= 3
	}
	for code := range total {
		fates := make([]byte, 0, len(sectors)) // l(ost), k(ept), g(arbage)
		for c, i := code, 0; i < len(sectors); i++ {
			fates = append(fates, "lkg"[c%3])
			c /= 3
		}
		if !fits(mode, string(fates)) {
			continue
		}
		follow := len(o.synced)
		for i, s := range sectors {
			if fates[i] != 'l' {
				follow = max(follow, min(len(o.live), s*512+512))
			}
		}
		sizes := append([]int{len(o.synced), follow}, o.sizes...)
		switch mode {
		case simdisk.DropAll:
			sizes = []int{len(o.synced)}
		case simdisk.KeepAll:
			sizes = []int{len(o.live)}
		}
		for _, size := range sizes {
			states[o.content(sectors, fates, size)] = true
		}
	}
	return states
}

func fits(mode simdisk.CrashMode, fates string) bool {
	switch mode {
	case simdisk.DropAll:
		return strings.Trim(fates, "l") == ""
	case simdisk.KeepAll:
		return strings.Trim(fates, "k") == ""
	case simdisk.Torn:
		return strings.TrimLeft(strings.TrimRight(fates, "l"), "k") == ""
	case simdisk.Reordered:
		return !strings.Contains(fates, "g")
	}
	return true
}

func (o *oracle) content(sectors []int, fates []byte, size int) string {
	b := make([]byte, size)
	copy(b, o.synced)
	for i := range b {
		if !o.unsynced(i) {
			continue
		}
		switch fates[slices.Index(sectors, i/512)] {
		case 'k':
			b[i] = o.live[i]
		case 'g':
			b[i] = '?'
		}
	}
	return string(b)
}

// normal writes garbage as '?': unsynced bytes of a sector that are, together,
// neither the old ones nor the new ones.
func (o *oracle) normal(b []byte) string {
	b = slices.Clone(b)
	old := make([]byte, len(b))
	copy(old, o.synced)
	for _, s := range o.sectors() {
		isOld, isNew := true, true
		for i := s * 512; i < min(s*512+512, len(b)); i++ {
			if o.unsynced(i) {
				isOld = isOld && b[i] == old[i]
				isNew = isNew && b[i] == o.live[i]
			}
		}
		for i := s * 512; i < min(s*512+512, len(b)) && !isOld && !isNew; i++ {
			if o.unsynced(i) {
				b[i] = '?'
			}
		}
	}
	return string(b)
}

// build runs a program on one file, whose name is durable, of a new disk.
func build(t *testing.T, program []step) (*simdisk.Disk, *oracle) {
	t.Helper()
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	o := &oracle{}
	f, err := d.OpenReadWrite("f", vfs.WriteCategoryUnspecified)
	must(t, err)
	must(t, syncDir(d, "/"))
	for _, s := range program {
		o.run(s)
		switch s.do {
		case "write":
			_, err := f.WriteAt(bytes.Repeat([]byte{s.fill}, s.len), int64(s.off))
			must(t, err)
		case "sync":
			must(t, f.Sync())
		case "fail":
			must(t, d.Arm(parse(t, "sync-error")))
			if f.Sync() == nil {
				t.Fatal("the sync did not fail")
			}
		case "lie":
			must(t, d.Arm(parse(t, "sync-lie")))
			must(t, f.Sync())
		case "kill":
			d = d.Kill()
			must(t, f.Close())
			f, err = d.OpenReadWrite("f", vfs.WriteCategoryUnspecified)
			must(t, err)
		}
	}
	must(t, f.Close())
	return d, o
}

func TestCrashLeavesExactlyTheAllowedContents(t *testing.T) {
	programs := map[string][]step{
		"nothing":        {},
		"synced":         {{"write", 0, 1000, 'a'}, {do: "sync"}},
		"growth":         {{"write", 0, 700, 'a'}, {do: "sync"}, {"write", 700, 100, 'b'}, {"write", 800, 400, 'c'}},
		"overwrite":      {{"write", 0, 2048, 'a'}, {do: "sync"}, {"write", 100, 50, 'b'}, {"write", 1000, 500, 'c'}},
		"never synced":   {{"write", 0, 20, 'a'}, {"write", 20, 900, 'b'}},
		"gaps in one":    {{"write", 0, 512, 'a'}, {do: "sync"}, {"write", 10, 20, 'b'}, {"write", 400, 20, 'c'}},
		"hole":           {{"write", 0, 100, 'a'}, {do: "sync"}, {"write", 1100, 100, 'b'}},
		"lie":            {{"write", 0, 100, 'a'}, {do: "lie"}, {"write", 600, 100, 'b'}},
		"lie, then sync": {{"write", 0, 100, 'a'}, {do: "lie"}, {"write", 600, 100, 'b'}, {do: "sync"}},
		"failed, then synced": {
			{"write", 0, 600, 'a'}, {do: "fail"}, {"write", 1100, 100, 'b'}, {do: "sync"}},
		"failed, written again": {
			{"write", 0, 1024, 'a'}, {do: "fail"}, {"write", 20, 30, 'b'}, {do: "sync"}},
	}
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, o := build(t, programs[name])
			for _, mode := range simdisk.CrashModes() {
				want := o.allowed(mode)
				seen := map[string]bool{}
				// Until all were seen; then, or after very many, compareStates judges.
				for seed := uint64(0); seed < 200 || len(seen) < len(want) && seed < 50_000; seed++ {
					after := d.Clone().Crash(simdisk.CrashOptions{Mode: mode, Seed: seed})
					content, err := after.ReadFile("f")
					must(t, err)
					seen[o.normal(content)] = true
				}
				compareStates(t, string(mode), seen, want)
			}
		})
	}
}

func compareStates(t *testing.T, what string, seen, want map[string]bool) {
	t.Helper()
	for s := range seen {
		if !want[s] {
			t.Errorf("%s: not allowed: %s", what, brief(s))
		}
	}
	for s := range want {
		if !seen[s] {
			t.Errorf("%s: allowed but never seen: %s", what, brief(s))
		}
	}
}

// brief writes runs of one byte as that byte and a count.
func brief(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		n := len(s[i:]) - len(strings.TrimLeft(s[i:], s[i:i+1]))
		fmt.Fprintf(&b, "%q*%d ", s[i], n)
		i += n
	}
	return b.String()
}
