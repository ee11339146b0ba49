package engine

import (
	"time"

	"statehouse.dev/statehouse/engine/fair"
)

// line is what waits for the writer. Those who share it, each by a name of its own
// (Conditions.Share), get as many bytes in as the others do.
type line struct {
	first   []*proposal // taken before those that wait: they were taken before, see errNextStep
	waiting fair.Queue[*proposal]
	bytes   int

	// since is when the line last held more than one step took, unbroken until now; zero: it
	// does not.
	since time.Time
}

// Place is where the proposal stands in the line.
func (p *proposal) Place() *fair.Place { return &p.place }

// join puts a proposal at the end of its share.
func (l *line) join(p *proposal, size int) {
	l.bytes += size
	l.waiting.Join(p, p.share, size)
}

// putBack puts a proposal that was taken before all that wait, after others that were put back.
func (l *line) putBack(p *proposal) {
	l.bytes += p.place.Size()
	l.first = append(l.first, p)
}

func (l *line) len() int { return len(l.first) + l.waiting.Len() }

// next is the one whose turn it is.
func (l *line) next() *proposal {
	if len(l.first) > 0 {
		return l.first[0]
	}
	return l.waiting.Next()
}

// take removes it.
func (l *line) take() *proposal {
	p := l.next()
	if len(l.first) > 0 {
		l.first = l.first[1:]
	} else {
		l.waiting.Take()
	}
	l.bytes -= p.place.Size()
	if l.len() == 0 {
		l.first, l.since = nil, time.Time{}
	}
	return p
}

// behind reports whether the writer has not caught up with the line for a while.
func (l *line) behind(now time.Time, while time.Duration) bool {
	return !l.since.IsZero() && now.Sub(l.since) >= while
}
