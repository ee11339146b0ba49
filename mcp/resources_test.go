package mcp_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/statehousetest"
	"statehouse.dev/statehouse/mcp"
)

func (r *rig) read(uri string) (*sdk.ResourceContents, error) {
	result, err := r.session.ReadResource(r.t.Context(), &sdk.ReadResourceParams{URI: uri})
	if err != nil {
		return nil, err
	}
	return result.Contents[0], nil
}

// TestResources: every record is a resource, whatever is in its names, and can be read now and as of the past.
func TestResources(t *testing.T) {
	r := newRig(t, mcp.Options{})
	names := map[string]string{ // URI by key; any order
		"plan":            "statehouse://default/an%20Agent%2F1/plan",
		"a/b c?d#e%2F":    "statehouse://default/an%20Agent%2F1/a%2Fb%20c%3Fd%23e%252F",
		"ключ+{x}":        "statehouse://default/an%20Agent%2F1/%D0%BA%D0%BB%D1%8E%D1%87%2B%7Bx%7D",
		"with~-._ allows": "statehouse://default/an%20Agent%2F1/with~-._%20allows",
	}
	for key := range names {
		r.put("an Agent/1", key, `{"n":1.50}`)
	}
	var listed []string
	for res, err := range r.session.Resources(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, res.URI)
	}
	for key, uri := range names {
		if !slices.Contains(listed, uri) {
			t.Errorf("%q is not in the list as %s: %v", key, uri, listed)
		}
		got, err := r.read(uri)
		if err != nil || got.Text != `{"n":1.50}` || got.MIMEType != "application/json" || got.Meta["statehouse/version"] != 1.0 {
			t.Errorf("%s: %+v, %v", uri, got, err)
		}
	}
	before := r.ok("get", `{"agent":"an Agent/1","key":"plan"}`).ReadTS
	r.put("an Agent/1", "plan", `{"n":2}`)
	if got, err := r.read(fmt.Sprintf("%s?as_of=%d", names["plan"], before)); err != nil || got.Text != `{"n":1.50}` {
		t.Errorf("as of before: %+v, %v", got, err)
	}
	for _, uri := range []string{
		"statehouse://default/a/none", "statehouse://default/a", "statehouse://default/a/b/c", "statehouse://default/a/%zz", "other://default/a/b",
		names["plan"] + "?as_of=soon", names["plan"] + "?version=1", names["plan"] + "?as_of=1&as_of=2", "statehouse://default//plan",
	} {
		if got, err := r.read(uri); err == nil {
			t.Errorf("%s is %+v", uri, got)
		}
	}
	if _, err := r.c.Transact(t.Context(), client.Batch{Writes: []client.Write{client.PutBytes("a", "k", "image/png", []byte("png"))}}); err != nil {
		t.Fatal(err)
	}
	if got, err := r.read("statehouse://default/a/k"); err != nil || string(got.Blob) != "png" || got.MIMEType != "image/png" || got.Text != "" {
		t.Errorf("bytes: %+v, %v", got, err)
	}
}

// TestResourceList: a list comes in pages of one moment; of a server that is confined it is what that reaches.
func TestResourceList(t *testing.T) {
	r := newRig(t, mcp.Options{Agent: "a"}, stateful)
	var b client.Batch
	for i := range 250 {
		b.Writes = append(b.Writes, client.Put("a", fmt.Sprintf("k%03d", i), []byte(`{}`)))
	}
	if _, err := r.c.Transact(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	r.put("b", "k", `{}`)
	var all []string
	params := &sdk.ListResourcesParams{}
	for pages := 1; ; pages++ {
		list, err := r.session.ListResources(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		r.put("a", fmt.Sprintf("k%03d-later", pages), `{}`)
		for _, res := range list.Resources {
			all = append(all, res.Name)
		}
		if params.Cursor = list.NextCursor; params.Cursor == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if len(all) != 250 || all[0] != "a/k000" || all[249] != "a/k249" {
		t.Errorf("%d resources: %v", len(all), all)
	}
	if _, err := r.session.ListResources(t.Context(), &sdk.ListResourcesParams{Cursor: "forged"}); err == nil {
		t.Error("a forged cursor is taken")
	}
	for _, uri := range []string{"statehouse://default/b/k", "statehouse://other/a/k000"} {
		if got, err := r.read(uri); err == nil {
			t.Errorf("%s is outside, and reads as %+v", uri, got)
		}
		if err := r.session.Subscribe(t.Context(), &sdk.SubscribeParams{URI: uri}); err == nil {
			t.Errorf("%s is outside, and can be subscribed to", uri)
		}
	}
}

// The protocol with sessions, and the one without.
const (
	stateful  = "2025-11-25"
	stateless = "2026-07-28"
)

// subscribe returns when the subscription has begun.
func (r *rig) subscribe(uri string) {
	r.t.Helper()
	if err := r.session.Subscribe(r.t.Context(), &sdk.SubscribeParams{URI: uri}); err != nil {
		r.t.Fatal(err)
	}
	if r.version != stateful {
		<-r.acked
	}
}

// told waits until the client is told of a resource, which must be the one given.
func (r *rig) told(want string) {
	r.t.Helper()
	if got := <-r.updated; got != want {
		r.t.Errorf("told of %s, want %s", got, want)
	}
}

// TestSubscriptions: a subscriber is told of each commit that changes the record, after a restart of the daemon
// too, and of no other; after it has unsubscribed of none.
func TestSubscriptions(t *testing.T) {
	for _, version := range []string{stateful, stateless} {
		t.Run(version, func(t *testing.T) {
			r := newRig(t, mcp.Options{}, version)
			uri, last := "statehouse://default/a/k", "statehouse://default/a/last"
			r.put("a", "k", `{"n":0}`)
			r.subscribe(uri)
			r.subscribe(last)
			r.put("a", "last", `{}`)
			r.told(last)   // and of nothing that was before
			for range 10 { // one of them would be told before what comes next
				r.put("a", "k2", `{}`) // has the key as its prefix
				r.put("b", "k", `{}`)
			}
			r.put("a", "k", `{"n":1}`)
			r.told(uri)
			r.daemon.Restart(t)
			r.put("a", "k", `{"n":2}`)
			r.told(uri)
			if err := r.session.Unsubscribe(t.Context(), &sdk.UnsubscribeParams{URI: uri}); err != nil {
				t.Fatal(err)
			}
			if version == stateless {
				return // which does not say when that has been done
			}
			r.put("a", "k", `{"n":3}`)
			r.put("a", "last", `{}`)
			r.told(last)
		})
	}
}

// TestWatches: however many subscribe to a resource, there is one watch, and it ends with the last of them, who need
// not say goodbye.
func TestWatches(t *testing.T) {
	for _, version := range []string{stateful, stateless} {
		t.Run(version, func(t *testing.T) {
			clock := statehousetest.NewClock(time.Time{})
			r := &rig{t: t, daemon: statehousetest.Start(t, statehousetest.Options{Clock: clock}), watching: make(chan context.Context, 200), version: version}
			var err error
			if r.c, err = r.daemon.Dial(client.Config{Trace: r.traced}); err != nil {
				t.Fatal(err)
			}
			defer r.c.Close()
			server := mcp.New(mcp.Options{Client: r.c})
			r.connect(server)
			first := r.session
			r.subscribe("statehouse://default/a/k")
			watch := <-r.watching
			r.connect(server)
			r.subscribe("statehouse://default/a/k")
			if len(r.watching) > 0 {
				t.Error("the second subscriber has a watch of its own")
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			r.put("a", "k", `{}`)
			r.told("statehouse://default/a/k")
			if watch.Err() != nil {
				t.Error("the watch has ended, and one is left that subscribes")
			}
			if err := r.session.Close(); err != nil {
				t.Fatal(err)
			}
			<-watch.Done()
		})
	}
}

// TestSubscriptionsRefused: there is none to the past, and a session has a hundred.
func TestSubscriptionsRefused(t *testing.T) {
	r := newRig(t, mcp.Options{}, stateful)
	err := r.session.Subscribe(t.Context(), &sdk.SubscribeParams{URI: "statehouse://default/a/k?as_of=0"})
	if err == nil || !strings.Contains(err.Error(), "does not change") {
		t.Errorf("a subscription to the past: %v", err)
	}
	for i := range 100 {
		r.subscribe(fmt.Sprintf("statehouse://default/a/many%d", i))
	}
	err = r.session.Subscribe(t.Context(), &sdk.SubscribeParams{URI: "statehouse://default/a/k"})
	if err == nil || !strings.Contains(err.Error(), "unsubscribe") {
		t.Errorf("one subscription too many: %v", err)
	}
}

// TestCached: nobody may keep for others what those may not read.
func TestCached(t *testing.T) {
	r := newRig(t, mcp.Options{}, stateless)
	r.put("a", "k", `{}`)
	list, err := r.session.ListResources(t.Context(), nil)
	if err != nil || list.CacheScope != "private" || list.TTLMs != 0 || len(list.Resources) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	got, err := r.session.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: "statehouse://default/a/k"})
	if err != nil || got.CacheScope != "private" || got.TTLMs != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestCompletion: names are offered for the variables of the templates.
func TestCompletion(t *testing.T) {
	r := newRig(t, mcp.Options{})
	r.put("ada", "plan", `{}`)
	r.put("ada", "place", `{}`)
	r.put("bob", "k", `{}`)
	for _, c := range []struct {
		name, begins string
		given        map[string]string
		want         []string
	}{
		{"namespace", "de", nil, []string{"default"}},
		{"agent", "a", nil, []string{"ada"}},
		{"key", "pl", map[string]string{"agent": "ada"}, []string{"place", "plan"}},
		{"key", "x", map[string]string{"agent": "ada"}, []string{}},
		{"key", "pl", nil, []string{}},
		{"as_of", "", nil, []string{}},
	} {
		result, err := r.session.Complete(t.Context(), &sdk.CompleteParams{
			Ref:      &sdk.CompleteReference{Type: "ref/resource", URI: "statehouse://{namespace}/{agent}/{key}"},
			Argument: sdk.CompleteParamsArgument{Name: c.name, Value: c.begins}, Context: &sdk.CompleteContext{Arguments: c.given},
		})
		if err != nil || !slices.Equal(result.Completion.Values, c.want) {
			t.Errorf("%s %q: %+v, %v, want %v", c.name, c.begins, result, err, c.want)
		}
	}
}

// TestOffered: what is not among the capabilities is refused, and not answered with an empty list.
func TestOffered(t *testing.T) {
	for _, version := range []string{stateful, stateless} {
		r := newRig(t, mcp.Options{}, version)
		if list, err := r.session.ListPrompts(t.Context(), nil); err == nil {
			t.Errorf("%s: prompts are %+v", version, list)
		}
	}
	w := newWeb(t, "")
	_, _, session := w.post(initialize)
	w.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, "Mcp-Session-Id", session)
	_, body, _ := w.post(`{"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"debug"}}`, "Mcp-Session-Id", session)
	if !strings.Contains(body, "-32601") {
		t.Errorf("a level of logging is answered with %s", body)
	}
}
