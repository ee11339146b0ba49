package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// full is a history in which every field of every type is set somewhere. It makes no
// sense otherwise.
func full() *History {
	name := Name{Namespace: "ns", Agent: "a", Key: "k/ü\u2028 <&>"}
	n := func(v uint64) *uint64 { return &v }
	more := map[string]string{"why": "no \\ufffd, a real \ufffd", "": ""}
	record := Record{Name: name, Exists: true, Version: 1, CommitTS: 2, CommitTime: 3,
		Value: `{"a":"\n"}`, Inexact: true, TxnID: "t", Metadata: more, Erased: true, Pruned: true, Principal: "p", TraceID: "tr", Cause: "due", ExpiresAt: 1, DueAt: -1}
	agent := Agent{Namespace: "ns", Agent: "a", FirstTS: 1, HeadTS: 1<<64 - 1, HeadTime: 1}
	lease := Lease{Namespace: "ns", Agent: "a", Lease: "l", Token: 1, Holder: "h", TTL: 1, Deadline: 1, AcquiredTS: 1, AcquiredAt: 1}
	event := Event{CommitTS: 1, CommitTime: -1 << 63, TxnID: "t", Metadata: more, Principal: "p", TraceID: "tr", Cause: "lapsed",
		Ops: []EventOp{{Name: name, Version: 1, Delete: true, Value: "1.0", Inexact: true, Erased: true, Pruned: true}, {},
			{Lease: &LeaseChange{Holder: "h", TTL: 1}, Due: true, Act: &Act{Kind: "forked", Namespace: "ns", Agent: "a", CommitTS: 1}}}}
	in := Input{
		TxnID: "t", Namespace: "ns", Agent: "a", Key: "k", Value: "1e400", Expected: n(0),
		Writes: []Write{{Name: name, Value: "null", Delete: true, Expected: n(7)}, {Expected: n(0)}, {}, {Op: Increment, With: &Arguments{
			Pointer: "/a", Delta: "1", Min: "0", Max: "2", Namespace: "ns", Agent: "a", At: n(0), AtTime: 1, Holder: "h", Token: 1, TTL: 1, DueAt: 1, DueIn: n(0),
			Limit: 1, AllAgents: true}}},
		Keys:  []KeyCondition{{Name: name, Expected: 1, Lease: "l"}},
		Heads: []HeadCondition{{Namespace: "ns", Agent: "a", Expected: 1}},
		Reads: &Reads{Snapshot: 1, Keys: []KeyVersion{{Name: name, Version: 1}},
			Ranges: []Range{{Namespace: "ns", Agent: "a", Prefix: "p", First: "f", Last: "l"}, {}}},
		Metadata: more, Timeout: n(0), Names: []Name{name}, KeyVersion: 1, At: n(1<<64 - 1), AtTime: 1, Prefix: "p",
		Limit: 1, Reverse: true, PageOf: 2, NoValues: true, Doubles: true, AllAgents: true, From: n(0), To: n(1),
		FromTime: 1, ToTime: 1, OldestFirst: true, Native: true, MinRead: 1, MaxStale: 1, Delimiter: "/", AllOperations: true, Lineage: true, Lease: "l", Due: true,
		Renewals: []Renewal{{Namespace: "ns", Agent: "a", Lease: "l", Token: 1, TTL: 1}}, TTL: 1, ByChange: true, WithMetadata: true,
		Where:  []Filter{{Pointer: "/a", Metadata: "m", Is: "<=", Value: "1", Not: true}},
		Versus: &Point{Namespace: "ns", Agent: "a", At: n(1), AtTime: 1},
	}
	out := Output{
		TxnID: "t", SnapshotTS: 1, CommitTS: 1, CommitTime: 1<<63 - 1,
		Versions: []KeyVersion{{Name: name, Version: 1}}, ReadTS: 1, Records: []Record{record, {}},
		Keys: []string{"k", ""}, Agents: []Agent{agent}, More: true, State: "open",
		Results: []Result{{Key: "k", Version: 1, Value: "{}", Inexact: true, Existed: true, Keys: 1, Lease: &lease, Claimed: []DueRecord{{Record: &record, DueAt: 1, Lease: &lease}}}},
		Folders: []string{"f/"}, Leases: []Lease{lease}, Renewed: []Renewed{{Lost: true, Deadline: 1}}, Refreshed: []Refreshed{{ExpiresAt: 1, Version: 1}, {}},
		Scanned: 1, Diffs: []KeyDiff{{Key: "k", Before: record, Patch: "[]"}, {After: record}}, FromTS: 1, ToTS: 1,
		Origin: &Origin{Namespace: "ns", Agent: "a", CommitTS: 1, ForkedTS: 1, ForkedAt: 1}, Forks: []Agent{agent},
	}
	return &History{
		Header: Header{
			Format: Format, Version: Version, Source: "sim", Build: "b", Command: "c", Unit: "step", Config: more,
			Base:      &Base{CommitTS: 1, Covers: 9, Records: []Record{record}, Agents: []Agent{agent}},
			Redaction: "digest",
		},
		Operations: []*Operation{
			{ID: 1, Client: "d", Kind: Get, Call: 1, Outcome: Unknown},
			{ID: 3, Client: "c", Kind: Transact, Call: 1, Return: 2, In: in, Outcome: OK, Out: out,
				Error: &Refusal{Code: "aborted", Message: "m", Details: more},
				Rest:  1, Batches: []Batch{{Time: 1, Events: []Event{event}, Cursor: 1}, {}}},
		},
		Log:      []Event{event, {}},
		Complete: true,
		Notes:    []Note{{Time: 1, Lane: "disk", Kind: "fault", Text: "x"}, {}},
		Gaps:     []Gap{{From: 1, To: 2, Lost: 3, Why: "x"}},
	}
}

// fieldsSet notes each field below v, and whether it is set anywhere.
func fieldsSet(v reflect.Value, fields map[string]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			fieldsSet(v.Elem(), fields)
		}
	case reflect.Slice:
		for i := range v.Len() {
			fieldsSet(v.Index(i), fields)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			at := v.Type().Name() + "." + v.Type().Field(i).Name
			fields[at] = !v.Field(i).IsZero() || fields[at]
			fieldsSet(v.Field(i), fields)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	fields := map[string]bool{}
	fieldsSet(reflect.ValueOf(full()), fields)
	for at, set := range fields {
		if !set {
			t.Errorf("%s is set nowhere in this test's history", at)
		}
	}
	empty := &History{Header: Header{Format: Format, Version: Version}}
	for _, h := range []*History{full(), empty} {
		text := written(t, h)
		// One byte at a time: lines do not depend on how they arrive.
		got, err := ReadHistory(iotest.OneByteReader(strings.NewReader(text)))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, h) {
			t.Errorf("read:\n%s\nwritten:\n%s", written(t, got), text)
		}
	}
}

func written(t *testing.T, h *History) string {
	t.Helper()
	var b bytes.Buffer
	if err := h.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEveryCutIsNoticed(t *testing.T) {
	text := written(t, full())
	for i := range len(text) - 1 { // the last newline is no loss
		if h, err := ReadHistory(strings.NewReader(text[:i])); err == nil || errors.Is(err, io.EOF) || h != nil {
			t.Fatalf("cut at byte %d of %d: %v, %v", i, len(text), h, err)
		}
	}
	lines := strings.SplitAfter(text, "\n")
	for i := 1; i < len(lines)-1; i++ {
		if _, err := ReadHistory(strings.NewReader(strings.Join(lines[:i], "") + strings.Join(lines[i+1:], ""))); err == nil {
			t.Errorf("line %d is missing, and nobody noticed", i+1)
		}
	}
}

const (
	first = `{"format":"statehouse-history","version":1,"unit":"ns"}` + "\n"
	get   = `{"op":{"id":1,"client":"c","kind":"get","call":1,"return":2,"outcome":"ok"}}` + "\n"
	note  = `{"note":{"time":1,"lane":"disk","kind":"fault"}}` + "\n"
)

func endLine(lines int) string { return fmt.Sprintf(`{"end":{"complete":false,"lines":%d}}`, lines) }

func TestReaderIsStrict(t *testing.T) {
	long := strings.Repeat(" ", MaxLine-len(note)+1) + note // exactly as long as may be
	for name, c := range map[string]struct{ text, says string }{
		"shortest":           {first + endLine(1), ""},
		"kinds mixed":        {first + note + get + note + `{"batch":{"op":1,"time":1,"cursor":1}}` + "\n" + endLine(5), ""},
		"CRLF":               {strings.ReplaceAll(first+note+endLine(2), "\n", "\r\n"), ""},
		"longest line":       {first + long + endLine(2), ""},
		"over-long line":     {first + " " + long + endLine(2), "line 2: longer than 16777216 bytes"},
		"over-long header":   {strings.Repeat(" ", MaxLine+1), "line 1: longer than 16777216 bytes"},
		"nothing":            {"", "line 1: the history is cut off"},
		"header only":        {first, "line 2: the history is cut off: it has no end line"},
		"no end":             {first + note, "line 3: the history is cut off: it has no end line"},
		"cut in a line":      {first + note[:20], "line 2: JSON that ends in the middle: unexpected EOF"},
		"lines missing":      {first + note + endLine(3), "line 3: the end line counts 3 lines before it, but there are 2"},
		"more after the end": {first + endLine(1) + "\n" + note, "line 3: it comes after the end line"},
		"two ends":           {first + endLine(1) + "\n" + endLine(2), "line 3: it comes after the end line"},
		"newer version":      {`{"format":"statehouse-history","version":2,"new":1}`, "line 1: this history is of version 2, and only version 1 can be read here"},
		"no version":         {`{"format":"statehouse-history"}`, "line 1: this history is of version 0"},
		"other format":       {`{"format":"x","version":1}`, `line 1: it begins with an object of the format "x"`},
		"no header":          {note + endLine(1), `line 1: it begins with an object without a "format"`},
		"unknown in header":  {`{"format":"statehouse-history","version":1,"new":1}`, `line 1: unknown field "new"`},
		"unknown kind":       {first + `{"mark":{}}`, `line 2: unknown field "mark"`},
		"unknown in op":      {first + note + `{"op":{"new":1}}`, `line 3: unknown field "new"`},
		"unknown deep":       {first + `{"op":{"out":{"records":[{"new":1}]}}}`, `line 2: unknown field "new"`},
		"unknown in event":   {first + `{"event":{"new":1}}`, `line 2: unknown field "new"`},
		"unknown in end":     {first + `{"end":{"complete":true,"lines":1,"new":1}}`, `line 2: unknown field "new"`},
		"two kinds":          {first + `{"op":{},"note":{}}`, "line 2: a line holds one of record, agent, op, batch, event, note, gap and end, but this one holds 2"},
		"no kind":            {first + `{}`, "but this one holds 0"},
		"null":               {first + "null", "but this one holds 0"},
		"null op":            {first + `{"op":null}`, "but this one holds 0"},
		"empty line":         {first + "\n" + endLine(2), "line 2: empty"},
		"two values":         {first + `{"note":{}} {"note":{}}`, "line 2: more than one JSON value"},
		"a stray bracket":    {first + `{"note":{}}]`, "line 2: more than one JSON value"},
		"wrong type":         {first + `{"op":{"id":"1"}}`, "line 2: the field \"op.id\" holds a string where"},
		"too big a number":   {first + `{"event":{"commit_ts":18446744073709551616}}`, "line 2: the field \"event.commit_ts\" holds the number 18446744073709551616 where"},
		"not UTF-8":          {first + "{\"note\":{\"text\":\"\xff\"}}", "line 2: text that is not UTF-8"},
		"no number":          {first + `{"op":{"kind":"get"}}`, "line 2: operations are numbered from 1"},
		"no such kind":       {first + strings.Replace(get, `"get"`, `"put"`, 1), `line 2: operation 1 is of kind "put", which there is not`},
		"no such outcome":    {first + strings.Replace(get, `"ok"`, `"good"`, 1), `line 2: operation 1 has the outcome "good"`},
		"no error":           {first + strings.Replace(get, `"ok"`, `"fail"`, 1), "line 2: operation 1 failed without an error"},
		"not returned":       {first + strings.Replace(get, `"return":2,`, "", 1), "line 2: operation 1 was answered, but has not returned"},
		"returned early":     {first + strings.Replace(get, `"call":1`, `"call":3`, 1), "line 2: operation 1 returned before it was called"},
		"a page of itself":   {first + strings.Replace(get, `"return":2`, `"return":2,"in":{"page_of":1}`, 1), "line 2: operation 1 continues operation 1"},
		"twice":              {first + get + get + endLine(3), "line 3: there are two operations 1"},
		"batch of nothing":   {first + note + `{"batch":{"op":1,"time":1,"cursor":1}}`, "line 3: there is a batch of operation 1, which does not come before it"},
		"base of nothing":    {first + `{"agent":{"ns":"n","agent":"a","first_ts":1,"head_ts":1}}`, "line 2: there is state of a base, and the header has none"},
		"garbage":            {"\x00\x01\x02", "line 1: it begins with no JSON"},
		"garbage later":      {first + note + "PK\x03\x04", "line 3: this is not JSON: invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadHistory(strings.NewReader(c.text))
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

func TestReaderErrorsStay(t *testing.T) {
	for _, text := range []string{first + "x\n" + note + endLine(3), first + endLine(1)} {
		r, err := NewReader(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Next()
		if _, again := r.Next(); err == nil || again != err {
			t.Errorf("first %v, then %v", err, again)
		}
	}
	broken := errors.New("the disk is broken")
	in := io.MultiReader(strings.NewReader(first+endLine(1)+"\n"), iotest.ErrReader(broken))
	if _, err := ReadHistory(in); !errors.Is(err, broken) {
		t.Errorf("a read that failed after the end line: %v", err)
	}
}

func TestWriterRefuses(t *testing.T) {
	for says, l := range map[string]Line{
		"line 2: longer than 16777216 bytes": {Note: &Note{Text: strings.Repeat("x", MaxLine)}},
		"line 2: text that is not UTF-8":     {Note: &Note{Text: "\\\xff"}},
		"line 2: a line holds one of":        {},
	} {
		w, err := NewWriter(io.Discard, Header{})
		if err != nil {
			t.Fatal(err)
		}
		err = w.Write(l)
		if err == nil || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
		if got := w.End(true); got != err {
			t.Errorf("the end line was written after a line that was not: %v", got)
		}
	}
	w, err := NewWriter(io.Discard, Header{})
	if err == nil {
		err = w.End(true)
	}
	if err != nil {
		t.Fatal(err)
	}
	if w.Write(Line{Note: &Note{}}) == nil {
		t.Error("a line was written after the end line")
	}
	if err := full().Write(fullDisk{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a disk that is full: %v", err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// FuzzReader wants no panic, and that what is accepted can be written and is then
// read as the same. Not as written at first: an empty list and none are one.
func FuzzReader(f *testing.F) {
	var b bytes.Buffer
	if err := full().Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	for _, text := range []string{"", first, first + note, first + note + endLine(2), first + get + `{"batch":{"op":1,"events":[]}}` + "\n" + endLine(3)} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := ReadHistory(bytes.NewReader(text))
		if err != nil {
			return
		}
		second, err := ReadHistory(strings.NewReader(written(t, h)))
		if err != nil {
			t.Fatal(err)
		}
		third, err := ReadHistory(strings.NewReader(written(t, second)))
		if err != nil || !reflect.DeepEqual(second, third) {
			t.Fatalf("%v\n%s\n%s", err, written(t, second), written(t, third))
		}
	})
}
