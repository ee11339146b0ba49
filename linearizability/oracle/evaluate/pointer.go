package evaluate

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	"statehouse.dev/statehouse/history"
)

// tree is JSON text as a tree; not ok: it is none.
func tree(text string) (v any, ok bool) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, false
	}
	return v, true
}

// text is a tree as JSON.
func text(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "" // of a tree that was read there is none
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// steps are the parts of a JSON Pointer; not ok: it is none.
func steps(pointer string) (list []string, ok bool) {
	if pointer == "" {
		return nil, true
	}
	if pointer[0] != '/' {
		return nil, false
	}
	for part := range strings.SplitSeq(pointer[1:], "/") {
		list = append(list, strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
	}
	return list, true
}

// index is a place in a list of n; not ok: there is none.
func index(step string, n int) (i int, ok bool) {
	i, err := strconv.Atoi(step)
	return i, err == nil && i >= 0 && i < n && strconv.Itoa(i) == step
}

// at is what is at a place in a tree; not there: nothing is.
func at(v any, path []string) (found any, there bool) {
	for _, step := range path {
		switch x := v.(type) {
		case map[string]any:
			if v, there = x[step]; !there {
				return nil, false
			}
		case []any:
			i, ok := index(step, len(x))
			if !ok {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// maxDigits of a number or its exponent that a judge computes with.
const maxDigits = 2000

// number is a number exactly; not ok: it is none, or its exponent is beyond sense.
func number(text string) (*big.Rat, bool) {
	if _, exponent, has := strings.Cut(strings.ToLower(text), "e"); has {
		if e, err := strconv.Atoi(exponent); err != nil || e > maxDigits || e < -maxDigits {
			return nil, false
		}
	}
	if _, err := strconv.ParseFloat(text, 64); err != nil && !strings.Contains(err.Error(), "range") {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

// decimal is a number in plain digits. It has so many: what was added had a finite fraction.
func decimal(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	places := 1
	for scale := big.NewInt(10); !new(big.Rat).Mul(r, new(big.Rat).SetInt(scale)).IsInt() && places < 2*maxDigits; places++ {
		scale = new(big.Int).Mul(scale, big.NewInt(10))
	}
	return r.FloatString(places)
}

// Object is bytes as the object that readers are shown them who do not ask for bytes.
func Object(value string) string {
	contentType, _, _ := history.AsBytes(value)
	data := value[strings.LastIndex(value, ";base64,")+len(";base64,"):]
	return text(map[string]any{"$bytes": data, "$content_type": contentType})
}
