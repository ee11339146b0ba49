package mcp

import (
	"net/http"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// use is how a session is used: a client that went away without ending its session leaves it behind, until
// it has been idle for long, or another needs its place.
type use struct {
	requests int       // under way, a stream of events among them
	last     time.Time // that one began or ended
}

const sessionHeader = "Mcp-Session-Id"

// using notes that a request uses its session, until the returned function is called, or begins one or ends it.
func (h *Handler) using(w http.ResponseWriter, r *http.Request) (done func()) {
	id := r.Header.Get(sessionHeader)
	if id == "" {
		return func() {
			if begun := w.Header().Get(sessionHeader); begun != "" {
				h.begun(begun)
			}
		}
	}
	h.count(id, 1)
	return func() {
		h.count(id, -1)
		if r.Method == http.MethodDelete {
			h.mu.Lock()
			defer h.mu.Unlock()
			delete(h.uses, id)
		}
	}
}

// begun knows a session from now on, and drops what is known of those that are over.
func (h *Handler) begun(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.options.Now()
	for other, past := range h.uses { // each for itself: any order
		if past.requests == 0 && now.Sub(past.last) > idleSession {
			delete(h.uses, other)
		}
	}
	h.uses[id] = &use{last: now}
}

// count adds to the requests of a session. Of an id that no session has nothing is kept: anybody may send any.
func (h *Handler) count(id string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if u := h.uses[id]; u != nil {
		u.requests, u.last = u.requests+n, h.options.Now()
	}
}

// full reports whether a caller has as many sessions as it may, and all of them are used. Otherwise the one that has been
// unused longest makes room.
func (h *Handler) full(who caller) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	server := h.callers[who]
	if server == nil || sessions(server) < maxSessions {
		return false
	}
	var oldest *sdk.ServerSession
	before := h.options.Now().Add(-unused)
	for s := range server.Sessions() {
		u := h.uses[s.ID()]
		if u != nil && u.requests == 0 && u.last.Before(before) {
			oldest, before = s, u.last
		}
	}
	if oldest == nil {
		return true
	}
	delete(h.uses, oldest.ID())
	_ = oldest.Close()
	return false
}
