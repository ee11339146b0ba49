package engine

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
)

// The witness is a file beside the store that names the last commits of the log. Pebble
// opens without an error when the end of its WAL is corrupt or missing; the witness shows
// that (G8).
//
// It has four slots, each of one sector, in two pairs. The slots of a pair are written
// alternately, so that a torn write destroys the older one only. A slot is written after
// the sync of the commit that it names and before the commit is acknowledged: it never
// names a commit that is not durable, except in a store that runs without syncs
// (unsynced.go). The first pair is written at every step and not synced. A crash of the
// process needs no sync, and after a crash of the machine its slots are older, which is
// still true, or invalid. The second pair is written seldom and synced each time, so that
// one of its slots is valid after any crash. A witness without a valid slot is corrupt.
type witness struct {
	file   vfs.File
	turn   uint64
	synced uint64 // turns of the second pair
	last   mark   // the last one recorded
	dirty  int    // commits since the file was synced
	every  int    // of them make it be synced: Tuning.WitnessEvery
}

// A mark is a commit of the log with the hash chain's value there.
type mark struct {
	ts   CommitTS
	hash layout.ChainHash
}

const (
	witnessName  = "witness"
	witnessMagic = "SHWITNS1"
	slotStride   = 4096 // slots in separate pages
	slotSize     = 8 + 8 + 8 + len(layout.ChainHash{}) + 4
)

func (m mark) appendSlot(dst []byte, turn uint64) []byte {
	dst = append(dst, witnessMagic...)
	dst = binary.BigEndian.AppendUint64(dst, turn)
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.ts))
	dst = append(dst, m.hash[:]...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst, layout.Castagnoli))
}

func parseSlot(b []byte) (m mark, turn uint64, ok bool) {
	if len(b) != slotSize || !bytes.HasPrefix(b, []byte(witnessMagic)) ||
		crc32.Checksum(b[:slotSize-4], layout.Castagnoli) != binary.LittleEndian.Uint32(b[slotSize-4:]) {
		return mark{}, 0, false
	}
	d := layout.Decoder{Rest: b[len(witnessMagic):]}
	turn = binary.BigEndian.Uint64(d.Bytes(8))
	m.ts = CommitTS(binary.BigEndian.Uint64(d.Bytes(8)))
	copy(m.hash[:], d.Bytes(len(m.hash)))
	return m, turn, true
}

// witnessContent is the content of a witness file.
type witnessContent struct {
	marks  []mark // of every valid slot; an invalid one may be a torn write
	turn   uint64 // the latest of the first pair
	synced uint64 // the latest of the second pair; 0: it has no valid slot
	exists bool
	blank  bool // nothing was ever written to it
}

func readWitness(fs vfs.FS, path string) (t witnessContent, err error) {
	data, err := readFile(fs, path)
	if err != nil {
		return t, err
	}
	t.exists, t.blank = data != nil, len(bytes.Trim(data, "\x00")) == 0
	for i := range 4 {
		at := i * slotStride
		if len(data) < at+slotSize {
			break
		}
		m, turn, ok := parseSlot(data[at : at+slotSize])
		if !ok {
			continue
		}
		t.marks = append(t.marks, m)
		if i < 2 {
			t.turn = max(t.turn, turn)
		} else {
			t.synced = max(t.synced, turn)
		}
	}
	return t, nil
}

// makeWitness replaces the file by one in which every slot names m.
func makeWitness(fs vfs.FS, path string, m mark) error {
	file := make([]byte, 3*slotStride+slotSize)
	for i := range 4 {
		// Turn 1 belongs in slot 1 of a pair, turn 2 in slot 0.
		copy(file[i*slotStride:], m.appendSlot(nil, 2-uint64(i%2)))
	}
	return writeFileAtomic(fs, path, file)
}

// openWitness opens the file that t was read from.
func openWitness(fs vfs.FS, path string, t witnessContent, last mark, every int) (*witness, error) {
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	return &witness{file: f, turn: t.turn, synced: t.synced, last: last, every: every}, nil
}

// record writes m into the older slot of the first pair.
func (w *witness) record(m mark, commits int) error {
	w.turn++
	if err := w.write(w.turn, 0, m); err != nil {
		return err
	}
	w.last = m
	w.dirty += commits
	if w.dirty < w.every {
		return nil
	}
	return w.sync()
}

// sync writes the last recorded mark into the older slot of the second pair, durably.
func (w *witness) sync() error {
	w.dirty = 0
	w.synced++
	if err := w.write(w.synced, 2, w.last); err != nil {
		return err
	}
	return w.file.SyncData()
}

// write writes m with its turn into the pair that begins at slot pair.
func (w *witness) write(turn uint64, pair int64, m mark) error {
	slot := m.appendSlot(make([]byte, 0, slotSize), turn)
	_, err := w.file.WriteAt(slot, (pair+int64(turn%2))*slotStride)
	return err
}
