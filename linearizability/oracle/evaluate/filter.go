package evaluate

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
)

// Meets reports whether a record meets a condition of a find. lost: its value is gone. metadata are
// those of its last commit, if they are known.
func Meets(f *history.Filter, value string, lost bool, metadata map[string]string, known bool) bool {
	var found any
	there := false
	switch {
	case f.Metadata != "" && !known:
		return false
	case f.Metadata != "":
		var text string
		text, there = metadata[f.Metadata]
		found = text
	case lost || history.IsBytes(value):
		return false
	default:
		path, valid := steps(f.Pointer)
		v, ok := tree(value)
		if !ok || !valid {
			return false
		}
		found, there = at(v, path)
	}
	holds := there && (f.Is == "exists" || compares(f.Is, found, f.Value))
	return holds != f.Not
}

// compares reports whether what is there compares so with the operand.
func compares(is string, found any, operand string) bool {
	want, ok := tree(operand)
	if !ok {
		return false
	}
	switch is {
	case "=":
		return equal(found, want)
	case "!=":
		return !equal(found, want)
	case "in":
		list, _ := want.([]any)
		return slices.ContainsFunc(list, func(x any) bool { return equal(found, x) })
	}
	order, comparable := compare(found, want)
	switch {
	case !comparable:
		return false
	case is == "<":
		return order < 0
	case is == "<=":
		return order <= 0
	case is == ">":
		return order > 0
	}
	return is == ">=" && order >= 0
}

// compare orders numbers, and strings; not comparable: other things.
func compare(a, b any) (order int, comparable bool) {
	if x, is := a.(string); is {
		y, is := b.(string)
		return strings.Compare(x, y), is
	}
	x, isX := a.(json.Number)
	y, isY := b.(json.Number)
	if !isX || !isY {
		return 0, false
	}
	m, okM := number(x.String())
	n, okN := number(y.String())
	if !okM || !okN {
		return 0, false
	}
	return m.Cmp(n), true
}

// equal reports whether two trees are, numbers by what they are.
func equal(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, is := b.(map[string]any)
		return is && maps.EqualFunc(x, y, equal)
	case []any:
		y, is := b.([]any)
		return is && slices.EqualFunc(x, y, equal)
	case json.Number:
		y, is := b.(json.Number)
		return is && history.SameValue(x.String(), y.String())
	}
	return a == b
}
