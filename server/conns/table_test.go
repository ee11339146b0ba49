package conns

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/server/wiretest"
)

func both(t *testing.T, f func(t *testing.T, secure bool)) {
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "TLS"}[secure], func(t *testing.T) { f(t, secure) })
	}
}

func refused(t *testing.T, what string, err error, says ...string) {
	t.Helper()
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("%s: %v", what, err)
	}
	for _, word := range says {
		if !strings.Contains(fmt.Sprint(err), word) {
			t.Errorf("%s: %v does not say %q", what, err, word)
		}
	}
}

// Idle connections never shut a client out: the one that has been idle for longest
// gives way, and its client is told where the line is that nothing was looked at past.
func TestIdleConnectionsGiveWay(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		r := newRig(t, limits, secure)
		first := r.raw()
		if _, err := first.until(exchange(t, first)); err != nil {
			t.Fatal(err)
		}
		for range 5 * limits.Connections {
			if err := call(timeout(t), r.dial(here), "Echo"); err != nil {
				t.Errorf("a new client: %v", err)
			}
		}
		a, err := first.until(0)
		if err != io.EOF || a.goAway == nil || a.goAway.LastStreamID != first.id || a.goAway.ErrCode != 0 || !strings.Contains(a.debug, "limit of 8 connections") {
			t.Errorf("the first connection ended with %v, %+v %q", err, a.goAway, a.debug)
		}
	})
}

// exchange sends one whole request.
func exchange(t *testing.T, w *raw) uint32 {
	t.Helper()
	id := w.begin("Echo")
	if err := w.fr.WriteData(id, true, wiretest.Prefix(0)); err != nil {
		t.Fatal(err)
	}
	return id
}

// Neither do those that never say a word, or never get done with their handshake.
func TestSilentConnectionsGiveWay(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		r := newRig(t, limits, secure)
		var silent []net.Conn
		for i := range 4 * limits.Connections {
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			silent = append(silent, c)
			switch i % 4 {
			case 1:
				_, _ = io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
			case 2:
				_, _ = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM")
			case 3:
				_, _ = c.Write([]byte{22, 3, 1, 2, 0, 1}) // a TLS hello that does not go on
			}
		}
		if err := call(timeout(t), r.dial(here), "Echo"); err != nil {
			t.Errorf("a client behind them: %v", err)
		}
		_ = silent[0].SetDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, silent[0]); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("the first was not closed: %v", err)
		}
	})
}

// A request that crosses the GOAWAY on its way is not lost: clients call while their
// connections are taken from them all the time, and see no error at all.
func TestNothingIsLostByGivingWay(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		r := newRig(t, limits, secure)
		r.table.childhood = patience // on a slow machine, too
		ctx, stop := context.WithCancel(context.Background())
		var crowd sync.WaitGroup
		crowd.Go(func() {
			for ctx.Err() == nil {
				conn := r.dial(here)
				if err := call(timeout(t), conn, "Echo"); err != nil {
					t.Errorf("one of the crowd: %v", err)
				}
				crowd.Go(func() { <-ctx.Done(); _ = conn.Close() })
			}
		})
		for range 3 {
			conn := r.dial(here)
			crowd.Go(func() {
				for ctx.Err() == nil {
					if err := call(timeout(t), conn, "Echo"); err != nil {
						t.Errorf("a call: %v", err)
					}
					time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond) // idle for as long as the others, or not
				}
			})
		}
		eventually(t, "connections were taken from clients often enough", func() error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if len(r.notes) < 300 {
				return errNotYet
			}
			return nil
		})
		stop()
		crowd.Wait()
	})
}

// With requests under way on all connections a new one is refused at once and by
// name, but for health, and served as soon as there is room.
func TestBusyConnectionsStay(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		r := newRig(t, limits, secure)
		r.occupy(here, limits.Connections)
		late := r.dial(here)
		refused(t, "one more", call(timeout(t), late, "Echo"), "limit of 8 connections", "retry")
		if err := call(timeout(t), late, "Probe"); err != nil {
			t.Errorf("health on it: %v", err)
		}
		for range 10 {
			if err := call(timeout(t), r.dial(here), "Probe"); err != nil {
				t.Errorf("health on others: %v", err)
			}
		}
		close(r.release)
		eventually(t, "there is room again", func() error { return call(timeout(t), r.dial(here), "Echo") })
	})
}

// Past what is kept back a client is told as much, at its first request or soon.
func TestRefusedConnections(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		r := newRig(t, limits, secure)
		r.occupy(here, limits.Connections)
		for range limits.KeptBack / 2 { // and on those for health something hangs
			before := r.waiting()
			r.raw().begin("Probe")
			eventually(t, "it is under way", func() error {
				if r.waiting() == before {
					return errNotYet
				}
				return nil
			})
		}
		refused(t, "a request", call(timeout(t), r.dial(here), "Echo"), "limit of 8 connections", "retry")
		refused(t, "health", call(timeout(t), r.dial(here), "Probe"), "limit of 8 connections", "retry")
		a, err := r.raw().until(0) // it asks for nothing
		if err != io.EOF || a.goAway == nil || a.goAway.LastStreamID != 0 || !strings.Contains(a.debug, "limit of 8 connections") {
			t.Errorf("ended with %v %+v %q", err, a.goAway, a.debug)
		}
		if !r.noted("a connection was refused") {
			t.Error("the log does not say so")
		}
	})
}

// One address with requests on all connections does not shut the others out, and of
// idle connections it is the first to lose some.
func TestAddressesAreFair(t *testing.T) {
	r := newRig(t, limits, false)
	r.occupy(here, limits.Connections)
	if err := call(timeout(t), r.dial(there), "Echo"); err != nil {
		t.Errorf("a client from elsewhere: %v", err)
	}
	refused(t, "one more of the same", call(timeout(t), r.dial(here), "Echo"), "connections")

	r = newRig(t, limits, false)
	guest := r.dial(there)
	if err := call(timeout(t), guest, "Echo"); err != nil {
		t.Fatal(err)
	}
	for range 3 * limits.Connections {
		if err := call(timeout(t), r.dial(here), "Echo"); err != nil {
			t.Error(err)
		}
	}
	r.table.mu.Lock()
	defer r.table.mu.Unlock()
	if r.table.of[there] != 1 {
		t.Errorf("the one connection of %s gave way to those of %s: %v", there, here, r.table.of)
	}
}

func TestAddressOf(t *testing.T) {
	for _, c := range []struct{ addr, want string }{
		{"192.0.2.7:1", "192.0.2.7"}, {"[::ffff:192.0.2.7]:1", "192.0.2.7"}, {"[::1]:9", "::/64"},
		{"[2001:db8:1:2:3:4:5:6]:1", "2001:db8:1:2::/64"}, {"[2001:db8:1:2:ffff::]:2", "2001:db8:1:2::/64"}, {"[fe80::1%eth0]:1", "fe80::/64"},
	} {
		a, err := net.ResolveTCPAddr("tcp", c.addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := addressOf(a); got != c.want {
			t.Errorf("%s is of %s, want %s", c.addr, got, c.want)
		}
	}
}

// However fast connections come and go, no more are open than Files says.
func TestFilesBound(t *testing.T) {
	r := newRig(t, limits, false)
	ctx, stop := context.WithCancel(context.Background())
	var flood sync.WaitGroup
	for range 4 {
		flood.Go(func() {
			for ctx.Err() == nil {
				c, err := net.Dial("tcp", r.addr)
				if err != nil {
					return
				}
				flood.Go(func() { <-ctx.Done(); _ = c.Close() })
			}
		})
	}
	for range 50 {
		r.table.mu.Lock()
		n := len(r.table.places) + len(r.table.leaving)
		r.table.mu.Unlock()
		if n > limits.open() {
			t.Fatalf("%d connections are open, at most %d may be", n, limits.open())
		}
		if err := call(timeout(t), r.dial(there), "Probe"); err != nil && status.Code(err) != codes.Unavailable {
			t.Errorf("amid the flood: %v", err)
		}
	}
	stop()
	flood.Wait()
}
