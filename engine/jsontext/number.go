package jsontext

import (
	"bytes"
	"cmp"
	"strconv"
)

// CompareNumbers compares two JSON numbers, exactly.
func CompareNumbers(a, b []byte) int {
	if isShort(a) && isShort(b) {
		return cmp.Compare(short(a), short(b))
	}
	x, y := numberOf(a), numberOf(b)
	if x.sign != y.sign {
		return cmp.Compare(x.sign, y.sign)
	}
	if x.sign == 0 {
		return 0
	}
	order := x.compareMagnitude(&y)
	return order * x.sign
}

// isShort reports whether a number is an integer of so few digits that an int64 holds it.
func isShort(number []byte) bool {
	if len(number) > 18 {
		return false
	}
	for i, c := range number {
		if (c < '0' || c > '9') && (i > 0 || c != '-') {
			return false
		}
	}
	return true
}

func short(number []byte) (n int64) {
	digits := bytes.TrimPrefix(number, []byte("-"))
	for _, c := range digits {
		n = n*10 + int64(c-'0')
	}
	if len(digits) < len(number) {
		return -n
	}
	return n
}

// A number is sign · 0.digits · 10^exponent. whole and fraction are its digits together, without
// zeros in front; those at the end do not matter.
type number struct {
	sign            int
	whole, fraction []byte
	exponent        int64
	// far is the exponent's digits if an int64 does not hold it. Values have no number that is
	// infinite as a float64, but the exponent of one next to zero can have any number of digits.
	far         []byte
	farNegative bool
}

func numberOf(text []byte) number {
	n := number{sign: 1}
	if text[0] == '-' {
		n.sign, text = -1, text[1:]
	}
	var exponent []byte
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		text, exponent = text[:i], text[i+1:]
	}
	n.whole, n.fraction, _ = bytes.Cut(text, []byte("."))
	n.whole = bytes.TrimLeft(n.whole, "0")
	above := int64(len(n.whole))
	if above == 0 {
		short := bytes.TrimLeft(n.fraction, "0")
		above, n.fraction = -int64(len(n.fraction)-len(short)), short
	}
	if n.digits() == 0 {
		return number{}
	}
	n.shift(above, exponent)
	return n
}

// shift sets the exponent: the one that is spelled, and how many digits are above the point.
func (n *number) shift(above int64, spelled []byte) {
	negative := len(spelled) > 0 && spelled[0] == '-'
	digits := bytes.TrimLeft(bytes.TrimLeft(spelled, "+-"), "0")
	if len(digits) <= 17 {
		e, _ := strconv.ParseInt(string(digits), 10, 64) // without digits it is 0
		if negative {
			e = -e
		}
		n.exponent = e + above
		return
	}
	// |above| is less than 2^31: it moves neither the sign nor more than a carry.
	sum := bytes.Clone(digits)
	carry := above
	if negative {
		carry = -above
	}
	for i := len(sum) - 1; i >= 0 && carry != 0; i-- {
		carry += int64(sum[i] - '0')
		d := (carry%10 + 10) % 10
		sum[i], carry = byte('0'+d), (carry-d)/10
	}
	if carry > 0 {
		sum = append(strconv.AppendInt(nil, carry, 10), sum...)
	}
	n.far, n.farNegative = bytes.TrimLeft(sum, "0"), negative
}

func (n *number) digits() int { return len(n.whole) + len(n.fraction) }

func (n *number) digit(i int) byte {
	switch {
	case i < len(n.whole):
		return n.whole[i]
	case i < n.digits():
		return n.fraction[i-len(n.whole)]
	}
	return '0'
}

func (n *number) compareMagnitude(m *number) int {
	if order := n.compareExponent(m); order != 0 {
		return order
	}
	for i := range max(n.digits(), m.digits()) {
		if order := cmp.Compare(n.digit(i), m.digit(i)); order != 0 {
			return order
		}
	}
	return 0
}

func (n *number) compareExponent(m *number) int {
	if n.far == nil && m.far == nil {
		return cmp.Compare(n.exponent, m.exponent)
	}
	a, aNegative := n.spelledExponent()
	b, bNegative := m.spelledExponent()
	order := cmp.Or(cmp.Compare(len(a), len(b)), bytes.Compare(a, b))
	switch {
	case aNegative && bNegative:
		return -order
	case aNegative:
		return -1
	case bNegative:
		return 1
	}
	return order
}

func (n *number) spelledExponent() (digits []byte, negative bool) {
	if n.far != nil {
		return n.far, n.farNegative
	}
	if n.exponent < 0 {
		return strconv.AppendInt(nil, -n.exponent, 10), true
	}
	return strconv.AppendInt(nil, n.exponent, 10), false
}
