package linearizability

import (
	"strings"
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// toldBadly is a history with a wrong read in its middle, and what was judged of it.
func toldBadly(t *testing.T) (*history.History, Result) {
	t.Helper()
	r := newReference()
	for i := range 30 {
		r.transact("writer", put("x", "k", strings.Repeat("<!--</script>", 1+i%3)))
		if op := r.get("reader", "x", "k"); i == 15 {
			op.Out.Records[0].Value = `{"v":"nothing of the sort"}`
		}
	}
	r.h.Notes = []history.Note{{Time: 1, Lane: "daemon", Kind: "start"}, {Time: 60, Lane: "disk", Kind: "crash", Text: "power cut\nand more"}}
	got := Check(r.h, Options{})
	if got.Verdict != verdict.Illegal {
		t.Fatalf("%+v", got)
	}
	return r.h, got
}

func TestTimeline(t *testing.T) {
	h, r := toldBadly(t)
	var b strings.Builder
	if err := Timeline(&b, h, r, 5); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{"G3 is broken (wrong-read): #32 get of reader", "nothing of the sort", "> ", "crash power cut\n", "things before", "things after", "expected  version 16"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not told:\n%s", want, text)
		}
	}
	if lines := strings.Count(text, "\n"); lines > 20 {
		t.Errorf("%d lines, asked for 5 on each side", lines)
	}
}

func TestReport(t *testing.T) {
	h, r := toldBadly(t)
	h.Header.Command = "run <b>--seed 1</b>"
	var b strings.Builder
	if err := Report(&b, h, r); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{"wrong-read", "nothing of the sort", "run &lt;b&gt;--seed 1&lt;/b&gt;", "</html>"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	// What is quoted cannot end the script that quotes it, or open a comment in it.
	script := page[strings.Index(page, "<script"):]
	if strings.Count(script, "</script>") != 1 || strings.Contains(script, "<!--") {
		t.Error("a value gets out of its quotes")
	}
}

// TestNothingObeysAHistory: what strangers wrote is shown, by the story and by the
// report, and moves no cursor, ends no line and turns no text round.
func TestNothingObeysAHistory(t *testing.T) {
	const evil = "\x1b[2J\u009b31m\u202e\u2028\x7f\r\nFAIL\xff"
	h, r := toldBadly(t)
	for _, op := range h.Operations {
		op.Client += evil
	}
	h.Operations[0].In.Writes[0].Agent = evil
	h.Operations[1].Outcome, h.Operations[1].Error = history.Fail, &history.Refusal{Code: evil, Message: evil}
	h.Header.Build, h.Header.Source, h.Header.Command = evil, evil, evil
	h.Notes = append(h.Notes, history.Note{Time: 3, Lane: evil, Kind: evil, Text: evil})
	v := &r.Violations[0]
	v.Sentence, v.Expected, v.Got, v.Check = evil, evil, evil, evil
	var story, page strings.Builder
	if err := Timeline(&story, h, r, 1000); err != nil {
		t.Fatal(err)
	}
	if err := Report(&page, h, r); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"the story": story.String(), "the report": page.String()} { // any order
		if at := strings.IndexAny(text, "\x1b\u009b\u202e\u2028\x7f\r"); at >= 0 {
			t.Errorf("%s has %q", name, text[max(0, at-20):at+20])
		}
		if !strings.Contains(text, `u202e`) {
			t.Errorf("%s does not show what there is", name)
		}
	}
	if strings.Contains(story.String(), "\nFAIL  ") {
		t.Error("a client's name begins a line")
	}
}
