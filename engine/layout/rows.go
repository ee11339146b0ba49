package layout

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"slices"
	"time"

	"statehouse.dev/statehouse/engine/words"
)

// Rows are the values under the keys of keys.go; docs/FORMAT.md has the byte tables.
// Each ends in a CRC-32C over its key and its body, which fails for a row that is corrupt
// or was read from the wrong place (G8). The rows of the log are in log.go.
//
// What the hash chain covers it covers by salted digests. The clear text and its salt stand
// where they can go: then nothing that is left tells what they were, not even to somebody
// who guesses, and the chain still verifies.

var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

const SealSize = 4

func rowSum(key, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, Castagnoli), Castagnoli, body)
}

// SealRow appends the checksum that OpenRow checks.
func SealRow(key, body []byte) []byte {
	return binary.LittleEndian.AppendUint32(body, rowSum(key, body))
}

// OpenRow checks a row and returns its body.
func OpenRow(key, row []byte) ([]byte, error) {
	if len(row) < SealSize {
		return nil, CorruptRow(key, "too short")
	}
	body := row[:len(row)-SealSize]
	if binary.LittleEndian.Uint32(row[len(body):]) != rowSum(key, body) {
		return nil, CorruptRow(key, "checksum mismatch")
	}
	return body, nil
}

func CorruptRow(key []byte, what string) error {
	return words.Failf(words.ErrDataLoss, "damaged row %q: %s", key, what).With("row", hex.EncodeToString(key))
}

// Digest stands for a value, a name, or a commit's operations, where only equality matters:
// the first 16 bytes of SHA-256. The chain rests on digests of which each covers a salt that
// is drawn after the client has sent what is digested. To replace that by something else
// takes a second preimage, 2^128 tries; two texts that collide, which take 2^64, cannot be
// prepared for a salt that is not known yet (Halevi and Krawczyk 2006).
type Digest [16]byte

func DigestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest(sum[:16])
}

// A Salt makes a digest that no guess of the text can be compared with once it is gone.
type Salt [16]byte

// ValueSum is SHA-256 of a value. The request's goroutine takes it, before there is a salt.
type ValueSum [sha256.Size]byte

// ValueDigest is the digest of a value: of the salt and the value's SHA-256.
func (s *Salt) ValueDigest(sum *ValueSum) Digest {
	var b [len(s) + len(sum)]byte
	copy(b[:], s[:])
	copy(b[len(s):], sum[:])
	return DigestOf(b[:])
}

// NameDigest is the digest of a record's name.
func (s *Salt) NameDigest(a words.AgentName, key string) Digest {
	var few [128]byte
	b := append(few[:0], s[:]...)
	return DigestOf(AppendString(AppendString(AppendString(b, a.Namespace), a.Agent), key))
}

// A RecordRow is one version of a record.
type RecordRow struct {
	Tombstone  bool
	Gone       Gone // the value and its salt
	CommitTS   words.CommitTS
	CommitTime time.Time
	Salt       Salt // of value; zero without one
	Value      []byte
	Fields     fields
	Hold       RecordHold // of fields
}

// Gone says why a value that a commit wrote is not there any more.
type Gone byte

const (
	GoneErased Gone = 1 << 1 // by an erasure
	GonePruned Gone = 1 << 2 // by the retention of old versions
)

// The flags of records and of operations in events: FlagTombstone, and gone.
const (
	FlagTombstone = 1
	flagsKnown    = FlagTombstone | byte(GoneErased|GonePruned)
)

// ParseFlags accepts at most one reason for which there is no value. A tombstone has none to lose:
// of one it says that it is an erasure's.
func ParseFlags(b byte) (tombstone bool, g Gone, ok bool) {
	g = Gone(b &^ FlagTombstone)
	return b&FlagTombstone != 0, g, b&^flagsKnown == 0 && g&(g-1) == 0 && b != FlagTombstone|byte(GonePruned)
}

func FlagsOf(tombstone bool, g Gone) byte {
	if tombstone {
		return FlagTombstone | byte(g)
	}
	return byte(g)
}

func (r *RecordRow) Append(dst []byte) []byte {
	dst = append(dst, FlagsOf(r.Tombstone, r.Gone))
	dst = binary.AppendUvarint(dst, uint64(r.CommitTS))
	dst = AppendTime(dst, r.CommitTime)
	if !r.Tombstone && r.Gone == 0 {
		dst = append(dst, r.Salt[:]...)
		dst = binary.AppendUvarint(dst, uint64(len(r.Value)))
		dst = append(dst, r.Value...)
	}
	return r.Fields.append(dst)
}

// ParseRecordRow parses body; the row's value aliases it.
func ParseRecordRow(body []byte) (r RecordRow, ok bool) {
	d := Decoder{Rest: body}
	r.Tombstone, r.Gone, ok = ParseFlags(d.Byte())
	r.CommitTS = words.CommitTS(d.Uvarint())
	r.CommitTime = d.Time()
	if !r.Tombstone && r.Gone == 0 {
		copy(r.Salt[:], d.Bytes(len(r.Salt)))
		r.Value = d.Raw()
	}
	r.Fields = d.fields(recordFields)
	var ok2 bool
	r.Hold, ok2 = r.Fields.hold()
	return r, ok && ok2 && d.End() && (r.Hold.Kind == 0 || !r.Tombstone)
}

func SumOf(value []byte) ValueSum { return sha256.Sum256(value) }

// Digest is what the event of the commit that wrote the value must say of it.
func (r *RecordRow) Digest() Digest {
	sum := SumOf(r.Value)
	return r.Salt.ValueDigest(&sum)
}

// WithoutHold is the body of the row, as if it had been written to last.
func (r *RecordRow) WithoutHold() []byte {
	r.Fields = slices.DeleteFunc(slices.Clone(r.Fields), func(f field) bool { return f.tag == fieldHold })
	return r.Append(nil)
}

// An OutcomeRow answers a commit that is sent again.
type OutcomeRow struct {
	CommitTS    words.CommitTS
	Fingerprint Digest // of the operations and preconditions
}

func (r *OutcomeRow) Append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.CommitTS))
	return append(dst, r.Fingerprint[:]...)
}

func ParseOutcomeRow(body []byte) (r OutcomeRow, ok bool) {
	d := Decoder{Rest: body}
	r.CommitTS = words.CommitTS(d.Uvarint())
	copy(r.Fingerprint[:], d.Bytes(len(r.Fingerprint)))
	return r, d.End()
}
