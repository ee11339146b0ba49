package web

import (
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
)

// guard lets in who may come in at all, and hands on to next.
func (f *Front) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if host := hostOf(r.Host); !f.knows(host) {
			fail(w, http.StatusMisdirectedRequest, codes.PermissionDenied,
				fmt.Sprintf("this daemon does not answer to the host %q: use localhost, or start it with --http-allowed-hosts %s", clip(host), clip(host)))
			return
		}
		if why := foreign(r); why != "" {
			fail(w, http.StatusForbidden, codes.PermissionDenied, why)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knows reports whether host is a name of this daemon. An address that is not loopback is not
// one either unless it was configured: with TLS it would be in the certificate, and can be named.
func (f *Front) knows(host string) bool {
	if host == "localhost" || slices.Contains(f.config.AllowedHosts, host) {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// hostOf is the name in a Host header or an allowed host, without port, brackets and the last dot.
func hostOf(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// foreign says why a request is refused for where the page is from that makes it; empty: it is of
// this daemon's own, or of no browser. Opening a link to a page of ours is not a request of the
// other page: what it names is shown to the user and not to the page.
func foreign(r *http.Request) string {
	for _, origin := range r.Header.Values("Origin") {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return fmt.Sprintf("the origin %q is not this daemon's: no page of elsewhere may use it", clip(origin))
		}
	}
	opened := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "same-origin", "none":
		return ""
	default:
		if opened {
			return ""
		}
		return fmt.Sprintf("the request is made by a page of elsewhere (Sec-Fetch-Site: %s): no such page may use this daemon", clip(site))
	}
}

// written are the types of bodies that are taken. None is one that a form or a script of another
// page can send without asking first.
var written = []string{
	"application/json", "application/proto", "application/connect+json", "application/connect+proto",
	"application/grpc", "application/grpc+proto", "application/grpc-web", "application/grpc-web+proto",
}

// typeOf is the type of a request's body, or why it is not taken.
func typeOf(r *http.Request) (kind, refusal string) {
	given := r.Header.Values("Content-Type")
	const want = "send Content-Type: application/json"
	if len(given) != 1 {
		return "", "a request has one Content-Type: " + want
	}
	kind, params, err := mime.ParseMediaType(given[0])
	if err != nil || !slices.Contains(written, kind) {
		return "", fmt.Sprintf("the Content-Type %q is not taken: %s", clip(given[0]), want)
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "", fmt.Sprintf("the charset %q is not taken: JSON is UTF-8", clip(charset))
	}
	for _, header := range []string{"Content-Encoding", "Connect-Content-Encoding", "Grpc-Encoding"} {
		if coding := r.Header.Get(header); coding != "" && coding != "identity" {
			return "", fmt.Sprintf("%s: %s is not taken: send it as it is; the daemon has no decompressor, so that no bomb has one", header, clip(coding))
		}
	}
	return kind, ""
}

// clip bounds what of a request is repeated in its answer.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "")
}
