package history

import (
	"math/big"
	"strings"
)

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
