package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
)

// wal is the raft log of a member: a Pebble store of its own, whose sync is the only one on the way of a
// commit. What is stored of it is in memory, too, which raft reads.
//
//	'm'                -> the mark that it begins after: index and term of an entry, members as of then
//	'e' 8 bytes index  -> an entry
//	'h'                -> term, vote and commit
//
// Behind each body stands its CRC-32C with the key.
type wal struct {
	*raft.MemoryStorage
	db     *pebble.DB
	mark   *raftpb.SnapshotMetadata
	hard   *raftpb.HardState // as stored; whoever stores has it
	halted atomic.Bool
}

var (
	markKey      = []byte{'m'}
	hardStateKey = []byte{'h'}
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
)

// firstMark is where every log begins: not at 0, so that raft never takes an empty log for the beginning of
// one. Who joins has a store that is no copy of the others', and must have theirs.
const firstMark = 1

func entryKey(index uint64) []byte { return binary.BigEndian.AppendUint64([]byte{'e'}, index) }

func seal(key, body []byte) []byte {
	return binary.LittleEndian.AppendUint32(slices.Clone(body), crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body))
}

func unseal(key, row []byte, to proto.Message) error {
	n := len(row) - 4
	if n < 0 || crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, row[:n]) != binary.LittleEndian.Uint32(row[n:]) {
		return fmt.Errorf("row %q of the raft log has another checksum", key)
	}
	return proto.Unmarshal(row[:n], to)
}

// openWAL opens a raft log, or makes one with the members given.
func openWAL(fs vfs.FS, dir string, members []uint64, halt func(error)) (_ *wal, err error) {
	w := &wal{MemoryStorage: raft.NewMemoryStorage(), mark: new(raftpb.SnapshotMetadata), hard: new(raftpb.HardState)}
	stop := func(err error) {
		if !w.halted.Swap(true) {
			halt(err)
		}
	}
	w.db, err = pebble.Open(dir, &pebble.Options{
		FS: engine.Guard(fs, stop), FormatMajorVersion: engine.PebbleFormat, DisableTableStats: true, Logger: pebbleLog{halt: stop},
	})
	if err != nil {
		return nil, err
	}
	if err = w.load(members); err != nil {
		return nil, errors.Join(err, w.db.Close())
	}
	return w, nil
}

func (w *wal) load(members []uint64) error {
	found, err := w.get(markKey, w.mark)
	if err != nil {
		return err
	}
	if !found {
		w.mark = &raftpb.SnapshotMetadata{Index: new(uint64(firstMark)), Term: new(uint64(1)), ConfState: &raftpb.ConfState{Voters: members}}
		w.hard = &raftpb.HardState{Term: new(uint64(1)), Vote: new(uint64(0)), Commit: new(uint64(firstMark))}
		b := w.db.NewBatch()
		defer b.Close()
		_ = b.Set(markKey, sealed(markKey, w.mark), nil) // in memory, as the next
		_ = b.Set(hardStateKey, sealed(hardStateKey, w.hard), nil)
		// In the first log of a store Pebble does not notice when a bit has flipped: it must begin another.
		if err := errors.Join(w.write(b, pebble.Sync), w.db.Flush()); err != nil {
			return err
		}
	} else if found, err = w.get(hardStateKey, w.hard); err != nil || !found {
		return errors.Join(err, errors.New("the raft log has no row of its term and vote"))
	}
	if err := w.ApplySnapshot(&raftpb.Snapshot{Metadata: w.mark}); err != nil {
		return err
	}
	entries, err := w.read()
	if err != nil {
		return err
	}
	return w.MemoryStorage.Append(entries)
}

// read reads the entries after the mark.
func (w *wal) read() (entries []*raftpb.Entry, err error) {
	it, err := w.db.NewIter(&pebble.IterOptions{LowerBound: entryKey(0), UpperBound: entryKey(math.MaxUint64)})
	if err != nil {
		return nil, err
	}
	index, term := w.mark.GetIndex(), w.mark.GetTerm()
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		e := new(raftpb.Entry)
		err = unseal(it.Key(), it.Value(), e)
		index++
		switch {
		case err != nil:
		case e.GetIndex() != index:
			err = fmt.Errorf("entry %d of the raft log is missing", index)
		case e.GetTerm() < term:
			err = fmt.Errorf("entry %d of the raft log is of an earlier term than the one before it", index)
		}
		term = e.GetTerm()
		entries = append(entries, e)
	}
	return entries, errors.Join(err, it.Error(), it.Close())
}

func (w *wal) get(key []byte, to proto.Message) (found bool, err error) {
	row, closer, err := w.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer closer.Close()
	return true, unseal(key, row, to)
}

func sealed(key []byte, m proto.Message) []byte {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("raft's own message cannot be marshaled: " + err.Error())
	}
	return seal(key, body)
}

// InitialState implements raft.Storage.
func (w *wal) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	return w.hard, w.mark.GetConfState(), nil
}

// committed raises what the log knows to be committed, which need not be what the store has applied: it is
// written without a sync.
func (w *wal) committed(at uint64) error {
	if w.hard.GetCommit() >= at {
		return nil
	}
	w.hard = &raftpb.HardState{Term: w.hard.Term, Vote: w.hard.Vote, Commit: &at}
	return w.db.Set(hardStateKey, sealed(hardStateKey, w.hard), pebble.NoSync)
}

// hardState is what an append has of term, vote and commit; empty: nothing.
func hardState(m *raftpb.Message) *raftpb.HardState {
	return &raftpb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
}

var errHalted = errors.New("the raft log can be trusted no more")

// store writes appends. Entries take the place of all from the first of them on. How far entries are committed
// is not worth a sync, since it can be found again.
func (w *wal) store(appends []*Append) error {
	b := w.db.NewBatch()
	defer b.Close()
	how := pebble.NoSync
	for _, a := range appends {
		if entries := a.m.GetEntries(); len(entries) > 0 {
			how = pebble.Sync
			_ = b.DeleteRange(entryKey(entries[0].GetIndex()), entryKey(math.MaxUint64), nil) // in memory, as the next
			for _, e := range entries {
				key := entryKey(e.GetIndex())
				_ = b.Set(key, sealed(key, e), nil)
			}
		}
		if h := hardState(a.m); !raft.IsEmptyHardState(h) {
			if h.GetTerm() != w.hard.GetTerm() || h.GetVote() != w.hard.GetVote() {
				how = pebble.Sync
			}
			w.hard = h
			_ = b.Set(hardStateKey, sealed(hardStateKey, h), nil)
		}
	}
	if b.Empty() {
		return nil
	}
	return w.write(b, how)
}

// write writes a batch. It asks for the sync and waits for it apart: Pebble's call that does both never
// returns when the sync fails.
func (w *wal) write(b *pebble.Batch, how *pebble.WriteOptions) (err error) {
	if how == pebble.NoSync {
		err = w.db.Apply(b, how)
	} else if err = w.db.ApplyNoSyncWait(b, how); err == nil {
		err = b.SyncWait()
	}
	if err == nil && w.halted.Load() { // Pebble need not say so
		err = errHalted
	}
	return err
}

// have takes entries that are stored.
func (w *wal) have(entries []*raftpb.Entry) {
	if err := w.MemoryStorage.Append(entries); err != nil {
		panic("raft's own storage in memory fails: " + err.Error())
	}
}

// pebbleLog drops what Pebble logs, and halts with what it cannot go on with.
type pebbleLog struct {
	quiet
	halt func(error)
}

func (l pebbleLog) Fatalf(f string, a ...any) {
	l.halt(fmt.Errorf("the raft log: "+f, a...))
	select {} // only if halting does not end the process: it would go on with what is not stored
}

// quiet drops what is logged, and ends with what raft cannot go on with.
type quiet struct{}

var (
	_ pebble.Logger = pebbleLog{}
	_ raft.Logger   = quiet{}
)

func (quiet) Debug(...any)              {}
func (quiet) Debugf(string, ...any)     {}
func (quiet) Info(...any)               {}
func (quiet) Infof(string, ...any)      {}
func (quiet) Warning(...any)            {}
func (quiet) Warningf(string, ...any)   {}
func (quiet) Error(...any)              {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatal(a ...any)            { panic(fmt.Sprint(a...)) }
func (quiet) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (quiet) Panic(a ...any)            { panic(fmt.Sprint(a...)) }
func (quiet) Panicf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
