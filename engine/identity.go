package engine

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// FormatVersion is the on-disk format this build reads and writes. An older one is migrated
// (migrate.go), a newer one is refused.
const FormatVersion = 2

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
	return fmt.Appendf(nil, "%schecksum %08x\n", text, crc32.Checksum([]byte(text), layout.Castagnoli))
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
		return nil, words.Failf(ErrDataLoss, "%s is damaged: not an identity file", path)
	}
	if sum != fmt.Sprintf("%08x\n", crc32.Checksum([]byte(text), layout.Castagnoli)) {
		return nil, words.Failf(ErrDataLoss, "%s is damaged: checksum mismatch", path)
	}
	if id.format < 1 {
		return nil, words.Failf(ErrFormat, "%s says format %d, which there never was", path, id.format)
	}
	if id.format > FormatVersion {
		return nil, words.Failf(ErrFormat, "%s says format %d; this build knows up to %d: use a newer statehoused", path, id.format, FormatVersion)
	}
	if !bytes.Equal(id.encode(), data) {
		return nil, words.Failf(ErrDataLoss, "%s is damaged: no build writes it so", path)
	}
	return &id, nil
}

// readIdentityOf reads the identity of the store in dir, which must be of this format; nil
// without one.
func readIdentityOf(fs vfs.FS, dir string) (*identity, error) {
	id, err := readIdentity(fs, fs.PathJoin(dir, identityName))
	if err != nil {
		return nil, openFailure(err, "the identity file cannot be read")
	}
	if id != nil && id.format < FormatVersion {
		return nil, words.Failf(ErrFormat, "%s is of format %d, and this build reads format %d: run \"statehoused migrate %s\", which keeps everything, or start the daemon with --migrate", dir, id.format, FormatVersion, dir)
	}
	switch halfway, err := unfinished(fs, dir); {
	case err != nil:
		return nil, openFailure(err, "%s cannot be looked at", dir)
	case id != nil && halfway:
		return nil, words.Failf(ErrFormat, "the migration of %s was interrupted: run \"statehoused migrate %s\", which finishes it, or start the daemon with --migrate", dir, dir)
	}
	return id, nil
}

func identityMissing(dir string) *Failure {
	return words.Failf(ErrDataLoss, "%s holds commits but its file %s is missing", dir, identityName)
}
