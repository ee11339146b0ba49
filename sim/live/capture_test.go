package live

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
)

func readHistory(t *testing.T, path string) *history.History {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := history.ReadHistory(f)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// What a healthy daemon captures of 64 clients, over three kills, shows that every
// guarantee held; and one answer edited in it, that one was not.
func TestCaptureOverKills(t *testing.T) {
	o := options(t)
	o.Clients, o.Kills, o.Stops, o.For, o.Capture = 64, 3, 0, 4*time.Second, filepath.Join(t.TempDir(), "capture.jsonl")
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	report(t, r)
	h := readHistory(t, o.Capture)
	if len(h.Operations) < r.Stats.Acked || len(h.Gaps) < 3 || !h.Complete || h.Header.Redaction != "digest" {
		t.Errorf("%d operations, %d gaps, complete %v, redaction %q: too little for %+v", len(h.Operations), len(h.Gaps), h.Complete, h.Header.Redaction, r.Stats)
	}
	judged := linearizability.Check(h, linearizability.Options{})
	if judged.Verdict != verdict.OK {
		t.Fatalf("%s: %+v", judged.Verdict, judged.Violations[:min(3, len(judged.Violations))])
	}
	edited := 0
	for i := len(h.Operations) / 3; i < len(h.Operations) && edited < 5; i++ {
		op := h.Operations[i]
		if op.Kind != history.Get || op.Outcome != history.OK || op.In.TxnID != "" || !op.Out.Records[0].Exists {
			continue
		}
		edited++
		was := op.Out.Records[0].Value
		op.Out.Records[0].Value = "digest:00000000000000000000000000000000:1"
		judged := linearizability.Check(h, linearizability.Options{})
		if judged.Verdict != verdict.Illegal || judged.Violations[0].Op != op.ID {
			t.Errorf("the value that operation %d read is edited, and the judge says %s %+v", op.ID, judged.Verdict, judged.Violations)
		}
		op.Out.Records[0].Value = was
	}
	if edited == 0 {
		t.Error("nothing was read")
	}
}

// A ring that has overflowed says so, begins where it begins, and is judged for what
// it holds.
func TestCaptureOverflows(t *testing.T) {
	o := options(t)
	o.Clients, o.Kills, o.Stops, o.Terms, o.AtLeast, o.Capture = 16, 1, 0, 0, 6000, filepath.Join(t.TempDir(), "capture.jsonl")
	o.Args = []string{"--capture-mb", "1"}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	report(t, r)
	h := readHistory(t, o.Capture)
	says := strings.Contains(fmt.Sprint(h.Gaps), "the ring was full")
	if h.Header.Base == nil || h.Header.Base.CommitTS == 0 || !says || len(h.Operations) >= r.Stats.Operations || len(h.Operations) < 100 {
		t.Errorf("base %+v, gaps %+v, %d operations of %d", h.Header.Base, h.Gaps, len(h.Operations), r.Stats.Operations)
	}
	judged := linearizability.Check(h, linearizability.Options{})
	if judged.Verdict != verdict.OK || judged.Stats.Reads == 0 {
		t.Fatalf("%s: %+v %+v", judged.Verdict, judged.Violations[:min(3, len(judged.Violations))], judged.Stats)
	}
}
