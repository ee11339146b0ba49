package web

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/server/wiretest"
)

// TestBodies: what is too large is refused before it is read.
func TestBodies(t *testing.T) {
	r := newRig(t)
	if got := r.call("Health", strings.Repeat(" ", maxBody+1)); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", got.status, got.body)
	}
	large := `{"txnId":"1","operations":[{"agentId":"a","key":"k","put":{"value":{"text":"` + strings.Repeat("x", 1<<19) + `"}}}]}`
	if got := r.call("Transact", large); got.status != http.StatusOK {
		t.Errorf("half a MiB: %d %s", got.status, got.body)
	}
	for size, ok := range map[int]bool{1 << 10: true, maxUnsaid + 1: false} { // each alone: any order
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.addr+service+"Health", io.MultiReader(strings.NewReader("{}"), strings.NewReader(strings.Repeat(" ", size))))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode == http.StatusOK != ok {
			t.Errorf("%d bytes whose number is not said: %s", size, resp.Status)
		}
	}
	if taken, waiting := r.front.bodies.Usage(); taken != 0 || waiting != 0 {
		t.Errorf("%d bytes are held after all", taken)
	}
}

// TestTooLarge: who sends all of a body before it reads what it is answered is told that it is too large. Of
// one that is far too large nothing is read, nor of one that waits to be asked for.
func TestTooLarge(t *testing.T) {
	r := newRig(t)
	dial := func(size int, header string) net.Conn {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		fmt.Fprintf(conn, "POST %sHealth HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Length: %d\r\n%s\r\n", service, r.addr, asJSON, size, header)
		return conn
	}
	for _, size := range []int{maxBody + 1, maxPassed} {
		conn := dial(size, "")
		if _, err := conn.Write(make([]byte, size)); err != nil {
			t.Errorf("%d bytes: %v", size, err)
			continue
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || answer.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%d bytes: %v %v", size, answer, err)
		}
	}
	for size, header := range map[int]string{maxPassed + 1: "", maxBody + 1: "Expect: 100-continue\r\n"} { // each alone: any order
		answer, err := io.ReadAll(dial(size, header))
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 413 ") {
			t.Errorf("%d bytes that are not sent: %q %v", size, answer, err)
		}
	}
}

// TestSlow: a client that sends slowly, or not at all, does not keep its connection.
func TestSlow(t *testing.T) {
	r := newRig(t, func(o *options) { o.times = hasty })
	for name, sent := range map[string]string{ // each alone: any order
		"nothing":        "",
		"half a header":  "POST " + service + "Health HTTP/1.1\r\nHost: localhost\r\n",
		"half a body":    "POST " + service + "Health HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{",
		"half a message": "POST " + service + "Health HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/proto\r\nContent-Length: 10\r\n\r\n{",
	} {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(wiretest.Patience))
		if _, err := io.WriteString(c, sent); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); err != nil { // until the daemon closes it
			t.Errorf("%s: %v %s", name, err, got)
		}
		c.Close()
	}
	// A stream that is answered has its body behind it, and is not slow.
	resp := r.open("/v1/watch?agent_id=a")
	defer resp.Body.Close()
	began := time.Now()
	for i := 0; time.Since(began) < 3*hasty.body; i++ {
		r.put(fmt.Sprint(i), "a", "k", `{}`)
	}
	r.put("last", "a", "k", `{}`)
	until(t, resp.Body, `"txnId":"last"`)
}

// TestConnections: no more are served than there is room for.
func TestConnections(t *testing.T) {
	r := newRig(t)
	for range Connections {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("one connection more is served")
	}
}

// TestLargeAnswers: they wait for their turn, and all are answered.
func TestLargeAnswers(t *testing.T) {
	r := newRig(t)
	for i := range 3 {
		r.put(fmt.Sprint(i), "a", fmt.Sprint("k", i), `{"text":"`+strings.Repeat("x", 900<<10)+`"}`)
	}
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			if got := r.call("ScanPrefix", `{"agentId":"a"}`); got.status != http.StatusOK || len(got.body) < 3*900<<10 {
				t.Errorf("%d and %d bytes", got.status, len(got.body))
			}
		})
	}
	wg.Wait()
	if taken, waiting := r.front.answers.Usage(); taken != 0 || waiting != 0 {
		t.Errorf("%d bytes are held after all", taken)
	}
	// A client that gives up while it waits holds nothing.
	all, err := r.front.answers.Acquire(t.Context(), answersBytes)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addr+"/v1/scan?agent_id=a", nil)
	gone := make(chan error, 1)
	go func() {
		_, err := r.client.Do(req)
		gone <- err
	}()
	wiretest.Eventually(t, "the answer waits", func() error {
		if _, waiting := r.front.answers.Usage(); waiting == 0 {
			return wiretest.ErrNotYet
		}
		return nil
	})
	cancel()
	if err := <-gone; err == nil {
		t.Error("it is answered without its turn")
	}
	r.front.answers.Release(all)
	wiretest.Eventually(t, "nothing is held", func() error {
		if taken, waiting := r.front.answers.Usage(); taken != 0 || waiting != 0 {
			return fmt.Errorf("%d bytes, %d wait", taken, waiting)
		}
		return nil
	})
}
