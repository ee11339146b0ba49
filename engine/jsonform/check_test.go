package jsonform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine/words"
)

const testValueBytes = 1 << 20

// nested is a value with n containers inside each other, objects outside.
func nested(objects, arrays int) string {
	return strings.Repeat(`{"k":`, objects) + strings.Repeat("[", arrays) + "0" +
		strings.Repeat("]", arrays) + strings.Repeat("}", objects)
}

func TestCheckValueAccepts(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"":""}`, `{"a":{},"b":[]}`, `{"a":[{"role":"user"}]}`, `{"a":null,"b":true,"c":false}`,
		`{"n":9007199254740993}`, `{"n":-9223372036854775808}`, `{"n":1e308}`, `{"n":5e-324}`,
		`{"n":1e-400}`, `{"n":0.30000000000000004}`, `{"n":-0}`, `{"n":-0.0e-0}`, `{"n":0e99999999999999999999}`,
		`{"n":1.7976931348623157e308}`, `{"n":1.7976931348623158e+308}`, `{"n":0.00001e313}`, `{"n":1E2}`,
		`{"n":` + strings.Repeat("9", 308) + `}`, `{"n":0.` + strings.Repeat("0", 400) + `1e700}`,
		`{"s":"\u0000\ud83d\ude00\"\\\/\b\f\n\r\t"}`, "{\"s\":\"\u00e9\u20ac\U0001f600\x7f\ufffd\"}",
		`{"a":{"a":{"a":1}},"A":2,"a ":3}`, `{"\u0061":1,"\u0062":2}`,
		nested(MaxValueDepth, 0), nested(1, MaxValueDepth-1),
	} {
		got, err := CheckValue([]byte(text), testValueBytes)
		if err != nil || string(got) != text {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}

func TestCheckValueRefuses(t *testing.T) {
	for _, c := range []struct {
		text   string
		offset int
		says   string
	}{
		{``, -1, "empty"}, {` `, 1, "ends"}, {`[]`, 0, "object"}, {`"a"`, 0, "object"}, {`null`, 0, "object"},
		{"\xef\xbb\xbf{}", 0, "0xef"}, {`{} {}`, 3, "after its end"}, {"{}\x00", 2, `'\x00'`},
		{`{`, 1, "ends"}, {`{"a"`, 4, "ends"}, {`{"a":`, 5, "ends"}, {`{"a":1`, 6, "ends"}, {`{"a":1,}`, 7, "key"},
		{`{a:1}`, 1, "key"}, {`{"a" 1}`, 5, "colon"}, {`{"a":1 "b":2}`, 7, "comma"}, {`{"a":[1 2]}`, 8, "comma"},
		{`{"a":[1,]}`, 8, "value"}, {`{"a":[}`, 6, "value"}, {`{,}`, 1, "key"}, {"{\"a\":\v1}", 5, "value"},
		{`{"a":tru}`, 5, "true"}, {`{"a":True}`, 5, "value"}, {`{"a":NaN}`, 5, "value"}, {`{"a":nul`, 5, "null"},
		{`{"a":Infinity}`, 5, "value"}, {`{"a":-Infinity}`, 6, "digit"}, {`{"a":+1}`, 5, "value"}, {`{"a":.5}`, 5, "value"},
		{`{"a":1.}`, 7, "digit"}, {`{"a":01}`, 5, "needless 0"}, {`{"a":-}`, 6, "digit"}, {`{"a":1e}`, 7, "digit"},
		{`{"a":1e+}`, 8, "digit"}, {`{"a":0x10}`, 6, "comma"}, {`{"a":'b'}`, 5, "value"},
		{`{"n":1e999}`, 5, "1e999"}, {`{"n":-1e309}`, 5, "-1e309"}, {`{"n":1.7976931348623159e308}`, 5, "float64"},
		{`{"n":1` + strings.Repeat("0", 400) + `}`, 5, "float64"}, {`{"n":1e99999999999999999999}`, 5, "float64"},
		{`{"n":` + strings.Repeat("9", 309) + `}`, 5, "… (of 309 characters) is beyond what a float64 can hold (about ±1.8e308)"},
		{`{"s":"\ud800"}`, 6, "surrogate"}, {`{"s":"\udc00\ud800"}`, 6, "surrogate"}, {`{"s":"\ud800\u0041"}`, 6, "surrogate"},
		{`{"s":"\ud800`, 6, "surrogate"}, {`{"s":"\ud8`, 6, "hex"}, {`{"s":"\u00g0"}`, 6, "hex"}, {`{"s":"\x41"}`, 6, "escape"},
		{`{"s":"\`, 6, "escape"}, {`{"s":"`, 5, "no end"}, {"{\"s\":\"\n\"}", 6, "U+000A"}, {"{\"s\":\"\x00\"}", 6, "U+0000"},
		{"{\"s\":\"\xff\"}", 6, "UTF-8"}, {"{\"s\":\"\xed\xa0\x80\"}", 6, "UTF-8"}, {"{\"s\":\"\xc0\x80\"}", 6, "UTF-8"},
		{"{\"\xe2\x82\":1}", 2, "UTF-8"}, {`{"a":1,"b":2,"a":3}`, 13, `"a" twice`},
		{`{"a":1,"\u0061":2}`, 7, `twice`}, {`{"\n":1,"\u000a":2}`, 8, `twice`}, {`{"x":[{"a":1},{"a":1,"a":1}]}`, 21, "twice"},
		{`{"":1,"":2}`, 6, "twice"}, {`{"\ud83d\ude00":1,"😀":2}`, 18, "twice"},
		{nested(MaxValueDepth+1, 0), 5 * MaxValueDepth, "28 deep"}, {nested(1, MaxValueDepth), 5 + MaxValueDepth - 1, "28 deep"},
		{strings.Repeat(`{"":`, 200_000), 4 * MaxValueDepth, "28 deep"},
	} {
		got, err := CheckValue([]byte(c.text), testValueBytes)
		var refusal *ValueError
		switch {
		case !errors.As(err, &refusal) || !errors.Is(err, words.ErrInvalid):
			t.Errorf("%.60q: %s, %v", c.text, got, err)
		case refusal.Offset != c.offset || !strings.Contains(err.Error(), c.says):
			t.Errorf("%.60q: %v (at %d), want %q at %d", c.text, err, refusal.Offset, c.says, c.offset)
		}
	}
}

func TestCheckValueCompacts(t *testing.T) {
	for text, want := range map[string]string{ // each on its own
		" {} ": `{}`, "\t{\r\n}\n": `{}`, `{"a": [ ] , "b" :{ } }`: `{"a":[],"b":{}}`,
		`{"a b": " c\u0020 ", "n": [1.0, 1E+2 ,-0.10]}`: `{"a b":" c\u0020 ","n":[1.0,1E+2,-0.10]}`,
	} {
		if got, err := CheckValue([]byte(text), testValueBytes); err != nil || string(got) != want {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
	text := []byte(`{"a":1}`)
	if got, err := CheckValue(text, testValueBytes); err != nil || &got[0] != &text[0] {
		t.Errorf("compact text is copied (%v)", err)
	}
	blank := append(bytes.Repeat([]byte(" "), testValueBytes-2), "{}"...)
	got, err := CheckValue(blank, testValueBytes)
	if err != nil || string(got) != "{}" || cap(got) > 64 {
		t.Errorf("2 bytes of value hold %d bytes of memory (%v)", cap(got), err)
	}
}

func TestCheckValueSize(t *testing.T) {
	for size := testValueBytes - 1; size <= testValueBytes+1; size++ {
		text := `{"s":"` + strings.Repeat("x", size-len(`{"s":""}`)) + `"}`
		_, err := CheckValue([]byte(text), testValueBytes)
		if size <= testValueBytes {
			if err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "1048577") || !strings.Contains(err.Error(), "1048576") {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	// The size as sent counts, not the size as kept.
	if _, err := CheckValue([]byte(`{ }`), 2); err == nil {
		t.Error("3 bytes as sent pass a limit of 2")
	}
}

// manyKeys is an object of n keys, one of them the same as another if twice.
func manyKeys(n int, twice bool) []byte {
	text := []byte("{")
	for i := range n {
		if twice && i == n-1 {
			i = 0
		}
		text = fmt.Appendf(text, `"%d":0,`, (i*7919)%n) // not in order
	}
	text[len(text)-1] = '}'
	return text
}

func TestCheckValueManyKeys(t *testing.T) {
	for _, n := range []int{2, fewKeys - 1, fewKeys, fewKeys + 1, 100, 100_000} {
		if _, err := CheckValue(manyKeys(n, false), 4*testValueBytes); err != nil {
			t.Errorf("%d keys: %v", n, err)
		}
		text := manyKeys(n, true)
		_, err := CheckValue(text, 4*testValueBytes)
		var refusal *ValueError
		if want := bytes.LastIndex(text, []byte(`"0":`)); !errors.As(err, &refusal) || refusal.Offset != want {
			t.Errorf("%d keys, one twice at %d: %v", n, want, err)
		}
		if n == 2 {
			continue
		}
		escaped := bytes.Replace(text, []byte(`{"0":`), []byte(`{"\u0030":`), 1)
		if _, err := CheckValue(escaped, 4*testValueBytes); err == nil {
			t.Errorf("%d keys, one twice with an escape: accepted", n)
		}
	}
}

var escapes = regexp.MustCompile(`\\(u[0-9a-fA-F]{4}|.)`)

// hasLoneSurrogate looks at the escapes of JSON text.
func hasLoneSurrogate(text []byte) bool {
	highEnd := -1 // where a high surrogate waits for its other half
	for _, m := range escapes.FindAllIndex(text, -1) {
		code := uint64(0)
		if m[1]-m[0] == 6 {
			code, _ = strconv.ParseUint(string(text[m[0]+2:m[1]]), 16, 32)
		}
		isLow := code >= 0xdc00 && code <= 0xdfff
		if isLow != (highEnd == m[0]) || highEnd >= 0 && !isLow {
			return true
		}
		highEnd = -1
		if code >= 0xd800 && code <= 0xdbff {
			highEnd = m[1]
		}
	}
	return highEnd >= 0
}

// isValue is the definition of a value by other means: encoding/json and a tree.
func isValue(text []byte) bool {
	start := bytes.TrimLeft(text, " \t\r\n")
	if !json.Valid(text) || !utf8.Valid(text) || hasLoneSurrogate(text) || start[0] != '{' {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	type container struct {
		keys   map[string]bool // nil: an array
		wasKey bool
	}
	var open []container
	for {
		token, err := d.Token()
		if err == io.EOF {
			return true
		}
		if err != nil {
			return false
		}
		if delim, ok := token.(json.Delim); ok && (delim == '}' || delim == ']') {
			open = open[:len(open)-1]
			continue
		}
		if len(open) > 0 {
			if c := &open[len(open)-1]; c.keys != nil {
				c.wasKey = !c.wasKey
				if c.wasKey {
					if c.keys[token.(string)] {
						return false
					}
					c.keys[token.(string)] = true
				}
			}
		}
		switch v := token.(type) {
		case json.Number:
			if _, err := v.Float64(); err != nil {
				return false
			}
		case json.Delim:
			c := container{}
			if v == '{' {
				c.keys = map[string]bool{}
			}
			if open = append(open, c); len(open) > MaxValueDepth {
				return false
			}
		}
	}
}

func compareWithOracle(t interface{ Fatalf(string, ...any) }, text []byte) {
	before := bytes.Clone(text)
	got, err := CheckValue(text, testValueBytes)
	if !bytes.Equal(text, before) {
		t.Fatalf("%q was changed to %q", before, text)
	}
	if want := isValue(text); want != (err == nil) {
		t.Fatalf("%q: is a value: %v; CheckValue: %v", text, want, err)
	}
	if err != nil {
		if refusal := (*ValueError)(nil); !errors.As(err, &refusal) || refusal.Offset > len(text) {
			t.Fatalf("%q: %v", text, err)
		}
		return
	}
	var want bytes.Buffer
	if err := json.Compact(&want, text); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("%q: %q, want %q", text, got, want.Bytes())
	}
}

// drawJSON draws JSON text, mostly valid, and white space in it.
func drawJSON(t *rapid.T, depth int) string {
	space := func() string {
		return rapid.SampledFrom([]string{"", "", "", " ", "\n\t", "  \r\n"}).Draw(t, "space")
	}
	strs := rapid.Custom(func(t *rapid.T) string {
		pieces := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "é", "😀", "\u2028", `\n`, `\"`, `\\`, `\/`,
			`\u0061`, `\u00E9`, `\u0000`, `\ud83d\ude00`, `\uFFFD`, `<`, ` `}), 0, 4).Draw(t, "string")
		return `"` + strings.Join(pieces, "") + `"`
	})
	members := func(draw func() string) string {
		var all []string
		for range rapid.IntRange(0, 4).Draw(t, "members") {
			all = append(all, space()+draw()+space())
		}
		return strings.Join(all, ",")
	}
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	switch {
	case depth == 0 || kind == 0 && depth < 4:
		return "{" + space() + members(func() string {
			return strs.Draw(t, "key") + space() + ":" + space() + drawJSON(t, depth+1)
		}) + "}"
	case kind == 1 && depth < 4:
		return "[" + space() + members(func() string { return drawJSON(t, depth+1) }) + "]"
	case kind == 2:
		return rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "literal")
	case kind == 3:
		return strs.Draw(t, "string")
	case kind == 4:
		return rapid.StringMatching(`-?(0|[1-9][0-9]{0,6})(\.[0-9]{1,5})?([eE][-+]?[0-9]{1,3})?`).Draw(t, "number")
	default:
		b, _ := json.Marshal(rapid.Float64().Draw(t, "float"))
		return string(b)
	}
}

func TestCheckValueAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(drawJSON(t, 0))
		compareWithOracle(t, text)
		// The same with something small wrong in it, most often.
		at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		switch rapid.IntRange(0, 2).Draw(t, "mutation") {
		case 0:
			text[at] = rapid.SampledFrom([]byte("{}[]:,\"\\ueE0123-+. \x00\xff\xc3")).Draw(t, "byte")
		case 1:
			text = append(text[:at:at], text[at+1:]...)
		case 2:
			text = text[:at]
		}
		if len(text) > 0 {
			compareWithOracle(t, text)
		}
	})
}

func FuzzCheckValue(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.5e3,true,null,"x\u00e9\ud83d\ude00"]}`, ` { "a" : {} , "\u0061" : 1 } `,
		nested(MaxValueDepth, 1), `{"n":17976931348623157e292}`, string(manyKeys(30, true))} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(bytes.TrimLeft(text, " \t\r\n")) > 0 {
			compareWithOracle(t, text)
		}
	})
}

const benchValue = `{"role":"assistant","content":"The weather in Zürich is 21.5 °C and sunny.","tool_calls":[{"id":"call_91f2","name":"get_weather","arguments":{"city":"Zürich","units":"metric"}}],"tokens":{"prompt":412,"completion":96},"cost":0.00321,"final":true,"error":null}`

func BenchmarkCheckValue(b *testing.B) {
	var spaced bytes.Buffer
	spaced.WriteString(strings.NewReplacer(`":`, `": `, `,"`, `, "`).Replace(benchValue))
	for _, c := range []struct {
		name string
		text []byte
	}{
		{"256B", []byte(benchValue)},
		{"256B_spaced", spaced.Bytes()},
		{"1MiB_text", []byte(`{"s":"` + strings.Repeat("lorem ipsum ", 87_000) + `"}`)},
		{"1MiB_objects", []byte(`{"a":[` + strings.Repeat(benchValue+",", 3800) + `0]}`)},
		{"1MiB_keys", manyKeys(104_000, false)},
		{"1MiB_halfway", []byte(`{"a":[` + strings.Repeat("179769313486231580793728971405303415e273,", 25_000) + `0]}`)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := CheckValue(c.text, 2*testValueBytes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
