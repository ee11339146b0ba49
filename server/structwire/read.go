package structwire

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"statehouse.dev/statehouse/engine/jsonform"
)

// A google.protobuf.Struct is turned into JSON text, and back in
// write.go, without the objects that protobuf would build of it.
//
//	Struct     1: fields, repeated entries of 1: key, 2: a Value
//	Value      1: null, 2: number, 3: string, 4: bool, 5: a Struct, 6: a ListValue
//	ListValue  1: values, repeated
const (
	structFields protowire.Number = 1

	entryKey   protowire.Number = 1
	entryValue protowire.Number = 2

	NullKind   protowire.Number = 1
	numberKind protowire.Number = 2
	stringKind protowire.Number = 3
	boolKind   protowire.Number = 4
	structKind protowire.Number = 5
	ListKind   protowire.Number = 6

	ListValues protowire.Number = 1
)

// JSON turns the wire bytes of a google.protobuf.Struct into JSON text
// that jsonform.CheckValue accepts (if the text is not too long for it). Fields may
// come in any order and unknown ones are skipped; of several kinds of one Value
// the last counts, as protobuf has it. Refused, although protobuf reads them: a
// known field of another wire type, a message given twice, which would be merged,
// a key twice, a Value without a kind, NaN and infinities, too deep nesting.
// Errors are engine.ValueErrors with the place in wire.
func JSON(wire []byte) ([]byte, error) {
	// Text is seldom longer than wire: an entry's 6 bytes of tags and lengths
	// become 4 of punctuation, and a number's 9 the digits that it needs.
	r := structReader{wire: wire, keys: jsonform.NewKeySet(wire), out: make([]byte, 0, len(wire)+16)}
	if err := r.structMessage(0, len(wire)); err != nil {
		return nil, err
	}
	// But it can be far shorter, and is kept: its length should be what it costs.
	if cap(r.out)-len(r.out) > len(r.out)/4 {
		return bytes.Clone(r.out), nil
	}
	return r.out, nil
}

// structReader reads messages that lie in wire[at:end] and appends their JSON.
type structReader struct {
	wire  []byte
	out   []byte
	depth int
	keys  jsonform.KeySet
}

// wireField is one field: its number and type, the place of its content if it is
// of the length-delimited type, the bits of it if it is a varint or fixed64.
type wireField struct {
	num      protowire.Number
	typ      protowire.Type
	at       int
	from, to int
	bits     uint64
}

func (r *structReader) fail(at int, format string, args ...any) error {
	return &jsonform.ValueError{Reason: fmt.Sprintf(format, args...), Offset: at}
}

// next reads the field at wire[at] and says where the one after it is.
func (r *structReader) next(at, end int) (f wireField, next int, err error) {
	f.at = at
	num, typ, n := protowire.ConsumeTag(r.wire[at:end])
	if n < 0 {
		return f, 0, r.malformed(at, n)
	}
	if num > protowire.MaxValidNumber { // ConsumeTag does not mind
		return f, 0, r.fail(at, "the Struct is malformed (field number %d)", num)
	}
	f.num, f.typ = num, typ
	at += n
	rest := r.wire[at:end]
	switch typ {
	case protowire.BytesType:
		var content []byte
		content, n = protowire.ConsumeBytes(rest)
		f.from, f.to = at+n-len(content), at+n
	case protowire.VarintType:
		f.bits, n = protowire.ConsumeVarint(rest)
	case protowire.Fixed64Type:
		f.bits, n = protowire.ConsumeFixed64(rest)
	default:
		n = protowire.ConsumeFieldValue(num, typ, rest)
	}
	if n < 0 {
		return f, 0, r.malformed(f.at, n)
	}
	return f, at + n, nil
}

func (r *structReader) malformed(at, code int) error {
	return r.fail(at, "the Struct is malformed (%v)", protowire.ParseError(code))
}

func (r *structReader) want(f wireField, message string, typ protowire.Type) error {
	if f.typ == typ {
		return nil
	}
	return r.fail(f.at, "field %d of a %s has the wire type %d instead of %d", f.num, message, f.typ, typ)
}

func (r *structReader) enter(at int) error {
	if r.depth == jsonform.MaxValueDepth {
		return r.fail(at, "the value is nested more than %d deep", jsonform.MaxValueDepth)
	}
	r.depth++
	return nil
}

func (r *structReader) structMessage(at, end int) error {
	if err := r.enter(at); err != nil {
		return err
	}
	open := r.keys.Open()
	r.out = append(r.out, '{')
	for first := true; at < end; {
		f, next, err := r.next(at, end)
		if err != nil {
			return err
		}
		at = next
		if f.num != structFields {
			continue
		}
		if err := r.want(f, "Struct", protowire.BytesType); err != nil {
			return err
		}
		if !first {
			r.out = append(r.out, ',')
		}
		first = false
		if err := r.entry(f, open); err != nil {
			return err
		}
	}
	if at, twice := r.keys.Close(open); twice {
		return r.fail(at, "an object has one key twice; the second is")
	}
	r.out = append(r.out, '}')
	r.depth--
	return nil
}

// entry reads both fields before it writes: the key may stand after the value.
func (r *structReader) entry(entry wireField, open int) error {
	key := wireField{from: entry.to, to: entry.to} // "" unless it is given
	var value wireField
	for at := entry.from; at < entry.to; {
		f, next, err := r.next(at, entry.to)
		if err != nil {
			return err
		}
		at = next
		if f.num != entryKey && f.num != entryValue {
			continue
		}
		if err := r.want(f, "Struct's entry", protowire.BytesType); err != nil {
			return err
		}
		if f.num == entryValue {
			if value.num != 0 {
				return r.fail(f.at, "an entry of a Struct has two values; the second is")
			}
			value = f
			continue
		}
		if err := r.checkUTF8(f); err != nil {
			return err
		}
		key = f
	}
	if value.num == 0 {
		return r.fail(entry.at, "an entry of a Struct has no value; it starts")
	}
	if twice := r.keys.Add(open, key.from, key.to); twice {
		return r.fail(key.from, "an object has the key %.80q twice; the second is", r.wire[key.from:key.to])
	}
	r.out = appendJSONString(r.out, r.wire[key.from:key.to])
	r.out = append(r.out, ':')
	return r.value(value)
}

// value writes every kind that is set and takes back the ones before the last, so
// that these are checked too: nothing passes that protobuf would find malformed.
func (r *structReader) value(value wireField) error {
	start := len(r.out)
	var kind protowire.Number
	for at := value.from; at < value.to; {
		f, next, err := r.next(at, value.to)
		if err != nil {
			return err
		}
		at = next
		if f.num < NullKind || f.num > ListKind {
			continue
		}
		if f.num == kind && (kind == structKind || kind == ListKind) {
			return r.fail(f.at, "a Value has two objects or lists, which would be merged; the second is")
		}
		kind = f.num
		r.out = r.out[:start]
		if err := r.kind(f); err != nil {
			return err
		}
	}
	if kind == 0 {
		return r.fail(value.at, "a Value has no kind; it is")
	}
	return nil
}

// kindTypes are the wire types of a Value's fields by number.
var kindTypes = [...]protowire.Type{
	NullKind:   protowire.VarintType,
	numberKind: protowire.Fixed64Type,
	stringKind: protowire.BytesType,
	boolKind:   protowire.VarintType,
	structKind: protowire.BytesType,
	ListKind:   protowire.BytesType,
}

func (r *structReader) kind(f wireField) error {
	if err := r.want(f, "Value", kindTypes[f.num]); err != nil {
		return err
	}
	switch f.num {
	case NullKind: // whatever the number: an enum is open, and it has one meaning
		r.out = append(r.out, "null"...)
	case numberKind:
		d := math.Float64frombits(f.bits)
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return r.fail(f.at, "%v is not a number that JSON has; it is", d)
		}
		r.out = appendJSONNumber(r.out, d)
	case stringKind:
		if err := r.checkUTF8(f); err != nil {
			return err
		}
		r.out = appendJSONString(r.out, r.wire[f.from:f.to])
	case boolKind:
		r.out = strconv.AppendBool(r.out, protowire.DecodeBool(f.bits))
	case structKind:
		return r.structMessage(f.from, f.to)
	case ListKind:
		return r.listMessage(f.from, f.to)
	}
	return nil
}

func (r *structReader) listMessage(at, end int) error {
	if err := r.enter(at); err != nil {
		return err
	}
	r.out = append(r.out, '[')
	for first := true; at < end; {
		f, next, err := r.next(at, end)
		if err != nil {
			return err
		}
		at = next
		if f.num != ListValues {
			continue
		}
		if err := r.want(f, "ListValue", protowire.BytesType); err != nil {
			return err
		}
		if !first {
			r.out = append(r.out, ',')
		}
		first = false
		if err := r.value(f); err != nil {
			return err
		}
	}
	r.out = append(r.out, ']')
	r.depth--
	return nil
}

func (r *structReader) checkUTF8(f wireField) error {
	if !utf8.Valid(r.wire[f.from:f.to]) {
		return r.fail(f.at, "a string is not valid UTF-8; it is")
	}
	return nil
}

// appendJSONString writes UTF-8 text as a JSON string with no escape that JSON
// does not demand.
func appendJSONString(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, text[from:]...), '"')
}
