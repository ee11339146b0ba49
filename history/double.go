package history

import (
	"math/big"
	"strconv"
	"strings"
)

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
