package jsonpatch_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/server/jsonpatch"
)

// rfc are the examples of RFC 6902, appendix A. Without a result the patch fails.
var rfc = []struct{ section, doc, patch, result string }{
	{"A.1", `{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux"}]`, `{"baz":"qux","foo":"bar"}`},
	{"A.2", `{"foo":["bar","baz"]}`, `[{"op":"add","path":"/foo/1","value":"qux"}]`, `{"foo":["bar","qux","baz"]}`},
	{"A.3", `{"baz":"qux","foo":"bar"}`, `[{"op":"remove","path":"/baz"}]`, `{"foo":"bar"}`},
	{"A.4", `{"foo":["bar","qux","baz"]}`, `[{"op":"remove","path":"/foo/1"}]`, `{"foo":["bar","baz"]}`},
	{"A.5", `{"baz":"qux","foo":"bar"}`, `[{"op":"replace","path":"/baz","value":"boo"}]`, `{"baz":"boo","foo":"bar"}`},
	{"A.6", `{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}`, `[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]`, `{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}`},
	{"A.7", `{"foo":["all","grass","cows","eat"]}`, `[{"op":"move","from":"/foo/1","path":"/foo/3"}]`, `{"foo":["all","cows","eat","grass"]}`},
	{"A.8", `{"baz":"qux","foo":["a",2,"c"]}`, `[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]`, `{"baz":"qux","foo":["a",2,"c"]}`},
	{"A.9", `{"baz":"qux"}`, `[{"op":"test","path":"/baz","value":"bar"}]`, ""},
	{"A.10", `{"foo":"bar"}`, `[{"op":"add","path":"/child","value":{"grandchild":{}}}]`, `{"foo":"bar","child":{"grandchild":{}}}`},
	{"A.11", `{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux","xyz":123}]`, `{"foo":"bar","baz":"qux"}`},
	{"A.12", `{"foo":"bar"}`, `[{"op":"add","path":"/baz/bat","value":"qux"}]`, ""},
	{"A.14", `{"/":9,"~1":10}`, `[{"op":"test","path":"/~01","value":10}]`, `{"/":9,"~1":10}`},
	{"A.15", `{"/":9,"~1":10}`, `[{"op":"test","path":"/~01","value":"10"}]`, ""},
	{"A.16", `{"foo":["bar"]}`, `[{"op":"add","path":"/foo/-","value":["abc","def"]}]`, `{"foo":["bar",["abc","def"]]}`},
}

// TestExamples holds what applies patches here to the RFC, and patches made here to the results.
func TestExamples(t *testing.T) {
	for _, x := range rfc {
		got, err := apply(decode([]byte(x.doc)), []byte(x.patch))
		if (err != nil) != (x.result == "") {
			t.Errorf("%s: %v", x.section, err)
		}
		if x.result == "" || err != nil {
			continue
		}
		if !reflect.DeepEqual(got, decode([]byte(x.result))) {
			t.Errorf("%s gives %v", x.section, got)
		}
		holds(t, x.doc, x.result)
		holds(t, x.result, x.doc)
	}
}

// holds holds the patch from a to b to what a patch is.
func holds(t interface {
	Helper()
	Fatalf(string, ...any)
}, a, b string) string {
	t.Helper()
	patch := jsonpatch.Make([]byte(a), []byte(b))
	if !json.Valid(patch) {
		t.Fatalf("the patch from %s to %s is no JSON: %s", a, b, patch)
	}
	got, err := apply(decode([]byte(a)), patch)
	if err != nil || !reflect.DeepEqual(got, decode([]byte(b))) {
		t.Fatalf("the patch from %s to %s is %s, which gives %v (%v)", a, b, patch, got, err)
	}
	same := reflect.DeepEqual(decode([]byte(a)), decode([]byte(b)))
	if jsonpatch.Same([]byte(a), []byte(b)) != same || (string(patch) == "[]") != same {
		t.Fatalf("%s and %s: the same is %v, the patch %s", a, b, !same, patch)
	}
	if most := max(len(b)+len(`[{"op":"replace","path":"","value":}]`), 1<<10+1); len(patch) > most {
		t.Fatalf("the patch from %s to %s is %d bytes long, more than %d: %s", a, b, len(patch), most, patch)
	}
	return string(patch)
}

// TestMake: what a reader of a diff wants to see.
func TestMake(t *testing.T) {
	long := `"` + strings.Repeat("x", 200) + `"`
	for _, x := range []struct{ a, b, patch string }{
		{`{"a":1}`, `{"a":1}`, `[]`},
		{`{"a":1,"b":2}`, `{"b":2,"a":1}`, `[]`},
		{`{"a":"\u0061"}`, `{"a":"a"}`, `[]`},
		{`{"a":1,"t":` + long + `}`, `{"a":1.0,"t":` + long + `}`, `[{"op":"replace","path":"/a","value":1.0}]`},
		{`{"a":9007199254740993,"t":` + long + `}`, `{"a":9007199254740992,"t":` + long + `}`, `[{"op":"replace","path":"/a","value":9007199254740992}]`},
		{`{"m":[1,2],"t":` + long + `}`, `{"m":[1,2,{"x":3}],"t":` + long + `}`, `[{"op":"add","path":"/m/2","value":{"x":3}}]`},
		{`{"m":[1,2,3,4],"t":` + long + `}`, `{"m":[1,4],"t":` + long + `}`, `[{"op":"remove","path":"/m/2"},{"op":"remove","path":"/m/1"}]`},
		{`{"m":[{"s":1},{"s":2}],"t":` + long + `}`, `{"m":[{"s":9},{"s":2}],"t":` + long + `}`, `[{"op":"replace","path":"/m/0/s","value":9}]`},
		{`{"a/b":{"~":1},"t":` + long + `}`, `{"a/b":{"~":2,"q\"":3},"t":` + long + `}`, `[{"op":"add","path":"/a~1b/q\"","value":3},{"op":"replace","path":"/a~1b/~0","value":2}]`},
		{`{"a":null,"b":[],"t":` + long + `}`, `{"b":{},"t":` + long + `}`, `[{"op":"remove","path":"/a"},{"op":"replace","path":"/b","value":{}}]`},
		{`{"a":1,"b":2,"c":3}`, `{}`, `[{"op":"remove","path":"/a"},{"op":"remove","path":"/b"},{"op":"remove","path":"/c"}]`},
		{many("1"), many("2"), `[{"op":"replace","path":"","value":` + many("2") + `}]`},
	} {
		if got := holds(t, x.a, x.b); got != x.patch {
			t.Errorf("from %s to %s: %s, not %s", x.a, x.b, got, x.patch)
		}
	}
}

// many is an object of many members, all of one value.
func many(value string) string {
	members := make([]string, 100)
	for i := range members {
		members[i] = fmt.Sprintf(`"%d":%s`, i, value)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// TestAnyTwo: the patch of any two values, near each other or not, makes the one of the other.
func TestAnyTwo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pad := strings.Repeat("x", rapid.SampledFrom([]int{0, 3000}).Draw(t, "padding"))
		a, b := drawObject(t, 3), drawObject(t, 3)
		if rapid.Bool().Draw(t, "near") {
			b = mutate(t, decode([]byte(a)))
		}
		holds(t, `{"pad":"`+pad+`","v":`+a+`}`, `{"pad":"`+pad+`","v":`+b+`}`)
	})
}

// mutate changes a value here and there.
func mutate(t *rapid.T, v any) string {
	switch v := v.(type) {
	case map[string]any:
		var members []string
		for _, k := range names {
			child, found := v[k]
			spelled, _ := json.Marshal(k)
			switch how := rapid.IntRange(0, 7).Draw(t, "how"); {
			case found && how > 0:
				members = append(members, string(spelled)+":"+mutate(t, child))
			case !found && how == 1:
				members = append(members, string(spelled)+":"+drawValue(t, 1))
			}
		}
		return "{" + strings.Join(members, ",") + "}"
	case []any:
		var elements []string
		for _, e := range v {
			switch rapid.IntRange(0, 5).Draw(t, "how") {
			case 0:
			case 1:
				elements = append(elements, drawValue(t, 1), mutate(t, e))
			default:
				elements = append(elements, mutate(t, e))
			}
		}
		return "[" + strings.Join(elements, ",") + "]"
	}
	if rapid.IntRange(0, 4).Draw(t, "other") == 0 {
		return drawValue(t, 1)
	}
	text, _ := json.Marshal(v)
	return string(text)
}

var (
	names   = []string{"a", "b", "", "0", "a/b", "m~n", "~1", "é", `q"`, "\u2028"}
	scalars = []string{"null", "true", "false", `""`, `"a"`, `"\u0061"`, `"a\"b"`, "0", "1", "1.0", "9007199254740993", "1e2", "100"}
)

func drawValue(t *rapid.T, depth int) string {
	kind := 0
	if depth > 0 {
		kind = rapid.IntRange(0, 3).Draw(t, "kind")
	}
	switch kind {
	case 1:
		return drawObject(t, depth)
	case 2, 3:
		var elements []string
		for range rapid.IntRange(0, 6).Draw(t, "elements") {
			elements = append(elements, drawValue(t, depth-1))
		}
		return "[" + strings.Join(elements, ",") + "]"
	}
	return rapid.SampledFrom(scalars).Draw(t, "scalar")
}

func drawObject(t *rapid.T, depth int) string {
	var members []string
	for _, name := range rapid.Permutation(names).Draw(t, "names")[:rapid.IntRange(0, 5).Draw(t, "members")] {
		spelled, _ := json.Marshal(name)
		members = append(members, string(spelled)+":"+drawValue(t, depth-1))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// TestBound: a patch that grows as long as it may be is either whole or none.
func TestBound(t *testing.T) {
	for n := 900; n < 1100; n++ {
		pad := strings.Repeat("x", n)
		holds(t, `{"a":1,"b":{"c":[1,2,3],"d":4},"e":5}`, `{"a":"`+pad+`","b":{"c":[1,2],"d":5},"e":6}`)
	}
}
