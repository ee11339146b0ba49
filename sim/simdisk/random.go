package simdisk

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
)

// Stream returns a stream of randomness that follows from the seed and the
// labels alone. One purpose has one stream, so that drawing more from one never
// shifts another.
func Stream(seed uint64, labels ...string) *rand.Rand {
	return rand.New(rand.NewPCG(Derive(seed, labels...), Derive(seed, append(labels, "2")...)))
}

// Derive makes a new seed out of a seed and labels.
func Derive(seed uint64, labels ...string) uint64 {
	h := fnv.New64a()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], seed)
	h.Write(b[:])
	for _, label := range labels {
		h.Write([]byte(label))
		h.Write([]byte{0}) // so that ("ab", "c") and ("a", "bc") differ
	}
	// FNV mixes its last bytes poorly; this is the finisher of splitmix64.
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
