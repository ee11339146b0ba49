package engine

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The witness stands beside the store and says how far the log went. Pebble
// opens without a word when the tail of its WAL is damaged or missing; the
// witness is what notices (G8).
//
// It is two slots, written in turn, each of one sector, so that a torn write
// spoils the older word only. A slot is written after the sync of the commits
// that it names and before they are acknowledged: it never names more than is
// durable. It is synced itself only now and then, which a crash of the process
// does not need and a loss of power can only turn into an older, still true,
// word.
type witness struct {
	file  vfs.File
	turn  uint64
	dirty int // commits since the file was synced
}

// A mark is a place in the log with the chain's hash there.
type mark struct {
	ts   CommitTS
	hash chainHash
}

const (
	witnessName    = "witness"
	witnessMagic   = "SHWITNS1"
	slotStride     = 4096 // slots in separate pages
	slotSize       = 8 + 8 + 8 + len(chainHash{}) + 4
	witnessSyncGap = 4096 // commits between syncs of the file
)

func (m mark) appendSlot(dst []byte, turn uint64) []byte {
	dst = append(dst, witnessMagic...)
	dst = binary.BigEndian.AppendUint64(dst, turn)
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.ts))
	dst = append(dst, m.hash[:]...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst, castagnoli))
}

func parseSlot(b []byte) (m mark, turn uint64, ok bool) {
	if len(b) != slotSize || !bytes.HasPrefix(b, []byte(witnessMagic)) ||
		crc32.Checksum(b[:slotSize-4], castagnoli) != binary.LittleEndian.Uint32(b[slotSize-4:]) {
		return mark{}, 0, false
	}
	d := decoder{rest: b[len(witnessMagic):]}
	turn = binary.BigEndian.Uint64(d.bytes(8))
	m.ts = CommitTS(binary.BigEndian.Uint64(d.bytes(8)))
	copy(m.hash[:], d.bytes(len(m.hash)))
	return m, turn, true
}

// readWitness returns every good slot. A bad one is passed over: it may be a
// torn write, and the other still speaks.
func readWitness(fs vfs.FS, path string) (marks []mark, turn uint64, err error) {
	data, err := readFile(fs, path)
	if err != nil {
		return nil, 0, err
	}
	for i := range 2 {
		at := i * slotStride
		if len(data) < at+slotSize {
			break
		}
		if m, t, ok := parseSlot(data[at : at+slotSize]); ok {
			marks = append(marks, m)
			turn = max(turn, t)
		}
	}
	return marks, turn, nil
}

// openWitness makes the file durable as a name, for a synced one is lost all the
// same without it.
func openWitness(fs vfs.FS, path string, turn uint64) (*witness, error) {
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	if err := syncDir(fs, fs.PathDir(path)); err != nil {
		_ = f.Close()
		return nil, err
	}
	return &witness{file: f, turn: turn}, nil
}

// record writes m into the older slot.
func (w *witness) record(m mark, commits int) error {
	w.turn++
	slot := m.appendSlot(make([]byte, 0, slotSize), w.turn)
	if _, err := w.file.WriteAt(slot, int64(w.turn%2)*slotStride); err != nil {
		return err
	}
	w.dirty += commits
	if w.dirty < witnessSyncGap {
		return nil
	}
	return w.sync()
}

func (w *witness) sync() error {
	w.dirty = 0
	return w.file.SyncData()
}
