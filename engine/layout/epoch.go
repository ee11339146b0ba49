package layout

import (
	"encoding/binary"
	"encoding/hex"
	"math"

	"statehouse.dev/statehouse/engine/words"
)

// An epoch is a random name and the last commit that it shares with the epoch before.
type epoch struct {
	Name  EpochName
	Began words.CommitTS // 0: the store was made then
}

type EpochName [6]byte

func (n EpochName) String() string { return hex.EncodeToString(n[:]) }

// Lineage is the epochs of a store, the oldest first. It has at least one.
type Lineage []epoch

func NewEpoch(fill func([]byte), began words.CommitTS) epoch {
	e := epoch{Began: began}
	fill(e.Name[:])
	return e
}

func (l Lineage) Append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(l)))
	for _, e := range l {
		dst = append(dst, e.Name[:]...)
		dst = binary.AppendUvarint(dst, uint64(e.Began))
	}
	return dst
}

func ParseLineage(body []byte) (l Lineage, ok bool) {
	d := Decoder{Rest: body}
	for range d.Count(len(EpochName{}) + 1) {
		var e epoch
		copy(e.Name[:], d.Bytes(len(e.Name)))
		e.Began = words.CommitTS(d.Uvarint())
		l = append(l, e)
	}
	return l, d.End() && len(l) > 0 && l[0].Began == 0
}

func (l Lineage) Current() epoch { return l[len(l)-1] }

// Shared returns the last commit that an epoch shares with this lineage: the earliest at which
// a later one began; of the current epoch all.
func (l Lineage) Shared(name string) (upTo words.CommitTS, known bool) {
	upTo = math.MaxUint64
	for i := len(l) - 1; i >= 0; i-- {
		if l[i].Name.String() == name {
			return upTo, true
		}
		upTo = min(upTo, l[i].Began)
	}
	return 0, false
}

// Epoch is one of a store's lineage: the commit after which it began, which it shares with the
// one before.
type Epoch struct {
	Name  string // 12 hexadecimal digits
	Began words.CommitTS
}

func (l Lineage) Epochs() []Epoch {
	out := make([]Epoch, len(l))
	for i, e := range l {
		out[i] = Epoch{e.Name.String(), e.Began}
	}
	return out
}

// LineageOf undoes epochs.
func LineageOf(epochs []Epoch) (l Lineage, ok bool) {
	for _, was := range epochs {
		e := epoch{Began: was.Began}
		if n, err := hex.Decode(e.Name[:], []byte(was.Name)[:min(len(was.Name), 2*len(e.Name))]); err != nil || n != len(e.Name) || e.Name.String() != was.Name {
			return nil, false
		}
		l = append(l, e)
	}
	return l, len(l) > 0 && l[0].Began == 0
}

// Restored is the lineage of a store that is restored up to a commit, of one with this lineage.
// Epochs that began later have nothing to do with it, but for the first.
func (l Lineage) Restored(upTo words.CommitTS, next epoch) Lineage {
	var out Lineage
	for i, e := range l {
		if i == 0 || e.Began <= upTo {
			out = append(out, e)
		}
	}
	return append(out, next)
}
