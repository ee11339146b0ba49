package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"google.golang.org/grpc"

	"statehouse.dev/statehouse/client"
)

const (
	maxCallers  = 1000        // of whom a handler remembers the server
	maxSessions = 100         // of a caller
	unused      = time.Minute // after which a session makes room for another
	maxCalls    = 16          // of all callers, at once: each may have a page of large values in memory
	idleSession = time.Hour
	newProtocol = "2026-07-28" // the first version of the protocol without sessions
)

// HandlerOptions say what a Handler reaches. Conn is needed.
type HandlerOptions struct {
	// Conn is a connection to the daemon. Each call carries the token of the caller whose request it is for.
	Conn grpc.ClientConnInterface
	// Guarded says that whoever hands on requests has checked their Host and Origin. Otherwise the handler
	// refuses those of pages of other origins, and those for another name that come over loopback.
	Guarded bool
	// ReadOnly leaves out the tools that write, for all.
	ReadOnly bool
	Version  string
	Log      *slog.Logger // nil: nobody is told
	// Now is the clock by which sessions are unused; time.Now.
	Now func() time.Time
}

// Handler serves the protocol over HTTP: with sessions to clients of a version that has them, without to others.
// A request shows a key as any of the daemon's does, Authorization: Bearer …, and the server that answers it
// reaches what that key may. A session belongs to the key that began it. In the URL a caller may confine itself
// further: ?namespace=agents&agent=planner&read_only=true.
type Handler struct {
	options  HandlerOptions
	sessions http.Handler
	single   http.Handler

	turns chan struct{} // of calls

	mu      sync.Mutex
	callers map[caller]*sdk.Server
	uses    map[string]*use // of sessions, by their ids
}

// caller is who asks, and for what: each has a server.
type caller struct {
	token            string // "": none is shown
	namespace, agent string
	readOnly         bool
}

// NewHandler makes a handler.
func NewHandler(o HandlerOptions) *Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Handler{options: o, turns: make(chan struct{}, maxCalls), callers: make(map[caller]*sdk.Server), uses: make(map[string]*use)}
	// Without a store of events, in which the SDK keeps something of every call until its session ends: a client
	// whose stream breaks asks again.
	serve := func(stateless bool) http.Handler {
		served := sdk.NewStreamableHTTPHandler(h.serverOf, &sdk.StreamableHTTPOptions{
			Stateless: stateless, Logger: o.Log, SessionTimeout: idleSession, DisableLocalhostProtection: o.Guarded, PropagateRequestCancellation: true,
		})
		// It binds a session to its key.
		return auth.RequireBearerToken(h.identify, &auth.RequireBearerTokenOptions{AllowMissingExpiration: true})(served)
	}
	h.sessions, h.single = serve(false), serve(true)
	return h
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.options.Guarded && foreign(r) {
		http.Error(w, "a page of another origin may not use this server", http.StatusForbidden)
		return
	}
	c, err := callerOf(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := h.admit(r.Context(), c); err != nil {
		status := http.StatusServiceUnavailable
		if errors.Is(err, client.ErrUnauthenticated) || errors.Is(err, client.ErrPermissionDenied) {
			status = http.StatusUnauthorized
			w.Header().Set("WWW-Authenticate", `Bearer realm="statehouse"`)
		}
		http.Error(w, err.Error(), status)
		return
	}
	next := h.sessions
	switch {
	case r.Header.Get("Mcp-Protocol-Version") >= newProtocol:
		next = h.single
	case r.Method == http.MethodPost && r.Header.Get("Mcp-Session-Id") == "" && h.full(c):
		http.Error(w, fmt.Sprintf("this key has %d sessions that are in use, and no more are allowed: end some", maxSessions), http.StatusServiceUnavailable)
		return
	}
	if r.Header.Get("Authorization") == "" { // the SDK wants a token also where the daemon lets in anybody
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer none")
	}
	defer h.using(w, r)()
	next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
}

// Close ends all sessions, and their streams with them: for a daemon that stops.
func (h *Handler) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, server := range h.callers { // each for itself: any order
		for s := range server.Sessions() {
			_ = s.Close()
		}
	}
}

type callerKey struct{}

// foreign reports whether a page of another origin makes a request. No browser leaves both headers out of one
// that can do harm.
func foreign(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return true
	}
	origin := r.Header.Get("Origin")
	u, err := url.Parse(origin)
	return origin != "" && (err != nil || !strings.EqualFold(u.Host, r.Host))
}

// tokenOf is the token that a request shows; "": none.
func tokenOf(r *http.Request) string {
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func callerOf(r *http.Request) (caller, error) {
	c := caller{token: tokenOf(r)}
	for name, values := range r.URL.Query() { // each sets another: any order
		switch value := values[0]; {
		case len(values) > 1:
			return c, fmt.Errorf("%s is given twice", name)
		case name == "namespace" && value != "":
			c.namespace = value
		case name == "agent" && value != "":
			c.agent = value
		case name == "read_only" && (value == "true" || value == "false"):
			c.readOnly = value == "true"
		default:
			return c, fmt.Errorf("%s=%s in the URL is not known: there are namespace, agent and read_only=true", name, value)
		}
	}
	return c, nil
}

// clientOf makes the calls of a caller. It has nothing of its own that would have to be closed.
func (h *Handler) clientOf(token, namespace string) (*client.Client, error) {
	return client.New(h.options.Conn, client.Config{Token: token, Namespace: namespace, Unary: true})
}

// admit asks the daemon whether it lets in who asks, at each request: a key may have been revoked.
func (h *Handler) admit(ctx context.Context, who caller) error {
	c, err := h.clientOf(who.token, who.namespace)
	if err != nil {
		return err
	}
	return c.Health(ctx)
}

// identify is for the SDK, which compares who began a session with who goes on with it.
func (h *Handler) identify(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
	c, _ := ctx.Value(callerKey{}).(caller)
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %t", c.token, c.namespace, c.agent, c.readOnly))
	return &auth.TokenInfo{UserID: hex.EncodeToString(sum[:])}, nil
}

// serverOf is the server of whoever asks; nil: there can be none.
func (h *Handler) serverOf(r *http.Request) *sdk.Server {
	who, _ := r.Context().Value(callerKey{}).(caller)
	h.mu.Lock()
	defer h.mu.Unlock()
	if server := h.callers[who]; server != nil {
		return server
	}
	c, err := h.clientOf(who.token, who.namespace)
	if err != nil {
		return nil
	}
	if len(h.callers) >= maxCallers {
		h.forget()
	}
	server := New(Options{
		Client: c, Confined: who.namespace != "", Agent: who.agent, ReadOnly: h.options.ReadOnly || who.readOnly,
		Version: h.options.Version, Log: h.options.Log, turns: h.turns,
	})
	h.callers[who] = server
	return server
}

// forget drops the servers that have no session: they are made again when they are asked for. h is locked.
func (h *Handler) forget() {
	for who, server := range h.callers { // each for itself: any order
		if sessions(server) == 0 {
			delete(h.callers, who)
		}
	}
}

func sessions(server *sdk.Server) (n int) {
	for range server.Sessions() {
		n++
	}
	return n
}
