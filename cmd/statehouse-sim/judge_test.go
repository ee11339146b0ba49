package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/zst"
)

// long is a history of a commit and many reads, of which the one with this number was
// answered with another version.
func long(t *testing.T, wrong int) []byte {
	t.Helper()
	name := history.Name{Namespace: "n", Agent: "a", Key: "k"}
	h := &history.History{Header: history.Header{Unit: "ns"}, Complete: true, Log: []history.Event{{CommitTS: 1, CommitTime: 1, TxnID: "t", Ops: []history.EventOp{{Name: name, Version: 1, Value: `{}`}}}}}
	h.Operations = append(h.Operations, &history.Operation{
		ID: 1, Client: "c", Kind: history.Transact, Call: 1, Return: 2, In: history.Input{TxnID: "t", Writes: []history.Write{{Name: name, Value: `{}`}}},
		Outcome: history.OK, Out: history.Output{CommitTS: 1, CommitTime: 1, Versions: []history.KeyVersion{{Name: name, Version: 1}}},
	})
	for id := 2; id <= history.LongHistory; id++ {
		r := history.Record{Name: name, Exists: true, Version: 1, CommitTS: 1, CommitTime: 1, Value: `{}`}
		if id == wrong {
			r.Version = 2
		}
		h.Operations = append(h.Operations, &history.Operation{
			ID: id, Client: "c", Kind: history.Get, Call: int64(10 * id), Return: int64(10*id + 5), In: history.Input{Namespace: "n", Agent: "a", Key: "k"},
			Outcome: history.OK, Out: history.Output{ReadTS: 1, Records: []history.Record{r}},
		})
	}
	var b bytes.Buffer
	if err := h.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestCheckCut: a recording that was cut off is none, unless one says so.
func TestCheckCut(t *testing.T) {
	good, _ := golden(t)
	dir := folder(t, map[string]string{"cut.jsonl": good[:strings.Index(good, `{"event":`)+20]})
	path := filepath.Join(dir, "cut.jsonl")
	if code, _, errs := tool(t, "check", path); code != exitUsage || !strings.Contains(errs, "--cut") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if code, out, _ := tool(t, "check", "--cut", path); code != 0 || !strings.Contains(out, "judged only for what it holds") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if code, _, errs := tool(t, "convert", "--cut", path, filepath.Join(dir, "whole.jsonl")); code != 0 {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

// TestCheckOfLongHistories: in sections, compressed or not, and what is wrong is found.
func TestCheckOfLongHistories(t *testing.T) {
	unraced(t)
	const wrong = history.LongHistory * 3 / 4
	for _, c := range []struct {
		name  string
		wrong int
	}{{"good.jsonl", 0}, {"good.jsonl.zst", 0}, {"bad.jsonl", wrong}, {"bad.jsonl.zst", wrong}} {
		path := filepath.Join(t.TempDir(), c.name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w, err := zst.NewWriter(path, f)
		if err == nil {
			_, err = w.Write(long(t, c.wrong))
		}
		if err != nil || w.Close() != nil || f.Close() != nil {
			t.Fatal(err)
		}
		code, out, errs := tool(t, "check", path, "--json")
		var got checked
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%v: %s%s", err, out, errs)
		}
		if !got.Sections || got.Operations != history.LongHistory || got.Commits != 1 {
			t.Errorf("%s: %+v", c.name, got)
		}
		switch {
		case c.wrong == 0 && code != 0:
			t.Errorf("%s: exit code %d: %s", c.name, code, out)
		case c.wrong > 0 && (code != exitViolation || got.Violations[0].Op != c.wrong):
			t.Errorf("%s: exit code %d: %+v", c.name, code, got.Violations)
		}
		code, out, _ = tool(t, "check", path)
		if want := fmt.Sprintf("#%d get", c.wrong); c.wrong > 0 && (code != exitViolation || !strings.Contains(out, want)) {
			t.Errorf("%s: exit code %d, and no %q in\n%s", c.name, code, want, out)
		}
	}
}
