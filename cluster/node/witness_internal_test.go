package node

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"statehouse.dev/statehouse/sim/simdisk"
)

// promised is what a log has stored, as Store's caller knows it.
type promised struct {
	term, vote uint64
	entries    []uint64 // their terms; the first is entry 2
}

// next draws an append: entries that follow or take the place of others, as a leader of the term has them.
func (p *promised) next(rng *rand.Rand) (*Append, promised) {
	n := promised{p.term, p.vote, append([]uint64(nil), p.entries...)}
	if rng.IntN(3) == 0 {
		n.term, n.vote = n.term+1, uint64(rng.IntN(3))
	}
	many := rng.IntN(3)
	if end := len(n.entries) - 1; many > 0 && end >= 0 && n.entries[end] < n.term {
		n.entries = n.entries[:rng.IntN(len(n.entries)+1)]
	}
	var entries []*raftpb.Entry
	for range many {
		n.entries = append(n.entries, n.term)
		e := entryOf(uint64(len(n.entries)+1), n.term)
		e.Data = make([]byte, 200)
		entries = append(entries, e)
	}
	return appendOf(n.term, n.vote, 1, entries...)[0], n
}

// in reports whether a log has just that.
func (p *promised) in(w *wal) bool {
	last, _ := w.LastIndex()
	if w.hard.GetTerm() != p.term || w.hard.GetVote() != p.vote || last != uint64(len(p.entries)+1) {
		return false
	}
	for i, term := range p.entries {
		if have, err := w.Term(uint64(i + 2)); err != nil || have != term {
			return false
		}
	}
	return true
}

func openOn(disk *simdisk.Disk) (*wal, error) {
	return openWAL(disk, "/raft", beginOf([]uint64{1, 2, 3}), func(error) {}) // what it halts with comes out of a call
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill stores drawn appends and returns what was promised after each.
func fill(t *testing.T, w *wal, seed uint64, stored func()) (all []promised) {
	rng := rand.New(rand.NewPCG(seed, 2))
	all = []promised{{term: 1}}
	for range 12 {
		a, next := all[len(all)-1].next(rng)
		ok(t, w.store([]*Append{a}))
		w.have(a.m.GetEntries())
		all = append(all, next)
		stored()
	}
	return all
}

// TestLogSurvives: after a crash at any operation of the disk the log opens and has what was stored when that was,
// or what was being stored.
func TestLogSurvives(t *testing.T) {
	for seed := range uint64(3) {
		for at := 1; ; at++ {
			disk := simdisk.NewDisk(simdisk.DiskOptions{Seed: seed})
			w, err := openOn(disk)
			ok(t, err)
			n, stored := 0, 0
			var left *simdisk.Disk
			disk.OnOp(func(op simdisk.Op) {
				if n++; n == at {
					left = disk.Crash(simdisk.CrashOptions{Mode: simdisk.CrashMode([]simdisk.CrashMode{simdisk.DropAll, simdisk.KeepAll}[at%2]), Seed: seed})
				}
			})
			all := fill(t, w, seed, func() {
				if left == nil {
					stored++
				}
			})
			if left == nil {
				break
			}
			again, err := openOn(left)
			if err != nil {
				t.Fatalf("seed %d, after a crash at operation %d: %v", seed, at, err)
			}
			if !all[stored].in(again) && !all[stored+1].in(again) {
				last, _ := again.LastIndex()
				t.Fatalf("seed %d, after a crash at operation %d there is %v to %d, and %+v was stored", seed, at, again.hard, last, all[stored])
			}
			ok(t, errors.Join(again.close(), w.close()))
		}
	}
}

// TestLogFlipped: a bit that has flipped in any file of a log is noticed, or does no harm.
func TestLogFlipped(t *testing.T) {
	disk := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
	w, err := openOn(disk)
	ok(t, err)
	all := fill(t, w, 1, func() {})
	noticed, harmless := map[string]int{}, 0
	disk = disk.Kill()
	for _, f := range disk.Files() {
		for at := int64(0); at < f.Size; at += 1 + f.Size/150 {
			left := disk.Clone()
			ok(t, left.FlipBit(f.Path, at, int(at%8)))
			again, err := openOn(left)
			if err != nil {
				noticed[fmt.Sprint(simdisk.ClassOf(f.Path))]++
				continue
			}
			if !all[len(all)-1].in(again) {
				t.Errorf("with a bit of %s flipped at %d the log ends elsewhere", f.Path, at)
			}
			harmless++
			ok(t, again.close())
		}
	}
	if noticed["wal"] < 20 || harmless == 0 {
		t.Errorf("noticed %v, harmless %d", noticed, harmless)
	}
}

// TestLogWithoutWitness: a log whose witness is gone, or says what the log has not, is not opened.
func TestLogWithoutWitness(t *testing.T) {
	for what, spoil := range map[string]func(d *simdisk.Disk, w *wal) error{
		"gone":   func(d *simdisk.Disk, _ *wal) error { return d.RemoveFile("/raft/witness") },
		"cut":    func(d *simdisk.Disk, _ *wal) error { return d.Truncate("/raft/witness", 10) },
		"entry":  func(_ *simdisk.Disk, w *wal) error { c := w.seen.claim; c.last++; return w.seen.say(c) },
		"other":  func(_ *simdisk.Disk, w *wal) error { c := w.seen.claim; c.lastOfTerm++; return w.seen.say(c) },
		"term":   func(_ *simdisk.Disk, w *wal) error { c := w.seen.claim; c.term++; return w.seen.say(c) },
		"vote":   func(_ *simdisk.Disk, w *wal) error { c := w.seen.claim; c.vote += 5; return w.seen.say(c) },
		"":       func(*simdisk.Disk, *wal) error { return nil },
		" older": func(_ *simdisk.Disk, w *wal) error { c := w.seen.claim; c.term--; c.last += 9; return w.seen.say(c) },
	} { // each on its own: order cannot matter
		disk := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
		w, err := openOn(disk)
		ok(t, err)
		fill(t, w, 1, func() {})
		ok(t, spoil(disk, w))
		left := disk.Kill()
		again, err := openOn(left)
		if (what == "" || what == " older") != (err == nil) || err != nil && !errors.Is(err, ErrLostEnd) {
			t.Errorf("%q: %v", what, err)
		}
		if err == nil {
			ok(t, again.close())
		}
	}
}
