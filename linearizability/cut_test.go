package linearizability

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// TestReadCut: wherever the recording of a client is cut off, what is there is read and
// can be right; what is damaged otherwise is refused as ever.
func TestReadCut(t *testing.T) {
	single(t)
	for name, h := range goldens(t) { // independent of each other: any order
		client := *h
		client.Header.Source, client.Log, client.Complete = history.SourceClient, nil, false
		var b bytes.Buffer
		if err := client.Write(&b); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		header := strings.Index(text, "\n") + 1
		for at := header; at < len(text); at += 1 + len(text)/200 {
			cut, err := history.ReadCut(strings.NewReader(text[:at]))
			if err != nil {
				t.Fatalf("%s cut at %d: %v", name, at, err)
			}
			if n := strings.Count(text[:at], `{"op":{`); len(cut.Operations) < n-1 || len(cut.Gaps) != 1 {
				t.Errorf("%s cut at %d: %d of %d operations, %v", name, at, len(cut.Operations), n, cut.Gaps)
			}
			if cut.Rebuild(); !cut.Complete {
				continue
			}
			AdmitOthers(cut)
			if r := Check(cut, Options{}); r.Verdict != verdict.OK {
				t.Fatalf("%s cut at %d: %+v", name, at, r.Violations)
			}
		}
		whole, err := history.ReadCut(strings.NewReader(text))
		if err != nil || len(whole.Gaps) != 0 {
			t.Errorf("%s, whole: %v %v", name, whole, err)
		}
		lines := strings.SplitAfter(text, "\n")
		for _, damaged := range []string{text + lines[1], strings.Join(slices.Delete(slices.Clone(lines), 2, 3), ""), lines[0] + "{\n" + lines[1]} {
			if _, err := history.ReadCut(strings.NewReader(damaged)); err == nil {
				t.Errorf("%s: what is damaged is taken for cut off", name)
			}
		}
	}
}
