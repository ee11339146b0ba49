package session

import (
	"context"
	"io"
	"maps"
	"runtime"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

const (
	// frameBytes is about how much goes in one message, unless one request is larger.
	frameBytes = 64 << 10
	// sendBuffer is how much of a stream gRPC takes before it has SendMsg wait for what is
	// sent: its default, which no option changes.
	sendBuffer = 64 << 10
	// rounds is how many messages a caller sends for others before it sees to its own answer.
	rounds = 16
)

// link is one stream, and what is under way in it. The connection's mu guards it.
type link struct {
	c      *Conn
	ctx    context.Context
	cancel context.CancelFunc
	stream grpc.ClientStream // nil: it is being opened
	heard  bool              // something has come
	over   bool

	lastID   uint64
	queue    line
	cancels  []uint64 // ids of requests that nothing waits for any more, to be sent
	underWay map[uint64]*request
	bytes    int64 // of the requests under way
	window   int   // how many may be under way
	sending  bool  // a goroutine is in pump, or is about to be

	// How much was handed to the stream, and how much of that has arrived for certain: what
	// stands up to the end of any request that was answered.
	sent, arrived int64

	answers []answer   // scratch of the goroutine that reads
	ended   []*request // likewise
}

func newLink(c *Conn) *link {
	l := &link{c: c, window: c.o.Requests, underWay: make(map[uint64]*request)}
	l.ctx, l.cancel = context.WithCancel(c.ctx)
	return l
}

// add queues a request. mu is held.
func (l *link) add(r *request) {
	r.link, r.state = l, queued
	if !r.deadline.IsZero() {
		r.since = l.c.o.Now()
	}
	l.queue.join(r)
	l.pump(false)
}

// pump sends what waits and has room, unless that is being done already. mu is held, but
// not while anything is sent. It waits for the stream only if it may: else it has another
// goroutine go on when that could be.
func (l *link) pump(mayWait bool) {
	if l.sending || l.stream == nil {
		return
	}
	l.sending = true
	for n := 0; !l.over && l.ready(); n++ {
		if !mayWait && (l.sent-l.arrived >= sendBuffer || n >= rounds) {
			l.c.o.Go(l.pumpOn)
			return
		}
		if !l.send() {
			break
		}
	}
	l.sending = false
}

// pumpOn goes on with what pump began.
func (l *link) pumpOn() {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.sending = false
	l.pump(true)
}

// ready reports whether something waits that may be sent.
func (l *link) ready() bool {
	return len(l.cancels) > 0 || l.queue.n > 0 && l.hasRoom(l.queue.next())
}

// hasRoom reports whether a request may be under way beside those that are.
func (l *link) hasRoom(r *request) bool {
	return len(l.underWay) == 0 || len(l.underWay) < l.window && l.bytes+int64(len(r.body)) <= l.c.o.Bytes
}

// send sends a message of what is ready. It reports whether the stream took it. mu is held,
// but not while it is sent.
func (l *link) send() bool {
	if len(l.underWay) > 0 && l.queue.n < len(l.underWay) {
		// Others were woken by the same message as this caller. What they ask for next goes with it.
		l.c.mu.Unlock()
		runtime.Gosched()
		l.c.mu.Lock()
	}
	message, first, last := l.take()
	l.c.mu.Unlock()
	err := l.stream.SendMsg(&message)
	l.c.mu.Lock()
	if err == nil {
		return true
	}
	for id := first; id <= last; id++ { // gRPC has taken none of it; why, the reader learns
		if r := l.underWay[id]; r != nil {
			r.sent = false
		}
	}
	return false
}

// take makes a message of what is ready, and puts the requests in it under way, with ids from
// first to last. mu is held.
func (l *link) take() (message []byte, first, last uint64) {
	now := l.c.o.Now()
	for r := l.queue.refuse(now); r != nil; r = l.queue.refuse(now) {
		r.state, r.failed = over, overloaded(patience(r))
		r.done <- struct{}{} // its caller is the only one to take from it: there is room
	}
	size := 0
	for r := l.queue.next(); r != nil; r = l.queue.after(r) {
		if size += len(r.body) + 64; size > frameBytes {
			break
		}
	}
	message = make([]byte, 0, min(size, frameBytes)+16*len(l.cancels))
	for _, id := range l.cancels {
		message = appendCancel(message, id)
	}
	l.cancels = l.cancels[:0]
	first = l.lastID + 1
	for l.queue.n > 0 {
		r := l.queue.next()
		if !l.hasRoom(r) || len(message) > 0 && len(message)+len(r.body) > frameBytes {
			break
		}
		l.queue.leave(r)
		l.lastID++
		r.id = l.lastID
		message = appendRequest(message, r, timeout(r, now))
		r.state, r.sent, r.end = underWay, true, l.sent+int64(len(message))
		l.underWay[r.id] = r
		l.bytes += int64(len(r.body))
	}
	l.sent += int64(len(message))
	return message, first, l.lastID
}

// timeout is how long a request's caller waits for it from now; 0: without end.
func timeout(r *request, now time.Time) time.Duration {
	if r.deadline.IsZero() {
		return 0
	}
	return max(r.deadline.Sub(now), time.Microsecond)
}

// abandon ends a request whose caller waits no more. It reports whether that was first: its
// end has not come yet.
func (l *link) abandon(r *request) bool {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	switch r.state {
	case over:
		return false
	case queued:
		l.queue.leave(r)
	case underWay:
		l.forget(r)
		l.cancels = append(l.cancels, r.id)
	}
	r.state = over
	l.pump(false) // the cancel, and what now has room
	return true
}

// forget takes a request out of those under way.
func (l *link) forget(r *request) {
	delete(l.underWay, r.id)
	l.bytes -= int64(len(r.body))
}

// run opens the stream and reads it to its end.
func (l *link) run() {
	stream, err := l.c.NewStream(l.ctx, &pb.StatehouseService_ServiceDesc.Streams[sessionStream], pb.StatehouseService_Session_FullMethodName,
		grpc.ForceCodecV2(raw{}), grpc.MaxCallRecvMsgSize(MaxMessage))
	if err == nil {
		l.c.mu.Lock()
		l.stream = stream
		l.pump(false)
		l.c.mu.Unlock()
		err = l.read()
	}
	l.end(err)
}

var sessionStream = slices.IndexFunc(pb.StatehouseService_ServiceDesc.Streams, func(d grpc.StreamDesc) bool { return d.StreamName == "Session" })

// read hands out answers until the stream ends, and returns why it did.
func (l *link) read() error {
	for {
		var message []byte
		if err := l.stream.RecvMsg(&message); err != nil {
			return err
		}
		var window int
		var err error
		if l.answers, window, err = readAnswers(l.answers[:0], message); err != nil {
			return err
		}
		l.handOut(window)
	}
}

// handOut wakes those whose answers have come. An answer to a request that is not under way
// is one whose caller has gone. The window is how many requests the daemon wants to have under way;
// 0: it does not say.
func (l *link) handOut(window int) {
	l.c.mu.Lock()
	l.heard = true
	if window > 0 {
		l.window = min(window, l.c.o.Requests)
	}
	l.ended = l.ended[:0]
	for _, a := range l.answers {
		r := l.underWay[a.id]
		if r == nil {
			continue
		}
		l.forget(r)
		l.arrived = max(l.arrived, r.end)
		r.answer, r.state = a, over
		l.ended = append(l.ended, r)
	}
	more := l.ready()
	l.c.mu.Unlock()
	for _, r := range l.ended {
		r.done <- struct{}{}
	}
	if more {
		l.c.mu.Lock()
		l.pump(false)
		l.c.mu.Unlock()
	}
}

// end ends all that is under way when the stream has ended or could not be opened.
func (l *link) end(err error) {
	c := l.c
	l.cancel()
	c.mu.Lock()
	l.over = true
	if c.link == l {
		c.link = nil
	}
	alone := l.turnedAway(err)
	var list []*request
	for l.queue.n > 0 {
		list = append(list, l.queue.oldest)
		l.queue.leave(l.queue.oldest)
	}
	// in the order of ids: a map has none
	for _, id := range slices.Sorted(maps.Keys(l.underWay)) {
		list = append(list, l.underWay[id])
	}
	for _, r := range list {
		r.state, r.alone = over, alone
		switch {
		case l.stream == nil:
			r.failed = err // as a call would
		default:
			r.failed = broke(err)
		}
		r.sent = r.sent && !alone
	}
	l.underWay = nil
	c.mu.Unlock()
	for _, r := range list {
		r.done <- struct{}{}
	}
}

// turnedAway reports whether the other side took no session, so that it has read no request
// of this one. mu is held.
func (l *link) turnedAway(err error) bool {
	if l.heard || l.stream == nil {
		return false
	}
	switch status.Code(err) {
	case codes.Unimplemented:
		l.c.unknown = true
		return true
	case codes.ResourceExhausted, codes.Unauthenticated, codes.PermissionDenied:
		l.c.refused = l.c.o.Now()
		return true
	}
	return false
}

// broke is the error of a request whose session ended before its answer: nothing is known of what
// became of it, whatever the stream's own status says.
func broke(err error) error {
	if err == io.EOF {
		return status.Error(codes.Unavailable, "the daemon ended the session")
	}
	s, code := status.Convert(err), codes.Unavailable
	if s.Code() == codes.Canceled {
		code = codes.Canceled
	}
	return status.Error(code, "the session broke: "+s.Message())
}
