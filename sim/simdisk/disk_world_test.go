package simdisk_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"statehouse.dev/statehouse/sim/simdisk"
)

// These tests run every program there is of a few steps, on names and contents
// together, and compare all that crashes leave with all that the rules allow. The
// rules are stated anew here: a world is the directory as it was at each moment since
// it was last synced, and for each file what may have become of its content.

// world is a directory of files, as a crash may meet it.
type world struct {
	names   map[string]int   // to the number of the file
	moments []map[string]int // since the last sync of the directory, the last one is names
	files   []*oracle
}

// worldSteps are the steps of programs, over two names.
var worldSteps = []string{
	"create a", "create b", "write a", "sync a", "remove a", "rename a b", "rename b a", "link a b", "dirsync", "kill",
}

const worldSize = 20 // bytes in a file: one sector

// happen makes a step on the disk and in the world. It returns the disk that is the
// living one from there on, or nil if the step makes no sense there.
func (w *world) happen(t *testing.T, d *simdisk.Disk, what string) *simdisk.Disk {
	t.Helper()
	words := strings.Fields(what + " - -")
	do, x, y := words[0], words[1], words[2]
	file, exists := w.names[x]
	_, taken := w.names[y]
	switch do {
	case "create":
		if exists { // what is there is removed first
			w.change(func(names map[string]int) { delete(names, x) })
		}
		w.change(func(names map[string]int) { names[x] = len(w.files) })
		w.files = append(w.files, &oracle{})
		f, err := d.Create(x, unspecified)
		must(t, err)
		_, err = f.Write(w.fill(x))
		must(t, err)
	case "write", "sync", "remove", "rename", "link":
		if !exists || do == "link" && taken || do == "rename" && taken && w.names[y] == file {
			return nil
		}
	}
	switch do {
	case "write", "sync":
		f, err := d.OpenReadWrite(x, unspecified)
		must(t, err)
		if do == "write" {
			_, err := f.WriteAt(w.fill(x), 0)
			must(t, err)
		} else {
			w.files[file].run(step{do: "sync"})
			must(t, f.Sync())
		}
		must(t, f.Close())
	case "remove":
		w.change(func(names map[string]int) { delete(names, x) })
		must(t, d.Remove(x))
	case "rename":
		w.change(func(names map[string]int) { delete(names, x); names[y] = file })
		must(t, d.Rename(x, y))
	case "link":
		w.change(func(names map[string]int) { names[y] = file })
		must(t, d.Link(x, y))
	case "dirsync":
		w.moments = []map[string]int{w.names}
		must(t, syncDir(d, "/"))
	case "kill":
		return d.Kill()
	}
	return d
}

func (w *world) change(f func(names map[string]int)) {
	w.names = maps.Clone(w.names)
	f(w.names)
	w.moments = append(w.moments, w.names)
}

// fill writes to the file of a name bytes that no other file has.
func (w *world) fill(name string) []byte {
	o := w.files[w.names[name]]
	letter := byte('A' + 2*w.names[name])
	if len(o.live) > 0 {
		letter = o.live[0] ^ 1 // its other letter
	}
	o.run(step{"write", 0, worldSize, letter})
	return bytes.Repeat([]byte{letter}, worldSize)
}

// allowed is every state that a crash may leave: names and contents.
func (w *world) allowed(mode simdisk.CrashMode) map[string]bool {
	moments := w.moments
	switch mode {
	case simdisk.DropAll:
		moments = moments[:1]
	case simdisk.KeepAll:
		moments = moments[len(moments)-1:]
	}
	states := map[string]bool{}
	for _, names := range moments {
		choose(w, mode, names, map[int]string{}, 0, states)
	}
	return states
}

// choose goes through the contents of the files from number file on.
func choose(w *world, mode simdisk.CrashMode, names map[string]int, chosen map[int]string, file int, states map[string]bool) {
	if file == len(w.files) {
		state := map[string]string{}
		for name, n := range names {
			state[name] = chosen[n]
		}
		states[show(state)] = true
		return
	}
	contents := map[string]bool{"": true} // of one that has no name, no matter what
	if slices.Contains(slices.Collect(maps.Values(names)), file) {
		contents = w.files[file].allowed(mode)
	}
	for content := range contents {
		chosen[file] = content
		choose(w, mode, names, chosen, file+1, states)
	}
}

// left is a state of a disk, garbage written as '?': what is not all the same.
func left(d *simdisk.Disk) string {
	state := map[string]string{}
	for _, f := range d.Files() {
		b, _ := d.ReadFile(f.Path)
		if len(b) > 0 && len(bytes.Trim(b, string(b[:1]))) > 0 {
			b = bytes.Repeat([]byte("?"), len(b))
		}
		state[strings.TrimPrefix(f.Path, "/")] = string(b)
	}
	return show(state)
}

// check runs a program and all crashes after it. It tells whether every step of
// the program made sense.
func check(t *testing.T, program []string) bool {
	t.Helper()
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	w := &world{names: map[string]int{}, moments: []map[string]int{{}}}
	for _, what := range slices.Concat([]string{"create a", "sync a", "dirsync"}, program) {
		if d = w.happen(t, d, what); d == nil {
			return false
		}
	}
	for _, mode := range simdisk.CrashModes() {
		want, seen := w.allowed(mode), map[string]bool{}
		for seed := uint64(0); seed < 16 || len(seen) < len(want) && seed < 50_000; seed++ {
			seen[left(d.Clone().Crash(simdisk.CrashOptions{Mode: mode, Seed: seed}))] = true
		}
		compareStates(t, fmt.Sprint(mode, " after ", strings.Join(program, "; ")), seen, want)
	}
	return true
}

func TestCrashLeavesExactlyTheAllowedWorlds(t *testing.T) {
	t.Parallel()
	programs := [][]string{nil}
	ran := 0
	for from := 0; from < len(programs) && !t.Failed(); from++ {
		p := programs[from]
		if !check(t, p) {
			continue // nor does any longer one
		}
		ran++
		if len(p) < 3 {
			for _, what := range worldSteps {
				programs = append(programs, append(slices.Clone(p), what))
			}
		}
	}
	// And some of the longer ones.
	rng := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		p := make([]string, 0, 7)
		for range 4 + rng.IntN(3) {
			p = append(p, worldSteps[rng.IntN(len(worldSteps))])
		}
		if check(t, p) {
			ran++
		}
	}
	if ran < 400 {
		t.Errorf("only %d programs made sense", ran)
	}
}

// TestCrashLeavesExactlyTheAllowedContentsOfAnyProgram: every program of a few
// writes and syncs of all kinds on one file, and kills between them.
func TestCrashLeavesExactlyTheAllowedContentsOfAnyProgram(t *testing.T) {
	t.Parallel()
	steps := []step{
		{"write", 0, 600, 0}, {"write", 500, 30, 0}, {"write", 700, 100, 0},
		{do: "sync"}, {do: "fail"}, {do: "lie"}, {do: "kill"},
	}
	programs := [][]step{nil}
	for from := 0; from < len(programs) && !t.Failed(); from++ {
		p := programs[from]
		d, o := build(t, p)
		for _, mode := range simdisk.CrashModes() {
			want, seen := o.allowed(mode), map[string]bool{}
			for seed := uint64(0); seed < 16 || len(seen) < len(want) && seed < 50_000; seed++ {
				content, err := d.Clone().Crash(simdisk.CrashOptions{Mode: mode, Seed: seed}).ReadFile("f")
				must(t, err)
				seen[o.normal(content)] = true
			}
			compareStates(t, fmt.Sprint(mode, " after ", p), seen, want)
		}
		for _, s := range steps {
			if s.fill = byte('a' + len(p)); len(p) < 3 {
				programs = append(programs, append(slices.Clone(p), s))
			}
		}
	}
}
