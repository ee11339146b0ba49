package engine

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine/layout"
)

// What rows.go, codec.go, witness.go and identity.go promise: what was written
// comes back, there is one way to write it, and damage is told from it (G8).

func timeOfMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

var drawTime = rapid.Custom(func(t *rapid.T) time.Time {
	return time.Unix(0, rapid.Int64().Draw(t, "nanoseconds")).UTC()
})

var drawTxnID = rapid.Custom(func(t *rapid.T) TxnID {
	if rapid.Bool().Draw(t, "uuid") {
		return layout.FormatUUID([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes")))
	}
	return TxnID(rapid.StringMatching(`[!-~]{1,128}`).Draw(t, "id"))
})

func drawDigest(t *rapid.T) (d layout.Digest) {
	copy(d[:], rapid.SliceOfN(rapid.Byte(), len(d), len(d)).Draw(t, "digest"))
	return d
}

var drawEventRow = rapid.Custom(func(t *rapid.T) layout.EventRow {
	r := layout.EventRow{TxnID: drawTxnID.Draw(t, "id"), CommitTime: drawTime.Draw(t, "time"), Ops: []layout.EventRowOp{}}
	r.By.State = rapid.SampledFrom([]layout.ProvenanceState{layout.ProvenanceNone, layout.ProvenanceThere, layout.ProvenanceErased}).Draw(t, "provenance")
	if r.By.State != layout.ProvenanceNone {
		r.By.Digest = drawDigest(t)
	}
	if r.By.State == layout.ProvenanceThere {
		r.By.Salt = layout.Salt(drawDigest(t))
		r.By.Principal, r.By.TraceID = rapid.String().Draw(t, "principal"), rapid.String().Draw(t, "trace")
		if m := rapid.MapOfN(drawText, rapid.String(), 0, 3).Draw(t, "metadata"); len(m) > 0 {
			r.By.Metadata = m
		}
	}
	for range rapid.IntRange(0, 4).Draw(t, "operations") {
		op := layout.EventRowOp{Key: drawText.Draw(t, "key"), Version: Version(drawNumber.Draw(t, "version")), Tombstone: rapid.Bool().Draw(t, "tombstone"), Name: drawDigest(t), Salt: layout.Salt(drawDigest(t))}
		if rapid.IntRange(0, 9).Draw(t, "erased") == 0 {
			op.Key, op.Salt = "", layout.Salt{}
		}
		if !op.Tombstone {
			op.Gone = rapid.SampledFrom([]layout.Gone{0, 0, 0, layout.GoneErased, layout.GonePruned}).Draw(t, "gone")
			op.Size, op.Digest = rapid.IntRange(0, 1<<20).Draw(t, "size"), drawDigest(t)
		}
		r.Ops = append(r.Ops, op)
	}
	return r
})

var drawLogRow = rapid.Custom(func(t *rapid.T) layout.LogRow {
	r := layout.LogRow{CommitTime: drawTime.Draw(t, "time"), TxnID: drawTxnID.Draw(t, "id"), Parts: []layout.LogPart{}}
	d := drawDigest(t)
	copy(r.Hash[:], d[:])
	for range rapid.IntRange(0, 3).Draw(t, "agents") {
		r.Parts = append(r.Parts, layout.LogPart{Digest: drawDigest(t), Agent: drawRecordName.Draw(t, "agent").AgentName()})
	}
	return r
})

var drawRecordRow = rapid.Custom(func(t *rapid.T) layout.RecordRow {
	r := layout.RecordRow{Tombstone: rapid.Bool().Draw(t, "tombstone"), CommitTS: CommitTS(drawNumber.Draw(t, "commit_ts")),
		CommitTime: drawTime.Draw(t, "time")}
	if !r.Tombstone {
		r.Gone = rapid.SampledFrom([]layout.Gone{0, 0, 0, layout.GoneErased, layout.GonePruned}).Draw(t, "gone")
	}
	if !r.Tombstone && r.Gone == 0 {
		r.Salt = layout.Salt(drawDigest(t))
		r.Value = rapid.SliceOf(rapid.Byte()).Draw(t, "value")
	}
	return r
})

func TestRowsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ev, lr, rec := drawEventRow.Draw(t, "event"), drawLogRow.Draw(t, "log"), drawRecordRow.Draw(t, "record")
		if back, ok := layout.ParseEventRow(ev.Append(nil)); !ok || !reflect.DeepEqual(back, ev) {
			t.Fatalf("G5: event\n%+v came back (%v) as\n%+v", ev, ok, back)
		}
		if back, ok := layout.ParseLogRow(lr.Append(nil)); !ok || !reflect.DeepEqual(back, lr) {
			t.Fatalf("G5: log row\n%+v came back (%v) as\n%+v", lr, ok, back)
		}
		if back, ok := layout.ParseRecordRow(rec.Append(nil)); !ok || !reflect.DeepEqual(back, rec) {
			t.Fatalf("G1: record\n%+v came back (%v) as\n%+v", rec, ok, back)
		}
		o := layout.OutcomeRow{CommitTS: CommitTS(drawNumber.Draw(t, "commit_ts")), Fingerprint: drawDigest(t)}
		if back, ok := layout.ParseOutcomeRow(o.Append(nil)); !ok || back != o {
			t.Fatalf("G6: outcome %+v came back (%v) as %+v", o, ok, back)
		}
		m, turn := mark{CommitTS(drawNumber.Draw(t, "commit_ts")), lr.Hash}, drawNumber.Draw(t, "turn")
		if back, backTurn, ok := parseSlot(m.appendSlot(nil, turn)); !ok || back != m || backTurn != turn {
			t.Fatalf("G8: witness %+v, turn %d, came back (%v) as %+v, %d", m, turn, ok, back, backTurn)
		}
	})
}

// TestEventRowKeepsMetadataSorted: a map has no order, a row has one, since the
// chain's hash is over its bytes.
func TestEventRowKeepsMetadataSorted(t *testing.T) {
	r := layout.EventRow{TxnID: "x", By: layout.Provenance{State: layout.ProvenanceThere, Metadata: map[string]string{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}}}
	want := r.Append(nil)
	for range 20 {
		if got := r.Append(nil); !bytes.Equal(got, want) {
			t.Fatalf("one row has two encodings:\n%x\n%x", got, want)
		}
	}
}

// TestFlippedBitIsFound flips every bit of a row and of its key in turn.
func TestFlippedBitIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawRecordName.Draw(t, "name")
		ev, lr, rec := drawEventRow.Draw(t, "event"), drawLogRow.Draw(t, "log"), drawRecordRow.Draw(t, "record")
		rows := []struct{ key, body []byte }{
			{layout.EventKey(n.AgentName(), 7), ev.Append(nil)},
			{layout.LogKey(7), lr.Append(nil)},
			{layout.AppendVersion(layout.RecordPrefix(n), 3), rec.Append(nil)},
			{layout.OutcomeKey(ev.TxnID), (&layout.OutcomeRow{CommitTS: 7, Fingerprint: layout.Digest{1}}).Append(nil)},
			{layout.AgentPrefix(layout.AgentTag, n.AgentName()), []byte{7}},
		}
		r := rapid.SampledFrom(rows).Draw(t, "row")
		row := layout.SealRow(r.key, bytes.Clone(r.body))
		if body, err := layout.OpenRow(r.key, row); err != nil || !bytes.Equal(body, r.body) {
			t.Fatalf("G8: a good row does not open: %v", err)
		}
		for _, damaged := range [][]byte{r.key, row} {
			for bit := range 8 * len(damaged) {
				damaged[bit/8] ^= 1 << (bit % 8)
				if _, err := layout.OpenRow(r.key, row); !errors.Is(err, ErrDataLoss) {
					t.Fatalf("G8: bit %d of %x or its key is flipped, and it opens: %v", bit, row, err)
				}
				damaged[bit/8] ^= 1 << (bit % 8)
			}
		}
		for cut := range row { // and every way to cut it short
			if _, err := layout.OpenRow(r.key, row[:cut]); !errors.Is(err, ErrDataLoss) {
				t.Fatalf("G8: cut to %d bytes %x opens", cut, row)
			}
		}
	})
}

// TestRowFromElsewhereIsFound: a whole row, good in its own place, in another.
func TestRowFromElsewhereIsFound(t *testing.T) {
	rec := layout.RecordRow{CommitTS: 4, Value: []byte(`{"n":1}`)}
	at := func(ns, agent, key string, v Version) []byte {
		return layout.AppendVersion(layout.RecordPrefix(RecordName{Namespace: ns, Agent: agent, Key: key}), v)
	}
	row := layout.SealRow(at("a", "b", "c", 2), rec.Append(nil))
	for _, key := range [][]byte{at("a", "b", "c", 3), at("a", "b", "d", 2), at("a", "bc", "", 2), at("ab", "c", "c", 2), layout.LogKey(4), nil} {
		if _, err := layout.OpenRow(key, row); !errors.Is(err, ErrDataLoss) {
			t.Errorf("G8: a row opens under %x", key)
		}
	}
}

// TestFlippedBitInSlotIsFound: a slot of the witness that does not check is passed
// over, for a torn write may have spoiled it.
func TestFlippedBitInSlotIsFound(t *testing.T) {
	m := mark{ts: 77}
	m.hash[3] = 9
	slot := m.appendSlot(nil, 12)
	for bit := range 8 * len(slot) {
		slot[bit/8] ^= 1 << (bit % 8)
		if _, _, ok := parseSlot(slot); ok {
			t.Errorf("G8: bit %d is flipped and the slot counts", bit)
		}
		slot[bit/8] ^= 1 << (bit % 8)
	}
	for _, b := range [][]byte{nil, slot[:len(slot)-1], append(bytes.Clone(slot), 0), make([]byte, slotSize)} {
		if _, _, ok := parseSlot(b); ok {
			t.Errorf("G8: %x counts as a slot", b)
		}
	}
}

// TestChainCoversEverything: changing anything that goes into the hash, or moving a boundary
// between two parts, changes it; what an erasure takes out does not.
func TestChainCoversEverything(t *testing.T) {
	h := func(previous byte, ts CommitTS, at int64, id TxnID, parts ...byte) layout.ChainHash {
		r := layout.LogRow{CommitTime: timeOfMilli(at), TxnID: id}
		for _, p := range parts {
			r.Parts = append(r.Parts, layout.LogPart{Digest: layout.Digest{15: p}, Agent: ann})
		}
		return r.Chain(layout.ChainHash{previous}, ts)
	}
	seen := map[layout.ChainHash]int{}
	for i, hash := range []layout.ChainHash{
		h(0, 1, 5, "x", 1, 2), h(1, 1, 5, "x", 1, 2), h(0, 2, 5, "x", 1, 2), h(0, 1, 6, "x", 1, 2), h(0, 1, 5, "y", 1, 2),
		h(0, 1, 5, "x", 2, 1), h(0, 1, 5, "x", 1), h(0, 1, 5, "x"), h(0, 1, 5, "x", 1, 2, 0), h(0, 1, 5, "x", 1, 3),
	} {
		if other, taken := seen[hash]; taken {
			t.Errorf("G8: cases %d and %d have one hash", i, other)
		}
		seen[hash] = i
	}
	r := layout.LogRow{TxnID: "x", Parts: []layout.LogPart{{Digest: layout.Digest{1}, Agent: ann}, {Digest: layout.Digest{2}, Agent: bob}}}
	named := r.Chain(layout.ChainHash{}, 1)
	if r.Parts[1].Agent = (AgentName{}); r.Chain(layout.ChainHash{}, 1) != named {
		t.Error("G8: the chain covers a name in the clear")
	}
}

// TestPartDigest: the digest of a part covers all that an event says but the clear text, which
// is covered by salted digests, and whether that is still there.
func TestPartDigest(t *testing.T) {
	whole := func() layout.EventRow {
		return layout.EventRow{
			TxnID: "x", CommitTime: timeOfMilli(5),
			By:  layout.Provenance{State: layout.ProvenanceThere, Digest: layout.Digest{7}, Salt: layout.Salt{8}, Principal: "p", Metadata: map[string]string{"a": "1"}},
			Ops: []layout.EventRowOp{{Key: "k", Version: 3, Size: 7, Digest: layout.Digest{1}, Name: layout.Digest{2}, Salt: layout.Salt{3}}, {Key: "l", Version: 1, Tombstone: true, Name: layout.Digest{4}}},
		}
	}
	r := whole()
	want := r.Digest()
	for what, change := range map[string]func(r *layout.EventRow){ // each for itself: any order
		"version": func(r *layout.EventRow) { r.Ops[0].Version++ },
		"size":    func(r *layout.EventRow) { r.Ops[0].Size++ },
		"value":   func(r *layout.EventRow) { r.Ops[0].Digest[15]++ },
		"name":    func(r *layout.EventRow) { r.Ops[1].Name[15]++ },
		"tombstone": func(r *layout.EventRow) {
			r.Ops[0].Tombstone, r.Ops[0].Digest, r.Ops[0].Size = true, layout.Digest{}, 0
		},
		"order":             func(r *layout.EventRow) { r.Ops[0], r.Ops[1] = r.Ops[1], r.Ops[0] },
		"an operation less": func(r *layout.EventRow) { r.Ops = r.Ops[:1] },
		"provenance":        func(r *layout.EventRow) { r.By.Digest[15]++ },
		"no provenance":     func(r *layout.EventRow) { r.By = layout.Provenance{} },
	} {
		if r := whole(); true {
			if change(&r); r.Digest() == want {
				t.Errorf("G8: the digest of a part does not cover: %s", what)
			}
		}
	}
	for what, erase := range map[string]func(r *layout.EventRow){ // likewise
		"a value":    func(r *layout.EventRow) { r.Ops[0].Gone = layout.GoneErased },
		"an old one": func(r *layout.EventRow) { r.Ops[0].Gone = layout.GonePruned },
		"a name":     func(r *layout.EventRow) { r.Ops[0].Key, r.Ops[0].Salt = "", layout.Salt{} },
		"metadata": func(r *layout.EventRow) {
			r.By = layout.Provenance{State: layout.ProvenanceErased, Digest: r.By.Digest}
		},
	} {
		r := whole()
		erase(&r)
		back, ok := layout.ParseEventRow(r.Append(nil))
		if !ok || back.Digest() != want {
			t.Errorf("G8: an event whose %s is gone comes back (%v) with another digest", what, ok)
		}
	}
}
