package layout

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Record, event and log rows end in tagged optional fields; none is the common case, and
// takes no byte. A field with an even tag is sealed: the digest of the part, or the chain,
// covers it, after everything else. One with an odd tag can change or go. A build must not take
// what it does not know for nothing, so an unknown tag makes a row malformed, and a store
// says which features it uses before a row has their tags (features.go).

// fields are the optional fields of a row, in ascending order of their tags.
type fields []field

type field struct {
	tag  uint64
	body []byte
}

// FieldAct is the tag of the field of an event that is an act. It is sealed.
const FieldAct = 4

// The tags of fields, by kind of row: those that this build knows, ascending.
var (
	recordFields = []uint64{fieldHold}
	eventFields  = []uint64{fieldCause, fieldUserHead, FieldAct, fieldHolds}
	logFields    []uint64
)

// Get returns the body of a field, and whether it is there.
func (f fields) Get(tag uint64) ([]byte, bool) {
	for i := range f {
		if f[i].tag == tag {
			return f[i].body, true
		}
	}
	return nil, false
}

// With returns the fields with one set.
func (f fields) With(tag uint64, body []byte) fields {
	at, found := slices.BinarySearchFunc(f, tag, func(x field, tag uint64) int { return int(x.tag) - int(tag) })
	if found {
		f = slices.Clone(f)
		f[at].body = body
		return f
	}
	return slices.Insert(slices.Clone(f), at, field{tag, body})
}

func (f fields) append(dst []byte) []byte {
	for i := range f {
		dst = f[i].append(dst)
	}
	return dst
}

// AppendSealed appends the fields that a digest or the chain covers.
func (f fields) AppendSealed(dst []byte) []byte {
	for i := range f {
		if f[i].tag%2 == 0 {
			dst = f[i].append(dst)
		}
	}
	return dst
}

func (f *field) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, f.tag)
	return append(binary.AppendUvarint(dst, uint64(len(f.body))), f.body...)
}

// fields reads what is left of a row. It accepts ascending tags that are known.
func (d *Decoder) fields(known []uint64) (f fields) {
	last := uint64(0)
	for !d.Failed && len(d.Rest) > 0 {
		tag := d.Uvarint()
		d.Failed = d.Failed || tag <= last || !slices.Contains(known, tag)
		f, last = append(f, field{tag, bytes.Clone(d.Raw())}), tag
	}
	return f
}
