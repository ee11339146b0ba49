package jsonform

import (
	"fmt"
	"unicode/utf8"
)

// The strings and numbers of a value.

// isPlain reports whether a byte of a string stands for itself.
func isPlain(c byte) bool { return c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' }

// string reads a string and reports whether it has escapes.
func (s *valueScanner) string() (escaped bool, err error) {
	text, i := s.text, s.at+1
	for {
		for i < len(text) && isPlain(text[i]) {
			i++
		}
		if i == len(text) {
			return false, s.fail(s.at, "a string has no end; it starts")
		}
		switch c := text[i]; {
		case c == '"':
			s.at = i + 1
			return escaped, nil
		case c == '\\':
			r, next, problem := unescape(text, i)
			if problem != "" {
				return false, s.fail(i, "a string has %s", problem)
			}
			s.normal = s.normal && isNeeded(text[i:next], r)
			escaped, i = true, next
		case c < ' ':
			return false, s.fail(i, "a string has the control character U+%04X, which must be escaped,", c)
		default:
			r, n := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && n == 1 {
				return false, s.fail(i, "a string is not valid UTF-8: 0x%02x", c)
			}
			i += n
		}
	}
}

// unescape decodes the escape at text[i]. It returns the place after it, or a problem.
func unescape(text []byte, i int) (r rune, next int, problem string) {
	if i+1 >= len(text) {
		return 0, 0, "an escape cut short"
	}
	switch c := text[i+1]; c {
	case '"', '\\', '/':
		return rune(c), i + 2, ""
	case 'b':
		return '\b', i + 2, ""
	case 'f':
		return '\f', i + 2, ""
	case 'n':
		return '\n', i + 2, ""
	case 'r':
		return '\r', i + 2, ""
	case 't':
		return '\t', i + 2, ""
	case 'u':
	default:
		return 0, 0, "an unknown escape"
	}
	r, ok := hex4(text, i+2)
	if !ok {
		return 0, 0, "a \\u escape without four hex digits"
	}
	if r < 0xd800 || r > 0xdfff {
		return r, i + 6, ""
	}
	low := rune(-1)
	if i+7 < len(text) && text[i+6] == '\\' && text[i+7] == 'u' {
		low, _ = hex4(text, i+8)
	}
	if r >= 0xdc00 || low < 0xdc00 || low > 0xdfff {
		return 0, 0, "half of a surrogate pair"
	}
	return (r-0xd800)<<10 + (low - 0xdc00) + 0x10000, i + 12, ""
}

func hex4(text []byte, i int) (r rune, ok bool) {
	if i+4 > len(text) {
		return 0, false
	}
	for _, c := range text[i : i+4] {
		switch {
		case isDigit(c):
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// overflow has the digits of 2^1024 - 2^970, the least number that rounds to infinity as
// a float64.
const (
	overflow = "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070963302864166" +
		"92887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959622842" +
		"914819860834936475292719074168444365510704342711559699508093042880177904174497792"
	overflowDigits = len(overflow)
)

// number checks the grammar and that the number is finite as a float64. Counting digits
// nearly always decides that: above is how many there are from the first that is not zero
// up to the decimal point.
func (s *valueScanner) number() error {
	start := s.at
	if s.peek() == '-' {
		s.at++
	}
	from := s.at
	above, zero := int64(0), true
	switch c := s.peek(); {
	case c == '0':
		s.at++
	case isDigit(c):
		above, zero = int64(s.digits()), false
	default:
		return s.expected("a digit")
	}
	if isDigit(s.peek()) {
		return s.fail(start, "a number starts with a needless 0")
	}
	if s.peek() == '.' {
		s.at++
		from := s.at
		if s.digits() == 0 {
			return s.expected("a digit")
		}
		if zeros := leadingZeros(s.text[from:s.at]); zero && zeros < s.at-from {
			above, zero = int64(-zeros), false
		}
	}
	mantissa := s.text[from:s.at]
	if c := s.peek(); c == 'e' || c == 'E' {
		exponent, err := s.exponent()
		if err != nil {
			return err
		}
		above += exponent
	}
	if zero || above < int64(overflowDigits) || above == int64(overflowDigits) && !overflows(mantissa) {
		return nil
	}
	shown := string(s.text[start:s.at])
	if len(shown) > 40 {
		shown = shown[:40] + fmt.Sprintf("… (of %d characters)", len(shown))
	}
	return s.fail(start, "the number %s is beyond what a float64 can hold (about ±1.8e308); it is", shown)
}

// overflows compares digits with those of overflow. strconv takes tens of microseconds
// for some numbers, and a value can have many of them.
func overflows(mantissa []byte) bool {
	n := 0 // digits seen from the first that is not zero
	for _, c := range mantissa {
		if c == '.' || n == 0 && c == '0' {
			continue
		}
		if n == overflowDigits || c > overflow[n] {
			return true
		}
		if c < overflow[n] {
			return false
		}
		n++
	}
	return n == overflowDigits
}

// digits skips digits and counts them.
func (s *valueScanner) digits() int {
	from := s.at
	for s.at < len(s.text) && isDigit(s.text[s.at]) {
		s.at++
	}
	return s.at - from
}

func leadingZeros(digits []byte) int {
	for i, c := range digits {
		if c != '0' {
			return i
		}
	}
	return len(digits)
}

// exponent reads an exponent. It clamps one that is too large for the digits of a text
// within maxTextBytes to make up for.
func (s *valueScanner) exponent() (int64, error) {
	s.at++ // e
	negative := s.peek() == '-'
	if negative || s.peek() == '+' {
		s.at++
	}
	from := s.at
	if s.digits() == 0 {
		return 0, s.expected("a digit")
	}
	exponent := int64(0)
	for _, c := range s.text[from:s.at] {
		exponent = min(exponent*10+int64(c-'0'), 2*maxTextBytes)
	}
	if negative {
		exponent = -exponent
	}
	return exponent, nil
}
