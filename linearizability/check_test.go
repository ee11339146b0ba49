package linearizability

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRightHistories: what a right store answers is accepted, also when answers are
// lost, and also when nobody has read the log.
func TestRightHistories(t *testing.T) {
	for seed := range uint64(60) {
		h := makeHistory(seed, 150, 5)
		if r := Check(h, Options{Seed: seed}); r.Verdict != VerdictOK {
			t.Fatalf("seed %d: %s, %+v\n%s", seed, r.Verdict, r.Stats, findings(r))
		}
	}
}

// TestRebuiltLog: a log made of what clients saw is as good, where it has no gap.
func TestRebuiltLog(t *testing.T) {
	whole := 0
	for seed := range uint64(40) {
		h := makeHistory(seed, 150, 1)
		h.Log, h.Complete = nil, false
		if missing := h.Rebuild(); len(missing) > 0 {
			continue // an answer was lost, and it says so
		}
		whole++
		if r := Check(h, Options{}); r.Verdict != VerdictOK {
			t.Fatalf("seed %d: %s\n%s", seed, r.Verdict, findings(r))
		}
	}
	if whole == 0 || whole == 40 {
		t.Errorf("of 40 logs %d could be rebuilt", whole)
	}
}

// edits are what may be wrong with one answer. Each tells whether it fits.
var edits = map[string]func(op *Operation) bool{
	"another value": func(op *Operation) bool {
		return onRecord(op, func(r *Record) { r.Value = `{"n":-1}` })
	},
	"an older version":    func(op *Operation) bool { return onRecord(op, func(r *Record) { r.Version-- }) },
	"a newer version":     func(op *Operation) bool { return onRecord(op, func(r *Record) { r.Version++ }) },
	"another commit":      func(op *Operation) bool { return onRecord(op, func(r *Record) { r.CommitTS++ }) },
	"another commit time": func(op *Operation) bool { return onRecord(op, func(r *Record) { r.CommitTime++ }) },
	"absent": func(op *Operation) bool {
		return onRecord(op, func(r *Record) { r.Exists, r.Value = false, "" })
	},
	"a record is missing": func(op *Operation) bool {
		n := len(op.Out.Records)
		if n > 0 { // the last: a history without its newest entry may only be older
			op.Out.Records = op.Out.Records[:n-1]
		}
		return n > 0
	},
	"records in another order": func(op *Operation) bool {
		if len(op.Out.Records) < 2 {
			return false
		}
		slices.Reverse(op.Out.Records)
		return true
	},
	"another transaction": func(op *Operation) bool {
		return op.Kind == KeyHistory && onRecord(op, func(r *Record) { r.TxnID += "x" })
	},
	"other metadata": func(op *Operation) bool {
		return op.Kind == KeyHistory && onRecord(op, func(r *Record) { r.Metadata = nil })
	},
	"read in the future":     func(op *Operation) bool { return moved(op, &op.Out.ReadTS, 1000) },
	"committed elsewhere":    func(op *Operation) bool { return moved(op, &op.Out.CommitTS, 1) },
	"committed another time": func(op *Operation) bool { return moved(op, &op.Out.CommitTime, 1) },
	"committed as another version": func(op *Operation) bool {
		return len(op.Out.Versions) > 0 && moved(op, &op.Out.Versions[0].Version, 1)
	},
	"acknowledged and not made": func(op *Operation) bool {
		if op.Kind != Transact || op.Outcome != Fail {
			return false
		}
		op.Outcome, op.Out = OK, Output{CommitTS: 1, Versions: []KeyVersion{{op.In.Writes[0].Name, 1}}}
		return true
	},
	"refused and made": func(op *Operation) bool {
		if op.Kind != Transact || op.Outcome != OK {
			return false
		}
		op.Outcome, op.Out, op.Error = Fail, Output{}, &Refusal{Code: "CONFLICT"}
		return true
	},
	"outcome forgotten": func(op *Operation) bool {
		if op.Kind != GetTxn || op.Out.State != "committed" {
			return false
		}
		op.Out = Output{State: "aborted"}
		return true
	},
	"an event is missing": func(op *Operation) bool {
		return onEvents(op, func(b *Batch) { b.Events = slices.Delete(b.Events, 0, 1) })
	},
	"an event twice": func(op *Operation) bool {
		return onEvents(op, func(b *Batch) { b.Events = slices.Insert(b.Events, 0, b.Events[0]) })
	},
	"an event of another transaction": func(op *Operation) bool { return onEvents(op, func(b *Batch) { b.Events[0].TxnID += "x" }) },
	"an event at another time":        func(op *Operation) bool { return onEvents(op, func(b *Batch) { b.Events[0].CommitTime++ }) },
	"an event with other metadata":    func(op *Operation) bool { return onEvents(op, func(b *Batch) { b.Events[0].Metadata = nil }) },
	"part of an event": func(op *Operation) bool {
		return onEvents(op, func(b *Batch) { b.Events[0].Ops = b.Events[0].Ops[1:] })
	},
}

func onRecord(op *Operation, f func(r *Record)) bool {
	for i := range op.Out.Records {
		if r := &op.Out.Records[i]; r.Exists {
			f(r)
			return true
		}
	}
	return false
}

func onEvents(op *Operation, f func(b *Batch)) bool {
	if len(op.Batches) == 0 || len(op.Batches[0].Events) == 0 {
		return false
	}
	f(&op.Batches[0])
	return true
}

func moved[T int64 | uint64](op *Operation, field *T, by T) bool {
	if op.Outcome != OK || *field == 0 {
		return false
	}
	*field += by
	return true
}

// TestEditedAnswers: a right history with one answer edited is refused, and the
// finding points at that answer or at what contradicts it.
func TestEditedAnswers(t *testing.T) {
	for name, edit := range edits {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			edited := 0
			for seed := uint64(0); seed < 40 && edited < 150; seed++ {
				h := makeHistory(seed, 60, 2)
				for i, right := range h.Operations {
					wrong := copyOf(t, right)
					if right.Outcome == Unknown || !edit(wrong) {
						continue
					}
					edited++
					h.Operations[i] = wrong
					if r := Check(h, Options{Seed: seed}); r.Verdict != VerdictIllegal {
						t.Fatalf("seed %d: #%d %s edited (%s) is called %s: %+v", seed, i+1, wrong.Kind, name, r.Verdict, wrong.Out)
					}
					h.Operations[i] = right
				}
			}
			if edited < 10 {
				t.Errorf("only %d answers could be edited", edited)
			}
		})
	}
}

func copyOf(t *testing.T, op *Operation) *Operation {
	text, err := json.Marshal(op)
	if err != nil {
		t.Fatal(err)
	}
	var c Operation
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return &c
}

// TestLongHistory: 20,000 operations, twenty of them unknown, in less than a second.
func TestLongHistory(t *testing.T) {
	h := makeHistory(1, 20_000, 20)
	for i, op := range h.Operations { // replays of everything would be all that there is
		if op.Kind == Replay && i%500 != 0 {
			op.Kind, op.Batches, op.Out = ListSpaces, nil, Output{Keys: []string{"ns"}}
		}
	}
	h.Operations = slices.DeleteFunc(h.Operations, func(op *Operation) bool { return op.Kind == ListSpaces })
	began := time.Now()
	r := Check(h, Options{})
	took := time.Since(began)
	if r.Verdict != VerdictOK {
		t.Fatalf("%s\n%s", r.Verdict, findings(r))
	}
	t.Logf("%d operations judged in %v", len(h.Operations), took)
	if took > 5*time.Second { // the aim is 1 s; slow machines and the race detector are not the judge's fault
		t.Errorf("it took %v", took)
	}
}

func BenchmarkCheck(b *testing.B) {
	h := makeHistory(1, 20_000, 20)
	h.Operations = slices.DeleteFunc(h.Operations, func(op *Operation) bool { return op.Kind == Replay && op.ID%500 != 0 })
	for b.Loop() {
		if r := Check(h, Options{}); r.Verdict != VerdictOK {
			b.Fatal(r.Verdict)
		}
	}
	b.ReportMetric(float64(len(h.Operations)), "operations/op")
}
