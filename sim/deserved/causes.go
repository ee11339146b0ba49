package deserved

import "time"

// Causes are what befell the daemon, for which it may refuse a request, and since when. They
// are of all its processes; Begin is called when one starts.
type Causes struct {
	Errors   int // faults that have failed an operation of the disk
	Misreads int // faults that have falsified what was read
	Corrupt  bool
	Draining bool

	reserve  uint64 // free bytes under which the process refuses writes, at least
	margin   uint64 // with so many it accepts them again
	latest   time.Time
	misreads int // before the process
	step     int
	// short: the disk has been short of room since the daemon last saw that it is not. full: the
	// daemon has seen that it is, and it has been since.
	short, full bool
	lastShort   int  // the step at which it last was
	wasFull     bool // when the daemon looked last
}

// Disk is what the disk shows.
type Disk struct {
	Limited bool   // else there is always room
	Free    uint64 // bytes
}

// Begin says that a process starts, which refuses writes with less free than its reserve, and
// accepts them again at the margin.
func (c *Causes) Begin(reserve, margin uint64) {
	c.reserve, c.margin, c.misreads = reserve, margin, c.Misreads
	c.Draining, c.short, c.full, c.wasFull = false, false, false, false
}

// Misread reports whether anything has been in the process.
func (c *Causes) Misread() bool { return c.Misreads > c.misreads }

// Behind reports whether the clock has been set back since, and shows less than it has shown.
func (c *Causes) Behind(now time.Time) bool { return now.Before(c.latest) }

// NoSpace says that an operation of the disk failed for want of space.
func (c *Causes) NoSpace() {
	c.Errors++
	c.short = true
}

// Look keeps what the clock and the disk show before a step.
func (c *Causes) Look(now time.Time, d Disk) {
	c.step++
	if now.After(c.latest) {
		c.latest = now
	}
	if d.Limited && d.Free < c.margin {
		c.short = true
	} else {
		c.full = false
	}
	if c.short {
		c.lastShort = c.step
	}
}

// Looked says that the daemon has looked at the disk. refilled: it must have laid its ballast
// again.
func (c *Causes) Looked(d Disk) (refilled bool) {
	refilled = c.wasFull && (!d.Limited || d.Free >= 2*c.margin)
	c.short = d.Limited && d.Free < c.margin
	c.full = d.Limited && d.Free < c.reserve
	c.wasFull = c.full
	return refilled
}

// Since is what is known of the time since c was copied.
func (c *Causes) Since(then *Causes, now time.Time) World {
	w := World{
		Now: now, Latest: c.latest, Errors: c.Errors - then.Errors, Misreads: c.Misreads - then.Misreads, Misread: c.Misread(),
		Corrupt: c.Corrupt, Short: c.short || c.lastShort >= then.step, Full: then.full && c.full, Draining: c.Draining,
	}
	if now.After(w.Latest) {
		w.Latest = now
	}
	return w
}
