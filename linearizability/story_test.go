package linearizability

import (
	"strings"
	"testing"
)

// toldBadly is a history with a wrong read in its middle, and what was judged of it.
func toldBadly(t *testing.T) (*History, Result) {
	t.Helper()
	r := newReference()
	for i := range 30 {
		r.transact("writer", put("x", "k", strings.Repeat("<!--</script>", 1+i%3)))
		if op := r.get("reader", "x", "k"); i == 15 {
			op.Out.Records[0].Value = `{"v":"nothing of the sort"}`
		}
	}
	r.h.Notes = []Note{{Time: 1, Lane: "daemon", Kind: "start"}, {Time: 60, Lane: "disk", Kind: "crash", Text: "power cut\nand more"}}
	got := Check(r.h, Options{})
	if got.Verdict != VerdictIllegal {
		t.Fatalf("%+v", got)
	}
	return r.h, got
}

func TestStory(t *testing.T) {
	h, r := toldBadly(t)
	var b strings.Builder
	if err := Story(&b, h, r, 5); err != nil {
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
