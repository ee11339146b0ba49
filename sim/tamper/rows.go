package tamper

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The layout of keys and rows, as docs/FORMAT.md has it.

var tags = map[string]byte{"record": 'r', "event": 'e', "log": 'l', "outcome": 't', "agent": 'a', "namespace": 'n', "meta": 'm'}

type row struct {
	key, body []byte
	sum       uint32 // as it is in the store
}

func (r *row) clone() row { return row{bytes.Clone(r.key), bytes.Clone(r.body), r.sum} }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (r *row) seal() {
	r.sum = crc32.Update(crc32.Checksum(r.key, castagnoli), castagnoli, r.body)
}

// tampering is a change under way.
type tampering struct {
	Change
	fs      vfs.FS
	witness string // its path
	db      *pebble.DB
	rows    map[byte][]row // by tag, in the order of their keys, outcomes in that of their commits
}

func (t *tampering) load() error {
	it, err := t.db.NewIter(nil)
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		key, value := it.Key(), it.Value()
		if len(value) < 4 {
			continue
		}
		n := len(value) - 4
		r := row{key, value[:n], binary.LittleEndian.Uint32(value[n:])}
		t.rows[key[0]] = append(t.rows[key[0]], r.clone())
	}
	slices.SortStableFunc(t.rows['t'], func(a, b row) int { return cmp.Compare(tsOf(&a), tsOf(&b)) })
	return it.Close()
}

func (t *tampering) put(r row) error {
	return t.db.Set(r.key, binary.LittleEndian.AppendUint32(bytes.Clone(r.body), r.sum), pebble.Sync)
}

func (t *tampering) delete(r row) error { return t.db.Delete(r.key, pebble.Sync) }

// head is the last commit of the log.
func (t *tampering) head() uint64 {
	rows := t.rows['l']
	if len(rows) == 0 {
		return 0
	}
	return tsOf(&rows[len(rows)-1])
}

// tsOf is the commit that made a row.
func tsOf(r *row) uint64 {
	switch r.key[0] {
	case 'e', 'l':
		return binary.BigEndian.Uint64(r.key[len(r.key)-8:])
	case 'r':
		ts, _ := binary.Uvarint(r.body[1:])
		return ts
	}
	ts, _ := binary.Uvarint(r.body)
	return ts
}

// names takes n names off a key that begins with a tag.
func names(key []byte, tag byte, n int) (list []string, rest []byte, ok bool) {
	if len(key) == 0 || key[0] != tag {
		return nil, nil, false
	}
	rest = key[1:]
	for range n {
		i := bytes.IndexByte(rest, 0)
		if i < 0 {
			return nil, nil, false
		}
		list, rest = append(list, string(rest[:i])), rest[i+1:]
	}
	return list, rest, true
}

func keyOf(tag byte, number uint64, names ...string) []byte {
	key := []byte{tag}
	for _, n := range names {
		key = append(append(key, n...), 0)
	}
	return binary.BigEndian.AppendUint64(key, number)
}

func (t *tampering) find(key []byte) *row {
	for i, r := range t.rows[key[0]] {
		if bytes.Equal(r.key, key) {
			return &t.rows[key[0]][i]
		}
	}
	return nil
}

// reader reads the parts of a row. at is where it stands.
type reader struct {
	b  []byte
	at int
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b[r.at:])
	r.at += n
	return v
}

func (r *reader) string() string {
	n := int(r.uvarint())
	r.at += n
	return string(r.b[r.at-n : r.at])
}

func (r *reader) txnID() {
	if r.at++; r.b[r.at-1] == 1 {
		r.at += 16
	} else {
		r.string()
	}
}

// op is an operation of an event that is no tombstone, and where its size and digest stand.
type op struct {
	key      string
	version  uint64
	from, to int
}

// partDigest is the digest of an event, which its log row has.
func partDigest(event []byte) []byte {
	_, sealed := writes(event)
	return digest(event[:sealed])
}

// writes lists the operations of an event that are no tombstones, and says where what is sealed
// by its digest ends.
func writes(body []byte) (list []op, sealed int) {
	r := &reader{b: body}
	all := make([]op, r.uvarint())
	for i := range all {
		o := &all[i]
		r.at++
		tombstone := body[r.at-1]&1 != 0
		o.version = r.uvarint()
		if r.at += digestSize; tombstone {
			continue
		}
		o.from = r.at
		r.uvarint()
		r.at += digestSize
		o.to = r.at
	}
	if r.at++; body[r.at-1] != 0 {
		r.at += digestSize // of the metadata
	}
	sealed = r.at
	r.at += 8
	r.txnID()
	for _, o := range all {
		if o.key = r.string(); o.key != "" {
			r.at += saltSize
		}
		if o.from > 0 {
			list = append(list, o)
		}
	}
	return list, sealed
}

const (
	hashSize   = sha256.Size
	digestSize = 16
	saltSize   = 16
)

func digest(parts ...[]byte) []byte {
	sum := sha256.Sum256(bytes.Join(parts, nil))
	return sum[:digestSize]
}

// valueDigest is the digest of a value: of its salt and its SHA-256.
func valueDigest(salt, value []byte) []byte {
	sum := sha256.Sum256(value)
	return digest(salt, sum[:])
}

// log is a log row, taken apart.
type log struct {
	parts  int // where the digests of the parts stand
	sealed int // where what the chain covers ends
	events [][]byte
}

// takeApart reads a log row. events are the keys of its events, in the order of its parts.
func takeApart(r *row) (l log) {
	read := &reader{b: r.body, at: hashSize + 8}
	read.txnID()
	n := int(read.uvarint())
	l.parts = read.at
	read.at += n * digestSize
	l.sealed = read.at
	for range n {
		namespace := read.string()
		l.events = append(l.events, keyOf('e', tsOf(r), namespace, read.string()))
	}
	return l
}

// chained is the hash of a commit, from the one before it and its log row.
func chained(previous []byte, r *row) []byte {
	h := sha256.New()
	h.Write(previous)
	h.Write(binary.BigEndian.AppendUint64(nil, tsOf(r)))
	h.Write(r.body[hashSize:takeApart(r).sealed])
	return h.Sum(nil)
}
