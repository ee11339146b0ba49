package structwire

import (
	"math"
	"math/bits"
)

// Most numbers are small integers or doubles that some program printed: of 15 digits or
// fewer, or of the 16 or 17 that it takes to tell doubles apart. For those the questions
// of exactDouble are answered in integers, without reading the number again and printing
// the double, which would take longer than all else that is done to a value.

// shortNumber is ±mantissa × 10^-scale. Of one that is not spelled as an integer the
// last digit is not 0 when there are more than 15.
type shortNumber struct {
	negative bool
	integer  bool // spelled as one
	mantissa uint64
	digits   int // of mantissa; 0: it is 0
	scale    int
}

// readShortNumber reads a number of at most 17 digits, or 18 of an integer.
func readShortNumber(text []byte) (n shortNumber, ok bool) {
	const most = 40 // characters: scales stay small
	if len(text) > most {
		return n, false
	}
	at := 0
	if at < len(text) && text[at] == '-' {
		n.negative = true
		at++
	}
	pointAt := -1
	for ; at < len(text); at++ {
		c := text[at]
		if c == '.' {
			pointAt = at
			continue
		}
		if c -= '0'; c > 9 {
			break
		}
		if n.mantissa = n.mantissa*10 + uint64(c); n.mantissa > 0 {
			n.digits++
		}
		if n.digits > 18 {
			return n, false
		}
	}
	if pointAt >= 0 {
		n.scale = at - pointAt - 1
	}
	n.integer = pointAt < 0 && at == len(text)
	if n.integer {
		return n, true
	}
	if at < len(text) {
		exponent, good := smallExponent(text[at:])
		if !good {
			return n, false
		}
		n.scale -= exponent
	}
	for n.digits > 15 && n.mantissa%10 == 0 {
		n.mantissa /= 10
		n.digits--
		n.scale--
	}
	return n, n.digits <= 17
}

// double is the double nearest to n, and whether n is a way to write it that
// exactDouble takes. Not known: n is too large or small for the arithmetic here.
func (n shortNumber) double() (d float64, exact, known bool) {
	switch {
	case n.integer:
		d = float64(n.mantissa)
		exact = uint64(d) == n.mantissa
		known = exact
	case n.digits <= 15:
		d, known = n.simple()
		exact = true
	default:
		if d, known = n.nearest(); known {
			exact, known = n.isPrinted(d)
		}
	}
	if n.negative {
		d = -d // of 0 the sign, too
	}
	return d, exact, known
}

// smallExponent reads e, a sign and at most three digits.
func smallExponent(text []byte) (exponent int, ok bool) {
	if text[0] != 'e' && text[0] != 'E' {
		return 0, false
	}
	text = text[1:]
	negative := len(text) > 0 && text[0] == '-'
	if negative || len(text) > 0 && text[0] == '+' {
		text = text[1:]
	}
	if len(text) == 0 || len(text) > 3 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		exponent = exponent*10 + int(c-'0')
	}
	if negative {
		exponent = -exponent
	}
	return exponent, true
}

// powersOfTen are those that are doubles.
var powersOfTen = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// simple is the double of a number of at most 15 digits, which is one that is printed
// so: both parts of the fraction are doubles, so that one operation rounds once (Clinger,
// How to read floating point numbers accurately, 1990).
func (n shortNumber) simple() (d float64, ok bool) {
	switch d = float64(n.mantissa); {
	case n.scale >= len(powersOfTen) || -n.scale >= len(powersOfTen):
		return 0, false
	case n.scale < 0:
		return d * powersOfTen[-n.scale], true
	default:
		return d / powersOfTen[n.scale], true
	}
}

// nearest is mantissa / 5^scale / 2^scale, as a quotient of 63 or 64 bits, rounded half
// to even by what the division left.
func (n shortNumber) nearest() (d float64, ok bool) {
	if n.scale < 0 || n.scale >= len(powersOfFive) {
		return 0, false
	}
	by := powersOfFive[n.scale]
	up, byUp := bits.LeadingZeros64(n.mantissa), bits.LeadingZeros64(by)
	high := n.mantissa << up
	quotient, rest := bits.Div64(high>>1, high<<63, by<<byUp)
	if rest != 0 {
		quotient |= 1 // far below the half: it only says that there is more
	}
	// The conversion rounds, once; a power of two changes no digit.
	power := math.Float64frombits(uint64(1023+byUp-up-63-n.scale) << 52)
	return float64(quotient) * power, true
}

// isPrinted reports whether d, the double nearest to n, which has 16 or 17 digits, is
// printed as n with the fewest digits that read as d again, or with 17.
func (n shortNumber) isPrinted(d float64) (printed, known bool) {
	with17, scale17 := n.mantissa, n.scale
	if n.digits == 16 {
		with17, scale17 = with17*10, scale17+1
	}
	rounded, ok := scaled(d, scale17)
	if !ok {
		return false, false
	}
	if rounded == with17 {
		return true, true
	}
	if n.digits == 17 {
		return false, true // of 17 digits there is one spelling that is nearest to d
	}
	with16, ok16 := scaled(d, n.scale)
	with15, ok15 := scaled(d, n.scale-1)
	if !ok16 || !ok15 {
		return false, false
	}
	fewer, ok := shortNumber{mantissa: with15, scale: n.scale - 1}.simple()
	return with16 == n.mantissa && fewer != d, ok
}

// scaled is d × 10^scale, of a positive d, rounded to an integer, half to even.
func scaled(d float64, scale int) (rounded uint64, ok bool) {
	const mantissaBits = 52
	b := math.Float64bits(d)
	exponent := int(b >> mantissaBits)
	if scale < 0 || scale >= len(powersOfFive) || exponent == 0 {
		return 0, false
	}
	// d = m × 2^e, so d × 10^scale = m × 5^scale × 2^(e + scale).
	m := b&(1<<mantissaBits-1) | 1<<mantissaBits
	down := -(exponent - 1075 + scale)
	if down < 1 || down > 126 {
		return 0, false
	}
	high, low := bits.Mul64(m, powersOfFive[scale])
	quotientHigh, quotient := shiftDown(high, low, down)
	if quotientHigh != 0 {
		return 0, false
	}
	_, half := shiftDown(high, low, down-1)
	below := trailingZeros(high, low) < down-1 // something is left under the half
	if half&1 == 1 && (below || quotient&1 == 1) {
		quotient++
	}
	return quotient, true
}

func shiftDown(high, low uint64, by int) (h, l uint64) {
	if by >= 64 {
		return 0, high >> (by - 64)
	}
	return high >> by, low>>by | high<<(64-by)
}

func trailingZeros(high, low uint64) int {
	if low == 0 {
		return 64 + bits.TrailingZeros64(high)
	}
	return bits.TrailingZeros64(low)
}

// powersOfFive are those below 2^64.
var powersOfFive = func() (p [28]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 5
	}
	return p
}()
