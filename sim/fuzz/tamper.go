package fuzz

import (
	"math/rand/v2"

	"statehouse.dev/statehouse/sim/step"
	"statehouse.dev/statehouse/sim/tamper"
)

// tamper changes so many rows of a store that no daemon has open. None of it stays but, if it
// may, what is done last: that the daemon will read.
func (d *Driver) tamper(times int, last bool) {
	for range times {
		d.step(drawTamper(d.tampers, false))
	}
	if last {
		d.step(drawTamper(d.tampers, true))
	}
}

// drawTamper draws a change, either of those that reads have to find or of the others.
func drawTamper(r *rand.Rand, read bool) step.Step {
	list := step.Tampers()
	for {
		s := list[r.IntN(len(list))]
		if s.File == "tail" && s.How == "rewrite" {
			continue // after a power cut it is not known which commits the witness can vouch for: scenarios have it
		}
		if c := (tamper.Change{Row: s.File, How: s.How}); (c.Finder() == tamper.Reads) != read {
			continue
		}
		if s.Nth = 1 + r.IntN(1+r.IntN(300)); s.File == "tail" {
			s.Nth = 1 + r.IntN(3)
		}
		if s.HasPlace() {
			s.Where, s.Bit = r.Float64(), r.IntN(8)
		}
		return s
	}
}
