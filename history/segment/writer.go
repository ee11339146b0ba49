package segment

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Writer writes a segment. After an error it is of no use.
type Writer struct {
	out     io.Writer
	sum     hash.Hash // of what was written
	packer  *zstd.Encoder
	rows    []byte // of the block that is being filled
	kind    byte   // of it
	packed  []byte
	block   []byte
	trailer Trailer
}

// NewWriter begins a segment.
func NewWriter(out io.Writer, h Header) (*Writer, error) {
	h.Version = Version
	packer, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, err
	}
	w := &Writer{out: out, sum: sha256.New(), packer: packer, kind: kindSystem}
	if err := w.write([]byte(magic)); err != nil {
		return nil, err
	}
	return w, w.writeText(kindHeader, &h)
}

// Commits adds rows of that many whole commits, after all of the system. Rows of no commit come
// before those of the first.
func (w *Writer) Commits(commits int, rows []Row) error {
	if w.kind != kindCommits {
		if err := w.flush(); err != nil {
			return err
		}
		w.kind = kindCommits
	}
	w.trailer.Commits += uint64(commits)
	w.trailer.Rows += uint64(len(rows))
	return w.add(rows)
}

// System adds rows of the system, before all commits: they say what is gone of those.
func (w *Writer) System(rows []Row) error {
	if w.kind != kindSystem {
		return errors.New("rows of the system stand before those of commits")
	}
	w.trailer.System += uint64(len(rows))
	return w.add(rows)
}

// Close ends the segment with its seal.
func (w *Writer) Close() (Trailer, error) {
	err := w.flush()
	if err == nil {
		err = w.writeText(kindTrailer, &w.trailer)
	}
	if err == nil {
		err = w.writeBlock(kindSeal, w.sum.Sum(nil))
	}
	return w.trailer, err
}

func (w *Writer) add(rows []Row) error {
	for _, r := range rows {
		w.rows = binary.AppendUvarint(w.rows, uint64(len(r.Key)))
		w.rows = append(w.rows, r.Key...)
		w.rows = binary.AppendUvarint(w.rows, uint64(len(r.Value)))
		w.rows = append(w.rows, r.Value...)
		w.trailer.Bytes += uint64(len(r.Key) + len(r.Value))
	}
	if len(w.rows) < targetBlock {
		return nil
	}
	return w.flush()
}

func (w *Writer) flush() error {
	if len(w.rows) == 0 {
		return nil
	}
	if len(w.rows) > maxBlock {
		return errors.New("a commit is larger than a segment can hold")
	}
	w.packed = w.packer.EncodeAll(w.rows, w.packed[:0])
	w.rows = w.rows[:0]
	return w.writeBlock(w.kind, w.packed)
}

func (w *Writer) writeText(kind byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.writeBlock(kind, text)
}

func (w *Writer) writeBlock(kind byte, content []byte) error {
	w.block = binary.LittleEndian.AppendUint32(append(w.block[:0], kind), uint32(len(content)))
	w.block = append(w.block, content...)
	w.block = binary.LittleEndian.AppendUint32(w.block, crc32.Checksum(w.block, castagnoli))
	return w.write(w.block)
}

func (w *Writer) write(p []byte) error {
	w.sum.Write(p)
	_, err := w.out.Write(p)
	return err
}
