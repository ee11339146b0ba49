package jsonform

import (
	"hash/maphash"
	"math/bits"
	"unicode/utf8"
)

// KeySet finds a key that occurs twice in an object, in a value of any encoding. It
// belongs to one value and holds the places of keys in its text, not copies. Objects
// nest: open each before its first key and close it after its last, inner ones first.
// Time and memory are linear in the number of keys, whatever the keys are.
type KeySet struct {
	text    []byte
	decoded []byte // keys that differ from their spelling, one after another
	spans   []keySpan
}

// keySpan is a key: at is where it starts in text. A start from len(text) on is in decoded.
type keySpan struct{ at, start, end uint32 }

// Up to fewKeys keys of an object are compared one by one, which costs less than hashing.
const fewKeys = 24

// NewKeySet makes a set for keys in text, which is at most 2 GiB long.
func NewKeySet(text []byte) KeySet { return KeySet{text: text} }

// Open begins an object and returns the argument that Add and Close take for it.
func (k *KeySet) Open() int { return len(k.spans) }

// Add adds the key text[start:end] to the object opened last and reports whether the
// object has it already. It may leave that to Close.
func (k *KeySet) Add(open, start, end int) (twice bool) {
	return k.add(open, keySpan{uint32(start), uint32(start), uint32(end)})
}

// addJSON is Add for a key in a JSON string that starts at text[at].
func (k *KeySet) addJSON(open, at, end int, escaped bool) (twice bool) {
	span := keySpan{uint32(at), uint32(at + 1), uint32(end - 1)}
	if escaped {
		start := len(k.decoded)
		for i := at + 1; i < end-1; {
			if k.text[i] != '\\' {
				k.decoded = append(k.decoded, k.text[i])
				i++
				continue
			}
			r, next, _ := unescape(k.text, i)
			k.decoded = utf8.AppendRune(k.decoded, r)
			i = next
		}
		span.start, span.end = uint32(len(k.text)+start), uint32(len(k.text)+len(k.decoded))
	}
	return k.add(open, span)
}

func (k *KeySet) add(open int, span keySpan) (twice bool) {
	if k.spans == nil {
		k.spans = make([]keySpan, 0, fewKeys)
	}
	if len(k.spans)-open < fewKeys {
		key := k.key(span)
		for _, other := range k.spans[open:] {
			if other.end-other.start == span.end-span.start && string(k.key(other)) == string(key) {
				return true
			}
		}
	}
	k.spans = append(k.spans, span)
	return false
}

// inOrder reports whether the last key comes after the one before it in the order of the
// normal form.
func (k *KeySet) inOrder(open int) bool {
	n := len(k.spans)
	return n < open+2 || compareUTF16(k.key(k.spans[n-2]), k.key(k.spans[n-1])) < 0
}

// Close ends the object opened last. If a key occurs twice it returns the place of the
// first one that repeats another.
func (k *KeySet) Close(open int) (at int, twice bool) {
	keys := k.spans[open:]
	k.spans = k.spans[:open]
	if len(keys) <= fewKeys {
		return 0, false // Add compared them all
	}
	// A hash table of places in keys, at most half full. The seed is new each time, so
	// that no client can choose keys that collide; the result does not depend on it.
	table := make([]uint32, 2<<bits.Len(uint(len(keys)-1)))
	mask := uint64(len(table) - 1)
	seed := maphash.MakeSeed()
	for i, span := range keys {
		key := k.key(span)
		slot := maphash.Bytes(seed, key) & mask
		for ; table[slot] != 0; slot = (slot + 1) & mask {
			if string(k.key(keys[table[slot]-1])) == string(key) {
				return int(span.at), true
			}
		}
		table[slot] = uint32(i + 1)
	}
	return 0, false
}

func (k *KeySet) key(s keySpan) []byte {
	if n := uint32(len(k.text)); s.start >= n {
		return k.decoded[s.start-n : s.end-n]
	}
	return k.text[s.start:s.end]
}
