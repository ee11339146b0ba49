package live

import (
	"net"
	"sync"
)

// relay is where the others reach a member. While it is held the member hears nothing from them, and they hear it: what
// it says goes through their relays.
type relay struct {
	listener net.Listener
	upstream string
	all      sync.WaitGroup

	mu    sync.Mutex
	free  *sync.Cond
	held  bool
	ended bool
	open  map[net.Conn]bool
}

func newRelay() (*relay, error) {
	upstream, err := freeAddress()
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	l := &relay{upstream: upstream, open: make(map[net.Conn]bool)}
	l.free = sync.NewCond(&l.mu)
	if l.listener, err = net.Listen("tcp", address); err != nil {
		return nil, err
	}
	l.all.Go(l.accept)
	return l, nil
}

func (l *relay) address() string { return l.listener.Addr().String() }

func (l *relay) accept() {
	for {
		down, err := l.listener.Accept()
		if err != nil {
			return // it is closed
		}
		up, err := net.Dial("tcp", l.upstream)
		if err != nil {
			_ = down.Close() // as if no one listened
			continue
		}
		l.mu.Lock()
		l.open[down], l.open[up] = true, true
		l.mu.Unlock()
		l.all.Go(func() { l.pump(down, up, true) })
		l.all.Go(func() { l.pump(up, down, false) })
	}
}

// pump passes on what comes from one end to the other, until one of them is closed.
func (l *relay) pump(from, to net.Conn, in bool) {
	defer func() {
		_, _ = from.Close(), to.Close() // they may be closed already
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, from)
		delete(l.open, to)
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		l.mu.Lock()
		for in && l.held && !l.ended {
			l.free.Wait()
		}
		l.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return // the other end hears the same
		}
	}
}

// hold keeps what is sent to the member, or lets it go on.
func (l *relay) hold(held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = held
	l.free.Broadcast()
}

// close ends the relay and all connections through it.
func (l *relay) close() {
	_ = l.listener.Close()
	l.mu.Lock()
	l.ended = true
	l.free.Broadcast()
	for conn := range l.open { // each is closed: order cannot matter
		_ = conn.Close()
	}
	l.mu.Unlock()
	l.all.Wait()
}
