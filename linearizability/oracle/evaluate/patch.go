package evaluate

import (
	"encoding/json"
	"maps"
	"slices"

	"statehouse.dev/statehouse/history"
)

// Patched is a value with a JSON Patch applied to it (RFC 6902); not ok: it cannot be.
func Patched(value, patch string) (patched string, ok bool) {
	root, ok := tree(value)
	if !ok {
		return "", false
	}
	var list []struct {
		Op    string          `json:"op"`
		Path  string          `json:"path"`
		Value json.RawMessage `json:"value"`
	}
	if json.Unmarshal([]byte(patch), &list) != nil {
		return "", false
	}
	for _, o := range list {
		path, valid := steps(o.Path)
		var v any
		if o.Op != "remove" {
			if v, ok = tree(string(o.Value)); !ok {
				return "", false
			}
		}
		if !valid {
			return "", false
		}
		if root, ok = change(root, path, o.Op, v); !ok {
			return "", false
		}
	}
	return text(root), true
}

// change is a tree with one operation done to it.
func change(root any, path []string, op string, v any) (any, bool) {
	if len(path) == 0 {
		return v, op == "replace" || op == "add"
	}
	step := path[0]
	switch x := root.(type) {
	case map[string]any:
		next, has := x[step]
		x = maps.Clone(x)
		switch {
		case len(path) > 1:
			changed, ok := change(next, path[1:], op, v)
			x[step] = changed
			return x, ok && has
		case op == "remove":
			delete(x, step)
			return x, has
		}
		x[step] = v
		return x, op == "add" || has
	case []any:
		i, ok := index(step, len(x)+1)
		if step == "-" {
			i, ok = len(x), true
		}
		switch {
		case !ok || i == len(x) && (len(path) > 1 || op != "add"):
			return nil, false
		case len(path) > 1:
			x = slices.Clone(x)
			x[i], ok = change(x[i], path[1:], op, v)
			return x, ok
		case op == "add":
			return slices.Insert(slices.Clone(x), i, v), true
		case op == "remove":
			return slices.Delete(slices.Clone(x), i, i+1), true
		}
		x = slices.Clone(x)
		x[i] = v
		return x, op == "replace"
	}
	return nil, false
}

// SameText reports whether two values are the same to a diff: members in any order, but numbers as
// they are spelled.
func SameText(a, b string) bool { return a == b || history.Canonical(a) == history.Canonical(b) }
