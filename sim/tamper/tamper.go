// Package tamper changes rows of a store past the engine, under block checksums that are
// right: what is left to find it are the checksums of rows, the hash chain, the witness and
// verify. It is written from docs/FORMAT.md, not with the engine's code: a mistake in how rows
// are sealed or chained must not be made twice.
//
// A Change is one of (names are those of the step "tamper"):
//
//	flip      a bit of a row's body; its checksum is as it was
//	swap      two rows of a kind trade what is under their keys, checksums and all
//	forge     a bit of a row's body, with the checksum made anew
//	drop      a row is gone
//	copy      a row is there twice: as the record's next version, as another commit, name or id
//	exchange  two rows of a kind trade bodies, with checksums made anew
//	extend    a row has a field more, of a tag that nobody knows
//	blank     a value is gone, and so is its salt, as if it had been erased
//	bury      a value is gone, and so is its salt, as if the version were a delete
//	retell    a value and its digest in the event: only the digest of the event can tell
//	rewrite   a value, its digest in the event, that of the event in the log row, and their
//	          checksums: only the chain can tell
//
// of record, event, log, outcome, agent, namespace and meta rows. The log's end and the word
// of the witness about it are changed together, too:
//
//	tail drop     the last commits are gone, with all that they made
//	tail rewind   the last commits are gone from the log alone, and the witness agrees
//	tail spoil    the witness's last word is spoilt, as by a torn write, and the log ends
//	              before the one that was before it
//	tail rewrite  the last commit is another, chain and all: only the witness can tell
//	witness forge a slot names another hash
//	witness ahead a slot names a commit that is not there
//
// What no check can find is left out. A log cut short with all that its commits made and a
// witness that agrees is a store as it once was. A fingerprint stands for conditions that
// are kept nowhere. Outcomes up to the floor need not be there, and a floor that is moved
// where nothing is dropped is a floor that could be. An epoch's name is drawn, and could be any.
package tamper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Change is one change of a store.
type Change struct {
	Row, How string
	Nth      int     // row of its kind, from 1, around when there are fewer; of a tail: how many commits
	Where    float64 // in the row's body, 0 to 1
	Bit      int

	// What the witness must know, whatever a power cut has taken from it: the last commit,
	// and the one that it was told of before; 0: nothing is certain.
	Known, Before uint64
}

// Finder is what has to find a change, besides verify.
type Finder int

// Verify finds all of them.
const (
	VerifyAlone Finder = iota
	Start              // the daemon must not start
	Reads              // whatever is read is right, or refused
)

// Finder returns what has to find the change.
func (c *Change) Finder() Finder {
	switch {
	case c.Row == "witness" || c.Row == "tail" && c.How != "rewind":
		return Start
	case c.How == "flip" || c.How == "swap":
		return Reads
	}
	return VerifyAlone
}

// ErrNothing says that there is nothing in the store to change so.
var ErrNothing = errors.New("nothing in the store can be changed so")

// Apply makes a change of the store in dir, which nobody has open. It returns what it did.
func Apply(fs vfs.FS, dir string, c Change) (what string, err error) {
	t := &tampering{Change: c, fs: fs, witness: fs.PathJoin(dir, "witness"), rows: make(map[byte][]row)}
	if c.Row == "witness" {
		return t.changeWitness()
	}
	if t.db, err = pebble.Open(fs.PathJoin(dir, "store"), options(fs)); err != nil {
		return "", fmt.Errorf("tamper: %w", err)
	}
	if err = t.load(); err == nil {
		what, err = t.change()
	}
	if err == nil {
		err = t.db.Flush()
	}
	return what, errors.Join(err, t.db.Close())
}

// options are those that make Pebble do the same in each run: nothing in the background, and
// tables are written when they are asked for.
func options(fs vfs.FS) *pebble.Options {
	c := *pebble.DefaultComparer
	c.Name = "statehouse.v1"
	c.Split = split
	c.Separator = func(dst, a, _ []byte) []byte { return append(dst, a...) }
	c.Successor = func(dst, a []byte) []byte { return append(dst, a...) }
	o := &pebble.Options{
		FS: fs, Comparer: &c, FormatMajorVersion: 24, Logger: quiet{}, ErrorIfNotExists: true,
		CacheSize: 64 << 10, MemTableSize: 64 << 10, L0CompactionThreshold: 1000, L0StopWritesThreshold: 1000,
		DisableAutomaticCompactions: true, DisableTableStats: true,
		CompactionConcurrencyRange: func() (int, int) { return 1, 1 },
	}
	o.Experimental.FileCacheShards = 1
	o.Experimental.ReadSamplingMultiplier = -1
	return o
}

type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic("tamper: " + fmt.Sprintf(format, a...)) }

// split is where the version of a record's key begins.
func split(key []byte) int {
	if _, rest, ok := names(key, 'r', 3); ok && len(rest) == 8 {
		return len(key) - 8
	}
	return len(key)
}

// change does what is asked.
func (t *tampering) change() (string, error) {
	if t.Row == "tail" {
		return t.changeTail()
	}
	tag := tags[t.Row]
	switch t.How {
	case "flip":
		return t.flip(tag, false)
	case "forge":
		return t.flip(tag, true)
	case "swap":
		return t.trade(tag, false)
	case "exchange":
		return t.trade(tag, true)
	case "drop":
		return t.drop(tag)
	case "copy":
		return t.copy(tag)
	case "extend":
		return t.extend(tag)
	case "blank":
		return t.blank(2) // erased
	case "bury":
		return t.blank(1)
	}
	// Those of a commit's later agents first: a chain may end too soon.
	t.rank()
	return t.rewrite(t.nth(t.rows['e']), func(told, log row) row {
		if t.How == "retell" {
			return log
		}
		return told
	})
}

// nth is the row that is asked for, of those there are.
func (t *tampering) nth(rows []row) int {
	if len(rows) == 0 {
		return -1
	}
	return (t.Nth - 1) % len(rows)
}

// changeable lists the rows of a kind whose absence or change has to show.
func (t *tampering) changeable(tag byte) (list []row) {
	floor := uint64(0)
	for _, r := range t.rows['m'] {
		if string(r.key) == "mo" {
			floor, _ = binary.Uvarint(r.body)
		}
	}
	for _, r := range t.rows[tag] {
		ts, _ := binary.Uvarint(r.body)
		if tag == 't' && ts <= floor || tag == 'm' && string(r.key) == "mo" {
			continue
		}
		list = append(list, r)
	}
	return list
}

func (t *tampering) flip(tag byte, seal bool) (string, error) {
	rows := t.rows[tag]
	if seal {
		rows = slices.DeleteFunc(t.changeable(tag), func(r row) bool { return string(r.key) == "me" })
	}
	i := t.nth(rows)
	if i < 0 || len(rows[i].body) == 0 {
		return "", ErrNothing
	}
	r := rows[i].clone()
	size := len(r.body)
	if seal && tag == 't' { // not the fingerprint
		_, size = binary.Uvarint(r.body)
	}
	if seal && tag == 'r' && r.body[0] == 0 { // nor how long it was to stay, which no event tells
		size = sealedIn(r.body)
	}
	at := min(int(t.Where*float64(size)), size-1)
	r.body[at] ^= 1 << t.Bit
	if seal {
		r.seal()
	}
	return fmt.Sprintf("%s %d of %d, byte %d of %d", t.Row, i+1, len(rows), at, len(r.body)), t.put(r)
}

// saltBytes of a value.
const saltBytes = 16

// sealedIn is how many bytes of a record that has a value come before its fields.
func sealedIn(body []byte) int {
	_, n := binary.Uvarint(body[1:])
	at := 1 + n + 8 + saltBytes
	length, n := binary.Uvarint(body[min(at, len(body)):])
	return min(at+n+int(length), len(body))
}

// trade lets a row and the next one that is another trade their bodies.
func (t *tampering) trade(tag byte, seal bool) (string, error) {
	rows := t.changeable(tag)
	i := t.nth(rows)
	for n := 1; n < len(rows); n++ {
		j := (i + n) % len(rows)
		a, b := rows[i].clone(), rows[j].clone()
		if string(a.body) == string(b.body) || tag == 't' && tsOf(&a) == tsOf(&b) {
			continue
		}
		a.body, b.body, a.sum, b.sum = b.body, a.body, b.sum, a.sum
		if seal {
			a.seal()
			b.seal()
		}
		return fmt.Sprintf("%s %d and %d of %d", t.Row, i+1, j+1, len(rows)), errors.Join(t.put(a), t.put(b))
	}
	return "", ErrNothing
}

func (t *tampering) drop(tag byte) (string, error) {
	rows := t.changeable(tag)
	i := t.nth(rows)
	if i < 0 {
		return "", ErrNothing
	}
	return fmt.Sprintf("%s %d of %d", t.Row, i+1, len(rows)), t.delete(rows[i])
}

// extend adds a field to a row.
func (t *tampering) extend(tag byte) (string, error) {
	i := t.nth(t.rows[tag])
	if i < 0 {
		return "", ErrNothing
	}
	r := t.rows[tag][i].clone()
	r.body = append(r.body, 1+byte(t.Nth%2), 1, 'x') // clear, or sealed
	r.seal()
	return fmt.Sprintf("%s %d of %d", t.Row, i+1, len(t.rows[tag])), t.put(r)
}

// blank takes the value out of a record, which says why by its flags.
func (t *tampering) blank(flags byte) (string, error) {
	written := slices.DeleteFunc(slices.Clone(t.rows['r']), func(r row) bool { return r.body[0] != 0 })
	i := t.nth(written)
	if i < 0 {
		return "", ErrNothing
	}
	r := written[i].clone()
	_, n := binary.Uvarint(r.body[1:])
	r.body = r.body[:1+n+8]
	r.body[0] = flags
	r.seal()
	return fmt.Sprintf("record %d of %d", i+1, len(written)), t.put(r)
}

// copy puts a row under another key of its kind, too.
func (t *tampering) copy(tag byte) (string, error) {
	rows := t.rows[tag]
	i := t.nth(rows)
	if i < 0 {
		return "", ErrNothing
	}
	r := rows[i].clone()
	n := len(r.key)
	switch tag {
	case 'r':
		for r.key = r.key[:n-8]; i > 0 && string(rows[i-1].key[:len(rows[i-1].key)-8]) == string(r.key); i-- {
		}
		newest := binary.BigEndian.Uint64(rows[i].key[n-8:]) // complemented
		r.key = binary.BigEndian.AppendUint64(r.key, newest-1)
	case 'e', 'l':
		r.key = binary.BigEndian.AppendUint64(r.key[:n-8], t.head()+1)
	case 't':
		r.key = append([]byte{'t', 0, 8}, "tampered"...)
	case 'a', 'n':
		r.key = append(r.key[:n-1], '~', '~', 0)
	default:
		r.key = append(r.key, 'x')
	}
	r.seal()
	return fmt.Sprintf("%s %d of %d", t.Row, t.nth(rows)+1, len(rows)), t.put(r)
}
