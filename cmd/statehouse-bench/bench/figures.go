package bench

import (
	"math"
	"slices"
	"time"
)

// Figure is a quantity of a burst. It is not a number where it is not known.
type Figure func(b Burst) float64

// PerSecond is how many things were done a second.
func PerSecond(b Burst) float64 { return float64(b.N) / b.Elapsed.Seconds() }

// P50, P99 and Max are how long an operation took, in microseconds.
func P50(b Burst) float64 { return micros(b.P50) }
func P99(b Burst) float64 { return micros(b.P99) }
func Max(b Burst) float64 { return micros(b.Max) }

// ServerCPU, ClientCPU and CPU, their sum, are processor time a thing done, in microseconds.
func ServerCPU(b Burst) float64 {
	if !b.HasServer || b.N == 0 {
		return math.NaN()
	}
	return micros(b.Server) / float64(b.N)
}

func ClientCPU(b Burst) float64 {
	if b.N == 0 {
		return math.NaN()
	}
	return micros(b.Client) / float64(b.N)
}

func CPU(b Burst) float64 { return ServerCPU(b) + ClientCPU(b) }

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// Each is the figure of every round.
func (r Rounds) Each(f Figure) []float64 {
	v := make([]float64, len(r))
	for i, b := range r {
		v[i] = f(b)
	}
	return v
}

// Median is the figure's median over the rounds.
func (r Rounds) Median(f Figure) float64 { return SpreadOf(r.Each(f)).Median }

// Spread is the median of some values and the least and greatest of the middle half.
type Spread struct{ Median, Low, High float64 }

// SpreadOf returns the spread of v; not numbers if v has none.
func SpreadOf(v []float64) Spread {
	v = slices.DeleteFunc(slices.Clone(v), func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
	if len(v) == 0 {
		return Spread{math.NaN(), math.NaN(), math.NaN()}
	}
	slices.Sort(v)
	n := len(v)
	return Spread{Median: (v[(n-1)/2] + v[n/2]) / 2, Low: v[n/4], High: v[n-1-n/4]}
}

// Over divides a figure of one by a figure of the other, round by round.
func Over(a Rounds, fa Figure, b Rounds, fb Figure) []float64 {
	v := make([]float64, min(len(a), len(b)))
	for i := range v {
		v[i] = fa(a[i]) / fb(b[i])
	}
	return v
}
