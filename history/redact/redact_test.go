package redact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability"
)

// fill sets every field there is, and a marker with the field's path in every text.
func fill(v reflect.Value, path string, seen map[string]bool) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("<" + path + ">")
		seen[path] = true
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), path+"."+v.Type().Field(i).Name, seen)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), path, seen)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), path, seen)
		fill(v.Index(1), path, seen)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		seen[path+"#key"] = true
		seen[path+"#value"] = true
		v.SetMapIndex(reflect.ValueOf("<"+path+"#key>"), reflect.ValueOf("<"+path+"#value>"))
	}
}

// texts are the markers that are left anywhere in v.
func texts(t *testing.T, v any) []string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	left := make(map[string]bool)
	for _, m := range regexp.MustCompile(`<([^<>]+)>`).FindAllStringSubmatch(b.String(), -1) {
		left[m[1]] = true
	}
	return slices.Sorted(maps.Keys(left))
}

// whole shows what JSON leaves out.
type whole struct {
	History *history.History
	Records []history.Record
	Agents  []history.Agent
	Batches []history.Batch
}

func wholeOf(h *history.History) whole {
	return whole{h, h.Header.Base.Records, h.Header.Base.Agents, h.Operations[0].Batches}
}

// Words of the format and of who recorded stay. A field that is added to a history must
// be redacted, or be added here with a reason.
var stays = []string{
	".Header.Format", ".Header.Source", ".Header.Build", ".Header.Unit", ".Header.Config#key", ".Header.Config#value",
	".Operations.Kind", ".Operations.Outcome", ".Operations.Error.Code", ".Operations.Out.State", ".Notes.Lane", ".Notes.Kind",
	".Operations.Error.Details#key", // words of the contract
	".Operations.In.Writes.Op", ".Operations.In.Where.Is", ".Operations.Batches.Events.Ops.Act.Kind", ".Log.Ops.Act.Kind",
}

// The rest is content, or names: what is redacted alone with one of the flags.
func content(path string) bool {
	for _, end := range []string{"Value", "Metadata#value", ".Pointer", ".Delta", ".Min", ".Max", ".Patch"} {
		if strings.HasSuffix(path, end) {
			return true
		}
	}
	return false
}

func prose(path string) bool {
	return slices.Contains([]string{".Header.Command", ".Header.Redaction", ".Operations.Error.Message", ".Operations.Error.Details#value", ".Notes.Text", ".Gaps.Why"}, path)
}

// TestNothingLeaks fills every text of a history, found by reflection, and looks for
// what is left of it.
func TestNothingLeaks(t *testing.T) {
	for _, values := range []bool{false, true} {
		for _, names := range []bool{false, true} {
			var h history.History
			seen := make(map[string]bool)
			fill(reflect.ValueOf(&h).Elem(), "", seen)
			before := wholeOf(&h)
			if got := texts(t, before); !slices.Equal(got, slices.Sorted(maps.Keys(seen))) {
				t.Fatalf("not all is looked at: %v, of %v", got, slices.Sorted(maps.Keys(seen)))
			}
			r := Redactor{Digester: New([]byte("k")), Values: values}
			if names {
				r.Names = NewNames()
				r.Names.AddHistory(&h)
			}
			if err := r.History(&h); err != nil {
				t.Fatal(err)
			}
			var want []string
			for path := range seen { // sorted below
				switch {
				case slices.Contains(stays, path), strings.HasSuffix(path, ".Cause"), !values && !names: // its words are the contract's
				case prose(path) && path != ".Header.Redaction", values && content(path), names && !content(path) && !prose(path):
					continue
				case path == ".Header.Redaction":
					continue
				}
				want = append(want, path)
			}
			slices.Sort(want)
			if got := texts(t, wholeOf(&h)); !slices.Equal(got, want) {
				t.Errorf("values %v, names %v: left is\n%v, want\n%v", values, names, got, want)
			}
		}
	}
}

func goldens(t *testing.T) map[string]func() *history.History {
	paths, err := filepath.Glob("../testdata/*.jsonl")
	if err != nil || len(paths) == 0 {
		t.Fatal("no histories", err)
	}
	list := make(map[string]func() *history.History)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list[filepath.Base(path)] = func() *history.History {
			h, err := history.ReadHistory(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
	}
	return list
}

// finding is what a judge found, without the words.
func finding(r linearizability.Result) string {
	text := string(r.Verdict)
	for _, v := range r.Violations {
		text += fmt.Sprintf(" %s/%s", v.Guarantee, v.Check)
	}
	return text
}

// TestTheJudgeSeesTheSame: redacted, a history has the verdict that it had, whole or
// line by line; also when one answer in it is wrong.
func TestTheJudgeSeesTheSame(t *testing.T) {
	for name, read := range goldens(t) { // independent of each other: any order
		for which, spoil := range []func(*history.Operation) bool{
			func(*history.Operation) bool { return true },
			func(op *history.Operation) bool {
				if op.Outcome != history.OK || len(op.Out.Records) == 0 || !op.Out.Records[0].Exists {
					return false
				}
				op.Out.Records[0].Value = `{"never":"written"}`
				return true
			},
			func(op *history.Operation) bool {
				if op.Outcome != history.OK || len(op.Out.Keys) < 2 {
					return false
				}
				slices.Reverse(op.Out.Keys)
				return true
			},
		} {
			h, other := read(), read()
			for i := range h.Operations {
				if spoil(h.Operations[i]) {
					spoil(other.Operations[i])
					break
				}
			}
			want := finding(linearizability.Check(h, linearizability.Options{}))
			r := Redactor{Digester: New([]byte("k")), Values: true, Names: NewNames()}
			r.Names.AddHistory(h)
			if err := r.History(h); err != nil {
				t.Fatal(err)
			}
			if got := finding(linearizability.Check(h, linearizability.Options{})); got != want {
				t.Errorf("%s, %d: it was %s, and redacted it is %s", name, which, want, got)
			}
			if h.Header.Redaction != "digest+names" {
				t.Errorf("the header says %q", h.Header.Redaction)
			}
			lines := byLine(t, other)
			if !reflect.DeepEqual(lines, h) {
				t.Errorf("%s, %d: line by line it is not the same", name, which)
			}
		}
	}
}

// byLine redacts as who cannot hold a history does.
func byLine(t *testing.T, h *history.History) *history.History {
	var in, out bytes.Buffer
	if err := h.Write(&in); err != nil {
		t.Fatal(err)
	}
	r := Redactor{Digester: New([]byte("k")), Values: true, Names: NewNames()}
	pass := func(f func(history.Line)) history.Header {
		reader, err := history.NewReader(bytes.NewReader(in.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		for l, err := reader.Next(); err == nil; l, err = reader.Next() {
			f(l)
		}
		return reader.Header
	}
	header := pass(r.Names.AddLine)
	r.Header(&header)
	w, err := history.NewWriter(&out, header)
	if err != nil {
		t.Fatal(err)
	}
	pass(func(l history.Line) {
		if err := r.Line(&l); err != nil {
			t.Fatal(err)
		}
		if err := w.Write(l); err != nil {
			t.Fatal(err)
		}
	})
	if err := w.End(h.Complete); err != nil {
		t.Fatal(err)
	}
	again, err := history.ReadHistory(&out)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// An event that two streams share is redacted for each, and not twice.
func TestSharedEventsAreRedactedOnce(t *testing.T) {
	shared := []history.Event{{TxnID: "t", Metadata: map[string]string{"m": "x"}, Ops: []history.EventOp{{Name: history.Name{Agent: "alice", Key: "k"}, Value: `{}`}}}}
	h := &history.History{Log: shared, Operations: []*history.Operation{{Batches: []history.Batch{{Events: shared}}}, {Batches: []history.Batch{{Events: shared}}}}}
	r := Redactor{Digester: New([]byte("k")), Values: true, Names: NewNames()}
	r.Names.AddHistory(h)
	if err := r.History(h); err != nil {
		t.Fatal(err)
	}
	if shared[0].TxnID != "t" || shared[0].Ops[0].Agent != "alice" || shared[0].Metadata["m"] != "x" {
		t.Errorf("what was shared is changed: %+v", shared)
	}
	for _, op := range h.Operations {
		if !reflect.DeepEqual(op.Batches[0].Events, h.Log) {
			t.Errorf("%+v, and in the log %+v", op.Batches[0].Events, h.Log)
		}
	}
}

// A name that nobody gave before is an error, and not in the line.
func TestAnUnknownNameIsAnError(t *testing.T) {
	r := Redactor{Digester: New([]byte("k")), Names: NewNames()}
	l := history.Line{Agent: &history.Agent{Namespace: "secret"}}
	if err := r.Line(&l); err == nil || l.Agent.Namespace != "" {
		t.Errorf("%v: %+v", err, l.Agent)
	}
}
