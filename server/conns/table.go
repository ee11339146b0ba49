// Package conns keeps the connections of a daemon within bounds: how many there are,
// whose they are, and what the requests on them hold (G9). gRPC serves them; this
// package stands between it and the network.
//
// A Listener takes every connection at once. While there is room it is ordinary. When
// there is none, the ordinary connection that has had no request under way for longest
// is sent elsewhere by a GOAWAY, which loses nothing: what its client sent meanwhile
// was not processed, and the client sends it again. Of several addresses the one that
// holds most gives way first.
//
// Only when all ordinary connections have requests under way does the new one not
// become ordinary. Some places are kept back for that case: half of them for clients
// that have no other connection at all, so that one address cannot shut the others
// out; half for health and administration, which are recognised by what they ask and
// not by where they come from, since a probe may come from anywhere. Other requests on
// such a connection are refused by name, or served if there is room by then. Past that
// a connection is closed with the reason in a GOAWAY.
//
// A Stream is one request. Await has its body arrive in full before gRPC reads it, so
// that the header alone decides what is let in, and a body that takes too long or
// is too much can be refused by name.
package conns

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// Limits bound what connections may do. All fields must be set.
type Limits struct {
	Connections int           // of any use
	KeptBack    int           // more of them, for the cases that the package's comment names
	Message     uint32        // bytes of a request
	Bytes       int64         // that all requests together hold
	Arriving    int           // requests whose bodies have not arrived
	Body        time.Duration // that a body may take to arrive
}

// lingering is how many connections may be on their way out, beside those that Limits
// allows: each for as long as it takes its client to notice, at most lingerTime.
const (
	lingering  = 16
	lingerTime = time.Second
)

// Files is the number of file descriptors that connections can take at once.
func (l Limits) Files() int { return l.open() + listeners*refusalsAtOnce }

func (l Limits) open() int { return l.Connections + l.KeptBack + lingering }

// listeners are as many as localhost needs.
const listeners = 2

// Table is all the connections of a daemon.
type Table struct {
	limits Limits
	bodies *bodies
	note   func(event string, attrs ...any)

	childhood time.Duration // see evict

	mu      sync.Mutex
	places  map[*place]struct{} // those that may be used
	count   [kinds]int          // of them, by kind
	of      map[string]int      // and by address
	leaving []*place            // the oldest first
}

// kind is what a connection may be used for.
type kind int

const (
	ordinary   kind = iota
	only            // the only one of its address
	restricted      // for health and administration
	kinds
)

// New makes a table. note logs what happens to connections; it must bound itself.
func New(l Limits, note func(event string, attrs ...any)) *Table {
	t := &Table{
		limits: l, note: note, childhood: childhood, places: make(map[*place]struct{}), of: make(map[string]int),
		bodies: &bodies{most: l.Bytes, arriving: l.Arriving, patience: l.Body, deafTime: deafTime, slowest: slowest, note: note},
	}
	t.bodies.largest = t.largestBody
	return t
}

// largestBody is the incomplete body that holds most, over all connections; nil: there is
// none.
func (t *Table) largestBody() (largest *Stream) {
	t.mu.Lock()
	places := slices.Collect(maps.Keys(t.places)) // for a maximum: in any order
	t.mu.Unlock()
	most := int64(0)
	for _, p := range places {
		p.mu.Lock()
		c := p.secured
		p.mu.Unlock()
		if c == nil {
			continue
		}
		c.mu.Lock()
		for _, s := range c.streams { // for a maximum: in any order
			if !s.complete && !s.served && s.refused == nil && s.held > most {
				largest, most = s, s.held
			}
		}
		c.mu.Unlock()
	}
	return largest
}

// room is how many connections of a kind there may be.
func (t *Table) room(k kind) int {
	switch k {
	case ordinary:
		return t.limits.Connections
	case only:
		return t.limits.KeptBack / 2
	}
	return t.limits.KeptBack - t.limits.KeptBack/2
}

// admit takes a connection that was accepted, or refuses it and returns nil.
func (t *Table) admit(raw net.Conn) *place {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &place{Conn: raw, table: t, from: addressOf(raw.RemoteAddr()), since: time.Now()}
	p.idle.Store(p.since.UnixNano())
	k, found := t.kindFor(p, false)
	if !found {
		k, found = t.kindFor(p, true)
	}
	if !found {
		return nil
	}
	if len(t.places)+len(t.leaving) >= t.limits.open() {
		if len(t.leaving) == 0 {
			return nil
		}
		_ = t.leaving[0].Conn.Close() // its client has had its time
		t.leaving = t.leaving[1:]
	}
	p.kind = k
	t.add(p)
	return p
}

// kindFor finds a place for a connection, if need be that of an idle one; for one that
// is young, see evict.
func (t *Table) kindFor(p *place, young bool) (kind, bool) {
	for _, k := range []kind{ordinary, only, restricted} {
		if k == only && t.of[p.from] > 0 {
			continue
		}
		if t.count[k] < t.room(k) || t.evict(k, young) {
			return k, true
		}
	}
	return 0, false
}

func (t *Table) add(p *place) {
	t.places[p] = struct{}{}
	t.count[p.kind]++
	t.of[p.from]++
}

func (t *Table) remove(p *place) {
	delete(t.places, p)
	t.count[p.kind]--
	if t.of[p.from]--; t.of[p.from] == 0 {
		delete(t.of, p.from)
	}
}

// childhood is how long a connection may take to its first request before it counts
// as idle for all purposes.
const childhood = 250 * time.Millisecond

// evict sends away the idle connection of a kind that can best be spared, and reports
// whether there was one. young says that it may be one whose client has hardly had the
// time to ask for anything: it is spared while a new one, which may get no further,
// can do without. mu is held.
func (t *Table) evict(k kind, young bool) bool {
	type candidate struct {
		*place
		since int64
	}
	var idle []candidate
	grown := time.Now().Add(-t.childhood).UnixNano()
	for p := range t.places { // in any order: sorted below
		if since := p.idle.Load(); p.kind == k && since != 0 && (young || p.asked.Load() || since < grown) {
			idle = append(idle, candidate{p, since})
		}
	}
	slices.SortFunc(idle, func(a, b candidate) int {
		if n := t.of[b.from] - t.of[a.from]; n != 0 {
			return n
		}
		return cmp.Compare(a.since, b.since)
	})
	const tries = 16 // a candidate may have got a request by now
	for _, c := range idle[:min(len(idle), tries)] {
		if c.leave(fmt.Sprintf("the daemon's limit of %d connections is reached, and this one was idle: connect again", t.limits.Connections)) {
			t.remove(c.place)
			t.leaving = append(t.leaving, c.place)
			t.note("an idle connection was closed for a new one", "peer", c.RemoteAddr().String(), "limit", t.limits.Connections)
			return true
		}
	}
	return false
}

// released forgets a connection that was closed. The place of an ordinary one goes to
// the one that has waited longest for it.
func (t *Table) released(p *place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, there := t.places[p]; !there {
		t.leaving = slices.DeleteFunc(t.leaving, func(other *place) bool { return other == p })
		return
	}
	t.remove(p)
	if p.kind != ordinary {
		return
	}
	var first *place
	for other := range t.places { // in any order: the least is taken
		if other.kind != ordinary && (first == nil || other.since.Before(first.since)) {
			first = other
		}
	}
	if first != nil {
		t.promote(first)
	}
}

// promote makes a connection ordinary where there is room. mu is held.
func (t *Table) promote(p *place) bool {
	if p.kind == ordinary {
		return true
	}
	if t.count[ordinary] >= t.room(ordinary) && !t.evict(ordinary, true) {
		return false
	}
	t.count[p.kind]--
	p.kind = ordinary
	t.count[p.kind]++
	return true
}

// Restricted is why a request can only be one of health or administration; nil when
// any will do.
func (s *Stream) Restricted() error {
	if s == nil {
		return nil
	}
	p := s.conn.place
	if p.free.Load() {
		return nil
	}
	t := p.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.kind == restricted && !t.promote(p) {
		return Refusal(fmt.Sprintf("the limit of %d connections is reached and all have requests under way: this one serves health and administration only; nothing was applied: retry later", t.limits.Connections))
	}
	p.free.Store(true)
	return nil
}

// Usage reports how many connections there are, and how many bytes of requests they hold.
func (t *Table) Usage() (open int, held int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.places), t.bodies.held.Load()
}
