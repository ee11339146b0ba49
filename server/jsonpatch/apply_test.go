package jsonpatch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// What applies a patch here knows all operations of RFC 6902, and works on trees.

type operation struct {
	Op, Path, From string
	Value          json.RawMessage
}

func decode(text []byte) any {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	return v
}

func apply(doc any, patch []byte) (any, error) {
	var operations []operation
	if err := json.Unmarshal(patch, &operations); err != nil {
		return nil, err
	}
	for _, o := range operations {
		var err error
		switch o.Op {
		case "add":
			doc, err = put(doc, split(o.Path), decode(o.Value), false)
		case "replace":
			doc, err = put(doc, split(o.Path), decode(o.Value), true)
		case "remove":
			doc, _, err = remove(doc, split(o.Path))
		case "move":
			var moved any
			if doc, moved, err = remove(doc, split(o.From)); err == nil {
				doc, err = put(doc, split(o.Path), moved, false)
			}
		case "copy":
			var copied any
			if copied, err = get(doc, split(o.From)); err == nil {
				doc, err = put(doc, split(o.Path), copied, false)
			}
		case "test":
			var there any
			if there, err = get(doc, split(o.Path)); err == nil && !reflect.DeepEqual(there, decode(o.Value)) {
				err = errors.New("the test failed")
			}
		default:
			err = fmt.Errorf("operation %q", o.Op)
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.Op, o.Path, err)
		}
	}
	return doc, nil
}

func split(pointer string) []string {
	if pointer == "" {
		return nil
	}
	parts := strings.Split(pointer, "/")[1:]
	for i := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(parts[i], "~1", "/"), "~0", "~")
	}
	return parts
}

var errNothing = errors.New("there is nothing")

func index(part string, most int) (int, error) {
	i, err := strconv.Atoi(part)
	if err != nil || i < 0 || i > most || strconv.Itoa(i) != part {
		return 0, errNothing
	}
	return i, nil
}

func get(doc any, path []string) (any, error) {
	for _, part := range path {
		switch at := doc.(type) {
		case map[string]any:
			next, found := at[part]
			if !found {
				return nil, errNothing
			}
			doc = next
		case []any:
			i, err := index(part, len(at)-1)
			if err != nil {
				return nil, err
			}
			doc = at[i]
		default:
			return nil, errNothing
		}
	}
	return doc, nil
}

// put adds a value, or replaces one that must be there. It returns the document anew.
func put(doc any, path []string, value any, replace bool) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	part := path[0]
	switch at := doc.(type) {
	case map[string]any:
		old, found := at[part]
		if !found && (replace || len(path) > 1) {
			return nil, errNothing
		}
		next, err := put(old, path[1:], value, replace)
		out := map[string]any{part: next}
		for k, v := range at {
			if k != part {
				out[k] = v
			}
		}
		return out, err
	case []any:
		if len(path) == 1 && !replace {
			i, err := len(at), error(nil)
			if part != "-" {
				i, err = index(part, len(at))
			}
			if err != nil {
				return nil, err
			}
			return slices.Insert(slices.Clone(at), i, value), nil
		}
		i, err := index(part, len(at)-1)
		if err != nil {
			return nil, err
		}
		out := slices.Clone(at)
		out[i], err = put(at[i], path[1:], value, replace)
		return out, err
	}
	return nil, errNothing
}

func remove(doc any, path []string) (rest, removed any, err error) {
	if len(path) == 0 {
		return nil, doc, nil
	}
	if removed, err = get(doc, path); err != nil {
		return nil, nil, err
	}
	parent, last := path[:len(path)-1], path[len(path)-1]
	at, err := get(doc, parent)
	if err != nil {
		return nil, nil, err
	}
	switch at := at.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, v := range at {
			if k != last {
				out[k] = v
			}
		}
		rest, err = put(doc, parent, out, len(parent) > 0)
	case []any:
		i, ierr := index(last, len(at)-1)
		if ierr != nil {
			return nil, nil, ierr
		}
		rest, err = put(doc, parent, slices.Delete(slices.Clone(at), i, i+1), len(parent) > 0)
	}
	return rest, removed, err
}
