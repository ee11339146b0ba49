package evaluate

import (
	"encoding/json"
	"math"
	"math/big"

	"statehouse.dev/statehouse/history"
)

// Add is a value with a number in it added to; "" and not exists: none. Not ok: what is there is no
// number, or the sum is out of bounds, so that it is refused.
func Add(value string, exists bool, a *history.Arguments) (sum string, ok bool) {
	path, valid := steps(a.Pointer)
	root := map[string]any{}
	if exists {
		v, _ := tree(value)
		var is bool
		if root, is = v.(map[string]any); !is {
			return "", false // bytes
		}
	}
	if !valid || len(path) == 0 {
		return "", false
	}
	holder, set, there := place(root, path)
	if !there {
		return "", false
	}
	before := new(big.Rat)
	if holder != nil {
		n, is := holder.(json.Number)
		if !is {
			return "", false
		}
		var exact bool
		if before, exact = number(n.String()); !exact {
			return "", false
		}
	}
	delta, exact := number(a.Delta)
	if !exact {
		return "", false
	}
	after := new(big.Rat).Add(before, delta)
	for _, bound := range []struct {
		text string
		sign int
	}{{a.Min, -1}, {a.Max, 1}} {
		if bound.text == "" {
			continue
		}
		if limit, exact := number(bound.text); !exact || after.Cmp(limit) == bound.sign {
			return "", false
		}
	}
	if f, _ := after.Float64(); math.IsInf(f, 0) {
		return "", false
	}
	set(json.Number(decimal(after)))
	return text(root), true
}

// place is what is at a path of an object, and how to put something there. Objects that are missing
// on the way are made; lists are not made longer. Not there: something else is in the way.
func place(root map[string]any, path []string) (found any, set func(any), there bool) {
	var v any = root
	for i, step := range path {
		last := i == len(path)-1
		switch x := v.(type) {
		case map[string]any:
			next, has := x[step]
			if last {
				return next, func(n any) { x[step] = n }, !has || next != nil
			}
			if !has {
				next = map[string]any{}
				x[step] = next
			}
			v = next
		case []any:
			k, ok := index(step, len(x))
			if !ok {
				return nil, nil, false
			}
			if last {
				return x[k], func(n any) { x[k] = n }, x[k] != nil
			}
			v = x[k]
		default:
			return nil, nil, false
		}
	}
	return nil, nil, false
}

// Merged is a value with a JSON Merge Patch applied to it (RFC 7396); not ok: it is refused.
func Merged(value string, exists bool, patch string) (merged string, ok bool) {
	var before any
	if exists {
		if before, ok = tree(value); !ok {
			return "", false
		}
	}
	p, ok := tree(patch)
	if !ok {
		return "", false
	}
	return text(merge(before, p)), true
}

func merge(target, patch any) any {
	p, object := patch.(map[string]any)
	if !object {
		return patch
	}
	t, object := target.(map[string]any)
	if !object {
		t = map[string]any{}
	}
	for k, v := range p { // each by itself, in any order
		if v == nil {
			delete(t, k)
		} else {
			t[k] = merge(t[k], v)
		}
	}
	return t
}
