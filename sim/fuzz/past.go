package fuzz

import (
	"fmt"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim/step"
	"statehouse.dev/statehouse/sim/workload"
)

// makePast gives workload.Deep its agent with a long past, in one step of the writer: what
// takes too much work shows only where there is much.
func (d *Driver) makePast() {
	var ids []int
	for i := range workload.DeepCommits {
		write := func(key string) history.Write {
			return history.Write{Name: history.Name{Namespace: "default", Agent: workload.DeepAgent, Key: key}, Value: fmt.Sprintf(`{"past":%d}`, i)}
		}
		in := history.Input{TxnID: d.w.FreshTxn(), Writes: []history.Write{write(workload.DeepKey)}}
		if i == 0 {
			for _, key := range workload.DeepKeys() {
				in.Writes = append(in.Writes, write(key))
			}
		}
		id := d.w.NextID()
		ids = append(ids, id)
		d.step(step.Step{Verb: step.Call, Client: fmt.Sprint("past", i), ID: id, Kind: history.Transact, In: in})
		d.step(step.Step{Verb: step.Deliver, Of: id})
	}
	d.step(step.Step{Verb: step.Plan})
	d.step(step.Step{Verb: step.Settle})
	for _, id := range ids {
		d.step(step.Step{Verb: step.Reply, Of: id})
	}
}
