package ui_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"statehouse.dev/statehouse/server/wiretest"
)

// chromium is a browser without a window, and one page in it, spoken to by the DevTools protocol.
type chromium struct {
	t    *testing.T
	conn *websocket.Conn

	mu      sync.Mutex
	next    int
	answers map[int]chan answer
	said    []string // errors of the page: refused by its policy, thrown, failed requests
}

type answer struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// browsers are the names that it has on the systems that we know.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

func newChromium(t *testing.T) *chromium {
	t.Helper()
	var bin string
	for _, name := range browsers {
		if found, err := exec.LookPath(name); err == nil {
			bin = found
			break
		}
	}
	if bin == "" {
		t.Skipf("the inspector is not tested in a browser: none of %v is installed (apt-get install chromium)", browsers)
	}
	dir := t.TempDir()
	cmd := exec.Command(bin, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--hide-scrollbars", "--remote-debugging-port=0", "--remote-allow-origins=*", "--user-data-dir="+dir, "about:blank")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	c := &chromium{t: t, answers: make(map[int]chan answer)}
	wiretest.Eventually(t, "the browser listens", func() error {
		at, err := os.ReadFile(filepath.Join(dir, "DevToolsActivePort"))
		port, path, whole := strings.Cut(strings.TrimSpace(string(at)), "\n")
		if err != nil || !whole {
			return wiretest.ErrNotYet
		}
		c.conn, err = websocket.Dial("ws://127.0.0.1:"+port+path, "", "http://127.0.0.1")
		return err
	})
	t.Cleanup(func() { _ = c.conn.Close() })
	go c.listen()
	c.attach()
	return c
}

// attach opens the page.
func (c *chromium) attach() {
	var target struct{ TargetID string }
	c.do("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	c.do("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		c.page(domain+".enable", nil, nil)
	}
}

// session is that of the page: there is one browser a test, and tests of this package run one after the other.
var session string

func (c *chromium) listen() {
	for {
		var m struct {
			ID     int
			Method string
			Params struct {
				Entry            struct{ Text, URL string }
				ExceptionDetails struct {
					Text      string
					Exception struct{ Description string }
				}
			}
			answer
		}
		if websocket.JSON.Receive(c.conn, &m) != nil {
			return
		}
		c.mu.Lock()
		switch m.Method {
		case "Log.entryAdded":
			c.said = append(c.said, m.Params.Entry.Text+" "+m.Params.Entry.URL)
		case "Runtime.exceptionThrown":
			c.said = append(c.said, m.Params.ExceptionDetails.Text+" "+m.Params.ExceptionDetails.Exception.Description)
		}
		if waiting := c.answers[m.ID]; waiting != nil {
			delete(c.answers, m.ID)
			waiting <- m.answer
		}
		c.mu.Unlock()
	}
}

// do asks the browser for something that it can do.
func (c *chromium) do(in, method string, params any, result any) {
	c.t.Helper()
	if err := c.try(in, method, params, result); err != nil {
		c.t.Fatal(err)
	}
}

// try asks the browser for something that it may be unable to do.
func (c *chromium) try(in, method string, params any, result any) error {
	c.mu.Lock()
	c.next++
	id, got := c.next, make(chan answer, 1)
	c.answers[id] = got
	c.mu.Unlock()
	if params == nil {
		params = struct{}{}
	}
	request := map[string]any{"id": id, "method": method, "params": params}
	if in != "" {
		request["sessionId"] = in
	}
	if err := websocket.JSON.Send(c.conn, request); err != nil {
		return err
	}
	select {
	case a := <-got:
		if a.Error != nil {
			return fmt.Errorf("%s: %s", method, a.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(a.Result, result)
	case <-time.After(wiretest.Patience):
		return fmt.Errorf("%s is not answered", method)
	}
}

func (c *chromium) page(method string, params any, result any) {
	c.t.Helper()
	c.do(session, method, params, result)
}

// eval evaluates an expression in the page, which can be, and waits if it is a promise.
func (c *chromium) eval(expression string, result any) {
	c.t.Helper()
	if err := c.tryEval(expression, result); err != nil {
		c.t.Fatal(err)
	}
}

// tryEval evaluates an expression in a page that may be about to give way to another, as one that
// reloads itself: then there is an error.
func (c *chromium) tryEval(expression string, result any) error {
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if err := c.try(session, "Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &got); err != nil {
		return err
	}
	if got.ExceptionDetails != nil {
		return fmt.Errorf("%s: %s %s", expression, got.ExceptionDetails.Text, got.ExceptionDetails.Exception.Description)
	}
	if result != nil && len(got.Result.Value) > 0 {
		if err := json.Unmarshal(got.Result.Value, result); err != nil {
			return fmt.Errorf("%s: %w", expression, err)
		}
	}
	return nil
}

// textOf is the expression for what can be read of an element; empty: there is none.
func textOf(selector string) string {
	return fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector)
}

func (c *chromium) text(selector string) (text string) {
	c.t.Helper()
	c.eval(textOf(selector), &text)
	return text
}

// shows waits until an element reads as text.
func (c *chromium) shows(selector, text string) {
	c.t.Helper()
	wiretest.Eventually(c.t, fmt.Sprintf("%s shows %q", selector, text), func() error {
		var got string
		if err := c.tryEval(textOf(selector), &got); err != nil {
			return err
		}
		if !strings.Contains(got, text) {
			return fmt.Errorf("it shows %q", got)
		}
		return nil
	})
}

// open opens an address, and waits until something of it is shown.
func (c *chromium) open(url, selector, text string) {
	c.t.Helper()
	c.page("Page.navigate", map[string]any{"url": url}, nil)
	c.shows(selector, text)
}

func (c *chromium) click(selector string) {
	c.t.Helper()
	c.eval(fmt.Sprintf("document.querySelector(%q).click()", selector), nil)
}

// press presses a key, as a keyboard does.
func (c *chromium) press(key string) {
	c.t.Helper()
	code := map[string]int{"ArrowLeft": 37, "ArrowRight": 39, "Enter": 13, "Tab": 9, " ": 32}[key]
	text := map[string]string{"Enter": "\r", " ": " "}[key]
	c.page("Input.dispatchKeyEvent", map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}, nil)
	c.page("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code}, nil)
}

// look is how the page is looked at.
func (c *chromium) look(width, height int, scheme string) {
	c.t.Helper()
	c.page("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	c.page("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// shoot keeps a picture of the page, where pictures are asked for.
func (c *chromium) shoot(name string) {
	c.t.Helper()
	dir := os.Getenv("STATEHOUSE_SCREENSHOTS")
	if dir == "" {
		return
	}
	var got struct{ Data string }
	c.page("Page.captureScreenshot", map[string]any{"format": "png"}, &got)
	png, err := base64.StdEncoding.DecodeString(got.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), png, 0o644)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// count is how many elements there are.
func (c *chromium) count(selector string) (n int) {
	c.t.Helper()
	c.eval(fmt.Sprintf("document.querySelectorAll(%q).length", selector), &n)
	return n
}

// clean holds that the page has complained of nothing: no script failed, nothing was refused by its
// policy, nothing was not found.
func (c *chromium) clean() {
	c.t.Helper()
	if said := c.complaints(); len(said) > 0 {
		c.t.Errorf("the page complains: %q", said)
	}
}

// complaints are what the page complained of since it was asked before.
func (c *chromium) complaints() (said []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	said, c.said = c.said, nil
	return said
}
