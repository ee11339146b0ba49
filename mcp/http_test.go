package mcp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/admin"
	"statehouse.dev/statehouse/client/statehousetest"
	"statehouse.dev/statehouse/mcp"
)

// web is a handler in front of a daemon that has keys.
type web struct {
	t      *testing.T
	daemon *statehousetest.Daemon
	keys   *admin.Client
	server *httptest.Server
	conn   *busy
	skew   atomic.Int64 // of the handler's clock
}

func newWeb(t *testing.T, token string) *web {
	t.Helper()
	w := &web{t: t, daemon: statehousetest.Start(t, statehousetest.Options{Token: token})}
	operator, err := w.daemon.Dial(client.Config{})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(w.daemon.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	w.conn = &busy{ClientConn: conn}
	now := func() time.Time { return time.Now().Add(time.Duration(w.skew.Load())) }
	handler := mcp.NewHandler(mcp.HandlerOptions{Conn: w.conn, Version: "test", Now: now})
	w.keys, w.server = admin.New(operator), httptest.NewServer(handler)
	t.Cleanup(func() {
		handler.Close()
		w.server.Close()
		_, _ = conn.Close(), operator.Close()
	})
	return w
}

func (w *web) key(name string, p admin.Permission, namespace string) (secret string) {
	w.t.Helper()
	_, secret, err := w.keys.CreateKey(w.t.Context(), admin.Key{Name: name, Scopes: []admin.Scope{{Permission: p, Namespace: namespace}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

// bearer shows a token.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if b != "" {
		r.Header.Set("Authorization", "Bearer "+string(b))
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (w *web) as(token, query, version string) *rig {
	w.t.Helper()
	r := &rig{t: w.t, daemon: w.daemon, version: version}
	var err error
	if r.c, err = w.daemon.Dial(client.Config{Namespace: "ns"}); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = r.c.Close() })
	r.join(&sdk.StreamableClientTransport{Endpoint: w.server.URL + query, HTTPClient: &http.Client{Transport: bearer(token)}})
	return r
}

// TestKeys: over HTTP, in both protocols, each caller does what its own key may do, and commits as its principal.
func TestKeys(t *testing.T) {
	w := newWeb(t, "secret")
	writer, reader := w.key("alice", admin.Write, "ns"), w.key("bob", admin.Read, "ns")
	for _, version := range []string{stateful, stateless} {
		t.Run(version, func(t *testing.T) {
			w.t = t
			alice, bob := w.as(writer, "?namespace=ns", version), w.as(reader, "", version)
			key := "k" + version
			alice.ok("commit", `{"agent":"a","puts":[{"key":"`+key+`","value":{"n":12345678901234567890},"if_version":0}],"reason":"mine"}`)
			got := bob.ok("get", `{"namespace":"ns","agent":"a","key":"`+key+`"}`)
			if string(got.Value) != `{"n":12345678901234567890}` {
				t.Errorf("bob reads %s", got.text)
			}
			if h := bob.ok("history", `{"namespace":"ns","agent":"a","key":"`+key+`"}`); !strings.Contains(h.text, `"principal":"alice"`) {
				t.Errorf("committed by %s", h.text)
			}
			bob.no("commit", `{"namespace":"ns","agent":"a","deletes":[{"key":"`+key+`"}],"reason":"not mine"}`, "PERMISSION_DENIED", "tell your user")
			bob.no("get", `{"agent":"a","key":"k"}`, "PERMISSION_DENIED")
			alice.subscribe("statehouse://ns/a/" + key)
			alice.put("a", key, `{"n":1}`)
			alice.told("statehouse://ns/a/" + key)
			if only := w.as(writer, "?namespace=ns&agent=a&read_only=true", version); only.tools["commit"] != nil || only.tools["agents"] != nil || only.tools["get"] == nil {
				t.Errorf("confined by its URL a server has %v", only.tools)
			}
		})
	}
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`

// post sends a message as a program that knows HTTP only.
func (w *web) post(message string, header ...string) (status int, body, session string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.server.URL, strings.NewReader(message))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(header); i += 2 {
		if req.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header.Get("Mcp-Session-Id")
}

// TestLetIn: without a key that is valid now nobody is let in, nobody goes on with another's session, and no page of
// elsewhere gets in through its user's browser.
func TestLetIn(t *testing.T) {
	w := newWeb(t, "secret")
	alice, bob := w.key("alice", admin.Write, "ns"), w.key("bob", admin.Write, "ns")
	const list = `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`
	status, _, session := w.post(initialize, "Authorization", "Bearer "+alice)
	if status != http.StatusOK || session == "" {
		t.Fatalf("alice begins a session: %d", status)
	}
	for name, c := range map[string]struct {
		want   int
		header []string
	}{ // any order
		"no key":            {401, nil},
		"a wrong key":       {401, []string{"Authorization", "Bearer shk_wrong"}},
		"another's session": {403, []string{"Authorization", "Bearer " + bob, "Mcp-Session-Id", session}},
		"no such session":   {404, []string{"Authorization", "Bearer " + bob, "Mcp-Session-Id", "forged"}},
		"its own":           {200, []string{"Authorization", "Bearer " + alice, "Mcp-Session-Id", session}},
		"a foreign page":    {403, []string{"Authorization", "Bearer " + alice, "Origin", "https://evil.example"}},
		"a foreign site":    {403, []string{"Authorization", "Bearer " + alice, "Sec-Fetch-Site", "cross-site"}},
		"a rebound name":    {403, []string{"Authorization", "Bearer " + alice, "Host", "evil.example"}},
		"a form":            {415, []string{"Authorization", "Bearer " + alice, "Content-Type", "text/plain"}},
	} {
		if status, body, _ := w.post(list, c.header...); status != c.want {
			t.Errorf("%s: %d, want %d: %s", name, status, c.want, body)
		}
	}
	if _, err := w.keys.RevokeKey(t.Context(), "alice", false); err != nil {
		t.Fatal(err)
	}
	if status, body, _ := w.post(list, "Authorization", "Bearer "+alice, "Mcp-Session-Id", session); status != 401 {
		t.Errorf("with a key that was revoked: %d: %s", status, body)
	}
}

// TestSessions: a caller has a bounded number of sessions; ending one makes room.
func TestSessions(t *testing.T) {
	w := newWeb(t, "")
	var session string
	for i := range 100 {
		status, body, s := w.post(initialize)
		if status != http.StatusOK {
			t.Fatalf("session %d: %d: %s", i, status, body)
		}
		session = s
	}
	if status, body, _ := w.post(initialize); status != http.StatusServiceUnavailable || !strings.Contains(body, "100 sessions") {
		t.Errorf("one session too many: %d: %s", status, body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, w.server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Mcp-Session-Id", session)
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatalf("ending a session: %v, %v", resp, err)
	}
	_ = resp.Body.Close()
	if status, body, _ := w.post(initialize); status != http.StatusOK {
		t.Errorf("after one has ended: %d: %s", status, body)
	}
	if status, body, _ := w.post(initialize, "Mcp-Protocol-Version", "2025-11-25", "X", "y"); status != http.StatusServiceUnavailable {
		t.Errorf("and again: %d: %s", status, body)
	}
}

// TestSessionsLeftBehind: a client that was killed a hundred times is let in, and who uses a session keeps it.
func TestSessionsLeftBehind(t *testing.T) {
	w := newWeb(t, "")
	var all []string
	for range 100 {
		_, _, session := w.post(initialize)
		all = append(all, session)
	}
	w.skew.Store(int64(2 * time.Minute))
	const ping = `{"jsonrpc":"2.0","id":7,"method":"ping"}`
	for i, session := range all {
		if i != 1 && i != 2 {
			if status, body, _ := w.post(ping, "Mcp-Session-Id", session); status != http.StatusOK {
				t.Fatalf("%d: %s", status, body)
			}
		}
	}
	if status, body, _ := w.post(initialize); status != http.StatusOK {
		t.Fatalf("a new session: %d: %s", status, body)
	}
	for i, want := range map[int]int{0: http.StatusOK, 1: http.StatusNotFound, 2: http.StatusOK, 99: http.StatusOK} { // each for itself: any order
		if status, body, _ := w.post(ping, "Mcp-Session-Id", all[i]); status != want {
			t.Errorf("session %d: %d, want %d: %s", i, status, want, body)
		}
	}
	if status, _, _ := w.post(initialize); status != http.StatusServiceUnavailable {
		t.Errorf("where all are used: %d", status)
	}
}

// busy counts the calls under way that read a history, and keeps them until there are as many as there may be.
type busy struct {
	*grpc.ClientConn
	mu        sync.Mutex
	now, most int
	full      chan struct{}
}

func (b *busy) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if b.full != nil && strings.HasSuffix(method, "/GetHistory") {
		b.under(1)
		defer b.under(-1)
		select {
		case <-b.full:
		case <-ctx.Done():
		}
	}
	return b.ClientConn.Invoke(ctx, method, args, reply, opts...)
}

func (b *busy) under(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now += n
	if b.most < 16 && b.now == 16 {
		close(b.full)
	}
	b.most = max(b.most, b.now)
}

// TestCallsAtOnce: however many calls come, so many are done at once: each may have megabytes in memory.
func TestCallsAtOnce(t *testing.T) {
	w := newWeb(t, "")
	w.conn.full = make(chan struct{})
	_, _, session := w.post(initialize)
	var calls sync.WaitGroup
	for i := range 100 {
		calls.Go(func() {
			call := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"history","arguments":{"agent":"a","key":"k"}}}`, i+10)
			if status, body, _ := w.post(call, "Mcp-Session-Id", session); status != http.StatusOK {
				t.Errorf("%d: %s", status, body)
			}
		})
	}
	calls.Wait()
	if n := w.conn.most; n != 16 {
		t.Errorf("%d calls were done at once", n)
	}
}

// TestQuery: what a URL asks for and is not known is a mistake, and not nothing.
func TestQuery(t *testing.T) {
	w := newWeb(t, "")
	for query, want := range map[string]int{"?namespace=x": 200, "?namespace=": 400, "?nmespace=x": 400, "?read_only=yes": 400, "?agent=a&agent=b": 400} { // any order
		url := w.server.URL
		w.server.URL += query
		if status, body, _ := w.post(initialize); status != want {
			t.Errorf("%s: %d, want %d: %s", query, status, want, body)
		}
		w.server.URL = url
	}
}

// TestInside: a service in this process is reached as a gRPC server is.
func TestInside(t *testing.T) {
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, health.NewServer())
	conn, stop, err := mcp.Inside(s)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	resp, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || resp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", resp, err)
	}
	watch, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := watch.Recv(); err != nil || resp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", resp, err)
	}
}

// TestClose: a handler that is closed leaves no stream open, so that its server can end.
func TestClose(t *testing.T) {
	for _, version := range []string{stateful, stateless} {
		d := statehousetest.Start(t, statehousetest.Options{})
		conn, err := grpc.NewClient(d.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		handler := mcp.NewHandler(mcp.HandlerOptions{Conn: conn})
		w := &web{t: t, daemon: d, server: httptest.NewServer(handler)}
		r := w.as("", "", version)
		r.subscribe("statehouse://default/a/k")
		handler.Close()
		w.server.Close() // waits for every request
		_ = conn.Close()
	}
}
