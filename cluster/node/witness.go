package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	iofs "io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A log that has lost its end opens as if nothing were wrong: Pebble takes a record that cannot be read for the
// end. But a member has promised what was there. So a file beside the log says what it had when it was last
// stored: term, vote, and the last entry. It is written after each sync and not synced itself, so it may be old,
// and what it says is still true: a log only grows, but for entries that others take the place of. Before
// that it is made to say nothing of entries, durably.
//
//	three slots, each at a multiple of 4,096: 8 bytes turn · term · vote · index and term of the last entry · 4 bytes CRC-32C
//
// The first is written by what is synced alone, and while the others are on disk: a crash may tear both of those that
// are written in turn, since neither is synced.
type witness struct {
	file vfs.File
	turn uint64
	claim
}

// claim is what a witness says.
type claim struct {
	term, vote       uint64
	last, lastOfTerm uint64 // 0, 0: nothing
}

const (
	witnessName = "witness"
	slots       = 3
	slotStride  = 4096
	slotSize    = 5*8 + 4
)

func (c claim) slot(turn uint64) (b []byte) {
	for _, v := range []uint64{turn, c.term, c.vote, c.last, c.lastOfTerm} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// openWitness opens the witness of a log, or makes one for a log that is new.
func openWitness(fs vfs.FS, dir string, isNew bool) (_ *witness, err error) {
	path := fs.PathJoin(dir, witnessName)
	if _, err := fs.Stat(path); errors.Is(err, iofs.ErrNotExist) && !isNew {
		return nil, fmt.Errorf("%w: its witness %s is missing, and whether it has lost anything cannot be told", ErrLostEnd, path)
	}
	w := new(witness)
	if w.file, err = fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified); err != nil {
		return nil, err
	}
	if isNew {
		err = errors.Join(w.lower(claim{}), syncDir(fs, dir))
	} else {
		err = w.read(path)
	}
	if err != nil {
		return nil, errors.Join(err, w.file.Close())
	}
	return w, nil
}

// read reads the newest slot that is whole. Some may not be: a crash may have torn them.
func (w *witness) read(path string) error {
	for i := range int64(slots) {
		b := make([]byte, slotSize)
		if _, err := w.file.ReadAt(b, i*slotStride); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if crc32.Checksum(b[:slotSize-4], castagnoli) != binary.LittleEndian.Uint32(b[slotSize-4:]) {
			continue
		}
		at := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
		if turn := at(0); turn > w.turn {
			w.turn, w.claim = turn, claim{at(1), at(2), at(3), at(4)}
		}
	}
	if w.turn == 0 {
		return fmt.Errorf("%w: no slot of its witness %s can be read", ErrLostEnd, path)
	}
	return nil
}

// lower has all slots say the same, durably: whichever is found, nothing older is.
func (w *witness) lower(c claim) error {
	if err := errors.Join(w.say(c), w.say(c), w.file.Sync()); err != nil {
		return err
	}
	_, err := w.file.WriteAt(c.slot(w.turn), 0)
	return errors.Join(err, w.file.Sync())
}

func (w *witness) say(c claim) error {
	w.claim = c
	w.turn++
	_, err := w.file.WriteAt(c.slot(w.turn), (1+int64(w.turn%(slots-1)))*slotStride)
	return err
}

// holds reports whether a log has what the witness saw.
func (w *witness) holds(l *wal) error {
	term, vote := l.hard.GetTerm(), l.hard.GetVote()
	c := w.claim
	if c.term > term || c.term == term && c.vote != 0 && c.vote != vote {
		return fmt.Errorf("%w: it is of term %d with a vote for %d, and was of term %d with one for %d", ErrLostEnd, term, vote, c.term, c.vote)
	}
	if c.term < term || c.last <= l.mark.GetIndex() { // entries may have been replaced since, or are gone
		return nil
	}
	if have, err := l.Term(c.last); err != nil || have != c.lastOfTerm {
		return fmt.Errorf("%w: it had entry %d of term %d (%v)", ErrLostEnd, c.last, c.lastOfTerm, err)
	}
	return nil
}
