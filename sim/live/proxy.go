package live

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// proxy stands between clients and the daemon, and breaks connections: before or after what
// was sent has passed, with or without what is answered to it.
type proxy struct {
	listener net.Listener
	upstream string
	calm     atomic.Bool // no more faults
	cuts     atomic.Int64
	held     atomic.Int64

	mu   sync.Mutex
	rng  *rand.Rand
	open map[*link]bool
	all  sync.WaitGroup
}

// link is one connection through the proxy.
type link struct {
	p        *proxy
	down, up net.Conn
	mute     atomic.Bool // what the daemon answers gets lost
}

func newProxy(upstream string, seed uint64) (*proxy, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p := &proxy{upstream: upstream, rng: rand.New(rand.NewPCG(seed, 2)), open: make(map[*link]bool)}
	if p.listener, err = net.Listen("tcp", address); err != nil {
		return nil, err
	}
	p.all.Go(p.accept)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		down, err := p.listener.Accept()
		if err != nil {
			return // it is closed
		}
		up, err := net.Dial("tcp", p.upstream)
		if err != nil {
			_ = down.Close() // as if no one listened
			continue
		}
		l := &link{p: p, down: down, up: up}
		p.mu.Lock()
		p.open[l] = true
		p.mu.Unlock()
		p.all.Go(func() { l.pump(down, up, true) })
		p.all.Go(func() { l.pump(up, down, false) })
	}
}

// close ends the proxy and all connections through it.
func (p *proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	links := make([]*link, 0, len(p.open))
	for l := range p.open { // each is cut: order cannot matter
		links = append(links, l)
	}
	p.mu.Unlock()
	for _, l := range links {
		l.cut()
	}
	p.all.Wait()
}

// fate is what happens to a piece of what is sent.
type fate int

const (
	pass    fate = iota
	cut          // it gets lost, and with it the connection
	cutPast      // it arrives, and the connection is cut then
	mute         // it arrives, and what is answered from now on gets lost
	late         // it arrives some time later
)

// draw draws a fate. Most pieces pass.
func (p *proxy) draw() (fate, time.Duration) {
	if p.calm.Load() {
		return pass, 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	hold := draw(p.rng, 30*time.Millisecond)
	switch n := p.rng.IntN(400); {
	case n < 2:
		return cut, hold
	case n < 4:
		return cutPast, hold
	case n < 6:
		return mute, 10 * hold
	case n < 20:
		return late, hold
	}
	return pass, 0
}

// pump passes on what comes from one end to the other, until one of them is closed.
func (l *link) pump(from, to net.Conn, asks bool) {
	defer l.cut()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		what, hold := l.p.draw()
		switch what {
		case cut:
			l.p.cuts.Add(1)
			return
		case mute:
			if l.mute.CompareAndSwap(false, true) {
				l.p.cuts.Add(1)
				l.p.all.Go(func() { // what it has lost, it cannot take up again
					until(context.Background(), time.Now().Add(hold))
					l.cut()
				})
			}
		case late:
			l.p.held.Add(1)
			until(context.Background(), time.Now().Add(hold))
		}
		if !asks && l.mute.Load() {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
		if what == cutPast {
			l.p.cuts.Add(1)
			until(context.Background(), time.Now().Add(hold)) // so that it is carried out
			return
		}
	}
}

func (l *link) cut() {
	l.p.mu.Lock()
	delete(l.p.open, l)
	l.p.mu.Unlock()
	_, _ = l.down.Close(), l.up.Close() // they may be closed already
}
