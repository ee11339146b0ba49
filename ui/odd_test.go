package ui_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"statehouse.dev/statehouse/server"
)

// TestOddNames: whatever an agent and its keys are called, they are shown as they are called, and found again by
// their addresses.
func TestOddNames(t *testing.T) {
	r := newRig(t)
	agent := `<b>"agent"</b> & 100% #?`
	keys := []string{`<img src=x onerror=alert(1)>`, `a//b`, `a/`, `"quoted" 'too' \ back`, `?q=1&at=2#frag`, `%2F`, `__proto__`, `constructor`, `ключ 鍵 🗝`, `..`, ` spaced `}
	var puts []string
	for i, key := range keys {
		puts = append(puts, put(agent, key, fmt.Sprintf(`{"n":%d}`, 700+i)))
	}
	r.commit(`{"<i>who</i>":"<script>alert(1)</script>"}`, puts...)
	c := newChromium(t)
	c.look(1400, 860, "light")
	c.open(r.url+"/ui/", "main", agent)
	c.click("th[scope=row] a")
	c.shows(".tree", keys[0])
	for i, key := range keys {
		c.open(r.url+"/ui/?"+url.Values{"view": {"agent"}, "agent": {agent}, "key": {key}}.Encode(), ".record .value", fmt.Sprint(700+i))
		c.shows(".record h2", strings.TrimSpace(key))
		var address string
		c.eval("new URLSearchParams(location.search).get('key')", &address)
		if address != key {
			t.Errorf("the address of %q names %q", key, address)
		}
	}
	c.shows(".changes", "<script>alert(1)</script>")
	c.click("[data-path='a/']") // a folder, and a key of that name
	c.shows(".tree .folder", "a/")
	if n := c.count("script:not([src]), main img, main b, main i"); n != 0 {
		t.Errorf("%d elements are made of what is stored", n)
	}
	c.clean()
}

// TestInheritedNames: members that every object of JavaScript has are no members of a value.
func TestInheritedNames(t *testing.T) {
	r := newRig(t)
	r.commit(`{}`, put("a", "k", `{"n":1}`))
	r.commit(`{}`, put("a", "k", `{"n":1,"constructor":"Renzo","toString":{"a":1},"__proto__":"own"}`))
	r.commit(`{}`, put("a", "k", `{"n":2}`))
	c := newChromium(t)
	c.look(1400, 860, "light")
	c.open(r.url+"/ui/?view=agent&agent=a&key=k", ".record .value", "2")
	c.shows(".record .versions", "/constructor")
	for _, said := range []string{"Renzo", "/toString", "/__proto__", "own", "v1"} {
		c.shows(".record .versions", said)
	}
	if text := c.text(".record .versions"); strings.Contains(text, "native code") || strings.Contains(text, "was {}") {
		t.Errorf("%s", text)
	}
	c.clean()
}

// TestWhatIsNotThere: bytes, what expires and has expired, what was erased or is no longer kept, and what a fork has
// of another, each say what they are.
func TestWhatIsNotThere(t *testing.T) {
	r := newRig(t)
	r.commit(`{}`, `{"agentId":"a","key":"picture","put":{"valueBytes":"iVBORw==","contentType":"image/png"}}`, put("a", "looks", `{"$bytes":"iVBORw==","$content_type":"image/png"}`))
	r.commit(`{}`, `{"agentId":"a","key":"short","put":{"value":{"n":1},"ttlMs":3600000}}`, put("a", "secret", `{"ssn":"078-05-1120"}`))
	c := newChromium(t)
	c.look(1400, 860, "light")
	address := r.url + "/ui/?view=agent&agent=a&key="
	c.open(address+"picture", ".record .value", "4 bytes, image/png")
	c.shows("[data-path=picture]", "4 bytes, image/png")
	c.shows(".record .versions", "4 bytes, image/png")
	c.open(address+"looks", ".record .value", `"$bytes"`)
	c.open(address+"short", ".record .bar", "expires")
	r.commit(`{}`, `{"agentId":"a","key":"gone","put":{"value":{"n":1},"ttlMs":1}}`)
	c.open(address+"gone", ".record", "It does not exist at this moment") // as soon as it does not
	c.shows(".record .versions", "deleted")
	c.shows(".record .versions", "expired")
	c.open(address+"gone&at=3", ".record .value", "1") // and was there
	c.clean()
}

// TestNoSuchPlace: what is not there, and what may not be read, is said to be so.
func TestNoSuchPlace(t *testing.T) {
	r := newRig(t, func(c *server.Config) { c.Token = "sesame" })
	r.story()
	call := func(method, body string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/statehouse.v1.AdminService/"+method, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer sesame")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b strings.Builder
		if _, err := fmt.Fprint(&b, resp.Status, " "); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		n, _ := resp.Body.Read(buf)
		b.Write(buf[:n])
		return b.String()
	}
	made := call("CreateAccessKey", `{"name":"reader","scopes":[{"permission":"PERMISSION_READ","namespace":"default"}]}`)
	at := strings.Index(made, "shk_")
	if at < 0 {
		t.Fatal(made)
	}
	secret := made[at : at+strings.Index(made[at:], `"`)]
	c := newChromium(t)
	c.look(1400, 860, "light")
	c.open(r.url+"/ui/?view=agent&agent=planner", "main", "This daemon wants a key")
	c.eval(fmt.Sprintf("document.querySelector('#key').value = %q; document.querySelector('form').requestSubmit()", secret), nil)
	c.shows(".moment", "commit 6")
	c.complaints() // of the 401
	c.open(r.url+"/ui/?view=agent&agent=nobody", "main", `There is no agent "nobody"`)
	c.open(r.url+"/ui/?view=agent&agent=planner&key=nothing", ".record", "It does not exist at this moment")
	c.clean()
	c.open(r.url+"/ui/?ns=secret", "main", "PERMISSION_DENIED")
	c.open(r.url+"/ui/?view=agent&ns=secret&agent=planner", "main", "PERMISSION_DENIED")
	c.open(r.url+"/ui/?view=log&ns=secret", "main", "PERMISSION_DENIED")
	c.complaints() // of the 403s
	// The key is revoked while the page is open.
	c.open(r.url+"/ui/?view=agent&agent=planner", ".moment", "commit 6")
	if got := call("RevokeAccessKey", fmt.Sprintf(`{"key":%q}`, strings.Split(secret, "_")[1])); !strings.HasPrefix(got, "200") {
		t.Fatal(got)
	}
	c.click("[data-path=plan]")
	c.shows("main", "This daemon wants a key")
	if strings.Contains(c.text("main"), "Paris") {
		t.Error("what was shown with a key that was revoked is shown still")
	}
}
