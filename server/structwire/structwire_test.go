package structwire

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/engine/jsonform"
	"statehouse.dev/statehouse/server/wiretest"
)

// Wire bytes by hand: what no protobuf library would write.

// nestedWire is a Struct in whose field k is a Struct, and so on, n of them.
func nestedWire(n int, inner ...[]byte) []byte {
	wire := bytes.Join(inner, nil)
	for range n - 1 {
		wire = wiretest.Entry("k", wiretest.Message(structKind, wire))
	}
	return wire
}

func TestStructToJSON(t *testing.T) {
	unknown := append(wiretest.Varint(19, 1), append(protowire.AppendTag(nil, 20, protowire.StartGroupType),
		append(wiretest.Text(1, "x"), protowire.AppendTag(nil, 20, protowire.EndGroupType)...)...)...)
	for _, c := range []struct {
		name string
		wire []byte
		want string
	}{
		{"empty", nil, `{}`},
		{"every kind", bytes.Join([][]byte{wiretest.Entry("null", wiretest.Varint(NullKind, 0)), wiretest.Entry("n", wiretest.Double(1.5)),
			wiretest.Entry("s", wiretest.Text(stringKind, "é")), wiretest.Entry("t", wiretest.Varint(boolKind, 1)), wiretest.Entry("f", wiretest.Varint(boolKind, 0)),
			wiretest.Entry("o", wiretest.Message(structKind)), wiretest.Entry("l", wiretest.Message(ListKind))}, nil),
			`{"null":null,"n":1.5,"s":"é","t":true,"f":false,"o":{},"l":[]}`},
		{"a list of messages", wiretest.Entry("a", wiretest.Message(ListKind, wiretest.Message(ListValues,
			wiretest.Message(structKind, wiretest.Entry("role", wiretest.Text(stringKind, "user")))), wiretest.Message(ListValues, wiretest.Double(2)))),
			`{"a":[{"role":"user"},2]}`},
		{"other null and bool numbers", append(wiretest.Entry("n", wiretest.Varint(NullKind, math.MaxUint64)), wiretest.Entry("b", wiretest.Varint(boolKind, 2))...),
			`{"n":null,"b":true}`},
		{"value before key", wiretest.Message(structFields, wiretest.Message(entryValue, wiretest.Double(1)), wiretest.Text(entryKey, "k")), `{"k":1}`},
		{"key twice in one entry", wiretest.Message(structFields, wiretest.Text(entryKey, "j"), wiretest.Message(entryValue, wiretest.Double(1)), wiretest.Text(entryKey, "k")), `{"k":1}`},
		{"no key", wiretest.Message(structFields, wiretest.Message(entryValue, wiretest.Double(1))), `{"":1}`},
		{"the last kind counts", wiretest.Entry("k", wiretest.Message(structKind, wiretest.Entry("x", wiretest.Double(1))), wiretest.Text(stringKind, "s"), wiretest.Double(3)), `{"k":3}`},
		{"two objects, not merged", wiretest.Entry("k", wiretest.Message(structKind, wiretest.Entry("x", wiretest.Double(1))), wiretest.Varint(NullKind, 0),
			wiretest.Message(structKind, wiretest.Entry("y", wiretest.Double(2)))), `{"k":{"y":2}}`},
		{"unknown fields", bytes.Join([][]byte{unknown, wiretest.Message(structFields, unknown, wiretest.Text(entryKey, "k"),
			wiretest.Message(entryValue, unknown, wiretest.Message(ListKind, unknown), unknown), unknown), unknown}, nil), `{"k":[]}`},
		{"same key in two objects", append(wiretest.Entry("k", wiretest.Message(structKind, wiretest.Entry("k", wiretest.Double(1)))), wiretest.Entry("j", wiretest.Double(1))...), `{"k":{"k":1},"j":1}`},
		{"escapes", wiretest.Entry("\"\\/", wiretest.Text(stringKind, "\x00\x01\x1f\b\f\n\r\t\x7f<&>\u2028😀")),
			`{"\"\\/":"\u0000\u0001\u001f\b\f\n\r\t` + "\x7f<&>\u2028😀" + `"}`},
	} {
		got, err := JSON(c.wire)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
	}
	if got, err := JSON(nestedWire(jsonform.MaxValueDepth)); err != nil || strings.Count(string(got), "{") != jsonform.MaxValueDepth {
		t.Errorf("at the limit of depth: %s, %v", got, err)
	}
}

func TestStructToJSONRefuses(t *testing.T) {
	var many []byte
	for i := range 1000 {
		many = append(many, wiretest.Entry(strconv.Itoa(i), wiretest.Double(0))...)
	}
	lists := wiretest.Message(ListKind)
	for range jsonform.MaxValueDepth - 1 {
		lists = wiretest.Message(ListKind, wiretest.Message(ListValues, lists))
	}
	for _, c := range []struct {
		name string
		wire []byte
		says string
	}{
		{"NaN", wiretest.Entry("k", wiretest.Double(math.NaN())), "NaN"},
		{"infinity", wiretest.Entry("k", wiretest.Double(math.Inf(-1))), "-Inf"},
		{"a Value without kind", wiretest.Entry("k"), "no kind"},
		{"a Value without kind in a list", wiretest.Entry("k", wiretest.Message(ListKind, wiretest.Message(ListValues))), "no kind"},
		{"a Value with unknown kinds only", wiretest.Entry("k", wiretest.Varint(7, 1)), "no kind"},
		{"an entry without value", wiretest.Message(structFields, wiretest.Text(entryKey, "k")), "no value"},
		{"a key twice", append(wiretest.Entry("k", wiretest.Double(1)), wiretest.Entry("k", wiretest.Double(2))...), `"k" twice`},
		{"a missing key twice", append(wiretest.Entry("", wiretest.Double(1)), wiretest.Message(structFields, wiretest.Message(entryValue, wiretest.Double(1)))...), `twice`},
		{"one of many keys twice", append(many, wiretest.Entry("7", wiretest.Double(0))...), "twice"},
		{"two values", wiretest.Message(structFields, wiretest.Message(entryValue, wiretest.Double(1)), wiretest.Message(entryValue, wiretest.Double(2))), "two values"},
		{"two objects", wiretest.Entry("k", wiretest.Message(structKind), wiretest.Message(structKind)), "merged"},
		{"two lists", wiretest.Entry("k", wiretest.Message(ListKind), wiretest.Message(ListKind)), "merged"},
		{"a key in bad UTF-8", wiretest.Entry("\xff", wiretest.Double(1)), "UTF-8"},
		{"a string in bad UTF-8", wiretest.Entry("k", wiretest.Text(stringKind, "\xed\xa0\x80")), "UTF-8"},
		{"bad UTF-8 in a kind that loses", wiretest.Entry("k", wiretest.Text(stringKind, "\xff"), wiretest.Double(1)), "UTF-8"},
		{"fields of a wrong type", wiretest.Varint(structFields, 1), "wire type 0"},
		{"a key of a wrong type", wiretest.Message(structFields, wiretest.Varint(entryKey, 1), wiretest.Message(entryValue, wiretest.Double(1))), "wire type 0"},
		{"a value of a wrong type", wiretest.Message(structFields, wiretest.Text(entryKey, "k"), wiretest.Varint(entryValue, 1)), "wire type 0"},
		{"a number of a wrong type", wiretest.Entry("k", wiretest.Varint(numberKind, 1)), "wire type 0"},
		{"a string of a wrong type", wiretest.Entry("k", wiretest.Varint(stringKind, 1)), "wire type 0"},
		{"an object of a wrong type", wiretest.Entry("k", wiretest.Varint(structKind, 1)), "wire type 0"},
		{"a bool of a wrong type", wiretest.Entry("k", wiretest.Text(boolKind, "x")), "wire type 2"},
		{"list values of a wrong type", wiretest.Entry("k", wiretest.Message(ListKind, wiretest.Varint(ListValues, 1))), "wire type 0"},
		{"a tag cut short", []byte{0x80}, "malformed"},
		{"a varint too long", wiretest.Entry("k", bytes.Repeat([]byte{0x88}, 12)), "malformed"},
		{"a length beyond the end", []byte{structFieldsTag, 5, 0}, "malformed"},
		{"a length of 2^64-1", append([]byte{structFieldsTag}, protowire.AppendVarint(nil, math.MaxUint64)...), "malformed"},
		{"a double cut short", wiretest.Entry("k", wiretest.Double(1)[:5]), "malformed"},
		{"field number 0", []byte{0x02, 0x00}, "malformed"},
		{"field number 2^29", protowire.AppendVarint(nil, 1<<32), "malformed"},
		{"the end of no group", protowire.AppendTag(nil, 9, protowire.EndGroupType), "malformed"},
		{"a group without end", protowire.AppendTag(nil, 9, protowire.StartGroupType), "malformed"},
		{"groups in groups", bytes.Repeat(protowire.AppendTag(nil, 9, protowire.StartGroupType), 500_000), "malformed"},
		{"29 objects", nestedWire(jsonform.MaxValueDepth + 1), "28 deep"},
		{"28 lists in an object", wiretest.Entry("k", lists), "28 deep"},
		{"5,000 objects", nestedWire(5000), "28 deep"},
	} {
		got, err := JSON(c.wire)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "at byte") || !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s: %.60s, %v; want %q", c.name, got, err, c.says)
		}
	}
	for whole, n := wiretest.Entry("key", wiretest.Message(ListKind, wiretest.Message(ListValues, wiretest.Double(1)))), 1; n < len(whole); n++ {
		if got, err := JSON(whole[:n]); err == nil {
			t.Errorf("the first %d bytes of a Struct: %s", n, got)
		}
	}
}

// The values that are most easily changed on the way: JSON comes back as it was through a
// Struct.
func TestValuesThroughStruct(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, value := range []string{
		`{}`, `{"":""}`, `{"a":[{"role":"user"}]}`, `{"a":[],"b":{},"c":[[],{}]}`, `{"s":"😀é"}`, `{"s":"\u0000"}`,
		`{"n":-9223372036854775808}`, `{"n":1e+308}`, `{"n":5e-324}`, `{"n":0.30000000000000004}`, `{"n":9007199254740992}`,
		`{"b":1,"a":2}`, `{"` + long + `":["` + long + `",{"` + long + `":"` + long + `"}]}`,
	} {
		wire, inexact, err := Append([]byte("before"), []byte(value))
		if err != nil || inexact.Count > 0 || !bytes.HasPrefix(wire, []byte("before")) {
			t.Errorf("%.60s: %v, %d inexact", value, err, inexact.Count)
			continue
		}
		back, err := JSON(wire[len("before"):])
		if err != nil || string(back) != value {
			t.Errorf("%.60s came back as %.60s, %v", value, back, err)
		}
	}
}

// checkStruct compares wire with what protobuf reads in it.
func checkStruct(t interface{ Fatalf(string, ...any) }, wire, text []byte) {
	if _, err := jsonform.CheckValue(text, math.MaxInt); err != nil {
		t.Fatalf("%x: %s: %v", wire, text, err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatalf("%x: %s: %v", wire, text, err)
	}
	var s structpb.Struct
	if err := proto.Unmarshal(wire, &s); err != nil {
		t.Fatalf("%x, from or to %s, is no Struct: %v", wire, text, err)
	}
	if want := s.AsMap(); !reflect.DeepEqual(object, want) {
		t.Fatalf("%x: JSON %v, Struct %v", wire, object, want)
	}
}

func drawObject(t *rapid.T, depth int) map[string]any {
	object := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "fields") {
		object[rapid.StringN(0, 5, -1).Draw(t, "key")] = drawAny(t, depth+1)
	}
	if rapid.IntRange(0, 9).Draw(t, "long") == 0 {
		n := rapid.SampledFrom([]int{110, 120, 130, 16_370, 16_384}).Draw(t, "length")
		object[strings.Repeat("k", n)] = strings.Repeat("v", rapid.IntRange(n-10, n+10).Draw(t, "value length"))
	}
	return object
}

func drawAny(t *rapid.T, depth int) any {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	if depth > 5 {
		kind %= 4
	}
	switch kind {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.String().Draw(t, "string")
	case 3:
		return rapid.OneOf(rapid.Float64(), rapid.Map(rapid.Int64(), func(i int64) float64 { return float64(i) }),
			rapid.SampledFrom([]float64{1 << 53, -1 << 63, 1e21, 1e308, 5e-324, 0.30000000000000004})).Draw(t, "number")
	case 4:
		list := []any{}
		for range rapid.IntRange(0, 4).Draw(t, "values") {
			list = append(list, drawAny(t, depth+1))
		}
		return list
	default:
		return drawObject(t, depth)
	}
}

func TestStructsAgreeWithProtobuf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := structpb.NewStruct(drawObject(t, 0))
		if err != nil {
			t.Fatal(err)
		}
		wire, err := proto.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		text, err := JSON(wire)
		if err != nil {
			t.Fatal(err)
		}
		checkStruct(t, wire, text)

		again, _, err := Append(nil, text)
		if err != nil {
			t.Fatal(err)
		}
		checkStruct(t, again, text)
		if !bytes.Equal(again, wire) {
			t.Fatalf("%s: %x, protobuf writes %x", text, again, wire)
		}

		// Other ways to write the same and a little more, which protobuf reads too.
		odd := drawOddStruct(t, s)
		text, err = JSON(odd)
		if err != nil {
			t.Fatal(err)
		}
		checkStruct(t, odd, text)
	})
}

// drawOddStruct writes s as no library does: values before keys, unknown fields,
// kinds that a later one overrides, lengths that take more bytes than they need.
func drawOddStruct(t *rapid.T, s *structpb.Struct) []byte {
	odd := func(num protowire.Number, content []byte) []byte {
		b := protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.BytesType), uint64(len(content)))
		if rapid.Bool().Draw(t, "padded") {
			b[len(b)-1] |= 0x80
			b = append(b, 0)
		}
		return append(b, content...)
	}
	junk := func() []byte {
		return rapid.SampledFrom([][]byte{nil, nil, wiretest.Varint(99, 1), wiretest.Text(77, "x"), {0x4d, 1, 2, 3, 4}}).Draw(t, "junk")
	}
	var value func(v *structpb.Value) []byte
	value = func(v *structpb.Value) []byte {
		b := rapid.SampledFrom([][]byte{nil, nil, wiretest.Text(stringKind, "lost"), wiretest.Double(1), wiretest.Message(ListKind)}).Draw(t, "loser")
		b = append(append(bytes.Clone(b), wiretest.Varint(NullKind, 0)...), junk()...)
		switch k := v.GetKind().(type) {
		case *structpb.Value_StructValue:
			b = append(b, odd(structKind, drawOddStruct(t, k.StructValue))...)
		case *structpb.Value_ListValue:
			var list []byte
			for _, v := range k.ListValue.GetValues() {
				list = append(append(list, odd(ListValues, value(v))...), junk()...)
			}
			b = append(b, odd(ListKind, list)...)
		default:
			plain, err := proto.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, plain...)
		}
		return append(b, junk()...)
	}
	var wire []byte
	for key, v := range s.GetFields() { // in any order: the result is compared as a map
		parts := [][]byte{odd(entryKey, []byte(key)), odd(entryValue, value(v)), junk()}
		wire = append(append(wire, odd(structFields, bytes.Join(rapid.Permutation(parts).Draw(t, "parts"), nil))...), junk()...)
	}
	return wire
}

func FuzzStructToJSON(f *testing.F) {
	f.Add(wiretest.Entry("k", wiretest.Message(ListKind, wiretest.Message(ListValues, wiretest.Double(1)), wiretest.Message(ListValues, wiretest.Text(stringKind, "x")))))
	f.Add(append(wiretest.Entry("a", wiretest.Varint(boolKind, 1)), wiretest.Entry("b", wiretest.Varint(NullKind, 0), wiretest.Message(structKind))...))
	f.Add(nestedWire(jsonform.MaxValueDepth, wiretest.Entry("\n", wiretest.Double(0.1))))
	f.Fuzz(func(t *testing.T, wire []byte) {
		text, err := JSON(wire)
		if err == nil {
			checkStruct(t, wire, text)
		}
	})
}

func FuzzAppendStruct(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.5e3,true,null,"x\u00e9\ud83d\ude00"],"b":{}}`, ` {"a":9007199254740993}`,
		`{"a":"\u00`, `{"a":"\ud800\u`, `{"` + strings.Repeat("k", 130) + `":[[[[0.1]]]]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _, _ = Append(nil, text) // no panic, whatever it is
		value, err := jsonform.CheckValue(text, math.MaxInt)
		if err != nil {
			return
		}
		wire, _, err := Append(nil, value)
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		checkStruct(t, wire, value)
	})
}

const benchValue = `{"role":"assistant","content":"The weather in Zürich is 21.5 °C and sunny, with a light wind.","tool_calls":[{"id":"call_91f2","name":"get_weather","arguments":{"city":"Zürich","units":"metric"}}],"tokens":{"prompt":412,"completion":96,"cached":0},"cost":0.00321,"final":true,"error":null}`

// hostileValues are the slowest known of about a MiB.
func hostileValues() map[string]string {
	deep := func(inner string) string {
		return strings.Repeat(`{"k":`, jsonform.MaxValueDepth-1) + inner + strings.Repeat("}", jsonform.MaxValueDepth-1)
	}
	return map[string]string{
		"1MiB_objects": `{"a":[` + strings.Repeat(benchValue+",", 3500) + `0]}`,
		"1MiB_deep":    deep(`[` + strings.Repeat("0,", 500_000) + `0]`),
		"1MiB_2^65":    `{"a":[` + strings.Repeat("36893488147419103232,", 50_000) + `0]}`,
		"1MiB_2^-60":   `{"a":[` + strings.Repeat("8.67361737988403547205962240695953369140625e-19,", 22_000) + `0]}`,
		"1MiB_17digit": `{"a":[` + strings.Repeat("0.10000000000000001,", 50_000) + `0]}`,
	}
}

func BenchmarkAppendStruct(b *testing.B) {
	bench := func(name, value string) {
		b.Run(name, func(b *testing.B) {
			text := []byte(value)
			b.SetBytes(int64(len(value)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := Append(nil, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	bench("300B", benchValue)
	for name, value := range hostileValues() { // each on its own
		bench(name, value)
	}
}

func BenchmarkStructToJSON(b *testing.B) {
	bench := func(name, value string) {
		wire, _, err := Append(nil, []byte(value))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(wire)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := JSON(wire); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	bench("300B", benchValue)
	for name, value := range hostileValues() { // each on its own
		bench(name, value)
	}
}
