package engine

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// A choreCase makes a store that owes something to be done.
type choreCase struct {
	name string
	make func(r *choreRig) // and it is flushed then
	owe  func(r *choreRig) // after it is opened again
	most Version           // that keep their values in the end; 0: any
}

const choreKeys = 5

// faultStride is the distance between the reads that fail. STATEHOUSE_SWEEP=full takes all of them.
var faultStride = map[bool]int{true: 1, false: 5}[os.Getenv("STATEHOUSE_SWEEP") == "full"]

var choreCases = []choreCase{
	{name: "values of versions past the most", make: func(r *choreRig) {
		for range 4 {
			r.write("a", choreKeys)
		}
	}, owe: func(r *choreRig) { r.keep(0, 2) }, most: 2},
	{name: "what a floor leaves below it", make: func(r *choreRig) {
		r.write("a", choreKeys)
		r.write("a", choreKeys/2)
		r.now = r.now.Add(time.Hour)
		r.write("a", choreKeys)
		r.now = r.now.Add(time.Hour)
		r.write("b", 1)
	}, owe: func(r *choreRig) { r.keep(90*time.Minute, 0) }},
	{name: "what a fork inherited, to be copied", make: func(r *choreRig) {
		r.write("a", choreKeys)
		r.write("a", choreKeys)
		r.fork("b", "a")
		r.fork("c", "b")
		r.write("a", choreKeys)
		r.write("b", 2)
	}, owe: func(r *choreRig) { r.keep(0, 1) }, most: 1},
	{name: "the past of what a fork inherited", make: func(r *choreRig) {
		r.write("a", choreKeys)
		r.write("a", choreKeys)
		r.fork("b", "a")
		r.write("b", choreKeys/2)
		r.now = r.now.Add(time.Hour)
		r.write("a", 1)
		r.now = r.now.Add(time.Hour)
		r.write("a", 1)
	}, owe: func(r *choreRig) { r.keep(90*time.Minute, 0) }},
	{name: "the past of what a fork has copied", make: func(r *choreRig) {
		for range 3 {
			r.write("a", choreKeys)
		}
		r.fork("b", "a")
		r.write("b", choreKeys/2)
		r.keep(0, 100)
		r.chores()
		r.now = r.now.Add(time.Hour)
		r.write("a", 1)
		r.now = r.now.Add(time.Hour)
		r.write("a", 1)
	}, owe: func(r *choreRig) { r.keep(90*time.Minute, 0) }},
	{name: "a fork keeps fewer versions than when it was copied", make: func(r *choreRig) {
		r.write("a", choreKeys)
		r.write("a", choreKeys)
		r.write("a", choreKeys)
		r.fork("b", "a")
		r.fork("c", "b")
		r.keep(0, 3)
		r.write("b", choreKeys/2)
		r.write("a", choreKeys)
		r.chores()
	}, owe: func(r *choreRig) { r.keep(0, 1) }, most: 1},
	{name: "an erasure of an agent", make: func(r *choreRig) {
		r.write("a", choreKeys)
		r.write("a", choreKeys)
	}, owe: func(r *choreRig) { r.begin(Erasure{Agent: "a"}) }},
	{name: "an erasure of a fork", make: func(r *choreRig) {
		r.write("a", choreKeys)
		r.write("a", choreKeys)
		r.fork("b", "a")
		r.write("b", choreKeys/2)
	}, owe: func(r *choreRig) { r.begin(Erasure{Agent: "b"}) }},
	{name: "an erasure of a namespace", make: func(r *choreRig) {
		r.write("a", choreKeys)
		r.fork("b", "a")
		r.write("b", choreKeys/2)
		r.fork("c", "b")
	}, owe: func(r *choreRig) { r.begin(Erasure{}) }},
	{name: "a delete of many", make: func(r *choreRig) {
		r.write("a", choreKeys)
		r.do(putOf("a", "held", time.Hour), putOf("a", "held2", 0))
	}, owe: func(r *choreRig) { r.do(evalOf("a", "", DeletePrefix{})) }},
	{name: "a delete of much that is inherited", make: func(r *choreRig) {
		r.write("a", choreKeys)
		r.fork("b", "a")
		r.write("b", choreKeys/2)
	}, owe: func(r *choreRig) { r.do(evalOf("b", "", DeletePrefix{})); r.keep(0, 1) }},
	{name: "a restore of many", make: func(r *choreRig) {
		for range 3 {
			r.write("a", choreKeys)
		}
	}, owe: func(r *choreRig) {
		then := CommitTS(choreKeys + choreKeys/2)
		r.do(evalOf("a", "", RestoreTo{At: At{CommitTS: &then}}))
	}},
	{name: "commits of an import", make: func(r *choreRig) {
		r.write("a", choreKeys)
		r.must(r.BeginImport(context.Background(), Import{ID: "x", Targets: []ImportTarget{{Namespace: "new"}}}))
		var events []ImportEvent
		for i := range 4 * choreKeys {
			op := EventOp{Name: RecordName{Namespace: "new", Agent: "i", Key: fmt.Sprint("k", i%3)}, Version: Version(i/3 + 1), Value: fmt.Appendf(nil, `{"n":%d}`, i)}
			events = append(events, ImportEvent{CommitTS: CommitTS(i + 1), Ops: []EventOp{op}})
		}
		r.must(r.StageImport(context.Background(), "x", 0, events))
	}, owe: func(r *choreRig) {
		err := r.updateRows(context.Background(), func(_ time.Time, b *pebble.Batch) error {
			x, _, err := r.findImport(b, "x")
			if err == nil {
				r.beginMaking(b, x)
			}
			return err
		})
		r.must(nil, err)
	}},
	{name: "records expire", make: func(r *choreRig) {
		for i := range choreKeys {
			r.do(putOf("a", fmt.Sprint("k", i), time.Hour), putOf("b", fmt.Sprint("k", i), time.Hour+time.Duration(i)))
		}
	}, owe: func(r *choreRig) { r.now = r.now.Add(2 * time.Hour) }},
	{name: "leases lapse", make: func(r *choreRig) {
		for i := range choreKeys {
			r.do(evalOf("a", fmt.Sprint("l", i), Acquire{Holder: "h", TTL: time.Minute}))
		}
	}, owe: func(r *choreRig) { r.now = r.now.Add(2 * time.Hour) }},
	{name: "wake-ups are due", make: func(r *choreRig) {
		for i := range choreKeys {
			r.do(Write{Name: RecordName{Namespace: "default", Agent: "a", Key: fmt.Sprint("w", i)}, Value: []byte(`{}`), Eval: PutDue{In: time.Hour}})
		}
	}, owe: func(r *choreRig) { r.now = r.now.Add(2 * time.Hour) }},
}
