package fuzz

import (
	"math/rand/v2"

	"statehouse.dev/statehouse/sim/step"
	"statehouse.dev/statehouse/sim/tamper"
)

// tamper changes so many rows of a store that no daemon has open. Those that verify alone
// has to find leave nothing behind. Another, if it may, is the last.
func (d *Driver) tamper(times int, last bool) {
	for range times {
		d.step(drawTamper(d.tampers, tamper.VerifyAlone))
	}
	if last {
		d.step(drawTamper(d.tampers, tamper.Finder(1+d.tampers.IntN(2))))
	}
}

// drawTamper draws a change that a finder has to find.
func drawTamper(r *rand.Rand, finder tamper.Finder) step.Step {
	list := step.Tampers()
	for {
		s := list[r.IntN(len(list))]
		if c := (tamper.Change{Row: s.File, How: s.How}); c.Finder() != finder {
			continue
		}
		if s.Nth = 1 + r.IntN(300); s.File == "tail" {
			s.Nth = 1 + r.IntN(3)
		}
		if s.HasPlace() {
			s.Where, s.Bit = r.Float64(), r.IntN(8)
		}
		return s
	}
}
