package sim

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/sim/deserved"
	"statehouse.dev/statehouse/sim/step"
)

// healed asks for one of everything, in the process that has seen the faults and in the next
// one. What it does is in the history, and is judged with the rest.
func (w *World) healed(when string, reads bool) {
	switch {
	case w.process == nil || w.machine.pristine != nil:
		return
	case w.reasons.Misread():
		return // a process that has met corrupt data writes nothing more
	case w.config.OutcomeCount > 0 && w.reasons.Behind(w.now()):
		return // an id is too old when the clock has been set back behind outcomes that were dropped
	}
	operations, acked := w.rec.stats.Operations, w.rec.stats.Acked
	h := healing{w, when}
	slots := w.config.OpenTxns
	if slots > 0 { // those that are taken for longer are not to be had
		_ = w.Apply(step.Step{Verb: step.Advance, Duration: 31 * time.Second})
		most, _ := w.openTxns()
		if slots -= most; slots <= 0 {
			return
		}
	}
	deserved.Heal(h, slots, reads)
	h.status()
	w.rec.stats.Operations, w.rec.stats.Acked = operations, acked // they say what the run did
}

type healing struct {
	w    *World
	when string
}

func (h healing) Ask(kind history.Kind, in history.Input) *history.Operation {
	return h.w.ask(kind, in)
}

// FreshTxn does not follow from how many names clients have had: those of a run that is done
// again from its steps had fewer.
func (h healing) FreshTxn() string {
	h.w.names.healed++
	return fmt.Sprintf("healed%d", h.w.names.healed)
}

func (h healing) Hear(watch *history.Operation) {
	c := h.w.network.calls[watch.ID]
	if c == nil {
		return
	}
	if h.w.carryThrough(c); !c.done {
		_ = h.w.Apply(step.Step{Verb: step.Timeout, Of: watch.ID})
	}
}

func (h healing) Fails(op int, sentence string) {
	h.w.rec.violate("G9", "not-healed", op, "every fault is healed, yet "+h.when+" "+sentence)
}

// status asks the daemon for its own view: it must refuse no writes, and count no transaction
// that no client can have open.
func (h healing) status() {
	_ = h.w.Apply(step.Step{Verb: step.Tick}) // it finds what has expired
	p := h.w.process
	if p == nil {
		return
	}
	var st pb.GetStatusResponse
	resp, err := p.handle(context.Background(), nil, &Call{op: &history.Operation{Client: Observer}, request: request{method: step.MethodNamed("GetStatus")}})
	if err == nil {
		err = proto.Unmarshal(resp, &st)
	}
	switch most, least := h.w.openTxns(); {
	case err != nil:
		h.Fails(0, fmt.Sprintf("the status is refused (%v)", err))
	case st.GetWritesRefused() != "":
		h.Fails(0, "writes are refused, as the status says: "+st.GetWritesRefused())
	case st.GetOpenTransactions() > uint64(most) || st.GetOpenTransactions() < uint64(least):
		h.Fails(0, fmt.Sprintf("the status counts %d open transactions, where %d to %d can be", st.GetOpenTransactions(), least, most))
	}
}
