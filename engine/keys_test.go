package engine

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// What keys.go promises: order kept, no two names alike, and a split that Pebble
// can build on. In package engine, since keys are nobody else's.

// drawText makes a name as words.CheckName lets it pass, with much of what could be
// taken for something else: prefixes of each other, separators, the bytes next
// to the terminator, the highest code point.
var drawText = rapid.Custom(func(t *rapid.T) string {
	parts := rapid.SliceOfN(rapid.SampledFrom([]string{
		"a", "b", "ab", ":", "/", " ", "\x7f", "\u0080", "é", "\U0010ffff", "r", "e", "\\x00",
	}), 1, 4).Draw(t, "parts")
	return strings.Join(parts, "")
})

var drawRecordName = rapid.Custom(func(t *rapid.T) RecordName {
	return RecordName{Namespace: drawText.Draw(t, "namespace"), Agent: drawText.Draw(t, "agent"), Key: drawText.Draw(t, "key")}
})

var drawVersion = rapid.Custom(func(t *rapid.T) Version { return Version(drawNumber.Draw(t, "version")) })

// drawNumber likes numbers whose bytes are 00 and ff, which a terminator and a
// complemented version could be taken for.
var drawNumber = rapid.Custom(func(t *rapid.T) uint64 {
	if rapid.Bool().Draw(t, "any") {
		return rapid.Uint64().Draw(t, "number")
	}
	return rapid.SampledFrom([]uint64{0, 1, 2, 0xff, 0x100, 0x10000, 1<<32 - 1, 1 << 32, 1<<56 - 1, 1 << 63, 1<<64 - 1}).Draw(t, "number")
})

func compareNames(a, b []string) int { return slices.Compare(a, b) }

// TestRecordKeyOrder: records sort by namespace, agent and key as bytes, the
// newest version first, and different ones have different keys.
func TestRecordKeyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawRecordName.Draw(t, "a"), drawRecordName.Draw(t, "b")
		if rapid.IntRange(0, 3).Draw(t, "one record") == 0 {
			b = a
		}
		va, vb := drawVersion.Draw(t, "version a"), drawVersion.Draw(t, "version b")
		want := compareNames([]string{a.Namespace, a.Agent, a.Key}, []string{b.Namespace, b.Agent, b.Key})
		if want == 0 {
			want = -cmp.Compare(va, vb)
		}
		ka, kb := layout.AppendVersion(layout.RecordPrefix(a), va), layout.AppendVersion(layout.RecordPrefix(b), vb)
		if got := layout.Comparer.Compare(ka, kb); got != want {
			t.Fatalf("%q v%d and %q v%d compare %d, their keys %d", a, va, b, vb, want, got)
		}
		if n, v, ok := layout.SplitRecordKey(ka); !ok || n != a || v != va {
			t.Fatalf("G10: %q v%d came back as %q v%d (%v)", a, va, n, v, ok)
		}
	})
}

// TestKeysDoNotCollide: no separator in a name makes two keys one (G10).
func TestKeysDoNotCollide(t *testing.T) {
	seen := map[string]RecordName{}
	for _, n := range []RecordName{
		{Namespace: "a:b", Agent: "c", Key: "d"}, {Namespace: "a", Agent: "b:c", Key: "d"}, {Namespace: "a", Agent: "b", Key: "c:d"}, {Namespace: "a:b:c", Agent: "d", Key: "e"}, {Namespace: "a", Agent: "b", Key: "c"},
		{Namespace: "ab", Agent: "c", Key: "d"}, {Namespace: "a", Agent: "bc", Key: "d"}, {Namespace: "a", Agent: "b", Key: "cd"}, {Namespace: "a/b", Agent: "c", Key: "d"}, {Namespace: "a", Agent: "b/c", Key: "d"}, {Namespace: "a\x01", Agent: "b", Key: "c"},
	} {
		k := string(layout.RecordPrefix(n))
		if other, taken := seen[k]; taken {
			t.Errorf("G10: %q and %q have one key", n, other)
		}
		seen[k] = n
	}
}

// TestEventAndLogKeyOrder: events sort by agent and then in commit order, and so
// does the log; both come back as they were.
func TestEventAndLogKeyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawRecordName.Draw(t, "a").AgentName(), drawRecordName.Draw(t, "b").AgentName()
		if rapid.Bool().Draw(t, "one agent") {
			b = a
		}
		x, y := CommitTS(drawNumber.Draw(t, "x")), CommitTS(drawNumber.Draw(t, "y"))
		want := cmp.Or(compareNames([]string{a.Namespace, a.Agent}, []string{b.Namespace, b.Agent}), cmp.Compare(x, y))
		if got := layout.Comparer.Compare(layout.EventKey(a, x), layout.EventKey(b, y)); got != want {
			t.Fatalf("G5: events %q %d and %q %d compare %d, their keys %d", a, x, b, y, want, got)
		}
		if got := layout.Comparer.Compare(layout.LogKey(x), layout.LogKey(y)); got != cmp.Compare(x, y) {
			t.Fatalf("G5: commits %d and %d have keys that compare %d", x, y, got)
		}
		if n, ts, ok := layout.SplitEventKey(layout.EventKey(a, x)); !ok || n != a || ts != x {
			t.Fatalf("G10: event %q %d came back as %q %d (%v)", a, x, n, ts, ok)
		}
		if ts, ok := layout.SplitLogKey(layout.LogKey(x)); !ok || ts != x {
			t.Fatalf("commit %d came back as %d (%v)", x, ts, ok)
		}
	})
}

// TestScanBounds: what lies between a prefix and its successor is what starts
// with it, so no scan meets a neighbour.
func TestScanBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, other := drawRecordName.Draw(t, "name"), drawRecordName.Draw(t, "other")
		cut := rapid.IntRange(0, len(n.Key)).Draw(t, "cut") // may be inside a character
		lower := append(layout.AgentPrefix(layout.RecordTag, n.AgentName()), n.Key[:cut]...)
		upper := layout.Successor(lower)
		k := layout.AppendVersion(layout.RecordPrefix(other), drawVersion.Draw(t, "version"))
		within := bytes.Compare(k, lower) >= 0 && bytes.Compare(k, upper) < 0
		belongs := other.AgentName() == n.AgentName() && strings.HasPrefix(other.Key, n.Key[:cut])
		if within != belongs {
			t.Fatalf("G10: %q is within the scan of %q under %q: %v, but belongs there: %v", other, n.AgentName(), n.Key[:cut], within, belongs)
		}
	})
	if got := layout.Successor([]byte{0xff, 0xff}); got != nil {
		t.Errorf("something follows ff ff: %x", got)
	}
}

// drawStoreKey makes every kind of key that the store holds, and every kind of
// bound that it is searched with.
var drawStoreKey = rapid.Custom(func(t *rapid.T) []byte {
	n, ts := drawRecordName.Draw(t, "name"), CommitTS(drawNumber.Draw(t, "commit_ts"))
	prefix := layout.RecordPrefix(n)
	base := layout.AgentPrefix(layout.RecordTag, n.AgentName())
	switch rapid.IntRange(0, 11).Draw(t, "kind") {
	case 0, 1, 2:
		return layout.AppendVersion(prefix, drawVersion.Draw(t, "version"))
	case 3:
		return prefix // of a seek for the newest version
	case 4:
		return layout.Successor(prefix) // where a scan goes on
	case 5:
		return append(base, n.Key...) // of a scan under a prefix
	case 6:
		return layout.Successor(append(base, n.Key...))
	case 7:
		return layout.EventKey(n.AgentName(), ts)
	case 8:
		return layout.LogKey(ts)
	case 9:
		return layout.OutcomeKey(TxnID(n.Key))
	case 10:
		return layout.AgentPrefix(layout.AgentTag, n.AgentName())
	}
	return rapid.SampledFrom([][]byte{{layout.MetaTag, 'f'}, floorKey, {layout.LogTag}, {layout.LogTag + 1}, {layout.RecordTag}, {0}, {0xff}}).Draw(t, "other")
})

// TestComparer holds the rules that Pebble rests on (base.Split): Compare is the
// order of the parts before the split and then of those behind it, and a key's
// first part is a key itself that splits nowhere and sorts before all that have
// it. Pebble's own CheckComparer would also have prefixes split right that have
// lost bytes at their start, which only stores with synthetic prefixes need.
func TestComparer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawStoreKey.Draw(t, "a"), drawStoreKey.Draw(t, "b")
		sa, sb := layout.Comparer.Split(a), layout.Comparer.Split(b)
		want := bytes.Compare(a[:sa], b[:sb])
		if want == 0 {
			want = layout.Comparer.ComparePointSuffixes(a[sa:], b[sb:])
		}
		if got := layout.Comparer.Compare(a, b); got != want {
			t.Fatalf("%x and %x compare %d, split at %d and %d they compare %d", a, b, got, sa, sb, want)
		}
		if at := layout.Comparer.Split(a[:sa]); at != sa {
			t.Fatalf("%x splits at %d, its first part at %d", a, sa, at)
		}
		if sa < len(a) && (a[0] != layout.RecordTag || layout.Comparer.Compare(a[:sa], a) >= 0) {
			t.Fatalf("%x splits at %d", a, sa)
		}
		if got := layout.Comparer.Equal(a, b); got != (want == 0) {
			t.Fatalf("%x and %x are equal: %v", a, b, got)
		}
		// Pebble shortens the keys of its index blocks with these.
		if want < 0 {
			if s := layout.Comparer.Separator(nil, a, b); layout.Comparer.Compare(a, s) > 0 || layout.Comparer.Compare(s, b) >= 0 {
				t.Fatalf("%x separates %x from %x", s, a, b)
			}
		}
		if s := layout.Comparer.Successor(nil, a); layout.Comparer.Compare(a, s) > 0 {
			t.Fatalf("%x succeeds %x", s, a)
		}
		if x, y := layout.Comparer.AbbreviatedKey(a), layout.Comparer.AbbreviatedKey(b); x < y && want >= 0 || x > y && want <= 0 {
			t.Fatalf("%x and %x compare %d, abbreviated %x and %x", a, b, want, x, y)
		}
	})
}

// TestTxnIDKey: an outcome is found under its id and no other, however it is
// spelled in the key.
func TestTxnIDKey(t *testing.T) {
	ids := []TxnID{
		"a", "A", "01a206db-a9ff-7ce8-9a58-257adfc272ef", "01A206DB-A9FF-7CE8-9A58-257ADFC272EF",
		"01a206dba9ff7ce89a58257adfc272ef", "01a206db-a9ff-7ce8-9a58-257adfc272e", "01a206db-a9ff-7ce8-9a58-257adfc272ef0",
		"01a206db-a9ff-7ce8-9a58-257adfc272eg", "01a206db_a9ff-7ce8-9a58-257adfc272ef", "-1a206db-a9ff-7ce8-9a58-257adfc272ef",
	}
	seen := map[string]TxnID{}
	for _, id := range ids {
		k := layout.OutcomeKey(id)
		if other, taken := seen[string(k)]; taken {
			t.Errorf("G6: %s and %s have one key", id, other)
		}
		seen[string(k)] = id
		d := layout.Decoder{Rest: k[1:]}
		if back := d.TxnID(); d.Failed || len(d.Rest) != 0 || back != id {
			t.Errorf("G6: %s came back as %s", id, back)
		}
	}
}

// TestNewTxnIDIsTimed: the ids of Begin say when they were made, to the millisecond.
func TestNewTxnIDIsTimed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(0, 1<<48-1).Draw(t, "ms")
		at := timeOfMilli(ms)
		id := layout.NewTxnID(at, func(p []byte) {
			copy(p, rapid.SliceOfN(rapid.Byte(), len(p), len(p)).Draw(t, "random"))
		})
		if made, ok := layout.TxnIDTime(id); !ok || !made.Equal(at) || words.CheckTxnID(id) != nil {
			t.Fatalf("G6: %s, made at %v, says %v (%v)", id, at, made, ok)
		}
	})
}
