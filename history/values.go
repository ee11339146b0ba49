package history

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// The forms of values: canonical, in which JSON is one text; normal, in which equal numbers are
// one text besides; and rounded, which a reader of doubles is given.

// Canonical puts JSON text into one form: members sorted, no white space, numbers as
// written (see Normal). What is not JSON (a digest) stays.
//
// The form is that of encoding/json, of which digests are kept. jsontext makes it in two fifths
// of the time (2.6 and 7.0 µs for a value of 256 bytes), but sorts members by UTF-16, and refuses
// a name that is there twice and text that is not UTF-8: these are left to encoding/json.
func Canonical(value string) string {
	if value == "" || strings.IndexByte("{[\"-0123456789tfn \t\r\n", value[0]) < 0 {
		return value
	}
	text := jsontext.Value(value)
	switch {
	case text.Format(canonical...) != nil || bytes.ContainsFunc(text, sortsOtherwise):
		return rewritten(value)
	case string(text) == value:
		return value
	}
	return string(text)
}

var canonical = []jsontext.Options{jsontext.ReorderRawObjects(true), jsontext.EscapeForHTML(true), jsontext.EscapeForJS(true)}

// sortsOtherwise reports whether r has another place among runes in UTF-16 than in UTF-8.
func sortsOtherwise(r rune) bool { return r >= 0xe000 }

// rewritten is the form as encoding/json makes it.
func rewritten(value string) string {
	var v any
	d := json.NewDecoder(strings.NewReader(value))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return value
	}
	out, err := json.Marshal(v)
	if err != nil {
		return value
	}
	return string(out)
}

// Normal puts JSON text into the form in which equal values are equal text: that of
// Canonical, and each number in one spelling. Numbers are exact: 1.0, 10e-1 and 1E0 are
// 1, -0 is 0, and 9007199254740993 is not 9007199254740992. What is not JSON (a digest)
// stays.
func Normal(value string) string { return renumber(Canonical(value), normalNumber) }

// SameValue compares values as JSON, however they are written.
func SameValue(a, b string) bool { return a == b || Normal(a) == Normal(b) }

// renumber writes the numbers of JSON text as spell does. It looks for them by hand, since the
// judges do it with each value: the tokens of jsontext take four times as long (2.4 and 0.6 µs for
// a value of 256 bytes).
func renumber(text string, spell func(string) string) string {
	if text == "" || strings.IndexByte("{[-0123456789", text[0]) < 0 {
		return text
	}
	var out strings.Builder
	copied := 0
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			i = endOfString(text, i)
		case c == '-' || digit(c):
			from := i
			for i < len(text) && (digit(text[i]) || strings.IndexByte("+-.eE", text[i]) >= 0) {
				i++
			}
			if n := spell(text[from:i]); n != text[from:i] {
				out.WriteString(text[copied:from] + n)
				copied = i
			}
		default:
			i++
		}
	}
	if copied == 0 {
		return text
	}
	out.WriteString(text[copied:])
	return out.String()
}

// endOfString is the place after a string that begins at i.
func endOfString(text string, i int) int {
	for i++; i < len(text) && text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return min(i+1, len(text))
}

// Integers of so many digits are written with all of them; no double has more.
const maxPlain = 310

func isPlainInteger(n string) bool {
	digits := strings.TrimPrefix(n, "-")
	return len(digits) <= maxPlain && n != "-0" && strings.Trim(digits, "0123456789") == ""
}

// normalNumber writes an integer with its digits, and what is none (or is too long) as
// digits without zeros around them and an exponent: 5e-1, 125e-2.
func normalNumber(n string) string {
	if isPlainInteger(n) {
		return n
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(n), "e")
	sign := ""
	if strings.HasPrefix(mantissa, "-") {
		sign, mantissa = "-", mantissa[1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	trimmed := strings.TrimRight(digits, "0")
	if trimmed == "" {
		return "0"
	}
	if exponent == "" {
		exponent = "0"
	} else if len(exponent) > maxExponent {
		return n
	}
	e, ok := new(big.Int).SetString(exponent, 10)
	if !ok {
		return n // it is no number
	}
	e.Add(e, big.NewInt(int64(len(digits)-len(trimmed)-len(fraction))))
	if e.Sign() >= 0 && e.IsInt64() && e.Int64() <= int64(maxPlain-len(trimmed)) {
		return sign + trimmed + strings.Repeat("0", int(e.Int64()))
	}
	return sign + trimmed + "e" + e.String()
}

// maxExponent is how many digits an exponent may have. Longer ones stay: adding to them
// would cost more than comparing such numbers is worth.
const maxExponent = 4096

func digit(c byte) bool { return c >= '0' && c <= '9' }

// A reader of google.protobuf.Struct is given doubles. What that does to a value is said
// here.

// Rounded is Normal with each number rounded to a double: what a client can say of a value
// that it read as a google.protobuf.Struct.
func Rounded(value string) string { return renumber(Canonical(value), roundedNumber) }

// Carried is what a Struct carries of a value that it was written as: Rounded, but that an
// integer which is no double stays. How many digits of a fraction its writer meant cannot
// be known; who spells an integer means each digit.
func Carried(value string) string {
	return renumber(Canonical(value), func(n string) string {
		if isPlainInteger(n) && !IsDouble(n) {
			return n
		}
		return roundedNumber(n)
	})
}

// Doubles reports whether every number in JSON text is exactly a double.
func Doubles(text string) bool {
	all := true
	renumber(Canonical(text), func(n string) string {
		all = all && IsDouble(n)
		return n
	})
	return all
}

// IsDouble reports whether a number, as JSON spells it, is exactly a double.
func IsDouble(n string) bool {
	const surely = 15 // digits of an integer
	if isPlainInteger(n) && len(n) <= surely {
		return true
	}
	f, err := strconv.ParseFloat(n, 64)
	if err != nil {
		return false
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(n), "e"); ok {
		const largest = 1100 // of no double: not worth a number of a billion digits
		if e, err := strconv.Atoi(exponent); err != nil || e > largest || e < -largest {
			return false
		}
	}
	r, ok := new(big.Rat).SetString(n)
	return ok && r.Cmp(new(big.Rat).SetFloat64(f)) == 0
}

func roundedNumber(n string) string {
	f, err := strconv.ParseFloat(n, 64)
	if err != nil {
		return normalNumber(n) // no double is near
	}
	return normalNumber(strconv.FormatFloat(f, 'e', -1, 64))
}
