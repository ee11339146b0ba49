package engine_test

import (
	"context"
	"fmt"
	"testing"

	"statehouse.dev/statehouse/engine"
)

// BenchmarkEvaluated reports how many operations of each kind 64 clients do a second on one key,
// as a part of the blind commits that they do each on keys of its own (the aim for increments: at
// least 0.8), turn and turn about.
func BenchmarkEvaluated(b *testing.B) {
	kinds := map[string]engine.Write{
		"increments": {Name: engine.RecordName{Agent: "a", Key: "counter"}, Eval: engine.Increment{Pointer: "/count", Delta: "1"}},
		"merges":     {Name: engine.RecordName{Agent: "a", Key: "merged"}, Value: []byte(`{"state":{"step":7,"done":false}}`), Eval: engine.Merge{}},
		"appends":    {Name: engine.RecordName{Agent: "a", Key: "log/"}, Value: []byte(`{"role":"user","text":"what is the population of Paris?"}`), Eval: engine.Append{}},
	}
	for kind, write := range kinds {
		b.Run(kind, func(b *testing.B) {
			const n = 50_000
			var evaluated, blind float64
			for b.Loop() {
				e, err := openRunning(b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				r, err := commits(e, load(64, n))
				if err != nil {
					b.Fatal(err)
				}
				blind += r.perSecond()
				r, err = measure(64, n, func(client, i int) error {
					_, err := e.Transact(context.Background(), engine.TxnID(fmt.Sprintf("%s-%d-%d", kind, client, i)), []engine.Write{write}, engine.Conditions{})
					return err
				})
				if err == nil {
					err = e.Close()
				}
				if err != nil {
					b.Fatal(err)
				}
				evaluated += r.perSecond()
			}
			b.ReportMetric(evaluated/blind, "of-blind-commits")
		})
	}
}
