package web

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"statehouse.dev/statehouse/server/wiretest"
)

// open opens a stream of events.
func (r *rig) open(path string, header ...string) *http.Response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.addr+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		r.t.Fatalf("%s: %s %v", path, resp.Status, resp.Header)
	}
	return resp
}

var (
	idLine = regexp.MustCompile(`(?m)^id: (.*)$`)
	commit = regexp.MustCompile(`(?m)^id: (\d+)@\w+\nevent: commit\ndata: \{.*"commitTs":"(\d+)"`)
)

// commits are those of a stream, in their order, and the last id.
func commits(text string) (seen []string, last string) {
	for _, m := range commit.FindAllStringSubmatch(text, -1) {
		if m[1] == m[2] {
			seen = append(seen, m[1])
		}
	}
	for _, m := range idLine.FindAllStringSubmatch(text, -1) {
		last = m[1]
	}
	return seen, last
}

// TestWatchResumes: a client that comes back with the id of what it saw last gets every commit
// once, in order, as an EventSource does.
func TestWatchResumes(t *testing.T) {
	r := newRig(t)
	var all []string
	id := ""
	for round := range 5 {
		var header []string
		path := "/v1/watch?agent_id=a&after_ts=0"
		if id != "" {
			header = []string{"Last-Event-ID: " + id}
		}
		for i := range 3 { // some before it comes back
			r.put(fmt.Sprint(round, ".", i), "a", "k", `{"n":1}`)
		}
		resp := r.open(path, header...)
		until(t, resp.Body, fmt.Sprintf(`"txnId":"%d.2"`, round)) // the end of this one is cut off below
		resp.Body.Close()
		resp = r.open(path, header...)
		r.put(fmt.Sprint(round, ".3"), "a", "k", `{"n":2}`)
		text := until(t, resp.Body, fmt.Sprintf(`"txnId":"%d.3"`, round))
		resp.Body.Close()
		seen, last := commits(text)
		all, id = append(all, seen...), last
	}
	if len(all) != 20 {
		t.Errorf("%d commits were seen, of 20: %v", len(all), all)
	}
	for i, ts := range all {
		if ts != fmt.Sprint(i+1) {
			t.Fatalf("in place %d is %s: %v", i, ts, all)
		}
	}
}

// TestWatchAnswersAtOnce: a watch of what nothing happens to has its header, so that a page knows
// that it is connected.
func TestWatchAnswersAtOnce(t *testing.T) {
	r := newRig(t)
	resp := r.open("/v1/watch?agent_id=a")
	defer resp.Body.Close()
	if text := until(t, resp.Body, "retry: "); strings.Contains(text, "commit") {
		t.Errorf("%q", text)
	}
}

// TestWatchEndsWithTheDaemon: a drain says so, and a client can go on elsewhere or later.
func TestWatchEndsWithTheDaemon(t *testing.T) {
	r := newRig(t)
	r.put("1", "a", "k", `{}`)
	resp := r.open("/v1/watch?agent_id=a&after_ts=0")
	defer resp.Body.Close()
	until(t, resp.Body, `"txnId":"1"`)
	r.halt()
	if text := until(t, resp.Body, "event: problem"); !strings.Contains(text, `"code":"unavailable"`) {
		t.Errorf("%q", text)
	}
}

func TestReplay(t *testing.T) {
	r := newRig(t)
	for i := range 4 {
		r.put(fmt.Sprint(i), "a", "k", `{"n":1}`)
	}
	got := r.ask(http.MethodGet, "/v1/replay?agent_id=a&start_ts=2&end_ts=3", "")
	if seen, _ := commits(string(got.body)); fmt.Sprint(seen) != "[2 3]" || !strings.Contains(string(got.body), "event: end\n") {
		t.Errorf("%s", got.body)
	}
	if got = r.ask(http.MethodGet, "/v1/replay?agent_id=a", "", "Last-Event-ID: 3"); !strings.Contains(string(got.body), `"commitTs":"4"`) || strings.Contains(string(got.body), `"commitTs":"3"`) {
		t.Errorf("after 3: %s", got.body)
	}
	_, last := commits(string(got.body))
	if got = r.ask(http.MethodGet, "/v1/replay?agent_id=a", "", "Last-Event-ID: "+last); got.status != http.StatusNoContent {
		t.Errorf("after the last: %d %s", got.status, got.body)
	}
	for path, code := range map[string]string{ // each alone: any order
		"/v1/replay?agent_id=a&all_agents=true":       "INVALID_REQUEST",
		"/v1/replay?agent=a":                          "INVALID_REQUEST",
		"/v1/watch?agent_id=a&epoch=other&after_ts=2": "EPOCH_CHANGED",
	} {
		if got := r.ask(http.MethodGet, path, ""); got.status != http.StatusBadRequest || got.failure(t).Error.Code != code {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := r.ask(http.MethodGet, "/v1/watch?agent_id=a", "", "Last-Event-ID: x"); got.status != http.StatusBadRequest {
		t.Errorf("no id: %d %s", got.status, got.body)
	}
}

// TestGoneWatch: a client that goes away leaves nothing behind.
func TestGoneWatch(t *testing.T) {
	r := newRig(t)
	resp := r.open("/v1/watch?agent_id=a")
	until(t, resp.Body, "retry: ")
	if n, _ := r.service.Watching(0); n != 1 {
		t.Errorf("%d watches", n)
	}
	resp.Body.Close()
	wiretest.Eventually(t, "the watch ends", func() error {
		if n, _ := r.service.Watching(0); n != 0 {
			return fmt.Errorf("%d watches", n)
		}
		return nil
	})
}
