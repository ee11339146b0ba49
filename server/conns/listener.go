package conns

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// window is how much of a request's body gRPC takes before it is read: all of it and
// what padding adds, since Await has it arrive unread. Its client hears of firstWindow,
// and of more when there is room.
func (l Limits) window() int32 { return int32(l.Message + l.Message/16 + 64<<10) }

// connWindow is how much a client may send on a connection before it is told that it
// arrived.
const connWindow = 1 << 20

// Options are those that a gRPC server on the table's listeners must have.
func (t *Table) Options(secure *tls.Config) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(handshake{securing(secure)}),
		grpc.InTapHandle(inTap),
		grpc.ReadBufferSize(0),                                 // see conn.Read
		grpc.StaticStreamWindowSize(t.limits.window() / 2 * 3), // a third may have been read without an update
		grpc.StaticConnWindowSize(connWindow),
	}
}

func securing(secure *tls.Config) credentials.TransportCredentials {
	if secure == nil {
		return insecure.NewCredentials()
	}
	return credentials.NewTLS(secure)
}

// Listener is l with the bounds of the table.
func (t *Table) Listener(l net.Listener, secure *tls.Config) net.Listener {
	return &listener{Listener: l, table: t, secure: securing(secure)}
}

type listener struct {
	net.Listener
	table   *Table
	secure  credentials.TransportCredentials
	telling atomic.Int32 // refusals under way
}

// Accept takes the next connection that the table admits.
func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if p := l.table.admit(raw); p != nil {
			return p, nil
		}
		l.refuse(raw)
	}
}

// refusalsAtOnce bounds the connections that are being told that they are refused.
const refusalsAtOnce = 8

// refuse closes a connection, and tells its client why, unless too many others are
// being told: nothing that is refused may take up much.
func (l *listener) refuse(raw net.Conn) {
	l.table.note("a connection was refused: all have requests under way", "peer", raw.RemoteAddr().String(), "limit", l.table.limits.Connections)
	if l.telling.Load() >= refusalsAtOnce {
		_ = raw.Close()
		return
	}
	l.telling.Add(1)
	go func() {
		defer l.telling.Add(-1)
		defer raw.Close()
		_ = raw.SetDeadline(time.Now().Add(lingerTime))
		secured, _, err := l.secure.ServerHandshake(raw)
		if err != nil {
			return
		}
		tellRefused(secured, fmt.Sprintf("the limit of %d connections is reached and all have requests under way; this request was not taken: retry later", l.table.limits.Connections))
	}()
}

// tellRefused answers the first request on a connection: that is what a client hands
// on to who called it, more faithfully than the reason in a GOAWAY.
func tellRefused(c net.Conn, why string) {
	if _, err := c.Write(appendFrame(nil, frameSettings, 0, 0, nil)); err != nil {
		return
	}
	var farewell []byte
	last := uint32(0)
	in, p := scanner{skip: prefaceLen}, make([]byte, 4<<10)
	for last == 0 {
		n, err := c.Read(p)
		if err != nil {
			break
		}
		for rest := p[:n]; len(rest) > 0; {
			used, _, done := in.next(rest)
			rest = rest[used:]
			if done && last == 0 && (in.kind == frameHeaders || in.kind == frameContinuation) && in.has(flagEndHeaders) {
				last = in.stream
				farewell = appendStatus(nil, last, false, false, resourceExhausted, why)
			}
		}
	}
	_ = c.SetDeadline(time.Now().Add(lingerTime))
	if _, err := c.Write(append(farewell, goAway(last, errCalm, why)...)); err == nil {
		closeWrite(c)
		_, _ = io.Copy(io.Discard, c) // see conn.Read
	}
}

// place is a connection as it was accepted, in the table until it is closed.
type place struct {
	net.Conn
	table *Table
	from  string
	since time.Time
	kind  kind         // guarded by the table's mu
	asked atomic.Bool  // it has had a request
	free  atomic.Bool  // it may be used for anything, and stays so
	idle  atomic.Int64 // since when no request is under way, in Unix nanoseconds; 0: there is one
	done  sync.Once

	mu      sync.Mutex
	secured *conn // nil until the handshake is done
	leaving bool
}

// leave sends the client elsewhere, unless a request is under way.
func (p *place) leave(why string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.secured == nil {
		p.leaving = true
		_ = p.Conn.Close() // nothing was asked yet; gRPC gives it up
		return true
	}
	p.leaving = p.secured.leave(why)
	return p.leaving
}

// SetDeadline is gRPC's, for the handshake. One that leaves has a deadline already.
func (p *place) SetDeadline(d time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leaving {
		return nil
	}
	return p.Conn.SetDeadline(d)
}

// CloseWrite is what ends our half without TLS.
func (p *place) CloseWrite() error {
	closeWrite(p.Conn)
	return nil
}

// Close gives the place back.
func (p *place) Close() error {
	p.done.Do(func() { p.table.released(p) })
	return p.Conn.Close()
}

// addressOf is whose a connection is: by IP address, or by network where one client
// has a whole one.
func addressOf(a net.Addr) string {
	port, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return a.Network()
	}
	ip := port.Addr().Unmap()
	if ip.Is6() {
		if network, err := ip.WithZone("").Prefix(64); err == nil {
			return network.String()
		}
	}
	return ip.String()
}

// handshake makes a conn of what has been secured.
type handshake struct {
	credentials.TransportCredentials
}

func (h handshake) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := h.TransportCredentials.ServerHandshake(raw)
	p, ours := raw.(*place)
	if err != nil || !ours {
		return secured, info, err
	}
	c := newConn(secured, p)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.secured = c
	return c, authInfo{info, c}, nil
}

func (h handshake) Clone() credentials.TransportCredentials {
	return handshake{h.TransportCredentials.Clone()}
}

// closeWrite ends our half of a connection.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
