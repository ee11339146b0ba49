package conns

import (
	"bufio"
	"context"
	"io"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"
)

// readBuffer is what a connection reads ahead. gRPC's own buffer is off: what it has
// not asked for it has not seen.
const readBuffer = 16 << 10

// conn is a client's connection, above TLS, with HTTP/2 followed in both directions:
// what gRPC keeps to itself, namely which requests are under way, how much they hold
// and where a frame ends, is seen here.
type conn struct {
	net.Conn
	table *Table
	place *place
	ahead *bufio.Reader

	writing sync.Mutex // held over a write, so that a frame of ours can come between two of gRPC's
	out     scanner
	changed []byte // scratch: what is written in place of what gRPC wrote
	after   []byte // frames of ours, to follow the one that gRPC is writing

	mu      sync.Mutex
	in      scanner
	streams map[uint32]*Stream // under way: from the whole header to the last word of the answer
	newest  *Stream
	last    uint32    // id of newest
	ends    bool      // the header that arrives has END_STREAM
	leaving bool      // nothing more is taken from the client
	late    int64     // bytes of its requests that are refused and not told so
	told    sync.Cond // late is 0, or the connection is leaving
}

// Stream is a request under way on a connection. Its methods do nothing for nil: where
// there is no connection nothing is bounded here.
type Stream struct {
	conn *conn
	id   uint32

	// All of this is guarded by the connection's mu.
	held      int64
	given     int64 // granted to it
	reserved  int64 // of that: what has not arrived
	unread    int64 // bytes of frames, if it converses: of messages that have not been read
	converses bool
	padded    bool
	read      int   // messages
	long      int   // the number of the message that is longer than the window
	awaited   bool  // by arrive
	large     bool  // the body has to wait for room
	window    int64 // that the client may send
	overran   bool
	body      messages
	answer    messages
	replied   bool // the answer's header is sent
	complete  bool // the client has sent all
	served    bool // Await let it pass
	ended     bool
	refused   error
	onRefusal func(error)
	timer     *time.Timer // of what must end it at the latest

	due  time.Time     // the body should have arrived, for which room was made; guarded by the mu of bodies
	wake chan struct{} // of Await; closed when there is a verdict
}

func newConn(secured net.Conn, p *place) *conn {
	c := &conn{Conn: secured, table: p.table, place: p, ahead: bufio.NewReaderSize(secured, readBuffer), streams: make(map[uint32]*Stream)}
	c.in.skip = prefaceLen
	c.told.L = &c.mu
	return c
}

// Read hands on what the client sent, and follows it. gRPC asks for a frame's header
// and then for its payload, so it has seen no more than what is counted here.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.ahead.Read(p)
	grown, taken := c.receive(p[:n])
	if grown != nil && grown.overran {
		c.cutOff("its client sends more of a body than it may")
		return 0, io.EOF
	}
	c.table.bodies.grant() // of what has ended
	if taken {
		if grown != nil {
			c.table.bodies.fit(grown)
		}
		return n, err
	}
	// The client was sent elsewhere. What it sent before it knew is read, not served:
	// a connection that is closed on unread bytes is reset, and the client might not
	// get to read the GOAWAY that lets it send them again.
	_, _ = io.Copy(io.Discard, c.ahead)
	return 0, io.EOF
}

// receive follows bytes from the client. taken is false when they must not reach gRPC.
func (c *conn) receive(p []byte) (grown *Stream, taken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		return nil, false
	}
	for len(p) > 0 {
		n, body, done := c.in.next(p)
		if s := c.streams[c.in.stream]; s != nil && c.in.kind == frameData {
			if c.in.begun() {
				c.grow(s, c.in.length)
				grown = s
				if c.in.has(flagEndStream) && c.ahead.Buffered() >= int(c.in.length) {
					s.complete = true // gRPC takes the rest next
					s.settle()
				}
			}
			c.follow(s, p[n-body:n])
		}
		if done {
			c.received(c.in.frame)
		}
		p = p[n:]
	}
	return grown, true
}

// grow counts a frame of a body: whole, since gRPC makes room for it when it has seen
// the header.
func (c *conn) grow(s *Stream, length uint32) {
	s.window -= int64(length)
	s.unread += int64(length)
	s.padded = s.padded || c.in.has(flagPadded)
	s.overran = s.window < 0
	c.table.bodies.grow(s, frameCost+bufferFor(length))
}

// follow looks at a part of a body.
func (c *conn) follow(s *Stream, part []byte) {
	if !c.in.has(flagPadded) {
		s.body.take(part)
	}
	if s.converses {
		c.followMessages(s)
		return
	}
	if !s.large && s.need() > 0 {
		s.large = true
		s.settle() // Await asks for room
	}
	if s.body.most > c.table.limits.Message && s.refused == nil && !s.complete {
		s.complete = true // as far as it will be looked at: gRPC refuses it by its length
		s.settle()
	}
}

// received takes note of a whole frame from the client.
func (c *conn) received(f frame) {
	switch f.kind {
	case frameHeaders:
		c.ends = f.has(flagEndStream)
		fallthrough
	case frameContinuation:
		if f.has(flagEndHeaders) {
			c.header(f.stream)
		}
	case frameData:
		if s := c.streams[f.stream]; s != nil && f.has(flagEndStream) {
			s.complete = true
			s.settle()
		}
	case frameRST:
		c.end(f.stream)
	}
}

// header begins a request, or ends the body of one.
func (c *conn) header(id uint32) {
	s := c.streams[id]
	if s == nil && id > c.last {
		s = &Stream{conn: c, id: id, window: firstWindow}
		c.streams[id], c.newest, c.last = s, s, id
		c.place.idle.Store(0)
		c.place.asked.Store(true)
	}
	if s != nil && c.ends {
		s.complete = true
		s.settle()
	}
}

// end forgets a request that has been answered or given up. mu is held.
func (c *conn) end(id uint32) {
	s := c.streams[id]
	if s == nil {
		return
	}
	delete(c.streams, id)
	s.ended = true
	if s.timer != nil {
		s.timer.Stop()
	}
	if !s.served { // else Finish does
		c.table.bodies.release(s)
	}
	s.settle()
	if len(c.streams) == 0 {
		c.place.idle.Store(time.Now().UnixNano())
	}
}

// leave sends the client elsewhere, unless a request is under way, and reports whether
// it did. No request that it sends from now on is looked at, and the GOAWAY says so.
func (c *conn) leave(why string) bool {
	if !c.writing.TryLock() {
		return false // gRPC is writing: an answer, or to a client that does not read
	}
	defer c.writing.Unlock()
	c.mu.Lock()
	if c.leaving || len(c.streams) > 0 || !c.out.between() {
		c.mu.Unlock()
		return false
	}
	c.leaving = true
	farewell := goAway(c.last, errNone, why)
	c.mu.Unlock()
	_ = c.Conn.SetReadDeadline(time.Now().Add(lingerTime))
	_ = c.Conn.SetWriteDeadline(time.Now().Add(farewellTime))
	if _, err := c.Conn.Write(farewell); err == nil {
		closeWrite(c.Conn)
	}
	return true
}

// farewellTime is how long a connection may take to accept a GOAWAY: none, unless its
// client does not read. The next connection waits for it.
const farewellTime = 20 * time.Millisecond

// cutOff closes a connection that cannot be ended in order.
func (c *conn) cutOff(why string) {
	c.table.note("a connection was cut off", "peer", c.RemoteAddr().String(), "reason", why)
	c.depart()
	_ = c.place.Conn.Close()
}

// depart has nothing more be taken from the client.
func (c *conn) depart() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = true
	c.told.Broadcast()
}

// Close gives back what the requests under way held.
func (c *conn) Close() error {
	c.mu.Lock()
	for id := range c.streams { // in any order: they all end
		c.end(id)
	}
	c.mu.Unlock()
	c.depart()
	c.table.bodies.grant() // of what has ended
	return c.Conn.Close()
}

// authInfo hands the connection on to where a request's context is all there is.
type authInfo struct {
	credentials.AuthInfo
	conn *conn
}

// Subject is who a request's connection is of, by its verified client certificate: the first
// URI of that if it has one, else the common name. until is when the certificate ends. It is
// empty where there is none.
func Subject(ctx context.Context) (name string, until time.Time) {
	p, known := peer.FromContext(ctx)
	if !known {
		return "", time.Time{}
	}
	info := p.AuthInfo
	if ours, is := info.(authInfo); is {
		info = ours.AuthInfo
	}
	secured, is := info.(credentials.TLSInfo)
	if !is || len(secured.State.VerifiedChains) == 0 {
		return "", time.Time{}
	}
	cert := secured.State.PeerCertificates[0]
	if len(cert.URIs) > 0 {
		return cert.URIs[0].String(), cert.NotAfter
	}
	return cert.Subject.CommonName, cert.NotAfter
}

type streamKey struct{}

// inTap binds a request to its stream. gRPC calls it while it looks at the header,
// before it reads on.
func inTap(ctx context.Context, _ *tap.Info) (context.Context, error) {
	p, known := peer.FromContext(ctx)
	if !known {
		return ctx, nil
	}
	info, ours := p.AuthInfo.(authInfo)
	if !ours {
		return ctx, nil
	}
	info.conn.mu.Lock()
	s := info.conn.newest
	info.conn.mu.Unlock()
	return context.WithValue(ctx, streamKey{}, s), nil
}

// FromContext is the stream of a request; nil where there is no connection, as in the
// simulator.
func FromContext(ctx context.Context) *Stream {
	s, _ := ctx.Value(streamKey{}).(*Stream)
	return s
}
