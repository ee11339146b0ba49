package structwire

import (
	"bytes"
	"errors"
	"math"
	"strconv"
)

// appendJSONNumber writes the shortest text that reads as d again, but an integer
// below 1e21 with all its digits, so that 2^60 is 2^60 to those who read integers.
func appendJSONNumber(dst []byte, d float64) []byte {
	abs := math.Abs(d)
	switch {
	case d == math.Trunc(d) && abs < 1<<63 && (d != 0 || !math.Signbit(d)):
		return strconv.AppendInt(dst, int64(d), 10)
	case d == math.Trunc(d) && abs < 1e21:
		return strconv.AppendFloat(dst, d, 'f', 0, 64)
	case abs >= 1e-6 && abs < 1e21:
		return strconv.AppendFloat(dst, d, 'f', -1, 64)
	default:
		return strconv.AppendFloat(dst, d, 'e', -1, 64)
	}
}

// exactDouble is the double that a JSON number stands for, and whether it does so
// exactly. That is the case when
//
//   - the number is the double, digit by digit: 1e2, -9223372036854775808, 0.5; or
//   - it is not spelled as an integer, and as programs print that double: with the
//     fewest digits that read as it again (0.1, 5e-324) or with 17 (0.10000000000000001).
//
// All else would come back as another number: 9007199254740993, 1e-400. Whoever
// spells an integer means each of its digits, so 1000000000000000000000000 is
// refused where 1e24 is not.
func exactDouble(text []byte) (d float64, exact bool, err error) {
	if n, short := readShortNumber(text); short {
		if d, exact, known := n.double(); known {
			return d, exact, nil
		}
	}
	d, err = strconv.ParseFloat(string(text), 64)
	if errors.Is(err, strconv.ErrRange) {
		return max(min(d, math.MaxFloat64), -math.MaxFloat64), false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return d, isPrinted(text, d) || isExactly(text, d), nil
}

// isPrinted reports whether text, if it is not spelled as an integer, is how programs
// print d.
func isPrinted(text []byte, d float64) bool {
	if !bytes.ContainsAny(text, ".eE") {
		return false
	}
	var buf [32]byte
	return sameDecimal(text, strconv.AppendFloat(buf[:0], d, 'e', -1, 64)) ||
		sameDecimal(text, strconv.AppendFloat(buf[:0], d, 'e', 16, 64))
}

// abbreviated is a number for an error message: it may have a million digits.
func abbreviated(text []byte) string {
	const most = 64
	if len(text) > most {
		return string(text[:most]) + "..."
	}
	return string(text)
}

// isExactly compares with all digits of d: 767 at most, but mostly it is an integer
// that has no more than its size demands.
func isExactly(text []byte, d float64) bool {
	precision := 766 // and the digit before the point
	if math.Abs(d) < 1e40 && d == math.Trunc(d) {
		precision = 40
	}
	var buf [800]byte
	return sameDecimal(text, strconv.AppendFloat(buf[:0], d, 'e', precision, 64))
}

// sameDecimal reports whether two spellings are of the same number.
func sameDecimal(a, b []byte) bool {
	x, y := readDecimal(a), readDecimal(b)
	if x.negative != y.negative || x.digits != y.digits {
		return false
	}
	if x.digits == 0 {
		return true
	}
	if x.exponent != y.exponent {
		return false
	}
	for range x.digits {
		if x.next() != y.next() {
			return false
		}
	}
	return true
}

// decimal is ±0.d₁d₂d₃… × 10^exponent with neither the first nor the last digit 0.
type decimal struct {
	negative bool
	digits   int    // how many; 0: the number is zero
	rest     []byte // the digits from d₁ on, perhaps with a point in between
	exponent int64
}

func readDecimal(text []byte) decimal {
	var d decimal
	if len(text) > 0 && text[0] == '-' {
		d.negative = true
		text = text[1:]
	}
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		// One that does not fit is cut off, and then equals no exponent of a double.
		d.exponent, _ = strconv.ParseInt(string(text[i+1:]), 10, 32)
		text = text[:i]
	}
	point := bytes.IndexByte(text, '.')
	if point < 0 {
		point = len(text)
	}
	end := len(bytes.TrimRight(text, "0."))
	if end > point {
		d.digits--
	}
	start := 0
	for start < end && (text[start] == '0' || text[start] == '.') {
		start++
	}
	if start == end {
		d.digits = 0
		return d
	}
	d.rest = text[start:end]
	d.digits += end - start
	d.exponent += int64(point - start)
	if start > point {
		d.digits++ // the point is before the digits, not between
		d.exponent++
	}
	return d
}

func (d *decimal) next() byte {
	if d.rest[0] == '.' {
		d.rest = d.rest[1:]
	}
	c := d.rest[0]
	d.rest = d.rest[1:]
	return c
}
