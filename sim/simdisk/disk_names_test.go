package simdisk_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/sim/simdisk"
)

// TestCrashKeepsAPrefixOfTheNames holds the rule for directory entries in one
// directory against an oracle: what a crash may leave is the directory as it was
// at some moment since it was last synced.
func TestCrashKeepsAPrefixOfTheNames(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := simdisk.NewDisk(simdisk.DiskOptions{})
		names := map[string]string{} // name to content
		moments := []string{show(names)}
		steps := rapid.IntRange(1, 9).Draw(rt, "steps")
		name := rapid.SampledFrom([]string{"a", "b", "c"})
		for i := range steps {
			x, y := name.Draw(rt, "x"), name.Draw(rt, "y")
			_, isX := names[x]
			_, isY := names[y]
			switch op := rapid.IntRange(0, 4).Draw(rt, "op"); {
			case op == 0:
				if isX { // what is there is removed first
					delete(names, x)
					moments = append(moments, show(names))
				}
				names[x] = fmt.Sprint("v", i)
				must(rt, put(d, x, names[x]))
			case op == 1 && isX:
				delete(names, x)
				must(rt, d.Remove(x))
			case op == 2 && isX && x != y && names[x] != names[y]:
				names[y] = names[x]
				delete(names, x)
				must(rt, d.Rename(x, y))
			case op == 3 && isX && !isY:
				names[y] = names[x]
				must(rt, d.Link(x, y))
			case op == 4:
				must(rt, syncDir(d, "/"))
				moments = nil
			}
			moments = append(moments, show(names))
		}
		want, seen := map[string]bool{}, map[string]bool{}
		for _, m := range moments {
			want[m] = true
		}
		for seed := range uint64(400) {
			seen[contents(d.Clone().Crash(simdisk.CrashOptions{Mode: simdisk.Torn, Seed: seed}))] = true
		}
		if !maps.Equal(want, seen) {
			rt.Fatalf("seen %q, want %q", slices.Sorted(maps.Keys(seen)), slices.Sorted(maps.Keys(want)))
		}
		first := contents(d.Clone().Crash(simdisk.CrashOptions{Mode: simdisk.DropAll}))
		last := contents(d.Clone().Crash(simdisk.CrashOptions{Mode: simdisk.KeepAll}))
		if first != moments[0] || last != moments[len(moments)-1] {
			rt.Fatalf("drop left %q, keep %q; want the ends of %q", first, last, moments)
		}
	})
}

// TestCrashAcrossDirectories lists by hand what may be left where several
// directories take part.
func TestCrashAcrossDirectories(t *testing.T) {
	tests := []struct {
		name    string
		program string
		want    []string // all that may be left
	}{
		{"a file in a directory whose own name is not durable goes with it",
			"mkdir d; put d/f; sync d", []string{"", "d/f=d/f"}},
		{"and stays with it",
			"mkdir d; sync /; put d/f; sync d", []string{"d/f=d/f"}},
		{"one directory's sync does not make another's entries durable",
			"mkdir d; mkdir e; sync /; put d/f; put e/g; sync e", []string{"e/g=e/g", "d/f=d/f e/g=e/g"}},
		{"changes in two directories keep their order",
			"mkdir d; mkdir e; sync /; put d/f; put e/g", []string{"", "d/f=d/f", "d/f=d/f e/g=e/g"}},
		{"a rename between directories is one change",
			"mkdir d; mkdir e; sync /; put d/f; sync d; mv d/f e/f", []string{"d/f=d/f", "e/f=d/f"}},
		{"which the sync of either makes durable in both",
			"mkdir d; mkdir e; sync /; put d/f; sync d; mv d/f e/f; sync d", []string{"e/f=d/f"}},
		{"with the change it builds on",
			"mkdir d; mkdir e; sync /; put e/f; put d/f; mv d/f e/f; sync d", []string{"e/f=d/f"}},
		{"a removed directory can come back with what was in it",
			"mkdir d; sync /; put d/f; sync d; rm d/f; rm d", []string{"d/f=d/f", ""}},
		{"a moved directory takes its files along",
			"mkdir d; sync /; put d/f; sync d; mv d e", []string{"d/f=d/f", "e/f=d/f"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := simdisk.NewDisk(simdisk.DiskOptions{})
			for _, line := range strings.Split(test.program, "; ") {
				w := strings.Fields(line)
				switch w[0] {
				case "mkdir":
					must(t, d.MkdirAll(w[1], 0o755))
				case "put":
					must(t, put(d, w[1], w[1]))
				case "sync":
					must(t, syncDir(d, w[1]))
				case "mv":
					must(t, d.Rename(w[1], w[2]))
				case "rm":
					must(t, d.Remove(w[1]))
				}
			}
			want, seen := map[string]bool{}, map[string]bool{}
			for _, w := range test.want {
				want[w] = true
			}
			for seed := range uint64(300) {
				seen[contents(d.Clone().Crash(simdisk.CrashOptions{Mode: simdisk.Random, Seed: seed}))] = true
			}
			compareStates(t, test.program, seen, want)
		})
	}
}

// contents shows the files of a disk like show does.
func contents(d *simdisk.Disk) string {
	names := map[string]string{}
	for _, f := range d.Files() {
		b, err := d.ReadFile(f.Path)
		if err != nil {
			return err.Error()
		}
		names[strings.TrimPrefix(f.Path, "/")] = string(b)
	}
	return show(names)
}

func show(names map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		list = append(list, name+"="+names[name])
	}
	return strings.Join(list, " ")
}
