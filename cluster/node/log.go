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
//	'i'                -> the checkpoint that is to be put in the place of the store, as of the mark (behind.go)
//
// Behind each body stands its CRC-32C with the key.
type wal struct {
	*raft.MemoryStorage
	db      *pebble.DB
	seen    *witness // whoever stores has it
	mark    *raftpb.SnapshotMetadata
	bytes   uint64                          // of the entries after it
	members *raftpb.ConfState               // as of what the store has
	latest  func() *raftpb.SnapshotMetadata // up to where the state is
	hard    *raftpb.HardState               // as stored; whoever stores has it
	halted  *atomic.Bool
	listing atomic.Pointer[string] // of the state that is installed
}

var (
	markKey      = []byte{'m'}
	hardStateKey = []byte{'h'}
	installKey   = []byte{'i'}
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
)

// firstMark is where every log begins: not at 0, so that raft never takes an empty log for the beginning of
// one. Who joins has a store that is no copy of the others', and must have theirs.
const firstMark = 1

func entryKey(index uint64) []byte { return binary.BigEndian.AppendUint64([]byte{'e'}, index) }

func seal(key, body []byte) []byte {
	return binary.LittleEndian.AppendUint32(slices.Clone(body), crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body))
}

func unseal(key, row []byte) (body []byte, err error) {
	n := len(row) - 4
	if n < 0 || crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, row[:n]) != binary.LittleEndian.Uint32(row[n:]) {
		return nil, fmt.Errorf("row %q of the raft log has another checksum", key)
	}
	return row[:n], nil
}

func unsealTo(key, row []byte, to proto.Message) error {
	body, err := unseal(key, row)
	if err != nil {
		return err
	}
	return proto.Unmarshal(body, to)
}

// openLogStore opens the store of a raft log. Once halted is set nothing it says is to be believed.
func openLogStore(fs vfs.FS, dir string, halt func(error)) (*pebble.DB, *atomic.Bool, error) {
	halted := new(atomic.Bool)
	stop := func(err error) {
		if !halted.Swap(true) {
			halt(err)
		}
	}
	db, err := pebble.Open(dir, &pebble.Options{
		FS: engine.Guard(fs, stop), FormatMajorVersion: engine.PebbleFormat, DisableTableStats: true, Logger: pebbleLog{halt: stop},
		EventListener: logEvents(stop),
	})
	return db, halted, err
}

// mostTries is how often in a row a table of the log may not be written. Pebble tries again at once and without end,
// and so long as it opens a log nobody is told anything.
const mostTries = 100

func logEvents(stop func(error)) *pebble.EventListener {
	var failed atomic.Int32
	ended := func(err error) {
		if err == nil {
			failed.Store(0)
		}
	}
	return &pebble.EventListener{
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			stop(fmt.Errorf("the raft log: %s is damaged: %v", i.Path, i.Details))
		},
		FlushEnd:      func(i pebble.FlushInfo) { ended(i.Err) },
		CompactionEnd: func(i pebble.CompactionInfo) { ended(i.Err) },
		BackgroundError: func(err error) {
			if failed.Add(1) >= mostTries {
				stop(fmt.Errorf("the raft log: writing tables fails: %w", err))
			}
		},
	}
}

// beginOf is what the log of members begins after; none: of one that joins.
func beginOf(members []uint64) *raftpb.SnapshotMetadata {
	first := uint64(firstMark)
	if len(members) == 0 {
		first = 0
	}
	return &raftpb.SnapshotMetadata{Index: &first, Term: &first, ConfState: &raftpb.ConfState{Voters: members}}
}

// JoinLog makes the log of a member that joins with a copy of another's store: it goes on after what that has. The
// member must be a new one: it has promised nothing yet.
func JoinLog(fs vfs.FS, dir string, m *Mark, halt func(error)) error {
	if m.members == nil || m.Index == 0 {
		return fmt.Errorf("%w: it is of no cluster", ErrTransfer)
	}
	w, err := openWAL(fs, dir, &raftpb.SnapshotMetadata{Index: &m.Index, Term: &m.Term, ConfState: m.members}, halt)
	if err != nil {
		return err
	}
	return w.close()
}

// openWAL opens a raft log, or makes one that begins as is said.
func openWAL(fs vfs.FS, dir string, begin *raftpb.SnapshotMetadata, halt func(error)) (_ *wal, err error) {
	w := &wal{MemoryStorage: raft.NewMemoryStorage()}
	if w.db, w.halted, err = openLogStore(fs, dir, halt); err != nil {
		return nil, err
	}
	if err = w.open(fs, dir, begin); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *wal) open(fs vfs.FS, dir string, begin *raftpb.SnapshotMetadata) error {
	old, err := w.has(markKey)
	if err != nil {
		return err
	}
	// Made before the log has anything, so that none that has something lacks one.
	if w.seen, err = openWitness(fs, dir, !old); err != nil {
		return err
	}
	if err := w.load(begin, old); err != nil {
		return err
	}
	return w.seen.holds(w)
}

func (w *wal) close() error {
	if w.seen == nil {
		return w.db.Close()
	}
	return errors.Join(w.seen.file.Close(), w.db.Close())
}

func (w *wal) load(begin *raftpb.SnapshotMetadata, old bool) error {
	w.mark = begin
	w.hard = &raftpb.HardState{Term: begin.Term, Vote: new(uint64(0)), Commit: begin.Index}
	if !old {
		b := w.db.NewBatch()
		defer b.Close()
		_ = b.Set(markKey, sealed(markKey, w.mark), nil) // in memory, as the next
		_ = b.Set(hardStateKey, sealed(hardStateKey, w.hard), nil)
		// In the first log of a store Pebble does not notice when a bit has flipped: it must begin another.
		if err := errors.Join(w.write(b, pebble.Sync), w.db.Flush()); err != nil {
			return err
		}
	} else if err := errors.Join(w.get(markKey, w.mark), w.get(hardStateKey, w.hard)); err != nil {
		return err
	}
	if installs, err := w.has(installKey); err != nil || installs {
		return errors.Join(err, errors.New("a state is to be put in its place first"))
	}
	if err := w.ApplySnapshot(&raftpb.Snapshot{Metadata: w.mark}); err != nil {
		return err
	}
	entries, err := w.read()
	if err != nil {
		return err
	}
	w.members = w.mark.GetConfState()
	w.have(entries)
	return nil
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
		err = unsealTo(it.Key(), it.Value(), e)
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

func (w *wal) has(key []byte) (bool, error) {
	_, closer, err := w.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, closer.Close()
}

func (w *wal) get(key []byte, to proto.Message) error {
	row, closer, err := w.db.Get(key)
	if err != nil {
		return fmt.Errorf("row %q of the raft log: %w", key, err)
	}
	defer closer.Close()
	return unsealTo(key, row, to)
}

func mustMarshal(m proto.Message) []byte {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("raft's own message cannot be marshaled: " + err.Error())
	}
	return body
}

func sealed(key []byte, m proto.Message) []byte { return seal(key, mustMarshal(m)) }

// InitialState implements raft.Storage.
func (w *wal) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	return w.hard, w.members, nil
}

// committed raises what the log knows to be committed, which need not be what the store has applied: it is
// written without a sync, else. Here, once a start, it is synced: whether Pebble writes by itself what need not be, before
// the process ends, depends on whether the goroutine that would has begun, and two runs would differ.
func (w *wal) committed(at uint64) error {
	if w.hard.GetCommit() >= at {
		return nil
	}
	w.hard = &raftpb.HardState{Term: w.hard.Term, Vote: w.hard.Vote, Commit: &at}
	b := w.db.NewBatch()
	defer b.Close()
	_ = b.Set(hardStateKey, sealed(hardStateKey, w.hard), nil) // in memory
	return w.write(b, pebble.Sync)
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
	said := w.seen.claim
	for _, a := range appends {
		if entries := a.m.GetEntries(); len(entries) > 0 {
			if entries[0].GetIndex() <= said.last {
				if err := w.seen.lower(claim{term: w.seen.term, vote: w.seen.vote}); err != nil {
					return err
				}
			}
			end := entries[len(entries)-1]
			said.last, said.lastOfTerm = end.GetIndex(), end.GetTerm()
			how = pebble.Sync
			_ = b.DeleteRange(entryKey(entries[0].GetIndex()), entryKey(math.MaxUint64), nil) // in memory, as the next
			for _, e := range entries {
				key := entryKey(e.GetIndex())
				_ = b.Set(key, sealed(key, e), nil)
			}
		}
		if at := a.m.GetSnapshot().GetMetadata(); at != nil {
			how = pebble.Sync
			_ = b.DeleteRange(entryKey(0), entryKey(math.MaxUint64), nil)
			if err := w.seen.lower(claim{term: w.seen.term, vote: w.seen.vote}); err != nil {
				return err
			}
			said.last, said.lastOfTerm = 0, 0
			_ = b.Set(markKey, sealed(markKey, at), nil)
			_ = b.Set(installKey, seal(installKey, []byte(*w.listing.Load())), nil)
		}
		if h := hardState(a.m); !raft.IsEmptyHardState(h) {
			if h.GetTerm() != w.hard.GetTerm() || h.GetVote() != w.hard.GetVote() {
				how = pebble.Sync
			}
			w.hard, said.term, said.vote = h, h.GetTerm(), h.GetVote()
			_ = b.Set(hardStateKey, sealed(hardStateKey, h), nil)
		}
	}
	if b.Empty() {
		return nil
	}
	if err := w.write(b, how); err != nil || said == w.seen.claim {
		return err
	}
	return w.seen.say(said)
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
	if len(entries) == 0 {
		return
	}
	last, _ := w.LastIndex()
	if from := entries[0].GetIndex(); from <= last {
		gone, err := w.Entries(from, last+1, math.MaxUint64)
		if err == nil {
			w.bytes -= sizes(gone)
		}
	}
	if err := w.MemoryStorage.Append(entries); err != nil {
		panic("raft's own storage in memory fails: " + err.Error())
	}
	w.bytes += sizes(entries)
}

func sizes(entries []*raftpb.Entry) (sum uint64) {
	for _, e := range entries {
		sum += uint64(len(e.GetData()))
	}
	return sum
}

// cutAt is up to where the log may be cut so that so much is kept, and everything after an entry.
func (w *wal) cutAt(keep, last uint64) uint64 {
	index, left := w.mark.GetIndex(), w.bytes
	for index < last && left > keep {
		e, err := w.Entries(index+1, index+2, math.MaxUint64)
		if err != nil {
			break
		}
		index, left = index+1, left-sizes(e)
	}
	return index
}

// cut has the log begin after an entry. It need not be durable.
func (w *wal) cut(to uint64) error {
	term, err := w.Term(to)
	if err != nil {
		return err
	}
	gone, err := w.Entries(w.mark.GetIndex()+1, to+1, math.MaxUint64)
	if err != nil {
		return err
	}
	mark := &raftpb.SnapshotMetadata{Index: &to, Term: &term, ConfState: w.mark.GetConfState()}
	b := w.db.NewBatch()
	defer b.Close()
	_ = b.DeleteRange(entryKey(0), entryKey(to+1), nil) // in memory, as the next
	_ = b.Set(markKey, sealed(markKey, mark), nil)
	if err := w.write(b, pebble.NoSync); err != nil {
		return err
	}
	w.mark, w.bytes = mark, w.bytes-sizes(gone)
	return w.Compact(to)
}

// Snapshot implements raft.Storage: a mark, and the first entry that there is. The state is fetched.
func (w *wal) Snapshot() (*raftpb.Snapshot, error) {
	return &raftpb.Snapshot{Metadata: w.latest(), Data: uvarints(w.mark.GetIndex() + 1)}, nil
}
