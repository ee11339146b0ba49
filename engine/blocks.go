package engine

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"strings"

	"github.com/cockroachdb/errors"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// blockFS checks blocks of tables before Pebble sees them. When a block's checksum is
// wrong, Pebble searches for the bit that flipped: it flips each bit of the first 40 KiB
// and computes the checksum of the whole block anew. That takes 25 s of CPU for a value
// of 1 MiB, ignores contexts and cannot be switched off
// (TestPebbleSearchesForFlippedBits). Whatever it finds, the block is corrupt, and a
// reader needs to know no more.
type blockFS struct{ vfs.FS }

func (b blockFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := b.FS.Open(name, opts...)
	if err != nil || !strings.HasSuffix(name, ".sst") {
		return f, err
	}
	return blockFile{f, b.PathBase(name)}, nil
}

func (b blockFS) Unwrap() vfs.FS { return b.FS }

// Pebble reads a table's footer, which is shorter than checkedRead, and otherwise whole
// blocks only, each with its trailer (TestPebbleReadsWholeBlocks). The time of the search
// grows with the square of the size: below checkedRead it ends in 15 ms, so small blocks,
// which are most, are not checked twice.
const (
	checkedRead  = 4 << 10
	blockSumSize = 4
)

type blockFile struct {
	vfs.File
	name string
}

func (f blockFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if err != nil || n < checkedRead || n != len(p) || blockSumHolds(p) {
		return n, err
	}
	damaged := words.Failf(ErrDataLoss, "damage met while reading: the block of %d bytes at %d of %s does not have its checksum", n, off, f.name)
	return n, errors.Mark(damaged, pebble.ErrCorruption)
}

// blockSumHolds reports whether a block ends in the checksum of the bytes before it.
func blockSumHolds(block []byte) bool {
	n := len(block) - blockSumSize
	return blockSum(block[:n]) == binary.LittleEndian.Uint32(block[n:])
}

// blockSum is Pebble's checksum: CRC-32C, rotated and offset.
func blockSum(data []byte) uint32 {
	return bits.RotateLeft32(crc32.Checksum(data, layout.Castagnoli), 17) + 0xa282ead8
}
