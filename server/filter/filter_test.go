package filter_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine/jsonform"
	"statehouse.dev/statehouse/server/filter"
)

// The other implementation: encoding/json builds trees, math/big compares.

func decode(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	return v
}

// lookUp follows a pointer.
func lookUp(v any, pointer string) (any, bool) {
	if pointer == "" {
		return v, true
	}
	for part := range strings.SplitSeq(pointer[1:], "/") {
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		switch at := v.(type) {
		case map[string]any:
			next, found := at[part]
			if !found {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(at) || strconv.Itoa(i) != part {
				return nil, false
			}
			v = at[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func rat(n json.Number) *big.Rat {
	r, ok := new(big.Rat).SetString(string(n))
	if !ok {
		panic(n)
	}
	return r
}

// order compares two values; ok is false where there is no order.
func order(a, b any) (sign int, ok bool) {
	switch a := a.(type) {
	case json.Number:
		if b, isNumber := b.(json.Number); isNumber {
			return rat(a).Cmp(rat(b)), true
		}
	case string:
		if b, isString := b.(string); isString {
			return strings.Compare(a, b), true
		}
	}
	return 0, false
}

func equal(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k, v := range x {
			if w, found := y[k]; !found || !equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equal(x[i], y[i]) {
				return false
			}
		}
		return true
	}
	if sign, ok := order(a, b); ok {
		return sign == 0
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}

// holds is what a condition says of a tree.
func holds(c filter.Condition, value any, there bool) bool {
	return compare(c, value, there) != c.Negate
}

func compare(c filter.Condition, value any, there bool) bool {
	if !there || c.Comparison == filter.Exists {
		return there
	}
	operand := decode(c.Operand)
	sign, ordered := order(value, operand)
	switch c.Comparison {
	case filter.Equal:
		return equal(value, operand)
	case filter.NotEqual:
		return !equal(value, operand)
	case filter.In:
		for _, one := range operand.([]any) {
			if equal(value, one) {
				return true
			}
		}
		return false
	case filter.Less:
		return ordered && sign < 0
	case filter.LessOrEqual:
		return ordered && sign <= 0
	case filter.Greater:
		return ordered && sign > 0
	}
	return ordered && sign >= 0
}

// What is drawn: few names and values, so that they meet, in odd spellings.
var (
	names   = []string{"a", "b", "", "0", "1", "a/b", "m~n", "é", `q"`}
	scalars = []string{
		"null", "true", "false", `""`, `"a"`, `"\u0061"`, `"b"`, `"é"`, `"\u00e9"`, `"a\"b"`, `"\\"`, `"\ud83d\ude00"`, "\"\U0001f600\"",
		"0", "-0", "0.0", "1", "1.0", "10e-1", "2", "-2", "9007199254740992", "9007199254740993", "9007199254740993.0", "0.1", "0.10", "1e2", "100", "1e-7",
	}
)

func drawJSON(t *rapid.T, depth int) string {
	kind := 0
	if depth > 0 {
		kind = rapid.IntRange(0, 3).Draw(t, "kind")
	}
	switch kind {
	case 1, 2:
		return drawObject(t, depth)
	case 3:
		var elements []string
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			elements = append(elements, drawJSON(t, depth-1))
		}
		return "[" + strings.Join(elements, ",") + "]"
	}
	return rapid.SampledFrom(scalars).Draw(t, "scalar")
}

func drawObject(t *rapid.T, depth int) string {
	var members []string
	for _, name := range rapid.Permutation(names).Draw(t, "names")[:rapid.IntRange(0, 4).Draw(t, "members")] {
		spelled, _ := json.Marshal(name)
		if name == "a" && rapid.Bool().Draw(t, "escaped") {
			spelled = []byte(`"\u0061"`)
		}
		members = append(members, string(spelled)+":"+drawJSON(t, depth-1))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func drawCondition(t *rapid.T, value string) filter.Condition {
	c := filter.Condition{
		Comparison: filter.Comparison(rapid.IntRange(0, int(filter.Exists)).Draw(t, "comparison")), Negate: rapid.IntRange(0, 3).Draw(t, "negate") == 0,
	}
	for range rapid.SampledFrom([]int{0, 1, 1, 1, 2, 2, 3}).Draw(t, "parts") {
		name := rapid.SampledFrom(append([]string{"2", "01", "-"}, names...)).Draw(t, "part")
		c.Pointer += "/" + strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
	}
	operand := func() string {
		if there, found := lookUp(decode(value), c.Pointer); found && rapid.Bool().Draw(t, "what is there") {
			text, _ := json.Marshal(there)
			return string(text)
		}
		return drawJSON(t, 1)
	}
	switch c.Comparison {
	case filter.Exists:
	case filter.In:
		var list []string
		for range rapid.IntRange(0, 3).Draw(t, "listed") {
			list = append(list, operand())
		}
		c.Operand = "[ " + strings.Join(list, ", ") + "]"
	case filter.Equal, filter.NotEqual:
		c.Operand = operand()
	default:
		if c.Operand = operand(); strings.ContainsAny(c.Operand[:1], "{[ntf") {
			c.Operand = "1"
		}
	}
	return c
}

// TestAgainstTrees: a filter says of a value what the other implementation says.
func TestAgainstTrees(t *testing.T) {
	selected, all := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		value := drawObject(t, 3)
		stored, err := jsonform.CheckValue([]byte(value), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var conditions []filter.Condition
		want := true
		for range rapid.IntRange(0, 4).Draw(t, "conditions") {
			c := drawCondition(t, value)
			at, there := lookUp(decode(value), c.Pointer)
			want = want && holds(c, at, there)
			conditions = append(conditions, c)
		}
		f, err := filter.New(conditions)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Value(stored); got != want {
			t.Fatalf("%+v select %s: %v, not %v", conditions, stored, got, want)
		}
		if all++; want {
			selected++
		}
	})
	if selected < all/10 || selected > all*9/10 {
		t.Errorf("%d of %d values were selected: the test tells little", selected, all)
	}
}

func TestMetadata(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := map[string]string{}
		for _, k := range []string{"a", "b"} {
			if rapid.Bool().Draw(t, k) {
				m[k] = rapid.SampledFrom([]string{"", "x", `"x"`, "1"}).Draw(t, "value")
			}
		}
		var conditions []filter.Condition
		want := true
		for range rapid.IntRange(1, 3).Draw(t, "conditions") {
			c := filter.Condition{
				Metadata:   rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"),
				Comparison: rapid.SampledFrom([]filter.Comparison{filter.Equal, filter.NotEqual, filter.In, filter.Exists}).Draw(t, "comparison"),
				Negate:     rapid.Bool().Draw(t, "negate"),
			}
			switch c.Comparison {
			case filter.Equal, filter.NotEqual:
				c.Operand = rapid.SampledFrom([]string{`""`, `"x"`, `"\"x\""`, `"1"`}).Draw(t, "operand")
			case filter.In:
				c.Operand = rapid.SampledFrom([]string{`[]`, `["x"]`, `["1","\u0078"]`}).Draw(t, "operands")
			}
			text, there := m[c.Metadata]
			want = want && holds(c, text, there)
			conditions = append(conditions, c)
		}
		f, err := filter.New(conditions)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Metadata(m); got != want || f.OnValues() || !f.OnMetadata() {
			t.Fatalf("%+v select %v: %v, not %v", conditions, m, got, want)
		}
	})
}

// TestGone: what is not JSON, or not there, meets no condition, and no negated one.
func TestGone(t *testing.T) {
	for _, negate := range []bool{false, true} {
		f, err := filter.New([]filter.Condition{{Pointer: "/a", Comparison: filter.Exists, Negate: negate}})
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range []string{"", "\x00\x0aimage/png{\"a\":1}"} {
			if f.Value([]byte(value)) {
				t.Errorf("negate %v: %q is selected", negate, value)
			}
		}
	}
	f, err := filter.New(nil)
	if err != nil || !f.Value(nil) || f.OnValues() || f.OnMetadata() {
		t.Errorf("no condition does not select all: %v", err)
	}
}

func TestRefused(t *testing.T) {
	many := make([]filter.Condition, filter.MaxConditions+1)
	for i := range many {
		many[i] = filter.Condition{Pointer: "/a", Comparison: filter.Exists}
	}
	for _, c := range []struct {
		where []filter.Condition
		says  string
	}{
		{many, "33 conditions"},
		{[]filter.Condition{{Pointer: "a", Comparison: filter.Exists}}, "begins with /"},
		{[]filter.Condition{{Pointer: "/a~", Comparison: filter.Exists}}, "~ is followed by"},
		{[]filter.Condition{{Pointer: "/a~0~2", Comparison: filter.Exists}}, "~ is followed by"},
		{[]filter.Condition{{Pointer: strings.Repeat("/a", 29), Comparison: filter.Exists}}, "29 parts"},
		{[]filter.Condition{{Pointer: "/a", Metadata: "b", Comparison: filter.Exists}}, "one of them"},
		{[]filter.Condition{{Pointer: "/a", Operand: "open"}}, "in quotes"},
		{[]filter.Condition{{Pointer: "/a"}}, "not JSON text"},
		{[]filter.Condition{{Pointer: "/a", Operand: `1,"b":2`}}, "more than one"},
		{[]filter.Condition{{Pointer: "/a", Operand: `1}`}}, "not JSON text"},
		{[]filter.Condition{{Pointer: "/a", Operand: `{"b":1,"b":1}`}}, "not JSON text"},
		{[]filter.Condition{{Pointer: "/a", Operand: "1e400"}}, "not JSON text"},
		{[]filter.Condition{{Pointer: "/a", Comparison: filter.Less, Operand: "true"}}, "neither"},
		{[]filter.Condition{{Pointer: "/a", Comparison: filter.GreaterOrEqual, Operand: "[1]"}}, "neither"},
		{[]filter.Condition{{Pointer: "/a", Comparison: filter.In, Operand: "1"}}, "wants a list"},
		{[]filter.Condition{{Pointer: "/a", Comparison: filter.In, Operand: "[1" + strings.Repeat(",1", 256) + "]"}}, "257 values"},
		{[]filter.Condition{{Pointer: "/a", Operand: `"` + strings.Repeat("x", 16<<10) + `"`}}, "bytes together"},
		{[]filter.Condition{{Metadata: "a", Comparison: filter.Less, Operand: `"1"`}}, "metadata are compared"},
		{[]filter.Condition{{Metadata: "a", Operand: "1"}}, "metadata are strings"},
		{[]filter.Condition{{Pointer: "/a", Comparison: 8}}, "comparison 8"},
		{[]filter.Condition{{Pointer: "/a", Comparison: -1}}, "comparison -1"},
	} {
		if _, err := filter.New(c.where); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.100v: %v, and not that %q", c.where, err, c.says)
		}
	}
}
