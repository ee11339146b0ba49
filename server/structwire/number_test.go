package structwire

import (
	"bytes"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/server/wiretest"
)

func TestStructToJSONNumbers(t *testing.T) {
	tenth := 0.1                             // a variable: constants add up exactly
	for want, d := range map[string]float64{ // each on its own
		"0": 0, "-0": math.Copysign(0, -1), "1": 1, "-1": -1, "0.1": 0.1, "0.30000000000000004": tenth + 0.2,

		"9007199254740992": 1 << 53, "-9223372036854775808": -1 << 63, "1152921504606846976": 1 << 60,
		"147573952589676412928": 1 << 67, "1e+21": 1e21, "1.1805916207174113e+21": 1 << 70, "1e+308": 1e308,
		"5e-324": 5e-324, "1.7976931348623157e+308": math.MaxFloat64, "0.000001": 1e-6, "1e-07": 1e-7,
	} {
		got, err := JSON(wiretest.Entry("n", wiretest.Double(d)))
		if err != nil || string(got) != `{"n":`+want+`}` {
			t.Errorf("%v: %s, %v; want %s", d, got, err, want)
		}
	}
}

func TestAppendStructNumbers(t *testing.T) {
	pow2 := func(n uint) string { return new(big.Int).Lsh(big.NewInt(1), n).String() }
	for _, c := range []struct {
		spelled string
		exact   bool
	}{
		{"0", true}, {"-0", true}, {"-0.0", true}, {"0e999", true}, {"0.000e-9999999999", true}, {"1.0", true}, {"1e2", true}, {"-1.50E+02", true},
		{"9007199254740992", true}, {"9007199254740993", false}, {"-9007199254740993", false}, {"9007199254740993.0", false},
		{"900719925474099300e-2", false}, {"9007199254740994", true}, {"9223372036854775807", false}, {"-9223372036854775808", true},
		{"18446744073709551615", false}, {"18446744073709551616", true}, {pow2(70), true}, {pow2(1023), true}, {pow2(70) + ".000", true},
		{"1" + pow2(70), true}, {"1" + pow2(90), false}, {"999999999999999", true}, {"1000000000000000000000000", false}, {"1e24", true}, {"1e23", true}, {"100000000000000000000000", false},
		{"1.1805916207174113e+21", true}, {"1180591620717411300000", false},
		{"0.1", true}, {"0.30000000000000004", true}, {"0.10000000000000001", true}, {"0.1000000000000000000000", true}, {"0.100000000000000006", false},
		{"0.1234567890123456789", false}, {"0.1000000000000000055511151231257827021181583404541015625", true}, {"0.10000000000000000555111512312578270211815834045410156251", false},
		{"1e308", true}, {"5e-324", true}, {"4.9406564584124654e-324", true}, {"4.94065645841246544e-324", false}, {"4e-324", false}, {"3e-324", false},
		{"1e-400", false}, {"1e-308", true}, {"2.2250738585072014e-308", true}, {"1.7976931348623157e308", true}, {"1.7976931348623158e308", false}, {"1e309", false},
		{"0.00001e-5", true}, {"12345678901234567e-10", true}, {"123456789012345678e-10", false}, {"0." + strings.Repeat("0", 300) + "1", true},
	} {
		text := []byte(`{"a":{},"n":[0,` + c.spelled + `]}`)
		wire, inexact, err := Append(nil, text)
		want, _ := strconv.ParseFloat(c.spelled, 64)
		want = max(min(want, math.MaxFloat64), -math.MaxFloat64)
		switch {
		case err != nil:
			t.Errorf("%s: %v", c.spelled, err)
		case !bytes.HasSuffix(wire, wiretest.Double(want)):
			t.Errorf("%s: not %v", c.spelled, want)
		case c.exact != (inexact.Count == 0):
			t.Errorf("%s: %d inexact", c.spelled, inexact.Count)
		case !c.exact && (inexact.Count != 1 || inexact.First != c.spelled || inexact.Offset != 15 || !slices.Equal(inexact.places, []string{"/n/1"})):
			t.Errorf("%s: %+v", c.spelled, inexact)
		}
	}
	_, inexact, err := Append(nil, []byte(`{"n":`+strings.Repeat("123", 300_000)+`}`))
	if err != nil || len(inexact.First) > 80 { // it is named in a refusal
		t.Errorf("a number of 900,000 digits: %v, %.300v", err, inexact.First)
	}
}

// Places are JSON Pointers, and bounded however many there are and however long.
func TestPlacesOfInexactNumbers(t *testing.T) {
	const odd = "9007199254740993"
	long := strings.Repeat("k", maxPlaceBytes)
	for _, c := range []struct {
		text   string
		count  int
		places []string
	}{
		{`{"a":1}`, 0, nil},
		{`{"a":` + odd + `,"b":1,"c":` + odd + `}`, 2, []string{"/a", "/c"}},
		{`{"a":[1,{"":[` + odd + `]},` + odd + `]}`, 2, []string{"/a/1//0", "/a/2"}},
		{`{"a/b~c":{"\u00e9\n":` + odd + `}}`, 1, []string{"/a~1b~0c/é\n"}},
		{`{"` + strings.Repeat("k", 200) + `":{"x":` + odd + `}}`, 1, []string{"/" + strings.Repeat("k", 200) + "/x"}},
		{`{"` + long + `":` + odd + `,"b":` + odd + `}`, 2, []string{"/b"}},
		{`{"` + strings.Repeat("~", maxPlaceBytes-2) + `":` + odd + `,"b":` + odd + `}`, 2, []string{"/b"}},
		{`{"a":[` + strings.Repeat(odd+",", 50) + `1]}`, 50, []string{"/a/0", "/a/1", "/a/2", "/a/3", "/a/4", "/a/5", "/a/6", "/a/7",
			"/a/8", "/a/9", "/a/10", "/a/11", "/a/12", "/a/13", "/a/14", "/a/15"}},
	} {
		_, got, err := Append(nil, []byte(c.text))
		if err != nil || got.Count != c.count || !slices.Equal(got.places, c.places) {
			t.Errorf("%.80s: %d at %.200q, %v; want %d at %q", c.text, got.Count, got.places, err, c.count, c.places)
		}
	}
}

// A number is taken if and only if it is the double, or no integer and a usual
// spelling of the double. The same in rational numbers:
func TestExactDoubleAgreesWithBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.OneOf(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), rapid.Float64Range(-1e22, 1e22),
			rapid.Map(rapid.Uint64Range(1, 1<<52), math.Float64frombits)).Draw(t, "double")
		format := rapid.SampledFrom([]byte("efg")).Draw(t, "format")
		precision := rapid.SampledFrom([]int{-1, -1, 0, 5, 14, 15, 15, 16, 16, 17, 18, 20, 30, 766, 1074}).Draw(t, "precision")
		spelled := []byte(strconv.FormatFloat(d, format, precision, 64))
		if at := rapid.IntRange(0, 2*len(spelled)).Draw(t, "change at"); at < len(spelled) && spelled[at] >= '1' && spelled[at] <= '8' {
			if e := bytes.IndexByte(spelled, 'e'); e < 0 || at < e {
				spelled[at]++
			}
		}
		got, exact, err := exactDouble(spelled)
		if err != nil {
			t.Fatal(err)
		}
		d, err = strconv.ParseFloat(string(spelled), 64)
		d = max(min(d, math.MaxFloat64), -math.MaxFloat64)
		want := false
		if err == nil {
			number, _ := new(big.Rat).SetString(string(spelled))
			want = number.Cmp(new(big.Rat).SetFloat64(d)) == 0
			for _, p := range []int{-1, 16} {
				usual, _ := new(big.Rat).SetString(strconv.FormatFloat(d, 'e', p, 64))
				want = want || number.Cmp(usual) == 0 && bytes.ContainsAny(spelled, ".e")
			}
		}
		if exact != want || exact && math.Float64bits(got) != math.Float64bits(d) {
			t.Fatalf("%s: %v, exact: %v; want %v, %v", spelled, got, exact, d, want)
		}
	})
}
