package server

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
)

// Wire bytes by hand: what no protobuf library would write.

func message(num protowire.Number, content ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), bytes.Join(content, nil))
}

func varint(num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
}

func double(d float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(nil, numberKind, protowire.Fixed64Type), math.Float64bits(d))
}

func text(num protowire.Number, s string) []byte { return message(num, []byte(s)) }

// entry is an entry of a Struct: a key and the content of a Value.
func entry(key string, value ...[]byte) []byte {
	return message(structFields, text(entryKey, key), message(entryValue, value...))
}

// nestedWire is a Struct in whose field k is a Struct, and so on, n of them.
func nestedWire(n int, inner ...[]byte) []byte {
	wire := bytes.Join(inner, nil)
	for range n - 1 {
		wire = entry("k", message(structKind, wire))
	}
	return wire
}

func TestStructToJSON(t *testing.T) {
	unknown := append(varint(19, 1), append(protowire.AppendTag(nil, 20, protowire.StartGroupType),
		append(text(1, "x"), protowire.AppendTag(nil, 20, protowire.EndGroupType)...)...)...)
	for _, c := range []struct {
		name string
		wire []byte
		want string
	}{
		{"empty", nil, `{}`},
		{"every kind", bytes.Join([][]byte{entry("null", varint(nullKind, 0)), entry("n", double(1.5)),
			entry("s", text(stringKind, "é")), entry("t", varint(boolKind, 1)), entry("f", varint(boolKind, 0)),
			entry("o", message(structKind)), entry("l", message(listKind))}, nil),
			`{"null":null,"n":1.5,"s":"é","t":true,"f":false,"o":{},"l":[]}`},
		{"a list of messages", entry("a", message(listKind, message(listValues,
			message(structKind, entry("role", text(stringKind, "user")))), message(listValues, double(2)))),
			`{"a":[{"role":"user"},2]}`},
		{"other null and bool numbers", append(entry("n", varint(nullKind, math.MaxUint64)), entry("b", varint(boolKind, 2))...),
			`{"n":null,"b":true}`},
		{"value before key", message(structFields, message(entryValue, double(1)), text(entryKey, "k")), `{"k":1}`},
		{"key twice in one entry", message(structFields, text(entryKey, "j"), message(entryValue, double(1)), text(entryKey, "k")), `{"k":1}`},
		{"no key", message(structFields, message(entryValue, double(1))), `{"":1}`},
		{"the last kind counts", entry("k", message(structKind, entry("x", double(1))), text(stringKind, "s"), double(3)), `{"k":3}`},
		{"two objects, not merged", entry("k", message(structKind, entry("x", double(1))), varint(nullKind, 0),
			message(structKind, entry("y", double(2)))), `{"k":{"y":2}}`},
		{"unknown fields", bytes.Join([][]byte{unknown, message(structFields, unknown, text(entryKey, "k"),
			message(entryValue, unknown, message(listKind, unknown), unknown), unknown), unknown}, nil), `{"k":[]}`},
		{"same key in two objects", append(entry("k", message(structKind, entry("k", double(1)))), entry("j", double(1))...), `{"k":{"k":1},"j":1}`},
		{"escapes", entry("\"\\/", text(stringKind, "\x00\x01\x1f\b\f\n\r\t\x7f<&>\u2028😀")),
			`{"\"\\/":"\u0000\u0001\u001f\b\f\n\r\t` + "\x7f<&>\u2028😀" + `"}`},
	} {
		got, err := structToJSON(c.wire)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
	}
	if got, err := structToJSON(nestedWire(engine.MaxValueDepth)); err != nil || strings.Count(string(got), "{") != engine.MaxValueDepth {
		t.Errorf("at the limit of depth: %s, %v", got, err)
	}
}

func TestStructToJSONRefuses(t *testing.T) {
	var many []byte
	for i := range 1000 {
		many = append(many, entry(strconv.Itoa(i), double(0))...)
	}
	lists := message(listKind)
	for range engine.MaxValueDepth - 1 {
		lists = message(listKind, message(listValues, lists))
	}
	for _, c := range []struct {
		name string
		wire []byte
		says string
	}{
		{"NaN", entry("k", double(math.NaN())), "NaN"},
		{"infinity", entry("k", double(math.Inf(-1))), "-Inf"},
		{"a Value without kind", entry("k"), "no kind"},
		{"a Value without kind in a list", entry("k", message(listKind, message(listValues))), "no kind"},
		{"a Value with unknown kinds only", entry("k", varint(7, 1)), "no kind"},
		{"an entry without value", message(structFields, text(entryKey, "k")), "no value"},
		{"a key twice", append(entry("k", double(1)), entry("k", double(2))...), `"k" twice`},
		{"a missing key twice", append(entry("", double(1)), message(structFields, message(entryValue, double(1)))...), `twice`},
		{"one of many keys twice", append(many, entry("7", double(0))...), "twice"},
		{"two values", message(structFields, message(entryValue, double(1)), message(entryValue, double(2))), "two values"},
		{"two objects", entry("k", message(structKind), message(structKind)), "merged"},
		{"two lists", entry("k", message(listKind), message(listKind)), "merged"},
		{"a key in bad UTF-8", entry("\xff", double(1)), "UTF-8"},
		{"a string in bad UTF-8", entry("k", text(stringKind, "\xed\xa0\x80")), "UTF-8"},
		{"bad UTF-8 in a kind that loses", entry("k", text(stringKind, "\xff"), double(1)), "UTF-8"},
		{"fields of a wrong type", varint(structFields, 1), "wire type 0"},
		{"a key of a wrong type", message(structFields, varint(entryKey, 1), message(entryValue, double(1))), "wire type 0"},
		{"a value of a wrong type", message(structFields, text(entryKey, "k"), varint(entryValue, 1)), "wire type 0"},
		{"a number of a wrong type", entry("k", varint(numberKind, 1)), "wire type 0"},
		{"a string of a wrong type", entry("k", varint(stringKind, 1)), "wire type 0"},
		{"an object of a wrong type", entry("k", varint(structKind, 1)), "wire type 0"},
		{"a bool of a wrong type", entry("k", text(boolKind, "x")), "wire type 2"},
		{"list values of a wrong type", entry("k", message(listKind, varint(listValues, 1))), "wire type 0"},
		{"a tag cut short", []byte{0x80}, "malformed"},
		{"a varint too long", entry("k", bytes.Repeat([]byte{0x88}, 12)), "malformed"},
		{"a length beyond the end", []byte{structFieldsTag, 5, 0}, "malformed"},
		{"a length of 2^64-1", append([]byte{structFieldsTag}, protowire.AppendVarint(nil, math.MaxUint64)...), "malformed"},
		{"a double cut short", entry("k", double(1)[:5]), "malformed"},
		{"field number 0", []byte{0x02, 0x00}, "malformed"},
		{"field number 2^29", protowire.AppendVarint(nil, 1<<32), "malformed"},
		{"the end of no group", protowire.AppendTag(nil, 9, protowire.EndGroupType), "malformed"},
		{"a group without end", protowire.AppendTag(nil, 9, protowire.StartGroupType), "malformed"},
		{"groups in groups", bytes.Repeat(protowire.AppendTag(nil, 9, protowire.StartGroupType), 500_000), "malformed"},
		{"29 objects", nestedWire(engine.MaxValueDepth + 1), "28 deep"},
		{"28 lists in an object", entry("k", lists), "28 deep"},
		{"5,000 objects", nestedWire(5000), "28 deep"},
	} {
		got, err := structToJSON(c.wire)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "at byte") || !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s: %.60s, %v; want %q", c.name, got, err, c.says)
		}
	}
	for whole, n := entry("key", message(listKind, message(listValues, double(1)))), 1; n < len(whole); n++ {
		if got, err := structToJSON(whole[:n]); err == nil {
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
		wire, inexact, err := appendStruct([]byte("before"), []byte(value))
		if err != nil || inexact.count > 0 || !bytes.HasPrefix(wire, []byte("before")) {
			t.Errorf("%.60s: %v, %d inexact", value, err, inexact.count)
			continue
		}
		back, err := structToJSON(wire[len("before"):])
		if err != nil || string(back) != value {
			t.Errorf("%.60s came back as %.60s, %v", value, back, err)
		}
	}
}

// checkStruct compares wire with what protobuf reads in it.
func checkStruct(t interface{ Fatalf(string, ...any) }, wire, text []byte) {
	if _, err := engine.CheckValue(text, math.MaxInt); err != nil {
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
		text, err := structToJSON(wire)
		if err != nil {
			t.Fatal(err)
		}
		checkStruct(t, wire, text)

		again, _, err := appendStruct(nil, text)
		if err != nil {
			t.Fatal(err)
		}
		checkStruct(t, again, text)
		if !bytes.Equal(again, wire) {
			t.Fatalf("%s: %x, protobuf writes %x", text, again, wire)
		}

		// Other ways to write the same and a little more, which protobuf reads too.
		odd := drawOddStruct(t, s)
		text, err = structToJSON(odd)
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
		return rapid.SampledFrom([][]byte{nil, nil, varint(99, 1), text(77, "x"), {0x4d, 1, 2, 3, 4}}).Draw(t, "junk")
	}
	var value func(v *structpb.Value) []byte
	value = func(v *structpb.Value) []byte {
		b := rapid.SampledFrom([][]byte{nil, nil, text(stringKind, "lost"), double(1), message(listKind)}).Draw(t, "loser")
		b = append(append(bytes.Clone(b), varint(nullKind, 0)...), junk()...)
		switch k := v.GetKind().(type) {
		case *structpb.Value_StructValue:
			b = append(b, odd(structKind, drawOddStruct(t, k.StructValue))...)
		case *structpb.Value_ListValue:
			var list []byte
			for _, v := range k.ListValue.GetValues() {
				list = append(append(list, odd(listValues, value(v))...), junk()...)
			}
			b = append(b, odd(listKind, list)...)
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
	f.Add(entry("k", message(listKind, message(listValues, double(1)), message(listValues, text(stringKind, "x")))))
	f.Add(append(entry("a", varint(boolKind, 1)), entry("b", varint(nullKind, 0), message(structKind))...))
	f.Add(nestedWire(engine.MaxValueDepth, entry("\n", double(0.1))))
	f.Fuzz(func(t *testing.T, wire []byte) {
		text, err := structToJSON(wire)
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
		_, _, _ = appendStruct(nil, text) // no panic, whatever it is
		value, err := engine.CheckValue(text, math.MaxInt)
		if err != nil {
			return
		}
		wire, _, err := appendStruct(nil, value)
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
		return strings.Repeat(`{"k":`, engine.MaxValueDepth-1) + inner + strings.Repeat("}", engine.MaxValueDepth-1)
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
				if _, _, err := appendStruct(nil, text); err != nil {
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
		wire, _, err := appendStruct(nil, []byte(value))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(wire)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := structToJSON(wire); err != nil {
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
