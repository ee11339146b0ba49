package jsonedit

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

// TestMergeExamples: the examples of RFC 7396, appendix A and section 3.
func TestMergeExamples(t *testing.T) {
	for _, c := range []struct{ document, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{
			`{"title":"Goodbye!","author":{"givenName":"John","familyName":"Doe"},"tags":["example","sample"],"content":"This will be unchanged"}`,
			`{"title":"Hello!","phoneNumber":"+01-123-456-7890","author":{"familyName":null},"tags":["example"]}`,
			`{"title":"Hello!","author":{"givenName":"John"},"tags":["example"],"content":"This will be unchanged","phoneNumber":"+01-123-456-7890"}`,
		},
		{`{"q\"1":1.0,"é":9007199254740993}`, `{"q\u00221":2,"\u00e9":{"x":1e2}}`, `{"q\"1":2,"é":{"x":1e2}}`}, // names by what they spell
		{`{"a":{"b":1}}`, `{"a":{"c":[null,{"d":null}]}}`, `{"a":{"b":1,"c":[null,{"d":null}]}}`},              // not within arrays
		{`{"a":1}`, `{"a":{"b":null,"c":2}}`, `{"a":{"c":2}}`},
	} {
		if got := string(Merge([]byte(c.document), []byte(c.patch))); got != c.want {
			t.Errorf("%s merged into %s is %s, not %s", c.patch, c.document, got, c.want)
		}
	}
}

// TestPointerExamples: the examples of RFC 6901, section 5.
func TestPointerExamples(t *testing.T) {
	const document = `{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}`
	for pointer, want := range map[string]string{
		"": document, "/foo": `["bar","baz"]`, "/foo/0": `"bar"`, "/": "0", "/a~1b": "1", "/c%d": "2", "/e^f": "3", "/g|h": "4", `/i\j`: "5", `/k"l`: "6", "/ ": "7", "/m~0n": "8",
		"/foo/1": `"baz"`,
	} {
		p, err := ParsePointer(pointer)
		if err != nil {
			t.Fatalf("%q: %v", pointer, err)
		}
		if got, found := p.Find([]byte(document)); !found || string(got) != want {
			t.Errorf("%q is %s, not %s", pointer, got, want)
		}
		if p.String() != pointer {
			t.Errorf("%q is spelled %q", pointer, p)
		}
	}
	for _, pointer := range []string{"/foo/2", "/foo/-", "/foo/00", "/foo/+1", "/foo/", "/foo/0/x", "/x", "/foo/99999999999", "//"} {
		p, err := ParsePointer(pointer)
		if err != nil {
			t.Fatalf("%q: %v", pointer, err)
		}
		if got, found := p.Find([]byte(document)); found {
			t.Errorf("%q leads to %s", pointer, got)
		}
	}
	for _, pointer := range []string{"a", "/~", "/~2", "/a~", "#/a", "/\xff", "/" + strings.Repeat("x", MaxPointerBytes)} {
		if p, err := ParsePointer(pointer); err == nil {
			t.Errorf("%q is taken for the pointer %q", pointer, p)
		}
	}
}

func TestAdd(t *testing.T) {
	for _, c := range []struct{ document, pointer, delta, want string }{
		{`{}`, "/n", "1", `{"n":1}`},
		{`{"n":1}`, "/n", "-1", `{"n":0}`},
		{`{"a":"x","n":1}`, "/n", "1", `{"a":"x","n":2}`},
		{`{"a":1.50}`, "/n/m~1o/\"p", "5", `{"a":1.50,"n":{"m/o":{"\"p":5}}}`},
		{`{"u":{}}`, "/u/t", "7", `{"u":{"t":7}}`},
		{`{"l":[1,[2],3]}`, "/l/1/0", "7", `{"l":[1,[9],3]}`},
		{`{"s":"],\"}","n":1}`, "/n", "1", `{"s":"],\"}","n":2}`},
		// Exactly: not through doubles.
		{`{"n":9007199254740993}`, "/n", "2", `{"n":9007199254740995}`},
		{`{"n":0.1}`, "/n", "0.2", `{"n":0.3}`},
		{`{"n":1.50}`, "/n", "0.50", `{"n":2}`},
		{`{"n":1e2}`, "/n", "1", `{"n":101}`},
		{`{"n":-0}`, "/n", "0", `{"n":0}`},
		{`{"n":999999999999999999}`, "/n", "1", `{"n":1000000000000000000}`},
		{`{"n":-999999999999999999}`, "/n", "-999999999999999999", `{"n":-1999999999999999998}`},
		{`{"n":9223372036854775807}`, "/n", "1", `{"n":9223372036854775808}`},
		{`{"n":1e300}`, "/n", "1", `{"n":1` + strings.Repeat("0", 299) + `1}`},
		{`{"n":1E-7}`, "/n", "1", `{"n":1.0000001}`},
		{`{"n":0.05}`, "/n", "-0.1", `{"n":-0.05}`},
		{`{"n":0e9999999999}`, "/n", "0.0", `{"n":0}`},
	} {
		got, err := add(t, c.document, c.pointer, c.delta, "", "")
		if err != nil || got != c.want {
			t.Errorf("%s at %s in %s is %s, %v, not %s", c.delta, c.pointer, c.document, got, err, c.want)
		}
	}
	for _, c := range []struct{ document, pointer, delta, min, max, want string }{
		{`{"n":"1"}`, "/n", "1", "", "", "a string"},
		{`{"n":null}`, "/n", "1", "", "", "null"},
		{`{"n":{}}`, "/n", "1", "", "", "an object"},
		{`{"n":1}`, "/n/m", "1", "", "", "a number"},
		{`{"n":[1]}`, "/n/1", "1", "", "", "an array"},
		{`{"n":[1]}`, "/n/-", "1", "", "", "an array"},
		{`{"n":3}`, "/n", "-4", "0", "", "below the bound of 0"},
		{`{"n":3}`, "/n", "0.5", "", "3.4999", "above the bound of 3.4999"},
		{`{"n":1e308}`, "/n", "1e308", "", "", "float64"},
		{`{"n":1e-1001}`, "/n", "1", "", "", "digits"},
		{`{"n":1e-700}`, "/n", "1e308", "", "", "digits"},
	} {
		if got, err := add(t, c.document, c.pointer, c.delta, c.min, c.max); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s at %s in %s is %s, %v", c.delta, c.pointer, c.document, got, err)
		}
	}
	if got, err := add(t, `{"n":3}`, "/n", "-3", "0", "3"); err != nil || got != `{"n":0}` {
		t.Errorf("a sum at its bound is %s, %v", got, err)
	}
}

func add(t *testing.T, document, pointer, delta, least, most string) (string, error) {
	t.Helper()
	s := &Sum{Delta: number(t, delta)}
	var err error
	if s.At, err = ParsePointer(pointer); err != nil {
		t.Fatal(err)
	}
	for text, bound := range map[string]**Number{least: &s.Min, most: &s.Max} {
		if text != "" {
			n := number(t, text)
			*bound = &n
		}
	}
	out, err := Add([]byte(document), s)
	return string(out), err
}

func number(t *testing.T, s string) Number {
	t.Helper()
	n, err := ParseNumber(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNumbers(t *testing.T) {
	for _, s := range []string{"", "-", "01", "1.", ".1", "1e", "1e+", "+1", "0x1", "1 ", "--1", "1e1.5", "1e+-1", "NaN", "1e1001", "1e-1001", "1e99999999999999999999"} {
		if n, err := ParseNumber(s); err == nil {
			t.Errorf("%q is taken for %v", s, n)
		}
	}
	for _, c := range [][2]string{{"1", "1.0"}, {"10", "1e1"}, {"-0", "0e5"}, {"0.001", "1E-3"}, {"123456789012345678901", "1234567890123456789010e-1"}} {
		if number(t, c[0]).Compare(number(t, c[1])) != 0 || number(t, c[0]).String() != number(t, c[1]).String() {
			t.Errorf("%s is not %s", c[0], c[1])
		}
	}
	for _, c := range [][2]string{{"9007199254740992", "9007199254740993"}, {"-1", "0"}, {"0.1", "0.10000000000000000001"}, {"-1e300", "-1e299"}} {
		if number(t, c[0]).Compare(number(t, c[1])) >= 0 || number(t, c[1]).Compare(number(t, c[0])) <= 0 {
			t.Errorf("%s is not below %s", c[0], c[1])
		}
	}
}

// FuzzEdit holds edits to what encoding/json and math/big make of them.
func FuzzEdit(f *testing.F) {
	f.Add(`{"a":{"b":1},"c":[1,{"d":null}]}`, `{"a":{"b":null,"x":{"y":null}}}`, "12.5", "-3e2")
	f.Fuzz(func(t *testing.T, document, patch, a, b string) {
		if d, p := compact(document), compact(patch); d != nil && p != nil {
			var x, y, got any
			_ = json.Unmarshal(d, &x)
			_ = json.Unmarshal(p, &y)
			merged := Merge(d, p)
			if err := json.Unmarshal(merged, &got); err != nil {
				t.Fatalf("%s merged into %s is %s: %v", p, d, merged, err)
			}
			want, _ := json.Marshal(mergeTree(x, y))
			if have, _ := json.Marshal(got); string(have) != string(want) {
				t.Fatalf("%s merged into %s is %s, not %s", p, d, have, want)
			}
		}
		x, errX := ParseNumber(a)
		y, errY := ParseNumber(b)
		if errX != nil || errY != nil {
			return
		}
		sum, err := x.Add(y)
		if err != nil {
			return
		}
		p, _ := new(big.Rat).SetString(a)
		q, _ := new(big.Rat).SetString(b)
		got, _ := new(big.Rat).SetString(sum.String())
		if got.Cmp(p.Add(p, q)) != 0 {
			t.Fatalf("%s and %s are %s", a, b, sum)
		}
	})
}

// compact returns a document as this package wants it; nil if it is none, or has a member twice,
// which a map keeps one of.
func compact(s string) []byte {
	var v any
	if json.Unmarshal([]byte(s), &v) != nil || strings.ContainsRune(s, 0xfffd) {
		return nil
	}
	b, _ := json.Marshal(v)
	return b
}

func mergeTree(document, patch any) any {
	p, is := patch.(map[string]any)
	if !is {
		return patch
	}
	d, is := document.(map[string]any)
	if !is {
		d = make(map[string]any)
	}
	for k, v := range p {
		if v == nil {
			delete(d, k)
		} else {
			d[k] = mergeTree(d[k], v)
		}
	}
	return d
}
