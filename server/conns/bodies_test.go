package conns

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"statehouse.dev/statehouse/server/wiretest"
)

// send sends a part of a body in frames of a size.
func (w *raw) send(stream uint32, n, frame int) error {
	for ; n > 0; n -= frame {
		if err := w.fr.WriteData(stream, false, make([]byte, min(n, frame))); err != nil {
			return err
		}
	}
	return nil
}

// seen returns when gRPC has seen all that was sent.
func (w *raw) seen() {
	w.t.Helper()
	err := w.fr.WritePing(false, [8]byte{1})
	for err == nil {
		var f http2.Frame
		if f, err = w.fr.ReadFrame(); err == nil {
			if ping, ok := f.(*http2.PingFrame); ok && ping.IsAck() {
				return
			}
		}
	}
	w.t.Fatal(err)
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC() // what pools keep is gone with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// ended holds that a stream ended with a status of that code, in those words.
func (w *raw) ended(what string, stream uint32, code string, says ...string) {
	w.t.Helper()
	a, err := w.until(stream)
	if err != nil || a.wasReset || a.code != code {
		w.t.Errorf("%s: %v, %+v", what, err, a)
	}
	for _, word := range says {
		if !strings.Contains(a.message, word) {
			w.t.Errorf("%s: %q does not say %q", what, a.message, word)
		}
	}
}

// Bodies that never end hold no more than the limit, over all connections, whatever
// their frames; those that have been arriving for longest are refused by name, and
// whole requests are served all the while.
func TestBodiesThatNeverEnd(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		l := limits
		l.Arriving = 1000
		r := newRig(t, l, secure)
		conn := r.dial(here)
		for _, frame := range []int{16 << 10, 1000, 1} {
			var clients []*raw
			for range 6 {
				w := r.raw()
				clients = append(clients, w)
				size := min(firstWindow-5, 2000*frame)
				sent := make(chan struct{})
				go func() {
					for i := range 30 {
						id := w.begin("Echo")
						_ = w.fr.WriteData(id, false, wiretest.Prefix(1<<20))
						if w.send(id, size, frame) != nil {
							return
						}
						if i == 0 {
							close(sent)
						}
					}
				}()
				<-sent
			}
			w := clients[0]
			w.ended(fmt.Sprintf("the first, in frames of %d", frame), 1, resourceExhausted, "hold", fmt.Sprint(l.Bytes), "retry")
			for range 20 {
				if err := call(timeout(t), conn, "Echo"); err != nil {
					t.Errorf("a whole request: %v", err)
				}
				if held := r.table.bodies.held.Load(); held > l.Bytes+2<<20 { // one always has room, and six frames may be on the way
					t.Errorf("%d bytes are held, the limit is %d", held, l.Bytes)
				}
			}
			for _, w := range clients {
				_ = w.Close()
			}
			eventually(t, "all is given back", func() error {
				if held := r.table.bodies.held.Load() + r.table.bodies.late.Load(); held != 0 {
					return fmt.Errorf("%d bytes", held)
				}
				return nil
			})
		}
		if !r.noted("refused while its body arrived") {
			t.Error("the log does not say so")
		}
	})
}

// While no handler waits for a body yet, the largest incomplete one makes room, and not a
// small one whose last frame is on the way.
func TestTheLargestBodyMakesRoom(t *testing.T) {
	table := New(limits, func(string, ...any) {})
	stream := func(held int64) *Stream {
		client, daemon := net.Pipe()
		t.Cleanup(func() { _, _ = client.Close(), daemon.Close() })
		p := &place{Conn: daemon, table: table}
		p.secured = newConn(daemon, p)
		s := &Stream{conn: p.secured, id: 1}
		p.secured.streams[1] = s
		table.places[p] = struct{}{}
		table.bodies.grow(s, held)
		return s
	}
	all := limits.Bytes
	whole, large, small, last := stream(all/2), stream(all/4), stream(all/8), stream(all/8+1)
	whole.complete = true
	table.bodies.fit(last)
	if large.refused == nil || whole.refused != nil || small.refused != nil || last.refused != nil {
		t.Errorf("refused: the whole one %v, the largest %v, a small one %v, the last %v", whole.refused, large.refused, small.refused, last.refused)
	}
	if held := table.bodies.held.Load(); held != all-all/4+1 {
		t.Errorf("%d bytes are held", held)
	}
	large.timer.Stop()
}

// What is counted of a frame's payload is the buffer that gRPC takes for it.
func TestBufferFor(t *testing.T) {
	for n := 1; n <= 16<<10; n++ {
		want := n
		if !mem.IsBelowBufferPoolingThreshold(n) {
			want = cap(*mem.DefaultBufferPool().Get(n))
		}
		if got := bufferFor(uint32(n)); got != int64(want) {
			t.Fatalf("a frame of %d: %d bytes are counted, gRPC takes %d", n, got, want)
		}
	}
}

// Bodies take up no more than is counted of them, whatever their frames.
func TestBodiesAreCountedInFull(t *testing.T) {
	l := limits
	l.Bytes, l.Arriving = 256<<20, 10_000
	const requests, body = 200, 60 << 10
	for _, frame := range []int{16 << 10, 4097, 1025, 300, 1} {
		t.Run(fmt.Sprint(frame), func(t *testing.T) {
			r := newRig(t, l, false)
			w := r.raw()
			before := heapInUse()
			for range requests {
				id := w.begin("Echo")
				_ = w.fr.WriteData(id, false, wiretest.Prefix(firstWindow-5)) // so little does not wait for room
				_ = w.send(id, min(body, 1000*frame)/frame*frame, frame)
			}
			w.seen()
			eventually(t, "all are waited for", func() error {
				if n := r.waiting(); n != requests {
					return fmt.Errorf("%d are", n)
				}
				return nil
			})
			counted, taken := r.table.bodies.held.Load(), heapInUse()-before
			const perRequest = 12 << 10 // gRPC's stream and its goroutine, which other limits are for
			if most := counted + requests*perRequest; taken > most {
				t.Errorf("%d KiB are taken, %d counted", taken>>10, counted>>10)
			}
			t.Logf("%d KiB are taken, %d counted", taken>>10, counted>>10)
		})
	}
}

// Large bodies that there is no room for at once wait, and none is refused.
func TestLargeBodiesWait(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		l := limits
		l.Connections, l.Arriving, l.Bytes = 100, 100, 16<<20
		r := newRig(t, l, secure)
		var clients sync.WaitGroup
		for i := range 40 {
			conn := r.dial(here)
			if i%2 == 0 {
				conn = r.dial(there)
			}
			clients.Go(func() {
				for range 2 {
					m := wrapperspb.Bytes(make([]byte, 1<<20-100-i))
					var got wrapperspb.BytesValue
					if err := conn.Invoke(timeout(t), "/test/Echo", m, &got, grpc.WaitForReady(true)); err != nil || len(got.Value) != len(m.Value) {
						t.Errorf("%d bytes: %v", len(m.Value), err)
					}
				}
			})
		}
		clients.Wait()
	})
}

// Those that announce much and do not send it give way to one that would.
func TestStalledBodiesGiveWay(t *testing.T) {
	r := newRig(t, limits, false)
	r.table.bodies.slowest = 1 << 30
	w := r.raw()
	go func() { _, _ = io.Copy(io.Discard, w) }()
	for range 8 {
		id := w.begin("Echo")
		_ = w.fr.WriteData(id, false, wiretest.Prefix(1<<20))
	}
	eventually(t, "a body waits for room", func() error {
		if r.table.bodies.waiters.Load() == 0 {
			return errNotYet
		}
		return nil
	})
	m := wrapperspb.Bytes(make([]byte, 1<<20-100))
	if err := r.dial(here).Invoke(timeout(t), "/test/Echo", m, &wrapperspb.BytesValue{}); err != nil {
		t.Errorf("one that sends: %v", err)
	}
}

// What a client sends past its window ends the connection.
func TestWindowsAreKept(t *testing.T) {
	r := newRig(t, limits, false)
	w := r.raw()
	id := w.begin("Echo")
	_ = w.fr.WriteData(id, false, wiretest.Prefix(1<<20))
	_ = w.send(id, 400<<10, 16<<10) // it has room for that
	_ = w.send(w.begin("Echo"), 2*firstWindow, 16<<10)
	if _, err := w.until(0); err == nil {
		t.Error("the connection goes on")
	}
	eventually(t, "the log says so", func() error {
		if !r.noted("more of a body than it may") {
			return errNotYet
		}
		return nil
	})
}

// A body gets its time and no more; so does one that never begins.
func TestBodyTime(t *testing.T) {
	l := limits
	l.Body = 50 * time.Millisecond
	r := newRig(t, l, false)
	w := r.raw()
	w.ended("without a body", w.begin("Echo"), resourceExhausted, "body", "50ms", "nothing was applied")
	id := w.begin("Echo")
	_ = w.fr.WriteData(id, false, wiretest.Prefix(100))
	w.ended("with a part of one", id, resourceExhausted, "body", "50ms")
	whole := exchange(t, w)
	w.ended("a whole one after them", whole, "0")
}

// Of too many bodies under way the oldest gives way.
func TestArrivingBodies(t *testing.T) {
	l := limits
	l.Arriving = 2
	r := newRig(t, l, false)
	w := r.raw()
	var ids []uint32
	for i := range 3 {
		ids = append(ids, w.begin("Echo"))
		if i < 2 {
			eventually(t, "it is waited for", func() error {
				if r.waiting() <= i {
					return errNotYet
				}
				return nil
			})
		}
	}
	w.ended("the oldest", ids[0], resourceExhausted, "limit of 2", "taken longest")
	for _, id := range ids[1:] {
		_ = w.fr.WriteData(id, true, wiretest.Prefix(0))
		w.ended("the others", id, "0")
	}
}

// A message past the limit is refused by its announced length, before it is sent.
func TestAnnouncedLength(t *testing.T) {
	r := newRig(t, limits, false)
	w := r.raw()
	id := w.begin("Echo")
	_ = w.fr.WriteData(id, false, wiretest.Prefix(5<<20))
	w.ended("5 MiB", id, resourceExhausted)
}

// What a client has given up counts until it is not served any more.
func TestGivenUpRequestsCount(t *testing.T) {
	r := newRig(t, limits, false)
	w := r.raw()
	id := w.begin("Stubborn")
	_ = w.fr.WriteData(id, false, wiretest.Prefix(1003))
	_ = w.fr.WriteData(id, true, append([]byte{0x0a, 0xe8, 0x07}, make([]byte, 1000)...))
	eventually(t, "it is served", func() error {
		if r.served.Load() == 0 {
			return errNotYet
		}
		return nil
	})
	_ = w.fr.WriteRSTStream(id, http2.ErrCodeCancel)
	w.ended("another", exchange(t, w), "0") // the reset was read before it
	if held := r.table.bodies.held.Load(); held < 1000 {
		t.Errorf("%d bytes are held while 1,000 are served", held)
	}
	close(r.release)
}

// pipes is a listener whose connections hold nothing: a client that does not read
// blocks the server at once.
type pipes struct {
	net.Listener
	conns chan net.Conn
	done  chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error {
	close(p.done)
	return p.Listener.Close()
}

// A client that sends for requests that were refused, and reads nothing, does not make
// the daemon hold much more than the limit, and is cut off.
func TestDeafSenders(t *testing.T) {
	l := limits
	l.Arriving = 1000
	var p pipes
	r := newRig(t, l, false, func(l net.Listener) net.Listener {
		p = pipes{l, make(chan net.Conn), make(chan struct{})}
		return p
	})
	r.table.bodies.deafTime = 100 * time.Millisecond
	client, server := net.Pipe()
	p.conns <- server
	w := &raw{Conn: client, t: t, fr: http2.NewFramer(client, client)}
	defer client.Close()
	_ = client.SetDeadline(time.Now().Add(patience))
	greeted := make(chan struct{})
	go func() {
		defer close(greeted)
		_, _ = io.WriteString(client, http2.ClientPreface)
		_ = w.fr.WriteSettings()
	}()
	for range 3 { // the server's settings and window, and that it has ours
		if _, err := w.fr.ReadFrame(); err != nil {
			t.Fatal(err)
		}
	}
	<-greeted
	sent := 0
	for range 1000 {
		id := w.begin("Echo")
		_ = w.fr.WriteData(id, false, wiretest.Prefix(60<<10))
		if err := w.send(id, 48<<10, 16<<10); err != nil {
			if held := r.table.bodies.held.Load() + r.table.bodies.late.Load(); held > 2*l.Bytes {
				t.Errorf("%d bytes were held", held)
			}
			if sent < int(l.Bytes) || !r.noted("does not read") {
				t.Errorf("cut off after %d bytes: %v", sent, r.notes)
			}
			return
		}
		sent += 48 << 10
	}
	t.Errorf("it sent %d bytes and goes on", sent)
}

// A deadline that passes is told as one, whatever the client's own timer says.
func TestDeadlines(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		r := newRig(t, limits, secure)
		w := r.raw()
		id := w.begin("Hold", "grpc-timeout", "20m")
		_ = w.fr.WriteData(id, true, wiretest.Prefix(0))
		w.ended("while it is served", id, deadlineExceeded)
		id = w.begin("Echo", "grpc-timeout", "20m")
		_ = w.fr.WriteData(id, false, wiretest.Prefix(10))
		w.ended("while its body arrives", id, deadlineExceeded)
		// gRPC's table of header fields is as it was.
		w.ended("the next", exchange(t, w), "0")
		// In the middle of a message, for which the client gives no window, there is
		// nothing to say, and it has time to give up by itself.
		id = w.begin("Flood", "grpc-timeout", "300m")
		_ = w.fr.WriteData(id, true, wiretest.Prefix(0))
		begin := time.Now()
		if a, err := w.until(id); err != nil || !a.wasReset || a.reset != http2.ErrCodeCancel || time.Since(begin) < lingerTime {
			t.Errorf("within a message: after %v: %v %+v", time.Since(begin), err, a)
		}
		_ = w.fr.WriteWindowUpdate(0, 100<<10)
		id = w.begin("Flood", "grpc-timeout", "300m")
		_ = w.fr.WriteData(id, true, wiretest.Prefix(0))
		time.Sleep(320 * time.Millisecond) // the deadline must pass
		_ = w.fr.WriteRSTStream(id, http2.ErrCodeCancel)
		w.ended("the one after it", exchange(t, w), "0")
	})
}
