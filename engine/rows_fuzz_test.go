package engine

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
)

// Whatever stands on a disk, parsing it does not panic, and what parses is written
// in the one way that there is: written again it is the same bytes. A second
// spelling would be a second hash for the same commit.

func FuzzRecordRow(f *testing.F) {
	for _, r := range []layout.RecordRow{
		{CommitTS: 1, CommitTime: timeOfMilli(1_800_000_000_000), Value: []byte(`{"n":1}`)},
		{CommitTS: 1 << 40, Tombstone: true},
	} {
		f.Add(r.Append(nil))
	}
	f.Add([]byte{0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0}) // commit_ts 0 in two bytes
	f.Add([]byte{layout.FlagTombstone, 1, 0, 0, 0, 0, 0, 0, 0, 0, 'x'})
	f.Add((&layout.RecordRow{CommitTS: 3, Gone: layout.GonePruned}).Append(nil))
	f.Add([]byte{byte(layout.GoneErased | layout.GonePruned), 1, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		if r, ok := layout.ParseRecordRow(body); ok {
			sameBytes(t, body, r.Append(nil))
		}
	})
}

func FuzzEventRow(f *testing.F) {
	for _, r := range []layout.EventRow{
		{TxnID: "client-1", Ops: []layout.EventRowOp{{Key: "k", Version: 3, Size: 7, Digest: layout.Digest{1, 2}}, {Key: "l", Version: 1 << 50, Tombstone: true}}},
		{TxnID: "01a206db-a9ff-7ce8-9a58-257adfc272ef", CommitTime: timeOfMilli(1), By: layout.Provenance{State: layout.ProvenanceThere, TraceID: "t", Metadata: map[string]string{"a": "1", "b": ""}}},
		{TxnID: "x", By: layout.Provenance{State: layout.ProvenanceErased}, Ops: []layout.EventRowOp{{Version: 1, Gone: layout.GoneErased}}},
	} {
		f.Add(r.Append(nil))
	}
	name := string(make([]byte, 16))
	end := name + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01x" // of a digest, and time and txn id
	for _, body := range []string{
		"\x00\x01" + end + name + "\x00\x00\x02\x01b\x00\x01a\x00",                                                     // metadata out of order
		"\x00\x01" + end + name + "\x00\x00\x02\x01a\x00\x01a\x01b",                                                    // and twice
		"\x01\x01\x81\x00" + name + "\x00" + end[16:] + "\x01k" + name,                                                 // a version in two bytes
		"\x01\x00\x01" + name + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + name + "\x00" + end[16:] + "\x01k" + name, // a size that is no int
		"\x01\x06\x01" + name + "\x01" + name + "\x00" + end[16:] + "\x01k" + name,                                     // erased and pruned
		"\x00\x00" + end[16:25] + "\x00\x2401a206db-a9ff-7ce8-9a58-257adfc272ef",                                       // a UUID as text
		"\x00\x02" + end, "\x00\x00" + end[16:] + "\x02\x01x", // erased of nothing; a field
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, ok := layout.ParseEventRow(body)
		if !ok {
			return
		}
		sameBytes(t, body, r.Append(nil))
		for _, op := range r.Ops {
			if op.Size < 0 {
				t.Fatalf("a value of %d bytes", op.Size)
			}
		}
	})
}

func FuzzLogRow(f *testing.F) {
	for _, r := range []layout.LogRow{
		{TxnID: "client-1", CommitTime: timeOfMilli(1), Parts: []layout.LogPart{{Digest: layout.Digest{1}, Agent: AgentName{Namespace: "default", Agent: "a"}}, {Digest: layout.Digest{2}, Agent: AgentName{Namespace: "team", Agent: "b"}}, {}}},
		{Hash: layout.ChainHash{1}, TxnID: "01a206db-a9ff-7ce8-9a58-257adfc272ef"},
	} {
		f.Add(r.Append(nil))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if r, ok := layout.ParseLogRow(body); ok {
			sameBytes(t, body, r.Append(nil))
		}
	})
}

func FuzzOutcomeRow(f *testing.F) {
	f.Add((&layout.OutcomeRow{CommitTS: 300, Fingerprint: layout.Digest{1}}).Append(nil))
	f.Add(append([]byte{0x80, 0}, make([]byte, 16)...))
	f.Fuzz(func(t *testing.T, body []byte) {
		if r, ok := layout.ParseOutcomeRow(body); ok {
			sameBytes(t, body, r.Append(nil))
		}
	})
}

// FuzzSlot gives half of what it tries a checksum that fits, which no fuzzer finds.
func FuzzSlot(f *testing.F) {
	f.Add(mark{ts: 3}.appendSlot(nil, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, slot := range [][]byte{b, sealed(b)} {
			if m, turn, ok := parseSlot(slot); ok {
				sameBytes(t, slot, m.appendSlot(nil, turn))
			}
		}
	})
}

func sealed(b []byte) []byte {
	if len(b) < 4 {
		return b
	}
	d := layout.Decoder{Rest: bytes.Clone(b)}
	body := d.Bytes(len(b) - 4)
	sum := crc32.Checksum(body, layout.Castagnoli)
	return append(body[:len(body):len(body)], byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24))
}

// FuzzOpenRow: a sealed row opens under its key to what was sealed, and what opens
// is sealed.
func FuzzOpenRow(f *testing.F) {
	f.Add([]byte("key"), []byte("body"))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, key, row []byte) {
		if body, err := layout.OpenRow(key, row); err == nil {
			sameBytes(t, row, layout.SealRow(key, bytes.Clone(body)))
		}
		body, err := layout.OpenRow(key, layout.SealRow(key, bytes.Clone(row)))
		if err != nil {
			t.Fatalf("G8: a good row does not open: %v", err)
		}
		sameBytes(t, row, body)
	})
}

// FuzzSplitKey tries every split on one key, and the comparer's.
func FuzzSplitKey(f *testing.F) {
	n := RecordName{Namespace: "default", Agent: "a:b", Key: "k\u0080"}
	for _, k := range [][]byte{
		layout.AppendVersion(layout.RecordPrefix(n), 3), layout.RecordPrefix(n), layout.EventKey(n.AgentName(), 1<<40), layout.LogKey(5),
		layout.AgentPrefix(layout.AgentTag, n.AgentName()), layout.OutcomeKey("x"), floorKey, nil,
		[]byte("r\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), // names that are empty
	} {
		f.Add(k)
	}
	f.Fuzz(func(t *testing.T, k []byte) {
		if n, v, ok := layout.SplitRecordKey(k); ok {
			sameBytes(t, k, layout.AppendVersion(layout.RecordPrefix(n), v))
			if layout.VersionSplit(k) != len(k)-layout.NumberSize {
				t.Fatalf("%x is a record key and splits at %d", k, layout.VersionSplit(k))
			}
		}
		if a, ts, ok := layout.SplitEventKey(k); ok {
			sameBytes(t, k, layout.EventKey(a, ts))
		}
		if ts, ok := layout.SplitLogKey(k); ok {
			sameBytes(t, k, layout.LogKey(ts))
		}
		var a AgentName
		if rest, ok := layout.SplitNames(k, layout.AgentTag, &a.Namespace, &a.Agent); ok && len(rest) == 0 {
			sameBytes(t, k, layout.AgentPrefix(layout.AgentTag, a))
		}
		at := layout.VersionSplit(k)
		if at < 0 || at > len(k) || layout.VersionSplit(k[:at]) != at {
			t.Fatalf("%x splits at %d", k, at)
		}
		if s := layout.Successor(k); s != nil && bytes.Compare(s, k) <= 0 {
			t.Fatalf("%x follows %x", s, k)
		}
	})
}

// FuzzIdentity reads identity files: the text as it is, and with a checksum that fits.
func FuzzIdentity(f *testing.F) {
	good := identity{format: 1, storeID: "01a206db-a9ff-7ce8-9a58-257adfc272ef"}.encode()
	f.Add(good)
	text := func(format, rest string) []byte {
		return fmt.Appendf(nil, "Statehouse data directory\nformat %s\nstore x%s", format, rest)
	}
	for _, b := range [][]byte{
		text("1", "\n"), text("01", "\n"), text("+1", "\n"), text("0", "\n"), text("-1", "\n"), text("2", "\nmore\n"),
		text("1", "\nmore\n"), text("1", ""), text("99999999999999999999", "\n"), {}, []byte("checksum "),
	} {
		f.Add(b)
	}
	fs := vfs.NewMem()
	f.Fuzz(func(t *testing.T, b []byte) {
		withSum := fmt.Appendf(bytes.Clone(b), "checksum %08x\n", crc32.Checksum(b, layout.Castagnoli))
		for _, data := range [][]byte{b, withSum} {
			if err := writeFileAtomic(fs, "identity", bytes.Clone(data)); err != nil {
				t.Fatal(err)
			}
			id, err := readIdentity(fs, "identity")
			switch {
			case err == nil && id == nil:
				t.Fatalf("%q counts as no file", data)
			case err == nil:
				sameBytes(t, data, id.encode())
				if id.format < 1 || id.format > FormatVersion {
					t.Fatalf("format %d is accepted", id.format)
				}
			case !errors.Is(err, ErrDataLoss) && !errors.Is(err, ErrFormat):
				t.Fatalf("%q: %v", data, err)
			}
		}
	})
}

func sameBytes(t *testing.T, want, got []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("G8: two spellings of one thing:\n%x (%q)\n%x (%q)", want, want, got, got)
	}
}
