package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
)

// wal is the raft log of a member: a Pebble store of its own, whose sync is the only one on the way of a
// commit. What it has is in memory, too, which raft reads.
//
//	'c'                -> the members that it began with
//	'e' 8 bytes index  -> an entry
//	'h'                -> term, vote and commit
//
// Behind each body stands its CRC-32C with the key.
type wal struct {
	*raft.MemoryStorage
	db      *pebble.DB
	members raftpb.ConfState
}

var (
	membersKey   = []byte{'c'}
	hardStateKey = []byte{'h'}
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
)

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
func openWAL(fs vfs.FS, dir string, members []uint64) (_ *wal, err error) {
	o := &pebble.Options{FS: fs, FormatMajorVersion: engine.PebbleFormat, DisableTableStats: true, Logger: quiet{}}
	w := &wal{MemoryStorage: raft.NewMemoryStorage()}
	if w.db, err = pebble.Open(dir, o); err != nil {
		return nil, err
	}
	if err = w.load(members); err != nil {
		return nil, errors.Join(err, w.db.Close())
	}
	return w, nil
}

func (w *wal) load(members []uint64) error {
	found, err := w.get(membersKey, &w.members)
	if err != nil {
		return err
	}
	if !found {
		w.members.Voters = members
		if err := w.db.Set(membersKey, sealed(membersKey, &w.members), pebble.Sync); err != nil {
			return err
		}
	}
	if !slices.Equal(w.members.GetVoters(), members) {
		return fmt.Errorf("the raft log is of a cluster of %v, not %v", w.members.GetVoters(), members)
	}
	var hard raftpb.HardState
	if found, err = w.get(hardStateKey, &hard); err != nil {
		return err
	} else if found {
		if err := w.SetHardState(&hard); err != nil {
			return err
		}
	}
	it, err := w.db.NewIter(&pebble.IterOptions{LowerBound: entryKey(0), UpperBound: entryKey(math.MaxUint64)})
	if err != nil {
		return err
	}
	var entries []*raftpb.Entry
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		e := new(raftpb.Entry)
		if err = unseal(it.Key(), it.Value(), e); err == nil && e.GetIndex() != uint64(len(entries)+1) {
			err = fmt.Errorf("entry %d of the raft log is missing", len(entries)+1)
		}
		if n := len(entries); err == nil && n > 0 && e.GetTerm() < entries[n-1].GetTerm() {
			err = fmt.Errorf("entry %d of the raft log is of an earlier term than the one before it", n+1)
		}
		entries = append(entries, e)
	}
	if err = errors.Join(err, it.Close()); err != nil {
		return err
	}
	return w.MemoryStorage.Append(entries)
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
	hard, _, err := w.MemoryStorage.InitialState()
	return hard, &w.members, err
}

// save saves entries and the hard state, durably if sync is set: how far entries are committed need not be,
// since it can be found again. Entries take the place of all from the first of them on.
func (w *wal) save(hard *raftpb.HardState, entries []*raftpb.Entry, sync bool) error {
	b := w.db.NewBatch()
	defer b.Close()
	if len(entries) > 0 {
		_ = b.DeleteRange(entryKey(entries[0].GetIndex()), entryKey(math.MaxUint64), nil) // in memory, as the next
	}
	for _, e := range entries {
		key := entryKey(e.GetIndex())
		_ = b.Set(key, sealed(key, e), nil)
	}
	if !raft.IsEmptyHardState(hard) {
		_ = b.Set(hardStateKey, sealed(hardStateKey, hard), nil)
		if err := w.SetHardState(hard); err != nil {
			return err
		}
	}
	if b.Empty() {
		return nil
	}
	how := pebble.NoSync
	if sync {
		how = pebble.Sync
	}
	if err := w.db.Apply(b, how); err != nil {
		return err
	}
	return w.MemoryStorage.Append(entries)
}

// quiet drops what Pebble and raft log, and ends with what they cannot go on with.
type quiet struct{}

var (
	_ pebble.Logger = quiet{}
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
