package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"time"

	"statehouse.dev/statehouse/engine/words"
)

// Rows are the values under the keys of keys.go; docs/FORMAT.md has the byte tables.
// Each ends in a CRC-32C over its key and its body, which fails for a row that is corrupt
// or was read from the wrong place (G8). The rows of the log are in rowslog.go.
//
// What the hash chain covers it covers by salted digests. The clear text and its salt stand
// where they can go: then nothing that is left tells what they were, not even to somebody
// who guesses, and the chain still verifies.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const sealSize = 4

func rowSum(key, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body)
}

// sealRow appends the checksum that openRow checks.
func sealRow(key, body []byte) []byte {
	return binary.LittleEndian.AppendUint32(body, rowSum(key, body))
}

// openRow checks a row and returns its body.
func openRow(key, row []byte) ([]byte, error) {
	if len(row) < sealSize {
		return nil, corruptRow(key, "too short")
	}
	body := row[:len(row)-sealSize]
	if binary.LittleEndian.Uint32(row[len(body):]) != rowSum(key, body) {
		return nil, corruptRow(key, "checksum mismatch")
	}
	return body, nil
}

func corruptRow(key []byte, what string) error {
	return words.Failf(ErrDataLoss, "damaged row %q: %s", key, what).With("row", hex.EncodeToString(key))
}

// Digest stands for a value, a name, or a commit's operations, where only equality matters:
// the first 16 bytes of SHA-256. The chain rests on digests of which each covers a salt that
// is drawn after the client has sent what is digested. To replace that by something else
// takes a second preimage, 2^128 tries; two texts that collide, which take 2^64, cannot be
// prepared for a salt that is not known yet (Halevi and Krawczyk 2006).
type Digest [16]byte

func digestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest(sum[:16])
}

// A salt makes a digest that no guess of the text can be compared with once it is gone.
type salt [16]byte

// valueSum is SHA-256 of a value. The request's goroutine takes it, before there is a salt.
type valueSum [sha256.Size]byte

// valueDigest is the digest of a value: of the salt and the value's SHA-256.
func (s *salt) valueDigest(sum *valueSum) Digest {
	var b [len(s) + len(sum)]byte
	copy(b[:], s[:])
	copy(b[len(s):], sum[:])
	return digestOf(b[:])
}

// nameDigest is the digest of a record's name.
func (s *salt) nameDigest(a AgentName, key string) Digest {
	var few [128]byte
	b := append(few[:0], s[:]...)
	return digestOf(appendString(appendString(appendString(b, a.Namespace), a.Agent), key))
}

// A recordRow is one version of a record.
type recordRow struct {
	tombstone  bool
	gone       gone // the value and its salt
	commitTS   CommitTS
	commitTime time.Time
	salt       salt // of value; zero without one
	value      []byte
	fields     fields
	hold       recordHold // of fields
}

// gone says why a value that a commit wrote is not there any more.
type gone byte

const (
	goneErased gone = 1 << 1 // by an erasure
	gonePruned gone = 1 << 2 // by the retention of old versions
)

// The flags of records and of operations in events: flagTombstone, and gone.
const (
	flagTombstone = 1
	flagsKnown    = flagTombstone | byte(goneErased|gonePruned)
)

// parseFlags accepts at most one reason for which there is no value. A tombstone has none to lose:
// of one it says that it is an erasure's.
func parseFlags(b byte) (tombstone bool, g gone, ok bool) {
	g = gone(b &^ flagTombstone)
	return b&flagTombstone != 0, g, b&^flagsKnown == 0 && g&(g-1) == 0 && b != flagTombstone|byte(gonePruned)
}

func flagsOf(tombstone bool, g gone) byte {
	if tombstone {
		return flagTombstone | byte(g)
	}
	return byte(g)
}

func (r *recordRow) append(dst []byte) []byte {
	dst = append(dst, flagsOf(r.tombstone, r.gone))
	dst = binary.AppendUvarint(dst, uint64(r.commitTS))
	dst = appendTime(dst, r.commitTime)
	if !r.tombstone && r.gone == 0 {
		dst = append(dst, r.salt[:]...)
		dst = binary.AppendUvarint(dst, uint64(len(r.value)))
		dst = append(dst, r.value...)
	}
	return r.fields.append(dst)
}

// parseRecordRow parses body; the row's value aliases it.
func parseRecordRow(body []byte) (r recordRow, ok bool) {
	d := decoder{rest: body}
	r.tombstone, r.gone, ok = parseFlags(d.byte())
	r.commitTS = CommitTS(d.uvarint())
	r.commitTime = d.time()
	if !r.tombstone && r.gone == 0 {
		copy(r.salt[:], d.bytes(len(r.salt)))
		r.value = d.text()
	}
	r.fields = d.fields(recordFields)
	var ok2 bool
	r.hold, ok2 = r.fields.hold()
	return r, ok && ok2 && d.end() && (r.hold.kind == 0 || !r.tombstone)
}

func sumOf(value []byte) valueSum { return sha256.Sum256(value) }

// digest is what the event of the commit that wrote the value must say of it.
func (r *recordRow) digest() Digest {
	sum := sumOf(r.value)
	return r.salt.valueDigest(&sum)
}

// An outcomeRow answers a commit that is sent again.
type outcomeRow struct {
	commitTS    CommitTS
	fingerprint Digest // of the operations and preconditions
}

func (r *outcomeRow) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.commitTS))
	return append(dst, r.fingerprint[:]...)
}

func parseOutcomeRow(body []byte) (r outcomeRow, ok bool) {
	d := decoder{rest: body}
	r.commitTS = CommitTS(d.uvarint())
	copy(r.fingerprint[:], d.bytes(len(r.fingerprint)))
	return r, d.end()
}
