package jsonedit

import "fmt"

// Sum is what Add is to do.
type Sum struct {
	At    Pointer // not empty
	Delta Number
	// Min and Max, unless nil, are what the sum must not be below and above.
	Min, Max *Number
}

// Add adds to the number that the pointer leads to. One that is not there counts as 0, and is made,
// with the objects on the way there.
func Add(text []byte, s *Sum) ([]byte, error) {
	var was Number
	if value, found := s.At.Find(text); found {
		var err error
		if k := kind(value); k != "a number" {
			return nil, fmt.Errorf("%q is %s, not a number", s.At, k)
		}
		if was, err = ParseNumber(string(value)); err != nil {
			return nil, err
		}
	}
	sum, err := was.Add(s.Delta)
	switch {
	case err != nil:
		return nil, err
	case !sum.Finite():
		return nil, fmt.Errorf("the sum is beyond what a float64 can hold (about ±1.8e308)")
	case s.Min != nil && sum.Compare(*s.Min) < 0:
		return nil, fmt.Errorf("%q would be %.40s, below the bound of %.40s", s.At, sum, s.Min)
	case s.Max != nil && sum.Compare(*s.Max) > 0:
		return nil, fmt.Errorf("%q would be %.40s, above the bound of %.40s", s.At, sum, s.Max)
	}
	return s.At.Set(text, []byte(sum.String()))
}
