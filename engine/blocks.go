package engine

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"strings"

	"github.com/cockroachdb/errors"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// blockFS checks blocks of tables before Pebble sees them. A block that does not have
// its checksum Pebble searches for the bit that flipped: it flips each bit of the first
// 40 KiB and sums the whole block anew, which takes 25 s of CPU for a value of 1 MiB,
// heeds no context and has no switch (TestPebbleSearchesForFlippedBits). Whatever it
// finds, the block is damaged, and that is all a reader has to be told.
type blockFS struct{ vfs.FS }

func (b blockFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := b.FS.Open(name, opts...)
	if err != nil || !strings.HasSuffix(name, ".sst") {
		return f, err
	}
	return blockFile{f, b.PathBase(name)}, nil
}

func (b blockFS) Unwrap() vfs.FS { return b.FS }

// Pebble reads a table's footer, which is shorter than checkedRead, and besides whole
// blocks only, each with its trailer (TestPebbleReadsWholeBlocks). The search grows with
// the square of the size: below checkedRead it is over in 15 ms, and small blocks, which
// are most, are summed once only.
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
	damaged := failf(ErrDataLoss, "damage met while reading: the block of %d bytes at %d of %s does not have its checksum", n, off, f.name)
	return n, errors.Mark(damaged, pebble.ErrCorruption)
}

// blockSumHolds reports whether a block ends in the checksum of what is before it.
func blockSumHolds(block []byte) bool {
	n := len(block) - blockSumSize
	return blockSum(block[:n]) == binary.LittleEndian.Uint32(block[n:])
}

// blockSum is Pebble's: CRC-32C, turned and shifted.
func blockSum(data []byte) uint32 {
	return bits.RotateLeft32(crc32.Checksum(data, castagnoli), 17) + 0xa282ead8
}
