package jsontext_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine/jsontext"
)

// number draws a JSON number whose spelling is as odd as it may be.
var number = rapid.Custom(func(t *rapid.T) string {
	digits := rapid.StringOfN(rapid.RuneFrom([]rune("0012359")), 1, 24, -1).Draw(t, "digits")
	if digits = strings.TrimLeft(digits, "0"); digits == "" {
		digits = "0"
	}
	s := rapid.SampledFrom([]string{"", "-"}).Draw(t, "sign") + digits
	if rapid.Bool().Draw(t, "fraction") {
		s += "." + rapid.StringOfN(rapid.RuneFrom([]rune("0019")), 1, 12, -1).Draw(t, "after the point")
	}
	if rapid.Bool().Draw(t, "exponent") {
		s += rapid.SampledFrom([]string{"e", "E", "e+", "E-", "e-0"}).Draw(t, "e") + fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "exponent"))
	}
	return s
})

func TestCompareNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		if rapid.IntRange(0, 2).Draw(t, "near") == 0 {
			b = respell(t, a)
		}
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		if got, want := jsontext.CompareNumbers([]byte(a), []byte(b)), x.Cmp(y); got != want {
			t.Fatalf("%s and %s compare as %d, not %d", a, b, got, want)
		}
	})
}

// respell spells a number in another way.
func respell(t *rapid.T, a string) string {
	n := rapid.IntRange(0, 5).Draw(t, "places")
	mantissa, exponent, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(a), "+", ""), "e")
	e := 0
	_, _ = fmt.Sscan(exponent, &e)
	if !strings.Contains(mantissa, ".") {
		return mantissa + "." + strings.Repeat("0", n+1) + fmt.Sprintf("e%d", e)
	}
	return fmt.Sprintf("%s%se%d", mantissa, strings.Repeat("0", n), e)
}

// TestFarNumbers: exponents that no integer holds.
func TestFarNumbers(t *testing.T) {
	nines := strings.Repeat("9", 17)
	ascending := []string{
		"-1e308", "-1", "-1e-" + nines, "-1e-1" + strings.Repeat("0", 17), "-0.01e-9" + nines, "-1e-9" + nines + "9", "0",
		"1e-99" + nines + "9", "1e-9" + nines + "9", "0.1e-9" + nines + "8", "1.5e-9" + nines, "1e-1" + strings.Repeat("0", 17), "1e-" + nines, "1e-300", "1", "9007199254740992", "9007199254740993", "9007199254740993.5", "1e308",
	}
	for i := range ascending {
		for j := range ascending {
			// What they are is told by math/big's decimal exponents, apart.
			want := compareFar(ascending[i], ascending[j])
			if got := jsontext.CompareNumbers([]byte(ascending[i]), []byte(ascending[j])); got != want {
				t.Errorf("%s and %s compare as %d, not %d", ascending[i], ascending[j], got, want)
			}
		}
	}
	for _, same := range [][2]string{
		{"1e-100000000000000000000", "0.1e-99999999999999999999"}, {"10e-100000000000000000000", "1e-99999999999999999999"},
		{"100e-100000000000000000001", "1e-99999999999999999999"}, {"0.00e-100000000000000000000", "0"}, {"-0", "0e5"},
		{"1e+000000000000000000000000002", "100"}, {"1e-000000000000000000000000002", "0.01"},
		{"0.1e-99999999999999999", "1e-100000000000000000"}, {"1000e-100000000000000002", "1e-99999999999999999"},
	} {
		if jsontext.CompareNumbers([]byte(same[0]), []byte(same[1])) != 0 || jsontext.CompareNumbers([]byte(same[1]), []byte(same[0])) != 0 {
			t.Errorf("%s and %s are not the same", same[0], same[1])
		}
	}
}

// compareFar compares numbers of a few digits by their exponents.
func compareFar(a, b string) int {
	sa, ea, da := farOf(a)
	sb, eb, db := farOf(b)
	if sa != sb || sa == 0 {
		return cmp.Compare(sa, sb)
	}
	return sa * cmp.Or(ea.Cmp(eb), cmp.Compare(da, db))
}

func farOf(s string) (sign int, exponent *big.Int, digits string) {
	sign = 1
	if strings.HasPrefix(s, "-") {
		sign, s = -1, s[1:]
	}
	mantissa, e, _ := strings.Cut(s, "e")
	exponent, ok := new(big.Int).SetString(strings.TrimPrefix(e, "+"), 10)
	if !ok {
		exponent = new(big.Int)
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := whole + fraction
	digits = strings.TrimLeft(all, "0")
	exponent.Add(exponent, big.NewInt(int64(len(whole)-(len(all)-len(digits)))))
	if digits == "" {
		return 0, new(big.Int), ""
	}
	return sign, exponent, strings.TrimRight(digits, "0")
}

func TestCompareString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.StringOf(rapid.RuneFrom([]rune("ab\"\\\né\u2028\U0001f600\x7f"))).Draw(t, "a")
		b := rapid.StringOf(rapid.RuneFrom([]rune("ab\"\\\né\u2028\U0001f600"))).Draw(t, "b")
		if rapid.Bool().Draw(t, "near") {
			b = a[:len(a)/2] + b
			b = strings.ToValidUTF8(b, "")
		}
		raw := spell(t, a)
		if got, want := jsontext.CompareString(raw, b), strings.Compare(a, b); got != want {
			t.Fatalf("%s and %q compare as %d, not %d", raw, b, got, want)
		}
		if got := jsontext.Text(raw); got != a {
			t.Fatalf("%s is taken for %q, not %q", raw, got, a)
		}
		// However it is spelled, its end is found.
		text := append(append([]byte("["), raw...), `,"x"]`...)
		if got := jsontext.SkipString(text, 1); got != 1+len(raw) {
			t.Fatalf("the end of %s is taken to be at %d, not %d", raw, got, 1+len(raw))
		}
	})
}

// spell writes a string with more escapes than it needs.
func spell(t *rapid.T, s string) []byte {
	out := []byte{'"'}
	for _, r := range s {
		switch {
		case r > 0xffff || r >= ' ' && r != '"' && r != '\\' && !rapid.Bool().Draw(t, "escape"):
			out = append(out, string(r)...)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return append(out, '"')
}

// TestParts takes values apart and puts them together again.
func TestParts(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"a":1}`, `{"a":{},"b":[],"":[[]],"c":"}\"]"}`, `{"a":[1,{"b":"\\"},"\\\""],"c":null,"d":true,"e":-1.5e3}`,
	} {
		if got := again([]byte(text)); got != text {
			t.Errorf("%s is taken for %s", text, got)
		}
		if !json.Valid([]byte(text)) {
			t.Errorf("%s is no JSON", text)
		}
		if end := jsontext.Skip([]byte(text), 0); end != len(text) {
			t.Errorf("the end of %s is taken to be at %d", text, end)
		}
	}
}

func again(text []byte) string {
	var parts []string
	switch jsontext.KindOf(text[0]) {
	case jsontext.Object:
		for _, m := range jsontext.Members(text) {
			parts = append(parts, fmt.Sprintf("%q:%s", m.Name, again(m.Value)))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case jsontext.Array:
		for _, e := range jsontext.Elements(text) {
			parts = append(parts, again(e))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return string(text)
}
