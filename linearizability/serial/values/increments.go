// Package values knows for the second judge what can have become of a value, and how readers are shown it. It
// knows no log and no answer, and shares nothing with the first judge.
package values

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	"statehouse.dev/statehouse/history"
)

// An increment is looked at from its end: take away from what is there now what was added, and what was
// there before is left.

// Follow reports whether one value can have become another by adding delta to the number at a pointer.
// exists: there was one. What it does not understand it lets pass.
func Follow(before string, exists bool, after, pointer, delta string) bool {
	if before != "" && before[0] != '{' || after == "" || after[0] != '{' {
		return true // a digest, or bytes
	}
	if !exists {
		before = "{}"
	}
	var x, y any
	if decode(before, &x) != nil || decode(after, &y) != nil || !strings.HasPrefix(pointer, "/") {
		return true
	}
	parts := strings.Split(pointer[1:], "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(p, "~1", "/"), "~0", "~")
	}
	was, hadIt := lookup(x, parts)
	is, hasIt := lookup(y, parts)
	if !hasIt {
		return false
	}
	a, okA := scaled(is)
	b, okB := scaled(delta)
	if !hadIt {
		was = "0"
	}
	c, okC := scaled(was)
	if !okA || !okB || !okC {
		return true
	}
	return a.minus(b).same(c)
}

func decode(text string, v any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}

// lookup is the number at a path.
func lookup(v any, path []string) (number string, has bool) {
	for _, p := range path {
		switch x := v.(type) {
		case map[string]any:
			v, has = x[p]
			if !has {
				return "", false
			}
		case []any:
			i, err := strconv.Atoi(p)
			if err != nil || i < 0 || i >= len(x) {
				return "", false
			}
			v = x[i]
		default:
			return "", false
		}
	}
	n, is := v.(json.Number)
	return n.String(), is
}

// fixed is digits and how many of them are a fraction.
type fixed struct {
	digits *big.Int
	places int
}

// maxPlaces of a fraction, or zeros at the end, that are worth computing with.
const maxPlaces = 5000

// scaled is a number without a point; not ok: it is too long.
func scaled(text string) (f fixed, ok bool) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(history.Normal(text)), "e")
	f.digits, ok = new(big.Int).SetString(mantissa, 10)
	if !ok || exponent == "" {
		return f, ok
	}
	e, err := strconv.Atoi(exponent)
	switch {
	case err != nil || e > maxPlaces || e < -maxPlaces:
		return f, false
	case e < 0:
		f.places = -e
	default:
		f.digits.Mul(f.digits, power(e))
	}
	return f, true
}

func power(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// to is the same number with more places.
func (f fixed) to(places int) *big.Int { return new(big.Int).Mul(f.digits, power(places-f.places)) }

func (f fixed) minus(g fixed) fixed {
	places := max(f.places, g.places)
	return fixed{new(big.Int).Sub(f.to(places), g.to(places)), places}
}

func (f fixed) same(g fixed) bool {
	places := max(f.places, g.places)
	return f.to(places).Cmp(g.to(places)) == 0
}
