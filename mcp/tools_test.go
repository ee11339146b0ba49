package mcp_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/mcp"
)

// TestTools: which tools there are and what they say of themselves, by what the server may do.
func TestTools(t *testing.T) {
	all := []string{"agents", "commit", "diff", "fork", "get", "history", "list", "restore", "search"}
	for name, c := range map[string]struct {
		options mcp.Options
		tools   []string
		lacks   []string // arguments that no tool has
	}{ // each on its own: any order
		"everything": {mcp.Options{}, all, nil},
		"read-only":  {mcp.Options{ReadOnly: true}, []string{"agents", "diff", "get", "history", "list", "search"}, nil},
		"namespace":  {mcp.Options{Confined: true}, all, []string{"namespace"}},
		"agent":      {mcp.Options{Agent: "a"}, []string{"commit", "diff", "get", "history", "list", "restore", "search"}, []string{"namespace", "agent", "to_agent"}},
	} {
		r := newRig(t, c.options)
		if got := slices.Sorted(maps.Keys(r.tools)); !slices.Equal(got, c.tools) {
			t.Errorf("%s: the tools are %v, want %v", name, got, c.tools)
		}
		for _, tool := range r.tools {
			schema, err := json.Marshal(tool.InputSchema)
			if err != nil {
				t.Fatal(err)
			}
			for _, argument := range c.lacks {
				if strings.Contains(string(schema), `"`+argument+`"`) {
					t.Errorf("%s: %s has %s: %s", name, tool.Name, argument, schema)
				}
			}
			writes := slices.Contains([]string{"commit", "fork", "restore"}, tool.Name)
			a := tool.Annotations
			if a.ReadOnlyHint == writes || *a.DestructiveHint != (tool.Name == "restore") || a.IdempotentHint != (!writes || tool.Name == "restore") || *a.OpenWorldHint {
				t.Errorf("%s says of itself %+v", tool.Name, a)
			}
			if tool.Description == "" || tool.Title == "" || tool.OutputSchema == nil {
				t.Errorf("%s has no description, title or schema of its answer", tool.Name)
			}
		}
	}
}

// TestCommit: all kinds of changes in one commit, which says who made it and why; the next one goes by its versions.
func TestCommit(t *testing.T) {
	r := newRig(t, mcp.Options{})
	r.put("a", "old", `{"x":1}`)
	r.put("a", "count", `{"n":9007199254740993}`)
	commit := r.ok("commit", `{"agent":"a","reason":"a beginning",
		"puts":[{"key":"plan","value":{"n":12345678901234567890,"t":"<&>"},"if_version":0},{"agent":"b","key":"k","value":{},"ttl_seconds":60}],
		"deletes":[{"key":"old","if_version":1}],
		"increments":[{"key":"count","pointer":"/n","by":1}],
		"merges":[{"key":"old2","patch":{"m":1.50}}],
		"appends":[{"prefix":"log/","value":{"said":"hi"}}],
		"conditions":[{"key":"nothing","version":0},{"agent":"c","head":0}]}`)
	var versions []string
	for _, v := range commit.Records {
		versions = append(versions, fmt.Sprintf("%s %s %d %s", v.Agent, v.Key, v.Version, v.Value))
	}
	want := []string{`a plan 1 `, `b k 1 `, `a old 2 `, `a count 2 {"n":9007199254740994}`, `a old2 1 {"m":1.50}`, `a log/0000000000000001 1 `}
	for i, w := range want {
		if i >= len(versions) || !strings.HasPrefix(versions[i], w) {
			t.Errorf("commit %s\nhas %q, want %q", commit.text, versions, want)
			break
		}
	}
	if got := r.ok("get", `{"agent":"a","key":"plan"}`); !got.Exists || got.Version != 1 || string(got.Value) != `{"n":12345678901234567890,"t":"<&>"}` || got.CommitTS != commit.CommitTS {
		t.Errorf("the plan is %s", got.text)
	}
	h := r.ok("history", `{"agent":"a","key":"old"}`)
	if len(h.Versions) != 2 || !h.Versions[0].Deleted || h.Versions[0].Metadata["reason"] != "a beginning" || h.Versions[0].Metadata["mcp_client"] != "peer 7" {
		t.Errorf("the history is %s", h.text)
	}
	r.clock.Advance(time.Minute)
	if got := r.ok("get", `{"agent":"b","key":"k"}`); got.Exists {
		t.Errorf("a minute later: %s", got.text)
	}
}

// TestRefused: a commit that does not hold says what is there now and what to do, and nothing of it is applied.
func TestRefused(t *testing.T) {
	r := newRig(t, mcp.Options{})
	r.ok("commit", `{"agent":"a","puts":[{"key":"k","value":{"by":"somebody"}}],"reason":"first"}`)
	r.no("commit", `{"agent":"a","puts":[{"key":"other","value":{}},{"key":"k","value":{"by":"me"},"if_version":0}],"reason":"second"}`,
		"PRECONDITION_FAILED", "Nothing was committed", `"version":1`, `"value":{"by":"somebody"}`, `"reason":"first"`, "commit with the version")
	if got := r.ok("get", `{"agent":"a","key":"other"}`); got.Exists {
		t.Error("a part of a refused commit is there")
	}
	r.no("commit", `{"agent":"a","increments":[{"key":"k","pointer":"/by","by":1}],"reason":"x"}`, "EVALUATION_FAILED", "somebody")
	r.no("commit", `{"agent":"a","increments":[{"key":"n","pointer":"/n","by":5,"max":4}],"reason":"x"}`, "EVALUATION_FAILED", "never written")
	r.no("commit", `{"agent":"a","deletes":[{"key":"n","if_version":3}],"reason":"x"}`, "PRECONDITION_FAILED", "never written")
	r.no("commit", `{"agent":"a","puts":[{"key":"o","value":{}}],"conditions":[{"key":"k","version":7}],"reason":"x"}`, "PRECONDITION_FAILED", `"version":1`)
	r.no("commit", `{"agent":"a","puts":[{"key":"o","value":{}}],"conditions":[{"head":7}],"reason":"x"}`, "PRECONDITION_FAILED", "is 1, not 7")
	r.no("commit", `{"puts":[{"key":"k","value":{}}],"reason":"x"}`, "give agent", "Nothing was committed")
	r.no("commit", `{"agent":"a","reason":"x"}`, "nothing to commit")
	r.no("commit", `{"agent":"a","puts":[{"key":"k","value":{}}]}`, "reason", "Nothing was done")
	r.no("commit", `{"agent":"a","puts":[{"key":"k","value":[1]}],"reason":"x"}`, "array", "input schema")
	r.no("commit", `{"agent":"a","puts":[{"key":"k","value":{}}],"conditions":[{"key":"k"}],"reason":"x"}`, "conditions[0]", "Nothing was committed")
	r.no("commit", `{"agent":"a","puts":[{"key":"k","value":{}}],"wish":1,"reason":"x"}`, "wish")
	r.no("get", `{"agent":"a","key":"k","as_of":"soon"}`, "as_of", "a time ago")
	r.no("get", `{"agent":"a","key":"k","as_of":"99"}`, "INVALID_REQUEST")
	r.no("get", `{"agent":"a","key":"k","version":7}`, "NOT_FOUND", "history")
	r.no("search", `{"where":[{"pointer":"/x","is":"~","value":1}]}`, "is")
	r.no("list", `{"agent":"a","page":"forged"}`, "INVALID_REQUEST")
}

// TestRepeated: a commit that is sent again under its id takes effect once.
func TestRepeated(t *testing.T) {
	r := newRig(t, mcp.Options{})
	again := `{"agent":"a","increments":[{"key":"k","pointer":"/n","by":1}],"reason":"x","txn_id":"01a22c4f-17db-78ff-9893-f2dbb03dc800"}`
	first, second := r.ok("commit", again), r.ok("commit", again)
	if first.CommitTS != second.CommitTS {
		t.Errorf("committed as %d and as %d", first.CommitTS, second.CommitTS)
	}
	r.no("commit", strings.Replace(again, `"by":1`, `"by":2`, 1), "TXN_ID_REUSED", "leave it out")
}

// TestPast: reads as of a moment, what differs, and back to what was.
func TestPast(t *testing.T) {
	r := newRig(t, mcp.Options{})
	r.put("a", "plan", `{"step":1,"goal":"tea"}`)
	r.put("a", "gone", `{"x":1}`)
	before := r.ok("get", `{"agent":"a","key":"plan"}`).ReadTS
	r.clock.Advance(time.Hour)
	r.ok("commit", `{"agent":"a","puts":[{"key":"plan","value":{"step":2,"goal":"tea"}},{"key":"new","value":{}}],"deletes":[{"key":"gone"}],"reason":"on"}`)
	for _, asOf := range []string{fmt.Sprint(before), "30m", "2026-01-01T00:30:00Z"} {
		got := r.ok("get", fmt.Sprintf(`{"agent":"a","key":"plan","as_of":%q}`, asOf))
		if string(got.Value) != `{"step":1,"goal":"tea"}` {
			t.Errorf("as of %s: %s", asOf, got.text)
		}
	}
	d := r.ok("diff", `{"agent":"a","from":"30m"}`)
	if len(d.Changes) != 3 || d.Changes[0].Change != "removed" || d.Changes[1].Change != "added" || d.Changes[2].Key != "plan" ||
		string(d.Changes[2].Patch) != `[{"op":"replace","path":"/step","value":2}]` || d.Changes[2].After.Version != 2 || d.Changes[2].After.Value != nil {
		t.Errorf("the difference is %s", d.text)
	}
	r.no("diff", `{"agent":"a"}`, "from")
	preview := r.ok("restore", `{"agent":"a","as_of":"30m","preview":true,"reason":"back"}`)
	if len(preview.Changes) != 3 || preview.CommitTS != 0 || r.ok("get", `{"agent":"a","key":"plan"}`).Version != 2 {
		t.Errorf("the preview is %s", preview.text)
	}
	if restored := r.ok("restore", `{"agent":"a","as_of":"30m","reason":"back"}`); restored.Keyed != 3 {
		t.Errorf("restored: %s", restored.text)
	}
	if got := r.ok("get", `{"agent":"a","key":"plan"}`); string(got.Value) != `{"step":1,"goal":"tea"}` || got.Version != 3 {
		t.Errorf("after it the plan is %s", got.text)
	}
	r.no("restore", `{"agent":"a","as_of":"now","reason":"back"}`, "has passed")
}

// TestFork: a fork begins with the state of its parent, and leaves it as it is.
func TestFork(t *testing.T) {
	r := newRig(t, mcp.Options{})
	r.put("a", "k", `{"n":1}`)
	r.ok("fork", `{"agent":"b","from_agent":"a","reason":"to try"}`)
	r.ok("commit", `{"agent":"b","merges":[{"key":"k","patch":{"n":2},"if_version":1}],"reason":"tried"}`)
	if d := r.ok("diff", `{"agent":"a","to_agent":"b"}`); len(d.Changes) != 1 || d.Changes[0].Change != "changed" {
		t.Errorf("they differ in %s", d.text)
	}
	r.no("fork", `{"agent":"b","from_agent":"a","reason":"again"}`, "PRECONDITION_FAILED")
	if all := r.ok("agents", `{}`); len(all.Agents) != 2 || all.Agents[1].Agent != "b" {
		t.Errorf("the agents are %s", all.text)
	}
}

// TestLists: keys, folders, records and what conditions select, page by page.
func TestLists(t *testing.T) {
	r := newRig(t, mcp.Options{})
	for i := range 5 {
		r.put("a", fmt.Sprintf("note/%d", i), fmt.Sprintf(`{"n":%d}`, i))
	}
	r.put("a", "plan", `{"n":-1}`)
	r.put("b", "plan", `{"n":3}`)
	var keys []string
	page, pages := "", 0
	for {
		l := r.ok("list", fmt.Sprintf(`{"agent":"a","limit":2,"page":%q}`, page))
		keys, page, pages = append(keys, l.Keys...), l.NextPage, pages+1
		if page == "" || pages > 9 {
			break
		}
		if !strings.Contains(l.Note, "next_page") {
			t.Errorf("a page says %q", l.Note)
		}
	}
	if want := []string{"note/0", "note/1", "note/2", "note/3", "note/4", "plan"}; !slices.Equal(keys, want) || pages != 3 {
		t.Errorf("in %d pages: %v", pages, keys)
	}
	if l := r.ok("list", `{"agent":"a","delimiter":"/"}`); !slices.Equal(l.Folders, []string{"note/"}) || !slices.Equal(l.Keys, []string{"plan"}) {
		t.Errorf("folders: %s", l.text)
	}
	if l := r.ok("list", `{"agent":"a","prefix":"note/","values":true,"limit":1}`); len(l.Records) != 1 || string(l.Records[0].Value) != `{"n":0}` {
		t.Errorf("records: %s", l.text)
	}
	r.no("list", `{"agent":"a","delimiter":"/","values":true}`, "not both")
	s := r.ok("search", `{"where":[{"pointer":"/n","is":">=","value":3}]}`)
	if len(s.Records) != 3 || s.Records[0].Agent != "a" || s.Records[2].Agent != "b" || s.Looked != 7 {
		t.Errorf("found: %s", s.text)
	}
	if s := r.ok("search", `{"agent":"a","newest_first":true,"limit":1,"where":[{"pointer":"/n","is":"in","value":[-1,0]},{"pointer":"/x","is":"exists","not":true}]}`); len(s.Records) != 1 || s.Records[0].Key != "plan" || s.NextPage == "" {
		t.Errorf("found: %s", s.text)
	}
	r.no("search", `{"newest_first":true}`, "name it")
}

// TestBounded: however much there is, an answer is short, says what it leaves out, and how to get it.
func TestBounded(t *testing.T) {
	r := newRig(t, mcp.Options{})
	large := `{"parts":["` + strings.Repeat("é", 30_000) + `","short"]}`
	r.put("a", "large", large)
	r.put("a", "l", `{"text":"`+strings.Repeat("y", 5000)+`"}`) // for which there would be room
	for i := range 40 {
		r.put("a", fmt.Sprintf("x%02d", i), `{"text":"`+strings.Repeat("y", 3000)+`"}`)
	}
	text, offset := "", 0
	for pieces := 0; pieces == 0 || offset > 0; pieces++ {
		got := r.ok("get", fmt.Sprintf(`{"agent":"a","key":"large","offset":%d}`, offset))
		if len(got.text) > 40<<10 || got.Size != len(large) || got.Value != nil {
			t.Fatalf("a piece of %d bytes, of %d", len(got.text), got.Size)
		}
		text, offset = text+got.Text, got.NextOffset
	}
	if text != large {
		t.Error("the pieces do not make the value")
	}
	if got := r.ok("get", `{"agent":"a","key":"large","pointer":"/parts/1"}`); string(got.Value) != `"short"` {
		t.Errorf("a part: %s", got.text)
	}
	if got := r.ok("get", `{"agent":"a","key":"large","pointer":"/parts/2"}`); got.Value != nil || !strings.Contains(got.Note, "nothing at") {
		t.Errorf("no part: %s", got.text)
	}
	r.no("get", `{"agent":"a","key":"large","offset":12}`, "offset") // within a character
	r.no("get", `{"agent":"a","key":"large","pointer":"parts"}`, "slash")
	l := r.ok("list", `{"agent":"a","values":true,"limit":200}`)
	whole := slices.DeleteFunc(slices.Clone(l.Records), func(r shown) bool { return r.Value == nil })
	if len(l.text) > 40<<10 || len(l.Records) != 42 || len(whole) != 8 || l.Records[0].Size == 0 || l.Records[1].Size != len(large) || !strings.Contains(l.Note, "34 values are left out") {
		t.Errorf("%d bytes, %d records, %d with their values: %s", len(l.text), len(l.Records), len(whole), l.Note)
	}
}

// TestConfined: what a server is confined to cannot be left, by whatever door.
func TestConfined(t *testing.T) {
	r := newRig(t, mcp.Options{Agent: "mine"})
	r.put("mine", "k", `{"n":1}`)
	r.put("other", "k", `{"n":2}`)
	if got := r.ok("get", `{"key":"k"}`); string(got.Value) != `{"n":1}` {
		t.Errorf("without an agent: %s", got.text)
	}
	for tool, arguments := range map[string]string{ // any order
		"get": `{"agent":"other","key":"k"}`, "list": `{"agent":"other"}`, "search": `{"agent":"other"}`, "diff": `{"to_agent":"other"}`, "history": `{"namespace":"x","key":"k"}`,
		"commit": `{"puts":[{"agent":"other","key":"k","value":{}}],"reason":"x"}`, "restore": `{"agent":"other","as_of":"1","reason":"x"}`,
	} {
		r.no(tool, arguments, "additional properties")
	}
	if s := r.ok("search", `{}`); len(s.Records) != 1 || s.Records[0].Agent != "mine" {
		t.Errorf("a search finds %s", s.text)
	}
	if rec, err := r.c.Get(t.Context(), "other", "k"); err != nil || string(rec.Value) != `{"n":2}` {
		t.Errorf("the other agent has %s, %v", rec.Value, err)
	}
}

// TestBytes: a value that is no JSON is shown as those who know JSON only have it.
func TestBytes(t *testing.T) {
	r := newRig(t, mcp.Options{})
	if _, err := r.c.Transact(t.Context(), client.Batch{Writes: []client.Write{client.PutBytes("a", "k", "image/png", []byte("png"))}}); err != nil {
		t.Fatal(err)
	}
	if got := r.ok("get", `{"agent":"a","key":"k"}`); string(got.Value) != `{"$bytes":"cG5n","$content_type":"image/png"}` {
		t.Errorf("shown as %s", got.text)
	}
}
