package node

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

func entryOf(index, term uint64) *raftpb.Entry {
	return &raftpb.Entry{Index: proto.Uint64(index), Term: proto.Uint64(term)}
}

func appendOf(term, vote, commit uint64, entries ...*raftpb.Entry) []*Append {
	return []*Append{{&raftpb.Message{Term: &term, Vote: &vote, Commit: &commit, Entries: entries}}}
}

// TestLogReplaces: entries that come in the place of others leave none of those behind them, on disk either.
func TestLogReplaces(t *testing.T) {
	fs := vfs.NewMem()
	open := func() *wal {
		w, err := openWAL(fs, "raft", beginOf([]uint64{1, 2, 3}), func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := open()
	for _, a := range [][]*Append{appendOf(2, 3, 1, entryOf(2, 1), entryOf(3, 1), entryOf(4, 1)), appendOf(2, 3, 1, entryOf(3, 2))} {
		if err := w.store(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	w = open()
	first, _ := w.FirstIndex()
	last, _ := w.LastIndex()
	term, err := w.Term(last)
	hard, conf, _ := w.InitialState()
	if first != 2 || last != 3 || term != 2 || err != nil || hard.GetTerm() != 2 || hard.GetVote() != 3 || hard.GetCommit() != 1 || len(conf.GetVoters()) != 3 {
		t.Errorf("the log goes from %d to %d of term %d (%v), with %v of %v", first, last, term, err, hard, conf)
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
}

// TestCommittedIsStored: what a log is told at a start to be committed is on disk when it has been told. Pebble
// writes what need not be synced when it comes to it, so that a kill would find it in one run and not in the next.
func TestCommittedIsStored(t *testing.T) {
	disk := simdisk.NewDisk(simdisk.DiskOptions{})
	open := func() *wal {
		w, err := openWAL(disk, "/raft", beginOf([]uint64{1, 2, 3}), func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := open()
	if err := w.store(appendOf(2, 3, 1, entryOf(2, 1), entryOf(3, 1))); err != nil {
		t.Fatal(err)
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	if w = open(); w.committed(3) != nil {
		t.Fatal("the log is not told")
	}
	old := w
	disk = disk.Kill()
	if w = open(); w.hard.GetCommit() != 3 || w.hard.GetTerm() != 2 || w.hard.GetVote() != 3 {
		t.Errorf("after a kill the log has %v", w.hard)
	}
	_, _ = old.close(), w.close()
}

// TestNoRoomToOpen: a log that cannot write the table which it must to be opened says so, where Pebble would try for ever.
func TestNoRoomToOpen(t *testing.T) {
	disk := simdisk.NewDisk(simdisk.DiskOptions{})
	open := func(halt func(error)) *wal {
		w, err := openWAL(disk, "/raft", beginOf([]uint64{1, 2, 3}), halt)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := open(func(err error) { t.Error(err) })
	if err := w.store(appendOf(2, 3, 1, entryOf(2, 1), entryOf(3, 1))); err != nil {
		t.Fatal(err)
	}
	old := w
	disk = disk.Kill()
	disk.SetCapacity(1)
	var why error
	w = open(func(err error) {
		why = err
		disk.SetCapacity(0) // as if the process had ended
	})
	if !errors.Is(why, syscall.ENOSPC) {
		t.Errorf("opened on a full disk, it halts with %v", why)
	}
	_, _ = old.close(), w.close()
}

// TestEntries: a step comes out of an entry as it went in, and what is no entry is refused.
func TestEntries(t *testing.T) {
	for _, held := range []bool{false, true} {
		s := engine.Step{First: 300, Last: 299, Before: [32]byte{1}, After: [32]byte{2}, Time: time.Unix(5, 7).UTC(), Held: held, Batch: []byte("rows")}
		data := appendStep(nil, &s)
		parse := func(data []byte) (engine.Step, error) {
			kind, rest, err := parseEntry(data)
			if err != nil || kind != kindStep {
				return engine.Step{}, ErrEntry
			}
			return parseStep(rest)
		}
		got, err := parse(data)
		if err != nil || got.First != s.First || got.Last != s.Last || got.Before != s.Before || got.After != s.After || !got.Time.Equal(s.Time) || got.Held != held || string(got.Batch) != "rows" {
			t.Errorf("%+v is %+v, %v", s, got, err)
		}
		for n := range len(data) - len(s.Batch) {
			if _, err := parse(data[:n]); err == nil {
				t.Errorf("%d bytes of %d are an entry", n, len(data))
			}
		}
		for i := range 3 { // version, kind, flags
			other := append([]byte(nil), data...)
			if other[i] += 2; other[i] == 0 {
				other[i] = 9
			}
			if _, err := parse(other); err == nil {
				t.Errorf("an entry with another byte %d is taken", i)
			}
		}
	}
}
