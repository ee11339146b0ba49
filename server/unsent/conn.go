package unsent

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// conn is what one connection holds. It stands for the remote address, so
// that the transport itself hands it to every call (peer.FromContext).
type conn struct {
	net.Addr
	name   string
	budget *Budget
	close  func()

	mu          sync.Mutex
	first, last *reservation // oldest first
	gone        bool
}

// waiting is how many bytes held in common have waited since before, and since when.
func (c *conn) waiting(before time.Time) (n int64, since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for h := c.first; h != nil && h.since.Before(before); h = h.next {
		if !h.common() {
			continue
		}
		if n == 0 {
			since = h.since
		}
		n += h.bytes
	}
	return n, since
}

// ended releases all that a connection held. What the transport had taken over by
// then it drops without freeing, so that no buffer comes back. Only then does the budget
// forget it: see makeRoom.
func (c *conn) ended() {
	c.mu.Lock()
	c.gone = true
	for c.first != nil {
		c.first.releaseLocked()
	}
	c.mu.Unlock()
	c.budget.mu.Lock()
	delete(c.budget.conns, c)
	c.budget.mu.Unlock()
}

// Listener counts for each connection that l accepts what it holds.
func (b *Budget) Listener(l net.Listener) net.Listener { return listener{l, b} }

type listener struct {
	net.Listener
	budget *Budget
}

func (l listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	counted := &countedConn{Conn: accepted}
	counted.conn = &conn{Addr: accepted.RemoteAddr(), name: fmt.Sprint("connection ", l.budget.accepted.Add(1)), budget: l.budget, close: func() { _ = counted.Close() }}
	l.budget.mu.Lock()
	l.budget.conns[counted.conn] = struct{}{}
	l.budget.mu.Unlock()
	return counted, nil
}

// countedConn is the connection that the transport gets.
type countedConn struct {
	net.Conn
	conn *conn
}

func (c *countedConn) RemoteAddr() net.Addr { return c.conn }

// CloseWrite tells the client that nothing more comes, where the connection can.
func (c *countedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close is called by the transport when it ends, however it does.
func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.conn.ended()
	return err
}
