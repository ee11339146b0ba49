package jsonform

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"
)

// The normal form of a value is the same for all its spellings. Fingerprints are taken
// over it, because a client that sends a commit again may encode it anew, and neither
// maps nor encoders guarantee the same bytes twice. Members are in the order of their
// names' UTF-16 code units, and strings have no escape that JSON does not demand (both
// as in RFC 8785). Numbers are spelled as ECMAScript spells doubles, but with all their
// digits: 1.0, 10e-1 and 1E0 are 1, and 9007199254740993 stays that. Rounding to
// doubles, as RFC 8785 does, would make different requests the same. JSON's -0 is the
// number 0.
//
// Records store the text as it was sent, and the digests in events are of that text.

// Normal returns the normal form of text, which CheckValue has accepted.
func Normal(text []byte) []byte {
	n := normalizer{text: text, out: make([]byte, 0, len(text)+16), members: make([]member, 0, fewKeys)}
	n.value()
	return n.out
}

// normalizer rewrites a valid value without white space. It writes the members of an
// object as they come and sorts them only if they were not in order.
type normalizer struct {
	text    []byte
	at      int
	out     []byte
	members []member // of the open objects
	scratch []byte   // an object's members in order
}

// member is a member of an object, as it stands in out.
type member struct{ start, nameEnd, end int }

func (n *normalizer) value() {
	switch c := n.text[n.at]; {
	case c == '{':
		n.object()
	case c == '[':
		n.array()
	case c == '"':
		n.string()
	case c == '-' || isDigit(c):
		n.number()
	default: // true, false, null
		from := n.at
		for n.at < len(n.text) && n.text[n.at] >= 'a' && n.text[n.at] <= 'z' {
			n.at++
		}
		n.out = append(n.out, n.text[from:n.at]...)
	}
}

// take copies one byte of punctuation.
func (n *normalizer) take() byte {
	c := n.text[n.at]
	n.at++
	n.out = append(n.out, c)
	return c
}

func (n *normalizer) array() {
	n.take()
	if n.text[n.at] == ']' {
		n.take()
		return
	}
	for {
		n.value()
		if n.take() == ']' {
			return
		}
	}
}

func (n *normalizer) object() {
	n.take()
	if n.text[n.at] == '}' {
		n.take()
		return
	}
	open, sorted := len(n.members), true
	for {
		m := member{start: len(n.out)}
		n.string()
		m.nameEnd = len(n.out)
		n.take() // the colon
		n.value()
		m.end = len(n.out)
		if last := len(n.members); last > open && n.compare(n.members[last-1], m) > 0 {
			sorted = false
		}
		n.members = append(n.members, m)
		if n.take() == '}' {
			break
		}
	}
	if !sorted {
		n.sort(n.members[open:])
	}
	n.members = n.members[:open]
}

// sort puts an object's members in order. They and the commas between them are the end
// of out, without the closing brace.
func (n *normalizer) sort(members []member) {
	start := members[0].start
	slices.SortFunc(members, n.compare)
	n.scratch = slices.Grow(n.scratch[:0], len(n.out)-start)
	for i, m := range members {
		if i > 0 {
			n.scratch = append(n.scratch, ',')
		}
		n.scratch = append(n.scratch, n.out[m.start:m.end]...)
	}
	copy(n.out[start:], n.scratch)
}

func (n *normalizer) compare(a, b member) int {
	return compareSpelled(n.out[a.start+1:a.nameEnd-1], n.out[b.start+1:b.nameEnd-1])
}

// compareSpelled compares names in JSON spelling without needless escapes. It decodes
// the characters that are escaped.
func compareSpelled(a, b []byte) int {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		x, y := rune(a[i]), rune(b[j])
		switch {
		case x != '\\' && x == y:
			i, j = i+1, j+1
			continue
		case x == '\\':
			x, i, _ = unescape(a, i)
			i--
		}
		if y == '\\' {
			y, j, _ = unescape(b, j)
			j--
		}
		if x != y {
			return compareUnits(byte(x), byte(y))
		}
		i, j = i+1, j+1
	}
	return (len(a) - i) - (len(b) - j)
}

// compareUTF16 orders names by their UTF-16 code units. That is the order of their
// bytes in UTF-8, except that surrogates come before U+E000 to U+FFFF.
func compareUTF16(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return compareUnits(a[i], b[i])
		}
	}
	return len(a) - len(b)
}

// compareUnits compares the first bytes in which two names differ. Bytes from 0xee on
// begin a character: of U+E000 to U+FFFF, or from 0xf0 on one that UTF-16 spells with
// surrogates.
func compareUnits(x, y byte) int {
	const private, surrogates = 0xee, 0xf0
	if x >= private && y >= private && (x >= surrogates) != (y >= surrogates) {
		return int(y) - int(x)
	}
	return int(x) - int(y)
}

// string writes a string with the escapes that it needs.
func (n *normalizer) string() {
	from := n.at
	for n.at++; n.text[n.at] != '"'; n.at++ {
		if n.text[n.at] != '\\' {
			continue
		}
		n.out = append(n.out, n.text[from:n.at]...)
		r, next, _ := unescape(n.text, n.at)
		n.out = appendNeeded(n.out, r)
		n.at, from = next-1, next
	}
	n.at++
	n.out = append(n.out, n.text[from:n.at]...)
}

// appendNeeded writes a character of a string, escaped if it has to be.
func appendNeeded(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\b':
		return append(dst, `\b`...)
	case '\t':
		return append(dst, `\t`...)
	case '\n':
		return append(dst, `\n`...)
	case '\f':
		return append(dst, `\f`...)
	case '\r':
		return append(dst, `\r`...)
	}
	if r < ' ' {
		return append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
	}
	return utf8.AppendRune(dst, r)
}

// isNeeded reports whether an escape is written as appendNeeded writes it.
func isNeeded(escape []byte, r rune) bool {
	var buf [utf8.UTFMax + 2]byte
	return bytes.Equal(appendNeeded(buf[:0], r), escape)
}

func (n *normalizer) number() {
	from := n.at
	for n.at < len(n.text) && inNumber(n.text[n.at]) {
		n.at++
	}
	n.out = appendNumber(n.out, n.text[from:n.at])
}

func inNumber(c byte) bool {
	return isDigit(c) || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E'
}

// Numbers from 1e-6 up to 1e21 are written without an exponent.
const (
	maxWhole    = 21 // digits before the point
	maxLeadings = 6  // digits after it, up to and including the first that is not 0
)

// isNormalNumber reports whether a number is certainly in its normal form, as nearly all
// are: an integer, or a fraction without an exponent.
func isNormalNumber(number []byte) bool {
	digits, point := number, -1
	if digits[0] == '-' {
		digits = digits[1:]
	}
	for i, c := range digits {
		switch c {
		case '.':
			point = i
		case 'e', 'E':
			return false
		}
	}
	if point < 0 {
		return len(digits) <= maxWhole && (digits[0] != '0' || len(digits) == len(number))
	}
	fraction := digits[point+1:]
	return point <= maxWhole && fraction[len(fraction)-1] != '0' && (digits[0] != '0' || leadingZeros(fraction) < maxLeadings)
}

// appendNumber writes a number in its normal form. It keeps the digits without the zeros
// around them; the exponent alone decides where their point is.
func appendNumber(dst, number []byte) []byte {
	if isNormalNumber(number) {
		return append(dst, number...)
	}
	mantissa, exponent, negative := number, []byte(nil), false
	if i := bytes.IndexAny(number, "eE"); i >= 0 {
		mantissa, exponent = number[:i], number[i+1:]
	}
	if mantissa[0] == '-' {
		mantissa, negative = mantissa[1:], true
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	var buf [64]byte
	digits := append(append(buf[:0], whole...), fraction...)
	above := len(whole) // where the point is in digits, without the exponent
	zeros := leadingZeros(digits)
	digits, above = bytes.TrimRight(digits[zeros:], "0"), above-zeros
	if len(digits) == 0 {
		return append(dst, '0')
	}
	if negative {
		dst = append(dst, '-')
	}
	e, fits := smallExponent(exponent)
	if !fits {
		return appendTiny(dst, digits, exponent, above)
	}
	switch point := above + e; {
	case point > maxWhole || point <= -maxLeadings:
		dst = appendMantissa(dst, digits)
		if point > 0 {
			dst = append(dst, '+')
		}
		return strconv.AppendInt(dst, int64(point-1), 10)
	case point >= len(digits):
		dst = append(dst, digits...)
		return append(dst, bytes.Repeat([]byte("0"), point-len(digits))...)
	case point > 0:
		dst = append(append(dst, digits[:point]...), '.')
		return append(dst, digits[point:]...)
	default:
		dst = append(append(dst, "0."...), bytes.Repeat([]byte("0"), -point)...)
		return append(dst, digits...)
	}
}

// appendMantissa writes digits with the point after the first, up to the exponent.
func appendMantissa(dst, digits []byte) []byte {
	dst = append(dst, digits[0])
	if len(digits) > 1 {
		dst = append(append(dst, '.'), digits[1:]...)
	}
	return append(dst, 'e')
}

// smallExponent returns the exponent if it fits an int easily.
func smallExponent(exponent []byte) (e int, fits bool) {
	if len(exponent) == 0 {
		return 0, true
	}
	sign, digits := splitExponent(exponent)
	if len(digits) > 17 {
		return 0, false
	}
	for _, c := range digits {
		e = e*10 + int(c-'0')
	}
	return sign * e, true
}

// splitExponent returns the sign of an exponent and its digits without leading zeros.
func splitExponent(exponent []byte) (sign int, digits []byte) {
	switch sign = 1; exponent[0] {
	case '-':
		sign, exponent = -1, exponent[1:]
	case '+':
		exponent = exponent[1:]
	}
	return sign, exponent[leadingZeros(exponent):]
}

// appendTiny writes a number whose exponent does not fit an int. The exponent is negative,
// since a value has no number that is infinite as a double. It may have as many digits as
// the value has bytes, so the arithmetic is done on its decimal digits.
func appendTiny(dst, digits, exponent []byte, above int) []byte {
	_, spelled := splitExponent(exponent)
	e := bytes.Clone(spelled)
	carry := -(above - 1)
	for i := len(e) - 1; i >= 0 && carry != 0; i-- {
		carry += int(e[i] - '0')
		d := (carry%10 + 10) % 10
		e[i], carry = byte('0'+d), (carry-d)/10
	}
	dst = append(appendMantissa(dst, digits), '-')
	if carry > 0 {
		return append(strconv.AppendInt(dst, int64(carry), 10), e...)
	}
	return append(dst, e[leadingZeros(e):]...)
}
