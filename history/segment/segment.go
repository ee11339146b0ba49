package segment

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
)

// Version of the format that this build writes. It reads this one and every older one.
const Version = 1

// Suffix of the names of files that hold a segment.
const Suffix = ".segment"

// Name is the file name of a segment whose first commit is this one. Names sort by commit.
func Name(first uint64) string { return fmt.Sprintf("%020d%s", first, Suffix) }

// IsName reports whether a file is named as one of a segment.
func IsName(name string) bool {
	digits, ok := strings.CutSuffix(name, Suffix)
	return ok && len(digits) == 20 && strings.Trim(digits, "0123456789") == ""
}

// Header says what a segment is of.
type Header struct {
	Version int    `json:"version"`
	Store   string `json:"store"`
	Format  int    `json:"format"` // of the rows
	// Epochs is the lineage of the store, oldest first; the last is the one that wrote the segment.
	Epochs []Epoch `json:"epochs"`
	// Features are what the rows use beyond the format as it began.
	Features []string `json:"features,omitempty"`
	// The segment has the commits after After up to To.
	After     uint64 `json:"after"`
	AfterHash Hash   `json:"after_hash"`
	To        uint64 `json:"to"`
	ToHash    Hash   `json:"to_hash"`
	ToTime    int64  `json:"to_time"` // commit_time of To, ns since 1970
	// OutcomesAfter: outcomes of commits up to here had been dropped.
	OutcomesAfter uint64 `json:"outcomes_after"`
}

// Epoch is one of a store's lineage: it began after a commit.
type Epoch struct {
	Name  string `json:"epoch"`
	Began uint64 `json:"began"`
}

// Epoch is the name of the epoch that wrote the segment.
func (h *Header) Epoch() string {
	if len(h.Epochs) == 0 {
		return ""
	}
	return h.Epochs[len(h.Epochs)-1].Name
}

// Trailer counts what a segment holds.
type Trailer struct {
	Commits uint64 `json:"commits"`
	Rows    uint64 `json:"rows"`   // of commits
	System  uint64 `json:"system"` // rows of the system
	Bytes   uint64 `json:"bytes"`  // of keys and rows
}

// Row is a key and what is stored under it.
type Row struct{ Key, Value []byte }

// Hash is one of the log's chain, in hexadecimal where it is text.
type Hash [32]byte

// MarshalText writes h in hexadecimal.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (h *Hash) UnmarshalText(text []byte) error {
	if n, err := hex.Decode(h[:], text[:min(len(text), 2*len(h))]); err != nil || n != len(h) || len(text) != 2*len(h) {
		return errors.New("a hash is not 64 hexadecimal digits")
	}
	return nil
}

// ErrDamaged: what is read is no segment, or not as it was written.
var ErrDamaged = errors.New("damaged segment")

// ErrVersion: the segment was written by a newer build.
var ErrVersion = errors.New("unknown version of segments")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// A segment is the magic and blocks: kind, length, content, and a checksum of the three.
const (
	magic = "SHSEGMT\n"

	kindHeader  = 'h' // JSON
	kindSystem  = 's' // rows of the system, compressed
	kindCommits = 'c' // rows of whole commits, compressed
	kindTrailer = 't' // JSON
	kindSeal    = 'z' // SHA-256 of everything before the block

	blockHead = 5 // kind and length
	sumSize   = 4

	// A block of rows is closed when it has targetBlock bytes before compression. One has at
	// most maxBlock, whatever its head says: one commit is far smaller.
	targetBlock = 256 << 10
	maxBlock    = 64 << 20
	maxText     = 1 << 20 // of a header or trailer
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
