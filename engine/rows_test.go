package engine

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What rows.go, codec.go, witness.go and identity.go promise: what was written
// comes back, there is one way to write it, and damage is told from it (G8).

func timeOfMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

var drawTime = rapid.Custom(func(t *rapid.T) time.Time {
	return time.Unix(0, rapid.Int64().Draw(t, "nanoseconds")).UTC()
})

var drawTxnID = rapid.Custom(func(t *rapid.T) TxnID {
	if rapid.Bool().Draw(t, "uuid") {
		return formatUUID([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes")))
	}
	return TxnID(rapid.StringMatching(`[!-~]{1,128}`).Draw(t, "id"))
})

func drawDigest(t *rapid.T) (d Digest) {
	copy(d[:], rapid.SliceOfN(rapid.Byte(), len(d), len(d)).Draw(t, "digest"))
	return d
}

var drawEventRow = rapid.Custom(func(t *rapid.T) eventRow {
	r := eventRow{txnID: drawTxnID.Draw(t, "id"), commitTime: drawTime.Draw(t, "time"), ops: []eventRowOp{}}
	r.by.state = rapid.SampledFrom([]provenanceState{provenanceNone, provenanceThere, provenanceErased}).Draw(t, "provenance")
	if r.by.state != provenanceNone {
		r.by.digest = drawDigest(t)
	}
	if r.by.state == provenanceThere {
		r.by.salt = salt(drawDigest(t))
		r.by.principal, r.by.traceID = rapid.String().Draw(t, "principal"), rapid.String().Draw(t, "trace")
		if m := rapid.MapOfN(drawText, rapid.String(), 0, 3).Draw(t, "metadata"); len(m) > 0 {
			r.by.metadata = m
		}
	}
	for range rapid.IntRange(0, 4).Draw(t, "operations") {
		op := eventRowOp{key: drawText.Draw(t, "key"), version: Version(drawNumber.Draw(t, "version")), tombstone: rapid.Bool().Draw(t, "tombstone"), name: drawDigest(t), salt: salt(drawDigest(t))}
		if rapid.IntRange(0, 9).Draw(t, "erased") == 0 {
			op.key, op.salt = "", salt{}
		}
		if !op.tombstone {
			op.gone = rapid.SampledFrom([]gone{0, 0, 0, goneErased, gonePruned}).Draw(t, "gone")
			op.size, op.digest = rapid.IntRange(0, 1<<20).Draw(t, "size"), drawDigest(t)
		}
		r.ops = append(r.ops, op)
	}
	return r
})

var drawLogRow = rapid.Custom(func(t *rapid.T) logRow {
	r := logRow{commitTime: drawTime.Draw(t, "time"), txnID: drawTxnID.Draw(t, "id"), parts: []logPart{}}
	d := drawDigest(t)
	copy(r.hash[:], d[:])
	for range rapid.IntRange(0, 3).Draw(t, "agents") {
		r.parts = append(r.parts, logPart{drawDigest(t), drawRecordName.Draw(t, "agent").AgentName()})
	}
	return r
})

var drawRecordRow = rapid.Custom(func(t *rapid.T) recordRow {
	r := recordRow{tombstone: rapid.Bool().Draw(t, "tombstone"), commitTS: CommitTS(drawNumber.Draw(t, "commit_ts")),
		commitTime: drawTime.Draw(t, "time")}
	if !r.tombstone {
		r.gone = rapid.SampledFrom([]gone{0, 0, 0, goneErased, gonePruned}).Draw(t, "gone")
	}
	if !r.tombstone && r.gone == 0 {
		r.salt = salt(drawDigest(t))
		r.value = rapid.SliceOf(rapid.Byte()).Draw(t, "value")
	}
	return r
})

func TestRowsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ev, lr, rec := drawEventRow.Draw(t, "event"), drawLogRow.Draw(t, "log"), drawRecordRow.Draw(t, "record")
		if back, ok := parseEventRow(ev.append(nil)); !ok || !reflect.DeepEqual(back, ev) {
			t.Fatalf("G5: event\n%+v came back (%v) as\n%+v", ev, ok, back)
		}
		if back, ok := parseLogRow(lr.append(nil)); !ok || !reflect.DeepEqual(back, lr) {
			t.Fatalf("G5: log row\n%+v came back (%v) as\n%+v", lr, ok, back)
		}
		if back, ok := parseRecordRow(rec.append(nil)); !ok || !reflect.DeepEqual(back, rec) {
			t.Fatalf("G1: record\n%+v came back (%v) as\n%+v", rec, ok, back)
		}
		o := outcomeRow{CommitTS(drawNumber.Draw(t, "commit_ts")), drawDigest(t)}
		if back, ok := parseOutcomeRow(o.append(nil)); !ok || back != o {
			t.Fatalf("G6: outcome %+v came back (%v) as %+v", o, ok, back)
		}
		m, turn := mark{CommitTS(drawNumber.Draw(t, "commit_ts")), lr.hash}, drawNumber.Draw(t, "turn")
		if back, backTurn, ok := parseSlot(m.appendSlot(nil, turn)); !ok || back != m || backTurn != turn {
			t.Fatalf("G8: witness %+v, turn %d, came back (%v) as %+v, %d", m, turn, ok, back, backTurn)
		}
	})
}

// TestEventRowKeepsMetadataSorted: a map has no order, a row has one, since the
// chain's hash is over its bytes.
func TestEventRowKeepsMetadataSorted(t *testing.T) {
	r := eventRow{txnID: "x", by: provenance{state: provenanceThere, metadata: map[string]string{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}}}
	want := r.append(nil)
	for range 20 {
		if got := r.append(nil); !bytes.Equal(got, want) {
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
			{eventKey(n.AgentName(), 7), ev.append(nil)},
			{logKey(7), lr.append(nil)},
			{appendVersion(recordPrefix(n), 3), rec.append(nil)},
			{outcomeKey(ev.txnID), (&outcomeRow{7, Digest{1}}).append(nil)},
			{agentPrefix(agentTag, n.AgentName()), []byte{7}},
		}
		r := rapid.SampledFrom(rows).Draw(t, "row")
		row := sealRow(r.key, bytes.Clone(r.body))
		if body, err := openRow(r.key, row); err != nil || !bytes.Equal(body, r.body) {
			t.Fatalf("G8: a good row does not open: %v", err)
		}
		for _, damaged := range [][]byte{r.key, row} {
			for bit := range 8 * len(damaged) {
				damaged[bit/8] ^= 1 << (bit % 8)
				if _, err := openRow(r.key, row); !errors.Is(err, ErrDataLoss) {
					t.Fatalf("G8: bit %d of %x or its key is flipped, and it opens: %v", bit, row, err)
				}
				damaged[bit/8] ^= 1 << (bit % 8)
			}
		}
		for cut := range row { // and every way to cut it short
			if _, err := openRow(r.key, row[:cut]); !errors.Is(err, ErrDataLoss) {
				t.Fatalf("G8: cut to %d bytes %x opens", cut, row)
			}
		}
	})
}

// TestRowFromElsewhereIsFound: a whole row, good in its own place, in another.
func TestRowFromElsewhereIsFound(t *testing.T) {
	rec := recordRow{commitTS: 4, value: []byte(`{"n":1}`)}
	at := func(ns, agent, key string, v Version) []byte {
		return appendVersion(recordPrefix(RecordName{Namespace: ns, Agent: agent, Key: key}), v)
	}
	row := sealRow(at("a", "b", "c", 2), rec.append(nil))
	for _, key := range [][]byte{at("a", "b", "c", 3), at("a", "b", "d", 2), at("a", "bc", "", 2), at("ab", "c", "c", 2), logKey(4), nil} {
		if _, err := openRow(key, row); !errors.Is(err, ErrDataLoss) {
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
	h := func(previous byte, ts CommitTS, at int64, id TxnID, parts ...byte) chainHash {
		r := logRow{commitTime: timeOfMilli(at), txnID: id}
		for _, p := range parts {
			r.parts = append(r.parts, logPart{digest: Digest{15: p}, agent: ann})
		}
		return r.chain(chainHash{previous}, ts)
	}
	seen := map[chainHash]int{}
	for i, hash := range []chainHash{
		h(0, 1, 5, "x", 1, 2), h(1, 1, 5, "x", 1, 2), h(0, 2, 5, "x", 1, 2), h(0, 1, 6, "x", 1, 2), h(0, 1, 5, "y", 1, 2),
		h(0, 1, 5, "x", 2, 1), h(0, 1, 5, "x", 1), h(0, 1, 5, "x"), h(0, 1, 5, "x", 1, 2, 0), h(0, 1, 5, "x", 1, 3),
	} {
		if other, taken := seen[hash]; taken {
			t.Errorf("G8: cases %d and %d have one hash", i, other)
		}
		seen[hash] = i
	}
	r := logRow{txnID: "x", parts: []logPart{{Digest{1}, ann}, {Digest{2}, bob}}}
	named := r.chain(chainHash{}, 1)
	if r.parts[1].agent = (AgentName{}); r.chain(chainHash{}, 1) != named {
		t.Error("G8: the chain covers a name in the clear")
	}
}

// TestPartDigest: the digest of a part covers all that an event says but the clear text, which
// is covered by salted digests, and whether that is still there.
func TestPartDigest(t *testing.T) {
	whole := func() eventRow {
		return eventRow{
			txnID: "x", commitTime: timeOfMilli(5),
			by:  provenance{state: provenanceThere, digest: Digest{7}, salt: salt{8}, principal: "p", metadata: map[string]string{"a": "1"}},
			ops: []eventRowOp{{key: "k", version: 3, size: 7, digest: Digest{1}, name: Digest{2}, salt: salt{3}}, {key: "l", version: 1, tombstone: true, name: Digest{4}}},
		}
	}
	r := whole()
	want := r.digest()
	for what, change := range map[string]func(r *eventRow){ // each for itself: any order
		"version":           func(r *eventRow) { r.ops[0].version++ },
		"size":              func(r *eventRow) { r.ops[0].size++ },
		"value":             func(r *eventRow) { r.ops[0].digest[15]++ },
		"name":              func(r *eventRow) { r.ops[1].name[15]++ },
		"tombstone":         func(r *eventRow) { r.ops[0].tombstone, r.ops[0].digest, r.ops[0].size = true, Digest{}, 0 },
		"order":             func(r *eventRow) { r.ops[0], r.ops[1] = r.ops[1], r.ops[0] },
		"an operation less": func(r *eventRow) { r.ops = r.ops[:1] },
		"provenance":        func(r *eventRow) { r.by.digest[15]++ },
		"no provenance":     func(r *eventRow) { r.by = provenance{} },
	} {
		if r := whole(); true {
			if change(&r); r.digest() == want {
				t.Errorf("G8: the digest of a part does not cover: %s", what)
			}
		}
	}
	for what, erase := range map[string]func(r *eventRow){ // likewise
		"a value":    func(r *eventRow) { r.ops[0].gone = goneErased },
		"an old one": func(r *eventRow) { r.ops[0].gone = gonePruned },
		"a name":     func(r *eventRow) { r.ops[0].key, r.ops[0].salt = "", salt{} },
		"metadata":   func(r *eventRow) { r.by = provenance{state: provenanceErased, digest: r.by.digest} },
	} {
		r := whole()
		erase(&r)
		back, ok := parseEventRow(r.append(nil))
		if !ok || back.digest() != want {
			t.Errorf("G8: an event whose %s is gone comes back (%v) with another digest", what, ok)
		}
	}
}
