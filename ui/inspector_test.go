package ui_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/web"
	"statehouse.dev/statehouse/server/wiretest"
)

// rig is a daemon in the test's process with an agent's story in it.
type rig struct {
	t       *testing.T
	url     string
	service *server.Service
	token   string
	n       int
	skew    atomic.Int64 // of the store's clock, in nanoseconds
	asked   atomic.Int64 // requests of pages
	told    atomic.Int64 // bytes that answered them
}

// inMemory is where a store is that is not on disk.
const inMemory = "/data"

func newRig(t *testing.T, change ...func(*server.Config)) *rig {
	t.Helper()
	c := server.Config{Version: "test", Engine: engine.Options{Dir: inMemory, Tuning: engine.Tuning{CacheBytes: 64 << 20}}}
	for _, f := range change {
		f(&c)
	}
	r := &rig{t: t, token: c.Token}
	halt, log := func(err error) { t.Errorf("the engine halted: %v", err) }, func(string, ...any) {}
	env := engine.MemoryEnv(halt, log)
	if c.Engine.Dir != inMemory {
		var release func()
		env, release = engine.OSEnv(halt, log)
		t.Cleanup(release)
	}
	env.Now = func() time.Time { return time.Now().Add(time.Duration(r.skew.Load())) }
	s, err := server.Assemble(env, c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front, err := web.New(web.Config{Listeners: []net.Listener{l}, Backend: r.counted(s.Handler())})
	if err != nil {
		t.Fatal(err)
	}
	s.AddFront(front)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, nil) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r.url, r.service = "http://"+l.Addr().String(), s
	return r
}

// counted counts what pages ask of a daemon and are told.
func (r *rig) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.asked.Add(1)
		h.ServeHTTP(&countedAnswer{w, &r.told}, req)
	})
}

type countedAnswer struct {
	http.ResponseWriter
	told *atomic.Int64
}

func (a *countedAnswer) Write(p []byte) (int, error) {
	a.told.Add(int64(len(p)))
	return a.ResponseWriter.Write(p)
}

func (a *countedAnswer) Flush() { a.ResponseWriter.(http.Flusher).Flush() }

// commit commits operations, as JSON, with metadata.
func (r *rig) commit(metadata string, operations ...string) {
	r.t.Helper()
	r.n++
	body := fmt.Sprintf(`{"txnId":"story-%03d","metadata":%s,"operations":[%s]}`, r.n, metadata, strings.Join(operations, ","))
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/statehouse.v1.StatehouseService/Transact", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var why bytes.Buffer
		_, _ = why.ReadFrom(resp.Body)
		r.t.Fatalf("%s: %s", resp.Status, why.String())
	}
}

func put(agent, key, value string) string {
	return fmt.Sprintf(`{"agentId":%q,"key":%q,"put":{"value":%s}}`, agent, key, value)
}

// story is what an agent that researches did, and what others did meanwhile.
func (r *rig) story() {
	r.t.Helper()
	by := func(who, why string) string { return fmt.Sprintf(`{"actor":%q,"reason":%q}`, who, why) }
	r.commit(by("alice", "a new question"), put("planner", "plan", `{"goal":"population of Paris","step":1,"done":false}`), put("planner", "budget", `{"tokens":50000,"spent":0}`))
	r.commit(by("planner", "search"), put("planner", "tool/search/1", `{"query":"population of Paris","result":"2.1 million","sources":["insee.fr","wikipedia.org"]}`),
		put("planner", "plan", `{"goal":"population of Paris","step":2,"done":false}`))
	r.commit(by("critic", "review"), put("critic", "notes/1", `{"about":"planner","text":"which year is that?"}`))
	r.commit(by("planner", "search again"), put("planner", "tool/search/2", `{"query":"population of Paris 2023","result":"2,102,650","year":2023}`),
		put("planner", "plan", `{"goal":"population of Paris","step":3,"done":false}`), put("planner", "budget", `{"tokens":50000,"spent":1840}`))
	r.commit(by("planner", "note"), put("planner", "memory/facts/paris", `{"population":2102650,"year":2023,"exact":9007199254740993}`), put("planner", "scratch", `{"draft":"Paris has…"}`))
	r.commit(by("planner", "answer"), put("planner", "plan", `{"goal":"population of Paris","step":4,"done":true,"answer":"2,102,650 in 2023"}`), `{"agentId":"planner","key":"scratch","delete":true}`)
	r.commit(by("critic", "accept"), put("critic", "notes/2", `{"about":"planner","text":"good"}`))
	for i := range 12 {
		r.commit(by("worker", "tick"), put(fmt.Sprintf("worker-%02d", i), "job", fmt.Sprintf(`{"n":%d}`, i)))
	}
}

func TestInspector(t *testing.T) {
	r := newRig(t)
	r.story()
	c := newChromium(t)
	c.look(1400, 860, "light")
	c.open(r.url+"/ui/", "main", "planner")
	c.shows("header", "commit 19")
	c.shows("main", "worker-11")
	c.shoot("agents.png")

	c.click("a[href*='agent=planner']")
	c.shows(".moment", "commit 6")
	c.shows(".tree", "budget")
	if state := c.text(".tree"); strings.Contains(state, "scratch") {
		t.Errorf("a deleted key is shown: %s", state)
	}
	c.click("[data-path=plan]")
	c.shows(".record", "2,102,650 in 2023")
	c.shows(".record .versions", "/step")
	c.click("[data-path='memory/']")
	c.shows(".tree", "facts")
	c.shoot("agent.png")
	c.clean()
}

// TestTime: the slider and the keyboard go from commit to commit, and the address names the moment.
func TestTime(t *testing.T) {
	r := newRig(t)
	r.story()
	c := newChromium(t)
	c.look(1400, 860, "light")
	c.open(r.url+"/ui/?view=agent&ns=default&agent=planner&key=plan", ".moment", "commit 6")
	c.shows(".record", `"step": 4`)
	c.eval("document.querySelector('#moment').focus()", nil)
	for _, at := range []struct{ commit, step string }{{"commit 5", "3"}, {"commit 4", "3"}, {"commit 2", "2"}, {"commit 1", "1"}} {
		c.press("ArrowLeft")
		c.shows(".moment", at.commit)
		c.shows(".record .value", `"step": `+at.step)
	}
	c.shows(".tree", "budget")
	if state := c.text(".tree"); strings.Contains(state, "tool/") {
		t.Errorf("what came later is there after the first commit: %s", state)
	}
	c.press("ArrowRight")
	c.shows(".moment", "commit 2")
	c.shows(".changes .current", "tool/search/1")
	var address string
	c.eval("location.search", &address)
	if !strings.Contains(address, "at=2") || !strings.Contains(address, "key=plan") {
		t.Errorf("the address is %s", address)
	}
	// Moved by the mouse, also to a commit of another agent: the state is that of the one before.
	c.eval("{ const s = document.querySelector('#moment'); s.value = 3; s.dispatchEvent(new Event('input')); }", nil)
	c.eval("new Promise(requestAnimationFrame)", nil)
	c.shows(".moment", "commit 2")
	// Who comes by a link sees the moment that it names.
	c.open(r.url+"/ui/?view=agent&ns=default&agent=planner&key=plan&at=4", ".moment", "commit 4")
	c.shows(".record .value", `"step": 3`)
	c.shows("[data-path=plan].changed", "plan")
	// And a time is a moment.
	c.eval("document.querySelector('.go input').value = '2100-01-01T00:00'; document.querySelector('.go').requestSubmit()", nil)
	c.shows(".moment", "commit 6")
	// What comes while it is looked at is shown, too; who looks at an earlier moment stays there.
	r.commit(`{}`, put("planner", "plan", `{"goal":"London","step":1}`))
	c.shows(".moment", "commit 20")
	c.shows(".record .value", "London")
	c.click("button[title='The commit before']")
	c.shows(".moment", "commit 6")
	r.commit(`{}`, put("planner", "plan", `{"goal":"London","step":2}`))
	var last string
	wiretest.Eventually(t, "the slider goes on", func() error {
		if c.eval("document.querySelector('#moment').max", &last); last != "21" {
			return fmt.Errorf("to %s", last)
		}
		return nil
	})
	c.shows(".moment", "commit 6")
	c.open(r.url+"/ui/?view=agent&ns=default&agent=nobody", "main", "There is no agent")
	c.clean()
}

// TestExactValues: a number past what a double holds is shown as it was written.
func TestExactValues(t *testing.T) {
	r := newRig(t)
	r.commit(`{}`, `{"agentId":"a","key":"n","put":{"valueJson":"eyJuIjo5MDA3MTk5MjU0NzQwOTkzLCJmIjoxLjB9"}}`) // {"n":9007199254740993,"f":1.0}
	r.commit(`{}`, `{"agentId":"a","key":"x","put":{"value":{"html":"<img src=x onerror=\"document.title='owned'\"><b>bold</b>"}}}`)
	c := newChromium(t)
	c.look(1400, 860, "light")
	c.open(r.url+"/ui/?view=agent&agent=a&key=n", ".record .value", "9007199254740993")
	c.open(r.url+"/ui/?view=agent&agent=a&key=x", ".record .value", "<img src=x")
	var images int
	c.eval("document.querySelectorAll('main img, main b').length", &images)
	if images != 0 {
		t.Error("what is stored is made HTML")
	}
	c.clean()
}

// TestLog: newest first, filtered, and live.
func TestLog(t *testing.T) {
	r := newRig(t)
	r.story()
	c := newChromium(t)
	c.look(1400, 860, "light")
	c.open(r.url+"/ui/?view=log&ns=default", ".commits > li:first-child", "commit 19")
	c.shows(".commits > li:last-child", "commit 1")
	c.shoot("log.png")
	c.open(r.url+"/ui/?view=log&ns=default&agent=critic", ".commits > li:first-child", "commit 7")
	c.shows(".commits > li:last-child", "commit 3")
	c.open(r.url+"/ui/?view=log&ns=default&prefix=tool/", ".commits > li:last-child", "tool/search/1")
	c.open(r.url+"/ui/?view=log&ns=default&text=REVIEW", ".commits", "commit 3")
	if n := c.count(".commits > li"); n != 1 {
		t.Errorf("%d commits contain the word", n)
	}
	c.open(r.url+"/ui/?view=log&ns=default&text=no-such-word", ".commits", "No commit is like that.")
	c.open(r.url+"/ui/?view=log&ns=default", ".commits > li:first-child", "commit 19")
	c.click("input[role=switch]")
	c.shows(".filters", "connected")
	r.commit(`{"actor":"alice"}`, put("planner", "plan", `{"goal":"London"}`))
	c.shows(".commits > li:first-child", "commit 20")
	if n := c.count(".commits > li"); n != 20 {
		t.Errorf("%d commits are listed, of 20", n)
	}
	c.clean()
}

// TestLogInStretches: nothing is lost where one stretch that is read of the log ends and the next begins.
func TestLogInStretches(t *testing.T) {
	r := newRig(t)
	for i := range 55 {
		agent := "early"
		if i >= 40 {
			agent = "late"
		}
		r.commit(`{}`, put(agent, "k", fmt.Sprintf(`{"n":%d}`, i)))
	}
	c := newChromium(t)
	c.look(1400, 860, "light")
	c.open(r.url+"/ui/?view=log&ns=default&agent=early", "[data-ts='1']", "commit 1")
	var listed string
	c.eval("[...document.querySelectorAll('.commits > li')].map((li) => li.dataset.ts).join()", &listed)
	for want := range 40 {
		if !strings.Contains(","+listed+",", fmt.Sprintf(",%d,", want+1)) {
			t.Errorf("commit %d is not listed: %s", want+1, listed)
		}
	}
	c.clean()
}

// TestCompare: two moments of an agent, and two agents.
func TestCompare(t *testing.T) {
	r := newRig(t)
	r.story()
	r.commit(`{}`, put("other", "plan", `{"goal":"population of Paris","step":9}`))
	c := newChromium(t)
	c.look(1400, 860, "light")
	c.open(r.url+"/ui/?view=compare&ns=default&agent=planner&from=2&to=5", ".commits", "/step")
	for _, want := range []string{"budget", "v1 → v2", "scratch", "only after", "tool/search/2"} {
		c.shows(".commits", want)
	}
	c.shoot("compare.png")
	c.open(r.url+"/ui/?view=compare&ns=default&agent=planner&toagent=other", ".commits", "only before")
	c.shows(".commits", "/step")
	c.open(r.url+"/ui/?view=compare&ns=default&agent=planner&from=6&to=6", ".commits", "Nothing differs.")
	c.clean()
}

func TestTransactionsAndLeases(t *testing.T) {
	r := newRig(t)
	r.story()
	r.commit(`{}`, `{"agentId":"planner","key":"turn","acquire":{"holder":"worker-7","ttlMs":60000}}`)
	c := newChromium(t)
	c.look(1400, 860, "light")
	c.open(r.url+"/ui/?view=txn&ns=default&txn=story-004", "main", "commit 4")
	for _, want := range []string{"search again", "tool/search/2", "planner"} {
		c.shows("main", want)
	}
	c.shoot("transaction.png")
	c.open(r.url+"/ui/?view=txn&ns=default&txn=none", "main", "No transaction of this id has committed.")
	c.open(r.url+"/ui/?view=leases&ns=default", "main", "worker-7")
	c.clean()
}

// conflict has a write refused, of a key that exists.
func (r *rig) conflict(agent, key string) {
	r.t.Helper()
	body := fmt.Sprintf(`{"txnId":"refused-%d","operations":[{"agentId":%q,"key":%q,"expectedVersion":99,"put":{"value":{"secret":true}}}]}`, time.Now().UnixNano(), agent, key)
	resp, err := http.Post(r.url+"/statehouse.v1.StatehouseService/Transact", "application/json", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		r.t.Fatal("it was let in")
	}
}

// TestActivity: a conflict stands there with what was in the way, and is counted on while it is shown; so is who
// watches.
func TestActivity(t *testing.T) {
	r := newRig(t)
	r.story()
	c := newChromium(t)
	c.look(1400, 860, "light")
	c.open(r.url+"/ui/?view=activity", "main", "Nothing since")
	c.shows("main", "Nobody.")
	r.conflict("planner", "plan")
	r.conflict("planner", "plan")
	c.shows("main", "PRECONDITION_FAILED")
	c.shows("main", "planner plan")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/v1/watch?agent_id=critic&key_prefix=notes", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	c.shows("main", "critic notes…")
	c.shoot("activity.png")
	if got := c.text("main"); !strings.Contains(got, "Transact") || strings.Contains(got, "secret") {
		t.Errorf("%s", got)
	}
	stop()
	c.shows("main", "Nobody.")
	c.click("section td a")
	c.shows(".record .value", "2,102,650 in 2023") // the key that was in the way
	c.open(r.url+"/ui/?view=activity&of=ns&ns=other", "main", "Nothing since")
}

// TestSignIn: where keys are, the page asks for one, does not keep it, and can read with its session
// and not write.
func TestSignIn(t *testing.T) {
	r := newRig(t, func(c *server.Config) { c.Token = "sesame" })
	r.story()
	c := newChromium(t)
	c.look(1400, 860, "light")
	c.open(r.url+"/ui/?view=agent&agent=planner&at=4", "main", "This daemon wants a key")
	c.shoot("sign-in.png")
	c.complaints() // of the 401
	signIn := func(key string) {
		c.eval(fmt.Sprintf("document.querySelector('#key').value = %q; document.querySelector('form').requestSubmit()", key), nil)
	}
	signIn("wrong")
	c.shows("[role=alert]", "not the one of this daemon")
	c.complaints()
	signIn("sesame")
	c.shows(".moment", "commit 4")
	c.shows("header", "token")
	var kept string
	c.eval("document.cookie + location.href + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)", &kept)
	if strings.Contains(kept, "sesame") || strings.Contains(kept, "statehouse_session") {
		t.Errorf("a script can read %s", kept)
	}
	var status int
	write := `fetch("/statehouse.v1.StatehouseService/Transact", {method: "POST", headers: {"Content-Type": "application/json"}, body: '{"txnId":"w","operations":[{"agentId":"a","key":"k","put":{"value":{}}}]}'}).then((r) => r.status)`
	if c.eval(write, &status); status != http.StatusUnauthorized {
		t.Errorf("the page writes: %d", status)
	}
	c.complaints()
	c.open(r.url+"/ui/", "main", "worker-11") // the session goes on
	c.open(r.url+"/ui/?view=activity", "main", "UNAUTHENTICATED")
	c.shows("main", "GetStatus") // of the page itself, before it was let in
	c.shoot("activity-denied.png")
	c.shows("header button", "Sign out")
	c.click("header button")
	c.shows("main", "This daemon wants a key")
}

// TestNoBarriers: every screen, light and dark, wide and narrow, as axe sees it.
func TestNoBarriers(t *testing.T) {
	axe, err := os.ReadFile("test/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skip("no screen is looked at for barriers: axe-core is not installed (npm ci --prefix ui/test)")
	}
	r := newRig(t)
	r.story()
	r.commit(`{}`, `{"agentId":"planner","key":"turn","acquire":{"holder":"worker-7","ttlMs":60000}}`)
	r.conflict("planner", "plan")
	c := newChromium(t)
	c.page("Page.setBypassCSP", map[string]any{"enabled": true}, nil) // axe makes scripts of text
	for _, at := range []struct {
		look          string
		width, height int
	}{{"light", 1400, 860}, {"dark", 1400, 860}, {"light", 390, 780}} {
		c.look(at.width, at.height, at.look)
		for _, screen := range []struct{ query, selector, text string }{
			{"", "main", "planner"},
			{"?view=agent&agent=planner&key=plan&at=4", ".record .value", "step"},
			{"?view=log", ".commits", "commit 7"},
			{"?view=compare&agent=planner&from=2&to=5", ".commits", "/step"},
			{"?view=leases", "main", "worker-7"},
			{"?view=daemon", "main", "Last commit"},
			{"?view=activity", "main", "PRECONDITION_FAILED"},
			{"?view=txn&txn=story-004", "main", "search again"},
		} {
			c.open(r.url+"/ui/"+screen.query, screen.selector, screen.text)
			c.barriers(string(axe), fmt.Sprintf("%s %d wide, %s", at.look, at.width, screen.query))
			var wide bool
			c.eval(fmt.Sprintf("document.documentElement.scrollWidth > %d", at.width), &wide) // innerWidth grows with what is too wide
			if wide {
				t.Errorf("%s %d wide, %s: the page scrolls sideways", at.look, at.width, screen.query)
			}
			if strings.Contains(screen.query, "view=agent") {
				c.shoot(fmt.Sprintf("agent-%s-%d.png", at.look, at.width))
			}
		}
	}
	closed := newRig(t, func(c *server.Config) { c.Token = "sesame" })
	c.open(closed.url+"/ui/", "main", "This daemon wants a key")
	c.barriers(string(axe), "sign in")
}

// barriers reports what axe finds on the screen that is shown.
func (c *chromium) barriers(axe, screen string) {
	c.t.Helper()
	c.eval(axe, nil)
	var found []struct {
		ID, Help string
		Nodes    []struct{ HTML, FailureSummary string }
	}
	c.eval(`axe.run().then((r) => r.violations.map(({id, help, nodes}) => ({id, help, nodes: nodes.slice(0, 3).map(({html, failureSummary}) => ({html, failureSummary}))})))`, &found)
	for _, v := range found {
		c.t.Errorf("%s: %s: %s %+v", screen, v.ID, v.Help, v.Nodes)
	}
}
