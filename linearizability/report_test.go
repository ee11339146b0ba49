package linearizability

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// fourClients is a history of four clients at once, a writer and a disk, in which a read is stale.
func fourClients() (*history.History, Result) {
	get := func(id int, client string, call, ret int64) *history.Operation {
		return &history.Operation{ID: id, Client: client, Kind: history.Get, Call: call, Return: ret, Outcome: history.OK,
			In:  history.Input{Namespace: "default", Agent: "a", Key: "k"},
			Out: history.Output{ReadTS: 1, Records: []history.Record{{Name: history.Name{Namespace: "default", Agent: "a", Key: "k"}, Exists: true, Version: 1, CommitTS: 1, Value: "1"}}}}
	}
	write := func(id int, client, txn, value string, call, ret int64) *history.Operation {
		return &history.Operation{ID: id, Client: client, Kind: history.Transact, Call: call, Return: ret, Outcome: history.OK,
			In: history.Input{TxnID: txn, Writes: []history.Write{{Name: history.Name{Namespace: "default", Agent: "a", Key: "k"}, Value: value}}}}
	}
	event := func(ts uint64, txn, value string) history.Event {
		return history.Event{CommitTS: ts, TxnID: txn, Ops: []history.EventOp{{Name: history.Name{Namespace: "default", Agent: "a", Key: "k"}, Version: ts, Value: value}}}
	}
	watch := &history.Operation{ID: 5, Client: "c4", Kind: history.Watch, Call: 6, Outcome: history.Unknown, In: history.Input{Namespace: "default", AllAgents: true}}
	h := &history.History{Header: history.Header{Source: "sim"}, Complete: true,
		Operations: []*history.Operation{write(1, "c1", "t1", "1", 2, 5), write(2, "c2", "t2", "2", 7, 12), get(3, "c3", 8, 9), watch, get(4, "c3", 13, 14), get(6, observer, 20, 21)},
		Log:        []history.Event{event(1, "t1", "1"), event(2, "t2", "2")},
		Notes: []history.Note{
			{Time: 1, Lane: "daemon", Kind: "start", Text: "published 0"},
			{Time: 3, Lane: "daemon", Kind: "plan"}, {Time: 4, Lane: "daemon", Kind: "settle", Text: "published 1"},
			{Time: 10, Lane: "daemon", Kind: "plan"}, {Time: 11, Lane: "daemon", Kind: "settle", Text: "published 2"},
			{Time: 15, Lane: "disk", Kind: "power cut"}, {Time: 16, Lane: "daemon", Kind: "died", Text: "power cut"},
			{Time: 17, Lane: "network", Kind: "answer lost", Text: "#4"},
		}}
	return h, Result{Verdict: verdict.Illegal, Violations: []verdict.Violation{{
		Guarantee: "G3", Check: "wrong-read", Op: 4, CommitTS: 0, Time: 14, Sentence: "it is stale", Expected: "version 2", Got: "version 1",
	}}}
}

// TestCulprit: the request, the commit with its record, and the writer's step are named.
func TestCulprit(t *testing.T) {
	h, r := fourClients()
	var lines []string
	for _, f := range Culprit(h, &r.Violations[0], nil) {
		lines = append(lines, f.Label+": "+f.Text)
	}
	want := `request: #4 get a/k of c3, sent at 13, answered at 14: version 1 1
commit: 2 by #2 transact a/k t2 2 of c2: a/k is version 2, 2
writer: planned commit 2 at 10, and published it by the settle at 11`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	// The settle is lost, and a start brings the commit back.
	h.Notes[4] = history.Note{Time: 11, Lane: "daemon", Kind: "died", Text: "power cut"}
	h.Notes[5] = history.Note{Time: 12, Lane: "daemon", Kind: "start", Text: "published 2"}
	facts := Culprit(h, &r.Violations[0], func(int64) string { return "then" })
	if got, want := facts[len(facts)-1].Text, "planned then; the daemon died then, and its start then recovered commit 2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// barStyle reads where a bar of the page is.
var barStyle = regexp.MustCompile(`<button type="button" class="bar ([a-z ]+)"(?: id="op(\d+)")? style="grid-area:(\d+)/(\d+)/(\d+)/(\d+)">`)

// TestReportBars: each request is a bar from its call to its return, no two share a place, and
// the writer and the disk are lanes like those of the clients.
func TestReportBars(t *testing.T) {
	h, r := fourClients()
	var b strings.Builder
	if err := Report(&b, h, r); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{
		`style="--lanes:6"`, ">c1<", ">c4<", ">writer<", ">disk<", "<b>expected</b><code>version 2</code>", "<b>answered</b><code>version 1</code>",
		"prefers-color-scheme: dark", ":focus-visible", "ArrowDown", `<a href="#op4">`, "→ version 1 1, expected version 2", "sync of the log", "answer lost #4",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	if at := regexp.MustCompile(`(src|href)="[^#]|url\(|@import|https?:`).FindString(page); at != "" {
		t.Errorf("the page asks for something: %q", at)
	}
	taken := make(map[[2]int]string)
	rows := make(map[string]int)
	for _, m := range barStyle.FindAllStringSubmatch(page, -1) {
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(m[3+i]) // digits
		}
		for row := n[0]; row < n[2]; row++ {
			if other := taken[[2]int{row, n[1]}]; other != "" {
				t.Errorf("%q and %q are both in row %d of column %d", other, m[0], row, n[1])
			}
			taken[[2]int{row, n[1]}] = m[0]
		}
		rows[m[2]] = n[2] - n[0]
	}
	if rows["2"] != 6 || rows["4"] != 2 { // moments 7 to 12, and 13 to 14
		t.Errorf("the bars are %v rows long", rows)
	}
	if _, there := rows["6"]; there {
		t.Error("what is read when all is over is drawn")
	}
}
