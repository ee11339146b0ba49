package mcp

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestUsesAreBounded: what is known of sessions is of those that there are, whatever ids requests name, and however
// many are begun and ended.
func TestUsesAreBounded(t *testing.T) {
	now := time.Unix(0, 0)
	h := NewHandler(HandlerOptions{Now: func() time.Time { return now }})
	request := func(method, id, begins string) {
		r, w := httptest.NewRequest(method, "/mcp", nil), httptest.NewRecorder()
		r.Header.Set(sessionHeader, id)
		done := h.using(w, r)
		if begins != "" {
			w.Header().Set(sessionHeader, begins)
		}
		done()
	}
	for i := range 1000 {
		request(http.MethodPost, fmt.Sprint("made-up-", i), "")
	}
	if len(h.uses) != 0 {
		t.Errorf("%d sessions are known, and none was begun", len(h.uses))
	}
	for i := range 1000 {
		request(http.MethodPost, "", fmt.Sprint("one-", i))
		request(http.MethodPost, fmt.Sprint("one-", i), "")
		request(http.MethodDelete, fmt.Sprint("one-", i), "")
	}
	request(http.MethodPost, "", "left-behind")
	if len(h.uses) != 1 {
		t.Errorf("%d sessions are known, and one was not ended", len(h.uses))
	}
	now = now.Add(2 * idleSession)
	request(http.MethodPost, "", "new")
	if len(h.uses) != 1 || h.uses["new"] == nil {
		t.Errorf("later there are %v", h.uses)
	}
}
