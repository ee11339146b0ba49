package engine

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FormatVersion is the on-disk format this build writes. It reads this one and
// every older one; a newer one is refused.
const FormatVersion = 1

// The names in a data directory.
const (
	identityName = "STATEHOUSE" // the directory is a store, and of which format
	storeName    = "store"      // Pebble's directory
	ballastName  = "ballast"    // space given up when the disk is full, see disk.go
	lockName     = "LOCK"
)

// identity is the content of the identity file. It is written last when a store
// is made: without it there is no store, only an interrupted creation of one.
type identity struct {
	format  int
	storeID string
}

func (id identity) encode() []byte {
	text := fmt.Sprintf("Statehouse data directory\nformat %d\nstore %s\n", id.format, id.storeID)
	return fmt.Appendf(nil, "%schecksum %08x\n", text, crc32.Checksum([]byte(text), castagnoli))
}

// readIdentity returns nil when there is no identity file.
func readIdentity(fs vfs.FS, path string) (*identity, error) {
	data, err := readFile(fs, path)
	if data == nil || err != nil {
		return nil, err
	}
	var id identity
	text, sum, found := strings.Cut(string(data), "checksum ")
	if _, err := fmt.Sscanf(text, "Statehouse data directory\nformat %d\nstore %s\n", &id.format, &id.storeID); err != nil || !found {
		return nil, failf(ErrDataLoss, "%s is damaged: not an identity file", path)
	}
	if sum != fmt.Sprintf("%08x\n", crc32.Checksum([]byte(text), castagnoli)) {
		return nil, failf(ErrDataLoss, "%s is damaged: checksum mismatch", path)
	}
	if id.format < 1 {
		return nil, failf(ErrFormat, "%s says format %d, which there never was", path, id.format)
	}
	if id.format > FormatVersion {
		return nil, failf(ErrFormat, "%s says format %d; this build knows up to %d: use a newer statehoused", path, id.format, FormatVersion)
	}
	if !bytes.Equal(id.encode(), data) {
		return nil, failf(ErrDataLoss, "%s is damaged: no build writes it so", path)
	}
	return &id, nil
}

func identityMissing(dir string) *Failure {
	return failf(ErrDataLoss, "%s holds commits but its file %s is missing", dir, identityName)
}
