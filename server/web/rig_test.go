package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/captures"
	"statehouse.dev/statehouse/server/wiretest"
)

// rig is a whole Statehouse in the test's process, served over HTTP on a loopback port. When the
// test ends it shuts down cleanly and leaves no goroutine behind.
type rig struct {
	t       *testing.T
	service *server.Service
	front   *Front
	addr    string
	client  *http.Client
	stop    context.CancelFunc
	served  chan error
}

type options struct {
	server server.Config
	web    Config
	times  times
}

func newRig(t *testing.T, change ...func(*options)) *rig {
	t.Helper()
	before := runtime.NumGoroutine()
	o := options{times: patient, server: server.Config{Version: "test", Engine: engine.Options{Dir: "/data", Tuning: engine.Tuning{CacheBytes: 8 << 20}}}}
	o.server.Capture = captures.Config{Dir: t.TempDir(), MaxBytes: 64 << 20, On: true}
	for _, c := range change {
		c(&o)
	}
	env := engine.MemoryEnv(func(err error) { t.Errorf("the engine halted: %v", err) }, func(event string, attrs ...any) {
		if strings.Contains(event, "panic") {
			t.Errorf("%s %v", event, attrs)
		}
	})
	r := &rig{t: t, served: make(chan error, 1), client: &http.Client{Transport: &http.Transport{}}}
	var err error
	if r.service, err = server.Assemble(env, o.server); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.web.Listeners, o.web.Backend = []net.Listener{l}, r.service.Handler()
	if r.front, err = newFront(o.web, o.times); err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	r.service.AddFront(r.front)
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.served <- r.service.Serve(ctx, nil) }()
	t.Cleanup(func() {
		r.halt()
		wiretest.Eventually(t, "goroutines are gone", func() error {
			if n := runtime.NumGoroutine(); n > before {
				buf := make([]byte, 1<<16)
				return fmt.Errorf("%d goroutines, %d before the test:\n%s", n, before, buf[:runtime.Stack(buf, true)])
			}
			return nil
		})
	})
	return r
}

// halt shuts down in order, once.
func (r *rig) halt() {
	if r.stop == nil {
		return
	}
	r.stop()
	r.stop = nil
	if err := <-r.served; err != nil {
		r.t.Errorf("Serve: %v", err)
	}
	r.client.CloseIdleConnections()
	if err := r.service.Close(); err != nil {
		r.t.Error(err)
	}
}

// said is an answer, read.
type said struct {
	status int
	header http.Header
	body   []byte
}

// failure is the answer as an error.
func (s said) failure(t *testing.T) (f struct {
	Code, Message string
	Error         struct {
		Code    string
		Details map[string]string
	}
}) {
	t.Helper()
	if err := json.Unmarshal(s.body, &f); err != nil || f.Code == "" || f.Error.Code == "" {
		t.Errorf("%d %s is no error with a code and a StatehouseError: %v", s.status, s.body, err)
	}
	return f
}

// ask makes a request as curl would: header as "Name: value".
func (r *rig) ask(method, path, body string, header ...string) said {
	r.t.Helper()
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.addr+path, from)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Add(name, value)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	answer := said{resp.StatusCode, resp.Header, got}
	if req.Header.Get(connectVersion) == "" { // its failures have what that protocol says of them
		asDescribed(r.t, method, path, answer)
	}
	return answer
}

const (
	asJSON  = "Content-Type: application/json"
	service = "/statehouse.v1.StatehouseService/"
)

// call calls a method of the StatehouseService with JSON.
func (r *rig) call(method, body string, header ...string) said {
	r.t.Helper()
	return r.ask(http.MethodPost, service+method, body, append(header, asJSON)...)
}

// put commits one value.
func (r *rig) put(id, agent, key, value string) {
	r.t.Helper()
	got := r.call("Transact", fmt.Sprintf(`{"txnId":%q,"operations":[{"agentId":%q,"key":%q,"put":{"value":%s}}]}`, id, agent, key, value))
	if got.status != http.StatusOK {
		r.t.Fatalf("put: %d %s", got.status, got.body)
	}
}

// until reads a stream until what it has read contains text, for as long as the test may take.
func until(t *testing.T, from io.Reader, text string) string {
	t.Helper()
	var got bytes.Buffer
	buf := make([]byte, 4096)
	for !strings.Contains(got.String(), text) {
		n, err := from.Read(buf)
		got.Write(buf[:n])
		if err != nil && !strings.Contains(got.String(), text) {
			t.Fatalf("%v after %q, which has no %q", err, got.String(), text)
		}
	}
	return got.String()
}

// hasty are times that a test can wait for.
var hasty = times{header: 200 * time.Millisecond, body: 200 * time.Millisecond, piece: 30 * time.Second, idle: time.Minute}
