package web

import (
	"compress/gzip"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/ui"
)

// TestPage: the page is served with a policy that lets nothing else run, and is small.
func TestPage(t *testing.T) {
	r := newRig(t)
	got := r.ask(http.MethodGet, "/ui/", "")
	if got.status != http.StatusOK || !strings.Contains(string(got.body), `src="app.js"`) || got.header.Get("Content-Security-Policy") != policy {
		t.Errorf("%d %v", got.status, got.header)
	}
	if root := r.ask(http.MethodGet, "/", ""); string(root.body) != string(got.body) {
		t.Errorf("/ leads to %d %s", root.status, root.body)
	}
	tag := r.ask(http.MethodGet, "/ui/app.js", "").header.Get("ETag")
	if again := r.ask(http.MethodGet, "/ui/app.js", "", "If-None-Match: "+tag); again.status != http.StatusNotModified || tag == "" {
		t.Errorf("asked again: %d", again.status)
	}
	for _, path := range []string{"/ui/none.js", "/ui/../go.mod", "/ui/page/app.js", "/ui/test/package.json"} {
		if got := r.ask(http.MethodGet, path, ""); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	var size counter
	zip := gzip.NewWriter(&size)
	err := fs.WalkDir(ui.Page, "page", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := ui.Page.ReadFile(name)
		if kind := kinds[name[strings.LastIndex(name, "."):]]; kind == "" {
			t.Errorf("%s has no type", name)
		}
		_, _ = zip.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	zip.Close()
	if size > 150<<10 {
		t.Errorf("the page is %d bytes compressed", size)
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

// TestSessions: a cookie stands for a key, for reading only, until it ends.
func TestSessions(t *testing.T) {
	r := newRig(t, func(o *options) { o.server.Token = "sesame" })
	now := time.Now()
	r.front.sessions.now = func() time.Time { return now }
	if got := r.ask(http.MethodPost, "/ui/session", `{"key":"wrong"}`, asJSON); got.status != http.StatusUnauthorized {
		t.Errorf("a wrong key: %d %s", got.status, got.body)
	}
	for _, header := range [][]string{{"Content-Type: text/plain"}, {asJSON, "Origin: https://evil.example"}} {
		if got := r.ask(http.MethodPost, "/ui/session", `{"key":"sesame"}`, header...); got.status < 400 {
			t.Errorf("%v: %d", header, got.status)
		}
	}
	began := r.ask(http.MethodPost, "/ui/session", `{"key":"sesame"}`, asJSON)
	said := began.header.Get("Set-Cookie")
	if began.status != http.StatusNoContent || !strings.Contains(said, "HttpOnly") || !strings.Contains(said, "SameSite=Strict") || strings.Contains(said, "sesame") {
		t.Fatalf("%d %s", began.status, said)
	}
	pair, _, _ := strings.Cut(said, ";")
	cookie := "Cookie: " + pair
	for _, path := range []string{"/v1/keys?agent_id=a", "/v1/status"} {
		if got := r.ask(http.MethodGet, path, "", cookie); got.status != http.StatusOK {
			t.Errorf("%s with a session: %d %s", path, got.status, got.body)
		}
	}
	if got := r.call("BatchGetState", `{"names":[{"agentId":"a","key":"k"}]}`, cookie); got.status != http.StatusOK {
		t.Errorf("a read with a session: %d %s", got.status, got.body)
	}
	for path := range methods() { // each alone: any order
		if !readable[path] {
			if got := r.ask(http.MethodPost, path, "{}", asJSON, cookie); got.status != http.StatusUnauthorized && got.status != http.StatusUnsupportedMediaType && got.status != http.StatusNotImplemented {
				t.Errorf("%s with a session: %d %s", path, got.status, got.body)
			}
		}
	}
	for _, name := range []string{"Write", "Delete", "Commit", "Transact", "Abort", "BeginTransaction", "RenewLeases", "RefreshExpiry", "Session"} {
		if readable[service+name] {
			t.Errorf("a session may call %s", name)
		}
	}
	now = now.Add(sessionTime)
	if got := r.ask(http.MethodGet, "/v1/keys?agent_id=a", "", cookie); got.status != http.StatusUnauthorized {
		t.Errorf("after its time: %d", got.status)
	}
	again, _, _ := strings.Cut(r.ask(http.MethodPost, "/ui/session", `{"key":"sesame"}`, asJSON).header.Get("Set-Cookie"), ";")
	r.service.SetToken("other")
	if got := r.ask(http.MethodGet, "/v1/keys?agent_id=a", "", "Cookie: "+again); got.status != http.StatusUnauthorized {
		t.Errorf("after the key was replaced: %d", got.status)
	}
	r.service.SetToken("sesame")
	r.ask(http.MethodDelete, "/ui/session", "", "Cookie: "+again)
	if got := r.ask(http.MethodGet, "/v1/keys?agent_id=a", "", "Cookie: "+again); got.status != http.StatusUnauthorized {
		t.Errorf("after it was ended: %d", got.status)
	}
	for range 2 * mostSessions {
		r.front.sessions.begin("k")
	}
	if n := len(r.front.sessions.open); n > mostSessions {
		t.Errorf("%d sessions are kept", n)
	}
}
