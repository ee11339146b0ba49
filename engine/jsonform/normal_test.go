package jsonform

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"
)

// normalForms are texts and their normal form.
var normalForms = []struct{ text, want string }{
	{`{}`, `{}`},
	{`{"b":1,"a":2}`, `{"a":2,"b":1}`},
	{`{"b":{"y":[{"d":1,"c":2}],"x":{}},"a":[]}`, `{"a":[],"b":{"x":{},"y":[{"c":2,"d":1}]}}`},
	{`{"aa":1,"a":2,"":3}`, `{"":3,"a":2,"aa":1}`},
	// U+1F600 is D83D DE00 in UTF-16: before U+E000 and U+FFFD, behind U+D7FF.
	{"{\"\ue000\":1,\"\U0001f600\":2,\"\ufffd\":3,\"\ud7ff\":4}", "{\"\ud7ff\":4,\"\U0001f600\":2,\"\ue000\":1,\"\ufffd\":3}"},
	{"{\"\U0001f600\":1,\"\U0001f601\":2}", "{\"\U0001f600\":1,\"\U0001f601\":2}"},
	// Names compare as what they say, not as they are escaped.
	{`{"a\"":1,"a!":2,"a#":3,"\n":4," ":5,"\\":6,"]":7,"[":8}`, `{"\n":4," ":5,"[":8,"\\":6,"]":7,"a!":2,"a\"":1,"a#":3}`},
	{`{"\u00e9":1,"\u0065":2}`, `{"e":2,"é":1}`},
	{`{"\ud83d\ude00":1}`, `{"😀":1}`},
	{`{"s":"\u0061\/\u00E9\u001F\u000a\u0008\u0022\u005c\u007f\u2028"}`, "{\"s\":\"a/é\\u001f\\n\\b\\\"\\\\\x7f\u2028\"}"},
	{`{"n":[1,1.0,10e-1,1E0,1e+0,0.1e1,100e-2]}`, `{"n":[1,1,1,1,1,1,1]}`},
	{`{"n":[0,-0,0.0,-0.0e5,0e999999999999999999999]}`, `{"n":[0,0,0,0,0]}`},
	{`{"n":[9007199254740993,9007199254740992,9007199254740993.0,9.007199254740993e15]}`, `{"n":[9007199254740993,9007199254740992,9007199254740993,9007199254740993]}`},
	{`{"n":[1e20,1e21,100000000000000000000,1000000000000000000000,123456789012345678901.5,1234567890123456789012.5]}`,
		`{"n":[100000000000000000000,1e+21,100000000000000000000,1e+21,123456789012345678901.5,1.2345678901234567890125e+21]}`},
	{`{"n":[0.000001,0.0000001,1e-6,1e-7,-12e-8,0.1000]}`, `{"n":[0.000001,1e-7,0.000001,1e-7,-1.2e-7,0.1]}`},
	{`{"n":[1e-400,0.1e-399,10e-401,1e-0400]}`, `{"n":[1e-400,1e-400,1e-400,1e-400]}`},
	{`{"n":[1e-100000000000000000000,10e-100000000000000000001,0.1e-99999999999999999999]}`,
		`{"n":[1e-100000000000000000000,1e-100000000000000000000,1e-100000000000000000000]}`},
	{`{"n":[1e-99999999999999999,10e-100000000000000000,0.001e-99999999999999996]}`, `{"n":[1e-99999999999999999,1e-99999999999999999,1e-99999999999999999]}`},
}

func TestNormalForm(t *testing.T) {
	for _, c := range normalForms {
		text, normal, err := CheckForm([]byte(c.text), testValueBytes)
		if err != nil {
			t.Fatal(err)
		}
		got := string(Normal(text))
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
		if normal && c.text != c.want {
			t.Errorf("%s is taken for normal", c.text)
		}
		if again := string(Normal([]byte(got))); again != got {
			t.Errorf("%s becomes %s", got, again)
		}
	}
}

// TestMostValuesAreNormal: values as encoders of JSON write them, from sorted maps,
// are not rewritten.
func TestMostValuesAreNormal(t *testing.T) {
	for _, text := range []string{
		`{"cost":0.00321,"error":null,"final":true,"text":"The weather in Zürich\nis \"21.5 °C\".","tokens":{"completion":96,"prompt":412}}`,
		`{"a":[-1,0,-0.5,12345678901234567890,0.30000000000000004],"b":"\u0000","c":[[],{}]}`,
	} {
		if _, normal, err := CheckForm([]byte(text), testValueBytes); err != nil || !normal {
			t.Errorf("%s: is it normal: %v, %v", text, normal, err)
		}
		if got := string(Normal([]byte(text))); got != text {
			t.Errorf("%s becomes %s", text, got)
		}
	}
}

// respelled writes a decoded value in another way: members in an order that pick
// decides, strings with escapes, numbers with other exponents.
func respelled(v any, pick func(n int) int) string {
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for k, m := range v { // sorted below, then shuffled
			parts = append(parts, respelled(k, pick)+":"+respelled(m, pick))
		}
		slices.Sort(parts)
		for i := range parts {
			j := i + pick(len(parts)-i)
			parts[i], parts[j] = parts[j], parts[i]
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		var parts []string
		for _, m := range v {
			parts = append(parts, respelled(m, pick))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case string:
		var b strings.Builder
		for _, r := range v {
			if pick(2) == 0 && r >= ' ' && r != '"' && r != '\\' {
				b.WriteRune(r)
				continue
			}
			for _, u := range utf16.Encode([]rune{r}) {
				h := strconv.FormatUint(uint64(u)|1<<16, 16)[1:]
				if pick(2) == 0 {
					h = strings.ToUpper(h)
				}
				b.WriteString(`\u` + h)
			}
		}
		return `"` + b.String() + `"`
	case json.Number:
		return respelledNumber(string(v), pick(7)-3)
	default:
		text, _ := json.Marshal(v)
		return string(text)
	}
}

// respelledNumber moves the point of a number and makes up for it in the exponent.
func respelledNumber(n string, shift int) string {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(n), "e")
	sign := ""
	if strings.HasPrefix(mantissa, "-") {
		sign, mantissa = "-", mantissa[1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	e, _ := strconv.Atoi(exponent)
	for range max(shift, 0) { // 12.5 is 125e-1
		fraction += "0"
		whole, fraction = whole+fraction[:1], fraction[1:]
		e--
	}
	for range max(-shift, 0) { // 12.5 is 1.25e1
		whole = "0" + whole
		last := len(whole) - 1
		whole, fraction = whole[:last], whole[last:]+fraction
		e++
	}
	whole = strings.TrimLeft(whole, "0")
	return sign + cmp.Or(whole, "0") + "." + fraction + "0E" + strconv.Itoa(e)
}

func decoded(t *rapid.T, text []byte) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// equalValues compares decoded values, numbers as rationals.
func equalValues(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		m, ok := b.(map[string]any)
		if !ok || len(a) != len(m) {
			return false
		}
		for k, v := range a { // all of them: order cannot matter
			if w, has := m[k]; !has || !equalValues(v, w) {
				return false
			}
		}
		return true
	case []any:
		l, ok := b.([]any)
		return ok && slices.EqualFunc(a, l, equalValues)
	case json.Number:
		n, ok := b.(json.Number)
		x, _ := new(big.Rat).SetString(string(a))
		y, _ := new(big.Rat).SetString(string(n))
		return ok && x.Cmp(y) == 0
	default:
		return a == b
	}
}

// TestNormalFormOfSpellings: every spelling of a value has one normal form, which is a
// spelling of it; another value has another.
func TestNormalFormOfSpellings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, normal, err := CheckForm([]byte(drawJSON(t, 0)), testValueBytes)
		if err != nil {
			t.Skip()
		}
		v, form := decoded(t, text), Normal(text)
		if normal && !bytes.Equal(form, text) {
			t.Fatalf("%s is taken for normal, and is %s", text, form)
		}
		if !equalValues(v, decoded(t, form)) {
			t.Fatalf("%s becomes another value: %s", text, form)
		}
		pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }
		again, _, err := CheckForm([]byte(respelled(v, pick)), testValueBytes)
		if err != nil {
			t.Fatal(err)
		}
		if got := Normal(again); !bytes.Equal(got, form) {
			t.Fatalf("%s becomes %s, and %s becomes %s", text, form, again, got)
		}
		other, _, err := CheckForm([]byte(drawJSON(t, 0)), testValueBytes)
		if err == nil && bytes.Equal(Normal(other), form) != equalValues(v, decoded(t, other)) {
			t.Fatalf("%s and %s: forms %s and %s", text, other, form, Normal(other))
		}
	})
}
