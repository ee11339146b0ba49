package promtext

import (
	"math"
	"testing"
)

const before = `# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{method="Get",code="OK"} 10
requests_total{method="Get",code="CONFLICT"} 1
took_seconds_bucket{method="Get",le="0.1"} 10
took_seconds_bucket{method="Get",le="1"} 10
took_seconds_bucket{method="Get",le="+Inf"} 10
plain 1.5e+03
`

const after = `requests_total{method="Get",code="OK"} 30
requests_total{method="Get",code="CONFLICT"} 3
requests_total{method="a \"b\", c=\"}",code="OK"} 1
took_seconds_bucket{method="Get",le="0.1"} 10
took_seconds_bucket{method="Get",le="1"} 20
took_seconds_bucket{method="Get",le="+Inf"} 30
plain 2 1700000000
`

func parsed(t *testing.T, text string) Samples {
	t.Helper()
	all, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRiseAndQuantile(t *testing.T) {
	b, a := parsed(t, before), parsed(t, after)
	for what, c := range map[string][2]float64{ // each by itself
		"a sum":                      {b.Sum("requests_total"), 11},
		"a sum of some":              {b.Sum("requests_total", With("method", "Get"), Without("code", "OK")), 1},
		"a value":                    {b.Sum("plain"), 1500},
		"a rise":                     {a.Rise(b, "requests_total", With("method", "Get"), With("code", "OK")), 20},
		"a counter that began anew":  {a.Rise(b, "plain"), 2},
		"a hostile label":            {a.Sum("requests_total", With("method", `a "b", c="}`)), 1},
		"a quantile":                 {a.Quantile(b, 0.25, "took_seconds"), 0.1 + 0.9*5/10},
		"a quantile past the bounds": {a.Quantile(b, 0.99, "took_seconds"), 1},
	} {
		if math.Abs(c[0]-c[1]) > 1e-9 {
			t.Errorf("%s: %v, want %v", what, c[0], c[1])
		}
	}
	if !math.IsNaN(a.Quantile(a, 0.5, "took_seconds")) || !math.IsNaN(a.Quantile(b, 0.5, "nothing")) {
		t.Error("a quantile of nothing is a number")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"a", "{} 1", `a{b} 1`, `a{b=c} 1`, `a{b="c} 1`, "a x", `a{b="c"}`} {
		if all, err := Parse(text); err == nil {
			t.Errorf("%q is read as %v", text, all)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(before)
	f.Add(after)
	f.Fuzz(func(_ *testing.T, text string) {
		if all, err := Parse(text); err == nil {
			all.Quantile(nil, 0.5, "took_seconds")
		}
	})
}
