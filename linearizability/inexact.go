package linearizability

import (
	"math/big"
	"strconv"
	"strings"
)

// sameRead reports whether a reader may have been shown a value so, as it was written. A
// reader of google.protobuf.Struct gets doubles: a number that is none is shown as the
// nearest one, and then the answer must say that it is inexact.
func (in *Input) sameRead(shown string, inexact bool, written string) bool {
	switch {
	case !in.Doubles:
		return !inexact && sameValue(shown, written)
	case isDigest(shown) && isDigest(written):
		return true // of which nobody can tell whether they differ by more than rounding
	case inexact:
		return Rounded(shown) == Rounded(written) && hasOtherThanDoubles(written)
	}
	return sameValue(shown, written) || Rounded(shown) == renumber(Canonical(written), carriedNumber)
}

func isDigest(value string) bool { return strings.HasPrefix(value, "digest:") }

// carriedNumber is roundedNumber of what is not spelled as an integer: how many digits
// of a fraction its writer meant cannot be known. Who spells an integer means each digit.
func carriedNumber(n string) string {
	if isPlainInteger(n) && !isDouble(n) {
		return n
	}
	return roundedNumber(n)
}

// hasOtherThanDoubles reports whether a number in JSON text is not exactly a double.
func hasOtherThanDoubles(text string) bool {
	found := false
	renumber(Canonical(text), func(n string) string {
		found = found || !isDouble(n)
		return n
	})
	return found
}

func isDouble(n string) bool {
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
