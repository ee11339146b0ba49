package web

import (
	"net/http"
	"strings"
	"testing"
)

// TestNoPageWrites: what a page of elsewhere can have a browser send changes nothing, whichever way
// it tries.
func TestNoPageWrites(t *testing.T) {
	r := newRig(t, func(o *options) { o.web.AllowedHosts = []string{"store.example"} })
	const write = `{"txnId":"w","operations":[{"agentId":"a","key":"k","put":{"value":{"by":"a page"}}}]}`
	path := service + "Transact"
	for name, c := range map[string]struct {
		header []string
		status int
	}{ // each alone: any order
		"DNS rebinding":                     {[]string{"Host: rebound.example", asJSON}, http.StatusMisdirectedRequest},
		"DNS rebinding, with port":          {[]string{"Host: rebound.example:7742", asJSON}, http.StatusMisdirectedRequest},
		"a name that ends like ours":        {[]string{"Host: evil.store.example", asJSON}, http.StatusMisdirectedRequest},
		"a name that begins like ours":      {[]string{"Host: localhost.evil.example", asJSON}, http.StatusMisdirectedRequest},
		"an address that is not loopback":   {[]string{"Host: 192.0.2.7", asJSON}, http.StatusMisdirectedRequest},
		"a form":                            {[]string{"Content-Type: application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType},
		"a form with files":                 {[]string{"Content-Type: multipart/form-data; boundary=x"}, http.StatusUnsupportedMediaType},
		"text":                              {[]string{"Content-Type: text/plain"}, http.StatusUnsupportedMediaType},
		"text that says it is JSON":         {[]string{"Content-Type: text/plain; application/json"}, http.StatusUnsupportedMediaType},
		"no type":                           {nil, http.StatusUnsupportedMediaType},
		"two types":                         {[]string{asJSON, "Content-Type: text/plain"}, http.StatusUnsupportedMediaType},
		"a script of elsewhere":             {[]string{"Origin: https://evil.example", asJSON}, http.StatusForbidden},
		"a script of another port":          {[]string{"Origin: http://127.0.0.1:1", asJSON}, http.StatusForbidden},
		"a sandboxed frame":                 {[]string{"Origin: null", asJSON}, http.StatusForbidden},
		"a page of elsewhere, no Origin":    {[]string{"Sec-Fetch-Site: cross-site", asJSON}, http.StatusForbidden},
		"a page of a sibling":               {[]string{"Sec-Fetch-Site: same-site", asJSON}, http.StatusForbidden},
		"a form that says it is a document": {[]string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", asJSON}, http.StatusForbidden},
		"a compressed body":                 {[]string{"Content-Encoding: gzip", asJSON}, http.StatusUnsupportedMediaType},
	} {
		got := r.ask(http.MethodPost, path, write, c.header...)
		if got.status != c.status {
			t.Errorf("%s: %d %s, not %d", name, got.status, got.body, c.status)
		}
		got.failure(t)
	}
	if got := r.ask(http.MethodGet, path+"?connect=v1&encoding=json&message="+`%7B%22txnId%22%3A%22g%22%7D`, ""); got.status != http.StatusMethodNotAllowed {
		t.Errorf("a write by GET: %d %s", got.status, got.body)
	}
	asked := r.ask(http.MethodOptions, path, "", "Origin: https://evil.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
	if asked.status < 400 {
		t.Errorf("a preflight is answered %d", asked.status)
	}
	for name := range asked.header { // any order: none may be there
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("a preflight is answered with %s", name)
		}
	}
	if n := r.service.Engine().Published(); n != 0 {
		t.Errorf("%d commits were made", n)
	}
}

// TestOwnNames: what is not a page of elsewhere comes in.
func TestOwnNames(t *testing.T) {
	r := newRig(t, func(o *options) { o.web.AllowedHosts = []string{"Store.Example"} })
	for _, header := range [][]string{
		{"Host: localhost"}, {"Host: localhost:7742"}, {"Host: LOCALHOST."}, {"Host: 127.9.8.7"}, {"Host: [::1]:7742"}, {"Host: [::1]"}, {"Host: store.example:443"},
		{"Host: store.example", "Origin: https://store.example"}, {"Origin: http://" + r.addr, "Sec-Fetch-Site: same-origin"}, {"Sec-Fetch-Site: none"},
	} {
		if got := r.call("Health", "{}", header...); got.status != http.StatusOK {
			t.Errorf("%v: %d %s", header, got.status, got.body)
		}
	}
	if got := r.ask(http.MethodPost, service+"Health", "{}", "Content-Type: Application/JSON; charset=UTF-8"); got.status != http.StatusOK {
		t.Errorf("a type in capitals: %d %s", got.status, got.body)
	}
	// A link of another page opens what is to be seen, and its page sees nothing of it.
	link := []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	if got := r.ask(http.MethodGet, "/v1/health", "", link...); got.status != http.StatusOK {
		t.Errorf("a link: %d %s", got.status, got.body)
	}
	link[2] = "Sec-Fetch-Dest: iframe"
	if got := r.ask(http.MethodGet, "/v1/health", "", link...); got.status != http.StatusForbidden {
		t.Errorf("a frame: %d %s", got.status, got.body)
	}
}
