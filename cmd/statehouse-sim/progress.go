package main

import (
	"fmt"
	"time"
)

// progress is one line on standard error: rewritten a few times a second where a
// person watches, a new one every ten seconds elsewhere, none where a program reads.
type progress struct {
	a       *app
	printed time.Time
}

func (a *app) newProgress() progress { return progress{a: a, printed: a.now()} }

// show prints the line if it is time for one.
func (p *progress) show(line func(now time.Time) string) {
	now := p.a.now()
	every, after := 250*time.Millisecond, ""
	if !p.a.terminal() {
		every, after = 10*time.Second, "\n"
	}
	if p.a.asJSON || now.Sub(p.printed) < every {
		return
	}
	p.printed = now
	p.a.clearLine()
	fmt.Fprint(p.a.err, line(now), after)
}
