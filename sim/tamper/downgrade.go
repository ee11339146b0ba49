package tamper

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Downgrade makes the store in dir, which nobody has open, one of format 1, as the builds that
// wrote that format would have left it: with the same commits, in the chain of that format. It
// is for migrations, which have to find everything again. What format 1 cannot say, who
// committed, is lost.
func Downgrade(fs vfs.FS, dir string) error {
	t := &tampering{fs: fs, witness: fs.PathJoin(dir, "witness"), rows: make(map[byte][]row)}
	db, err := pebble.Open(fs.PathJoin(dir, "store"), options(fs))
	if err != nil {
		return fmt.Errorf("downgrade: %w", err)
	}
	t.db = db
	hashes := map[uint64][]byte{0: make([]byte, hashSize)}
	if err = t.load(); err == nil {
		err = t.downgradeRows(hashes)
	}
	if err = errors.Join(err, db.Flush(), db.Close()); err != nil {
		return err
	}
	if err := t.downgradeWitness(hashes); err != nil {
		return err
	}
	return downgradeTexts(fs, dir, hashes)
}

// downgradeRows rewrites the rows, and gives the hash of each commit.
func (t *tampering) downgradeRows(hashes map[uint64][]byte) error {
	var errs []error
	put := func(r row, body []byte) {
		r.body = body
		r.seal()
		errs = append(errs, t.put(r))
	}
	for i := range t.rows['l'] {
		log := &t.rows['l'][i]
		ts := tsOf(log)
		l := takeApart(log)
		unhashed := bytes.Clone(log.body[hashSize : l.parts-uvarintSize(len(l.events))])
		unhashed = binary.AppendUvarint(unhashed, uint64(len(l.events)))
		unhashed = append(unhashed, log.body[l.sealed:]...) // the names
		h := sha256.New()
		number := func(n int) { h.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) }
		h.Write(hashes[ts-1])
		number(int(ts))
		number(len(unhashed))
		h.Write(unhashed)
		for _, key := range l.events {
			event := t.find(key)
			body := t.event1(event)
			number(len(body))
			h.Write(body)
			put(*event, body)
		}
		hashes[ts] = h.Sum(nil)
		put(*log, append(bytes.Clone(hashes[ts]), unhashed...))
	}
	for _, r := range t.rows['r'] {
		head, value := record(r.body)
		put(r, append(bytes.Clone(head), value...))
	}
	for _, r := range t.rows['m'] {
		switch string(r.key) {
		case "mf":
			put(r, []byte{1})
		case "mo":
		default:
			errs = append(errs, t.delete(r))
		}
	}
	return errors.Join(errs...)
}

func uvarintSize(n int) int { return len(binary.AppendUvarint(nil, uint64(n))) }

// record takes a record row apart: flags, commit_ts and time, and the value.
func record(body []byte) (head, value []byte) {
	_, n := binary.Uvarint(body[1:])
	head, rest := body[:1+n+8], body[1+n+8:]
	if len(rest) == 0 {
		return head, nil
	}
	size, n := binary.Uvarint(rest[saltSize:])
	return head, rest[saltSize+n:][:size]
}

// event1 is an event as format 1 has it.
func (t *tampering) event1(event *row) []byte {
	agent, _, _ := names(event.key, 'e', 2)
	_, sealed := writes(event.body)
	// Once more, for tombstones, and for what comes after what is sealed.
	r := &reader{b: event.body}
	all := make([]op, r.uvarint())
	deleted := make([]bool, len(all))
	for i := range all {
		r.at++
		deleted[i] = event.body[r.at-1] == 1
		all[i].version = r.uvarint()
		if r.at += digestSize; !deleted[i] {
			r.uvarint()
			r.at += digestSize
		}
	}
	told := event.body[r.at] != 0
	at := sealed + 8
	r.at = at
	r.txnID()
	out := append(bytes.Clone(event.body[at:r.at]), event.body[sealed:at]...) // id, time
	for i := range all {
		all[i].key = r.string()
		r.at += saltSize
	}
	if told {
		r.at += saltSize
		r.string()
		r.string()
		out = append(out, event.body[r.at:]...)
	} else {
		out = append(out, 0)
	}
	out = binary.AppendUvarint(out, uint64(len(all)))
	for i, o := range all {
		flags := byte(0)
		if deleted[i] {
			flags = 1
		}
		out = binary.AppendUvarint(append(out, flags), uint64(len(o.key)))
		out = binary.AppendUvarint(append(out, o.key...), o.version)
		if !deleted[i] {
			_, value := record(t.find(keyOf('r', ^o.version, agent[0], agent[1], o.key)).body)
			out = append(binary.AppendUvarint(out, uint64(len(value))), digest(value)...)
		}
	}
	return out
}

// downgradeWitness gives the slots the hashes of format 1.
func (t *tampering) downgradeWitness(hashes map[uint64][]byte) error {
	data, good, err := t.readWitness()
	if err != nil {
		return err
	}
	for _, at := range good {
		copy(data[at+hashAt:at+hashAt+hashSize], hashes[binary.BigEndian.Uint64(data[at+tsAt:])])
	}
	return t.writeWitness(data, good...)
}

// downgradeTexts rewrites the identity file, and the mark of a store that runs without syncs.
func downgradeTexts(fs vfs.FS, dir string, hashes map[uint64][]byte) error {
	rewrite := func(name string, change func(text string) string) error {
		path := fs.PathJoin(dir, name)
		f, err := fs.Open(path)
		if err != nil {
			return err
		}
		data, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		text, _, _ := bytes.Cut(data, []byte("checksum "))
		now := change(string(text))
		out, err := fs.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%schecksum %08x\n", now, crc32.Checksum([]byte(now), castagnoli))
		return errors.Join(err, out.Sync(), out.Close())
	}
	err := rewrite("STATEHOUSE", func(text string) string {
		var store string
		_, _ = fmt.Sscanf(text, "Statehouse data directory\nformat 2\nstore %s\n", &store)
		return fmt.Sprintf("Statehouse data directory\nformat 1\nstore %s\n", store)
	})
	if _, none := fs.Stat(fs.PathJoin(dir, "unsynced")); err != nil || none != nil {
		return err
	}
	return rewrite("unsynced", func(text string) string {
		var ts uint64
		var hash string
		_, _ = fmt.Sscanf(text, "Statehouse ran without syncs\ndurable %d\nhash %s\n", &ts, &hash)
		return fmt.Sprintf("Statehouse ran without syncs\ndurable %d\nhash %x\n", ts, hashes[ts])
	})
}
