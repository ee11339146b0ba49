package web

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"statehouse.dev/statehouse/ui"
)

// policy lets the inspector's page run its own modules, use its own styles and speak to this daemon,
// and nothing else. No script can be made of text.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// kinds are the types of the page's files. The system's table is not asked: it may be anything.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
}

// asset is a file of the page.
type asset struct {
	text      []byte
	kind, tag string
}

// pages serves the inspector's page at /ui/.
func (f *Front) pages() error {
	files := make(map[string]asset)
	err := fs.WalkDir(ui.Page, "page", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := ui.Page.ReadFile(name)
		sum := sha256.Sum256(text)
		files[strings.TrimPrefix(name, "page/")] = asset{text, kinds[path.Ext(name)], `"` + hex.EncodeToString(sum[:12]) + `"`}
		return err
	})
	if err != nil {
		return err
	}
	files[""] = files["index.html"]
	f.mux.HandleFunc("GET /ui/{file...}", func(w http.ResponseWriter, r *http.Request) {
		a, known := files[r.PathValue("file")]
		if !known {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Content-Type", a.kind)
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", a.tag)
		if r.Header.Get("If-None-Match") == a.tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(a.text) // its client may be gone
	})
	f.mux.Handle("GET /{$}", http.RedirectHandler("/ui/", http.StatusSeeOther))
	f.mux.HandleFunc("POST /ui/session", f.signIn)
	f.mux.HandleFunc("DELETE /ui/session", f.signOut)
	return nil
}
