package capture

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	lin "statehouse.dev/statehouse/linearizability"
)

// valueReader puts all values of messages into one form: JSON text, members
// sorted, numbers in a normal form. A client may write a value as a Struct and
// read it as JSON, or the other way round; to the judge it is one value then.
type valueReader struct {
	// structText is the JSON of a Struct that the daemon's codec left unparsed in a
	// request.
	structText func(wire []byte) ([]byte, error)
	none       bool // nobody wants values, and they cost most
}

// request reads the Structs of a request. It fails where a Struct is no value.
func (v valueReader) request(m proto.Message) (err error) {
	if v.none {
		return nil
	}
	eachMessage(m.ProtoReflect(), func(m protoreflect.Message) {
		field := m.Descriptor().Fields().ByName("value_json")
		if field == nil {
			return
		}
		for unknown := m.GetUnknown(); len(unknown) > 0; {
			num, typ, n := protowire.ConsumeField(unknown)
			if n < 0 {
				return
			}
			if num >= hiddenFields && typ == protowire.BytesType {
				_, _, tag := protowire.ConsumeTag(unknown)
				wire, _ := protowire.ConsumeBytes(unknown[tag:])
				text, terr := v.structText(wire)
				if terr != nil {
					err = terr
					return
				}
				m.Set(field, protoreflect.ValueOfBytes(text))
			}
			unknown = unknown[n:]
		}
		normalField(m, field)
	})
	return err
}

// hiddenFields are those that the daemon's codec keeps Structs in (see there).
const hiddenFields = 19000

// answer reads the values of an answer.
func (v valueReader) answer(m proto.Message) (err error) {
	if v.none {
		return nil
	}
	eachMessage(m.ProtoReflect(), func(m protoreflect.Message) {
		field := m.Descriptor().Fields().ByName("value_json")
		if field == nil {
			return
		}
		if s := m.Descriptor().Fields().ByName("value"); s != nil && m.Has(s) {
			text, terr := m.Get(s).Message().Interface().(*structpb.Struct).MarshalJSON()
			if terr != nil {
				err = terr
				return
			}
			m.Set(field, protoreflect.ValueOfBytes(text))
		}
		normalField(m, field)
	})
	return err
}

func normalField(m protoreflect.Message, field protoreflect.FieldDescriptor) {
	if text := m.Get(field).Bytes(); len(text) > 0 {
		m.Set(field, protoreflect.ValueOfBytes([]byte(normal(string(text)))))
	}
}

// eachMessage calls f with m and with the messages in it that may hold values.
func eachMessage(m protoreflect.Message, f func(protoreflect.Message)) {
	f(m)
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Message() == nil || field.IsMap() || field.Message().ParentFile().Package() == "google.protobuf":
		case field.IsList():
			for i := range v.List().Len() {
				eachMessage(v.List().Get(i).Message(), f)
			}
		default:
			eachMessage(v.Message(), f)
		}
		return true
	})
}

// normal is the normal form of JSON text. What is none stays.
func normal(text string) string {
	if plainNumbers(text) && lin.IsCanonical(text) {
		return text // as most are
	}
	return normalized(text)
}

// plainNumbers tells whether all numbers of JSON text are surely in their normal form:
// whole, no longer than a double is exact, and without a zero at the end.
func plainNumbers(text string) bool {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case c >= '0' && c <= '9':
			from := i
			for i+1 < len(text) && strings.IndexByte("0123456789.eE", text[i+1]) >= 0 {
				i++
			}
			if number := text[from : i+1]; len(number) > 15 || strings.ContainsAny(number, ".eE") || number[len(number)-1] == '0' {
				return false
			}
		}
	}
	return true
}

func normalized(text string) string {
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return strings.ToValidUTF8(text, "\uFFFC")
	}
	out, err := json.Marshal(normalNumbers(v))
	if err != nil {
		return text
	}
	return lin.Canonical(string(out))
}

func normalNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return json.Number(normalNumber(string(v)))
	case []any:
		for i := range v {
			v[i] = normalNumbers(v[i])
		}
	case map[string]any:
		for k := range v { // each by itself: order cannot matter
			v[k] = normalNumbers(v[k])
		}
	}
	return v
}

// normalNumber writes a number in one way: 1200, 1.2e3 and 1200.0 are 12e2. One
// that is exactly a double is written as the shortest that is read as that, since a
// Struct carries doubles.
func normalNumber(n string) string {
	form := normalDigits(n)
	f, err := strconv.ParseFloat(n, 64)
	if err != nil {
		return form
	}
	shortest := normalDigits(strconv.FormatFloat(f, 'e', -1, 64))
	if form != shortest && isExactly(n, f) {
		return shortest
	}
	return form
}

// maxExponent is more than that of any double: what is farther from 1 is none.
const maxExponent = 1100

func isExactly(n string, f float64) bool {
	if _, exponent, ok := strings.Cut(strings.ToLower(n), "e"); ok {
		if e, err := strconv.Atoi(exponent); err != nil || e > maxExponent || e < -maxExponent {
			return false // not worth a number of a billion digits
		}
	}
	r, ok := new(big.Rat).SetString(n)
	return ok && r.Cmp(new(big.Rat).SetFloat64(f)) == 0
}

// normalDigits writes a number as digits without zeros around them and an exponent.
func normalDigits(n string) string {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(n), "e")
	e, err := strconv.Atoi(exponent)
	if err != nil && exponent != "" {
		return n
	}
	sign := ""
	if strings.HasPrefix(mantissa, "-") {
		sign, mantissa = "-", mantissa[1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	e -= len(fraction)
	trimmed := strings.TrimRight(digits, "0")
	e += len(digits) - len(trimmed)
	switch {
	case trimmed == "":
		return "0"
	case e == 0:
		return sign + trimmed
	}
	return sign + trimmed + "e" + strconv.Itoa(e)
}
