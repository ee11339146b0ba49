package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

func sample() (Header, []Event) {
	op := func(key string, v uint64, value string) Operation {
		return Operation{Namespace: "n", Agent: "𝔞/\u2028", Key: key, Version: v, Value: json.RawMessage(value)}
	}
	deleted, erased, pruned := op("k", 2, ""), op("e", 1, ""), op("p", 1, "")
	deleted.Value, erased.Value, pruned.Value = nil, nil, nil
	deleted.Deleted, erased.Erased, pruned.Pruned = true, true, true
	at := time.Date(2026, 2, 7, 10, 0, 0, 123456789, time.UTC)
	return Header{Format: 1, ID: "id", Store: "s", Epoch: "e", To: 9, Made: at, Targets: []Target{{Namespace: "n"}, {"other", "a\"b"}}},
		[]Event{
			{CommitTS: 1, CommitTime: at, TxnID: "t-1", Metadata: map[string]string{"why": "<&>\u2029"}, Principal: "p", TraceID: "t", Operations: []Operation{op("k", 1, `{"n":9007199254740993,"s":"\u0000<&>`+"\u2028"+`😀","e":1E+2}`)}},
			{CommitTS: 7, TxnID: "t-2", Operations: []Operation{deleted, erased, pruned}},
		}
}

func written(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	h, events := sample()
	w, err := NewWriter(&b, h)
	for i := range events {
		if err == nil {
			err = w.Event(&events[i])
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readAll(in io.Reader) (h Header, events []Event, err error) {
	r, err := NewReader(in)
	for err == nil {
		var ev *Event
		if ev, err = r.Next(); err == nil {
			events = append(events, *ev)
		}
	}
	if r != nil {
		h = r.Header
	}
	return h, events, err
}

func TestRoundTrip(t *testing.T) {
	h, events := sample()
	gotHeader, got, err := readAll(bytes.NewReader(written(t)))
	if err != io.EOF || !reflect.DeepEqual(gotHeader, h) || !reflect.DeepEqual(got, events) {
		t.Errorf("%v\n%+v\n%+v", err, gotHeader, got)
	}
}

// A file that was cut anywhere, or of which a byte is another, is not read to its end.
func TestCutAndChanged(t *testing.T) {
	text := written(t)
	for n := range len(text) - 1 { // without its last newline it is whole
		if _, _, err := readAll(bytes.NewReader(text[:n])); err == io.EOF {
			t.Errorf("cut at %d it is taken for whole", n)
		}
	}
	for i := range text {
		for _, to := range []byte{text[i] ^ 1, '"', '0', '\n'} {
			changed := bytes.Clone(text)
			if changed[i] = to; to == text[i] || i == len(text)-1 {
				continue
			}
			if _, _, err := readAll(bytes.NewReader(changed)); err == io.EOF {
				t.Errorf("byte %d is %q in place of %q, and nobody notices", i, to, text[i])
			}
		}
	}
	if _, _, err := readAll(bytes.NewReader(append(text, "{}\n"...))); err == io.EOF {
		t.Error("it goes on after its end")
	}
}

// What a reader does not know it does not pass over.
func TestUnknown(t *testing.T) {
	for _, change := range [][2]string{
		{`"statehouse_export":1`, `"statehouse_export":2`}, {`"commit_ts":7`, `"commit_ts":7,"new":1`},
		{`"deleted":true`, `"deleted":true,"content_type":"image/png"`}, {`"to_ts"`, `"features":[],"to_ts"`},
	} {
		text := strings.Replace(string(written(t)), change[0], change[1], 1)
		if _, _, err := readAll(strings.NewReader(text)); err == io.EOF || err == nil || strings.Contains(err.Error(), "changed") {
			t.Errorf("%s: %v", change[1], err)
		}
	}
}

func original(t *testing.T, text string, whose Target) *Original {
	t.Helper()
	o, err := NewOriginal(strings.NewReader(text), "file", whose, &Names{})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Replays of agents are one history again: a transaction that wrote to several is one commit.
func TestOriginals(t *testing.T) {
	line := func(txn string, ts int, agent, ops string) string {
		return fmt.Sprintf(`{"txn_id": %q, "commit_ts": %d, "namespace": "default", "agent_id": %q, "operations": [%s]}`, txn, ts, agent, ops) + "\n"
	}
	a := line("t1", 3, "a", `{"key": "k", "value": {"n": 1.0}, "version": 1}`) + line("t3", 9, "a", `{"key": "k", "value": null, "version": 2}`)
	b := line("t1", 3, "b", `{"key": "k", "value": {}, "version": 1}`) + line("t2", 5, "b", `{"key": "l", "value": {}, "version": 4}`)
	m := Originals{}
	for _, text := range []string{a, b, "No events found for agent 'c'\n"} {
		if err := m.Add(original(t, text, Target{})); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	ev, err := m.Next()
	for ; err == nil; ev, err = m.Next() {
		words := fmt.Sprint(ev.CommitTS, " ", ev.TxnID)
		for _, o := range ev.Operations {
			words += fmt.Sprint(" ", o.Agent, "/", o.Key, " v", o.Version, " ", o.Deleted, string(o.Value))
		}
		got = append(got, words)
	}
	want := []string{`3 t1 a/k v1 false{"n": 1.0} b/k v1 false{}`, "5 t2 b/l v4 false{}", "9 t3 a/k v2 true"}
	if err != io.EOF || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %q", err, got)
	}
}

func TestOriginalsRefuse(t *testing.T) {
	for _, text := range []string{
		`{"txn_id": "t", "commit_ts": 3}`, `{"k": 1}`, `{"txn_id": "t", "commit_ts": 3, "agent_id": "a", "operations": [{"key": "k", "value": {"x": NaN}, "version": 1}]}`,
		`{"txn_id": "t", "commit_ts": 3, "agent_id": "a", "operations": [{"key": "k", "value": {}, "version": 1, "ttl": 3}]}`, "12:31:04Z  agent=a  WRITE  key=k  v=3",
	} {
		if ev, err := original(t, text+"\n", Target{}).Next(); err == nil {
			t.Errorf("%s is read as %+v", text, ev)
		}
	}
	two := original(t, `{"txn_id": "t", "commit_ts": 3, "agent_id": "a", "operations": [{"key": "k", "value": {}, "version": 1}]}
{"txn_id": "u", "commit_ts": 4, "agent_id": "b", "operations": [{"key": "k", "value": {}, "version": 1}]}
`, Target{})
	if _, err := two.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Next(); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("two agents in a file: %v", err)
	}
	if _, err := NewOriginal(strings.NewReader("{\n  \"k\": {}}"), "file", Target{}, &Names{}); err == nil {
		t.Error("a dump of nobody is read")
	}
}
