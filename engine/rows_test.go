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
	if m := rapid.MapOfN(drawText, rapid.String(), 0, 3).Draw(t, "metadata"); len(m) > 0 {
		r.metadata = m
	}
	for range rapid.IntRange(0, 4).Draw(t, "operations") {
		op := eventRowOp{key: drawText.Draw(t, "key"), version: Version(drawNumber.Draw(t, "version")), tombstone: rapid.Bool().Draw(t, "tombstone")}
		if !op.tombstone {
			op.size, op.digest = rapid.IntRange(0, 1<<20).Draw(t, "size"), drawDigest(t)
		}
		r.ops = append(r.ops, op)
	}
	return r
})

var drawLogRow = rapid.Custom(func(t *rapid.T) logRow {
	r := logRow{commitTime: drawTime.Draw(t, "time"), txnID: drawTxnID.Draw(t, "id"), agents: []AgentName{}}
	d := drawDigest(t)
	copy(r.hash[:], d[:])
	for range rapid.IntRange(0, 3).Draw(t, "agents") {
		r.agents = append(r.agents, drawRecordName.Draw(t, "agent").AgentName())
	}
	return r
})

var drawRecordRow = rapid.Custom(func(t *rapid.T) recordRow {
	r := recordRow{tombstone: rapid.Bool().Draw(t, "tombstone"), commitTS: CommitTS(drawNumber.Draw(t, "commit_ts")),
		commitTime: drawTime.Draw(t, "time"), value: []byte{}}
	if !r.tombstone {
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
	r := eventRow{txnID: "x", metadata: map[string]string{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}}
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
		return appendVersion(recordPrefix(RecordName{ns, agent, key}), v)
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

// TestChainCoversEverything: changing any byte that goes into the hash, or moving a
// boundary between two parts, changes it.
func TestChainCoversEverything(t *testing.T) {
	h := func(previous byte, ts CommitTS, row string, events ...string) chainHash {
		bodies := make([][]byte, len(events))
		for i, e := range events {
			bodies[i] = []byte(e)
		}
		return chain(chainHash{previous}, ts, []byte(row), bodies)
	}
	seen := map[chainHash]int{}
	for i, hash := range []chainHash{
		h(0, 1, "row", "e1", "e2"), h(1, 1, "row", "e1", "e2"), h(0, 2, "row", "e1", "e2"), h(0, 1, "rox", "e1", "e2"),
		h(0, 1, "rowe", "1", "e2"), h(0, 1, "row", "e1e2"), h(0, 1, "row", "e", "1e2"), h(0, 1, "row", "e2", "e1"),
		h(0, 1, "row", "e1"), h(0, 1, "row"), h(0, 1, "row", "e1", "e2", ""),
	} {
		if other, taken := seen[hash]; taken {
			t.Errorf("G8: cases %d and %d have one hash", i, other)
		}
		seen[hash] = i
	}
}
