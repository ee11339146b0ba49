package jsonedit

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Number is a JSON number, exactly: coefficient / 10^scale. The zero value is 0.
type Number struct {
	small int64    // the coefficient, unless big is set
	big   *big.Int // not to be changed
	scale int      // digits after the point; not negative
}

// MaxDigits bounds numbers: those that take more digits to write without an exponent are refused. It
// is above what the largest finite double has before the point, and as many after it.
const MaxDigits = 1000

// smallDigits is how many digits an int64 has room for, and for the sum of two such numbers.
const (
	smallDigits = 18
	mostSmall   = 1_000_000_000_000_000_000
)

// ParseNumber reads a JSON number.
func ParseNumber(s string) (n Number, err error) {
	mantissa, exponent, isNumber := splitNumber(s)
	if !isNumber {
		return n, fmt.Errorf("%.40q is no JSON number", s)
	}
	digits := strings.TrimPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return n, nil
	}
	trimmed := strings.TrimRight(digits, "0")
	tooLong := fmt.Errorf("the number %.40s takes more than %d digits to write without an exponent", s, MaxDigits)
	e := 0
	if exponent != "" {
		if e, err = strconv.Atoi(exponent); err != nil || e > 1<<30 || e < -1<<30 {
			return n, tooLong
		}
	}
	n.scale = len(fraction) - (len(digits) - len(trimmed)) - e // 10^-scale is worth the last digit that is not 0
	above := max(-n.scale, 0)
	if len(trimmed)+above > MaxDigits || n.scale > MaxDigits {
		return n, tooLong
	}
	digits, n.scale = trimmed+strings.Repeat("0", above), max(n.scale, 0)
	if mantissa[0] == '-' {
		digits = "-" + digits
	}
	return n.of(digits), nil
}

// of is a number with the scale of n.
func (n Number) of(digits string) Number {
	if len(digits) <= smallDigits {
		n.small, _ = strconv.ParseInt(digits, 10, 64)
		return n
	}
	n.big, _ = new(big.Int).SetString(digits, 10)
	return n
}

// splitNumber splits a number at its exponent, and reports whether it is one.
func splitNumber(s string) (mantissa, exponent string, ok bool) {
	digits := func() string {
		i := 0
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		d := s[:i]
		s = s[i:]
		return d
	}
	all := s
	s = strings.TrimPrefix(s, "-")
	if whole := digits(); whole == "" || whole[0] == '0' && len(whole) > 1 {
		return "", "", false
	}
	if strings.HasPrefix(s, ".") {
		s = s[1:]
		if digits() == "" {
			return "", "", false
		}
	}
	mantissa = all[:len(all)-len(s)]
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		exponent = s[1:]
		s = strings.TrimPrefix(strings.TrimPrefix(s[1:], "+"), "-")
		if len(exponent)-len(s) > 1 || digits() == "" {
			return "", "", false
		}
	}
	return mantissa, exponent, s == ""
}

// coefficients returns those of two numbers at the larger of their scales.
func coefficients(a, b Number) (x, y *big.Int, scale int) {
	scale = max(a.scale, b.scale)
	return a.coefficient(scale), b.coefficient(scale), scale
}

func (n Number) coefficient(scale int) *big.Int {
	c := n.big
	if c == nil {
		c = big.NewInt(n.small)
	}
	if scale > n.scale {
		c = new(big.Int).Mul(c, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale-n.scale)), nil))
	}
	return c
}

// Add returns a + b, and refuses what takes more than MaxDigits digits.
func (a Number) Add(b Number) (Number, error) {
	if a.big == nil && b.big == nil && a.scale+b.scale == 0 {
		if sum := a.small + b.small; sum < mostSmall && sum > -mostSmall {
			return Number{small: sum}, nil
		}
	}
	x, y, scale := coefficients(a, b)
	return ParseNumber(Number{big: new(big.Int).Add(x, y), scale: scale}.String())
}

// Compare returns a negative number if a < b, 0 if they are equal, and else a positive one.
func (a Number) Compare(b Number) int {
	x, y, _ := coefficients(a, b)
	return x.Cmp(y)
}

// String spells the number with all its digits and without an exponent, since programs take a number
// with one for a floating-point number.
func (n Number) String() string {
	if n.big == nil && n.scale == 0 {
		return strconv.FormatInt(n.small, 10)
	}
	digits, sign := n.coefficient(n.scale).String(), ""
	if digits[0] == '-' {
		digits, sign = digits[1:], "-"
	}
	if n.scale == 0 {
		return sign + digits
	}
	if missing := n.scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - n.scale
	return sign + digits[:point] + "." + digits[point:]
}

// largest is the largest finite double, and what is past it by less than rounds to it.
var largest, _ = new(big.Float).SetString("0x1.fffffffffffff8p1023")

// Finite reports whether the number rounds to a finite double.
func (n Number) Finite() bool {
	if n.big == nil {
		return true
	}
	whole := new(big.Int).Quo(n.big, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n.scale)), nil))
	limit, _ := largest.Int(nil)
	return whole.CmpAbs(limit) < 0
}
