package sim

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/sim/sched"
)

// Imports. An operator makes a namespace of its own each time, sends its commits, asks for them to be made
// and does not wait: the writer makes them with the steps of the world, among whatever else happens. The step
// after a crash goes on with the import that it interrupted. Clients write nowhere near; what they may
// not see is a part of it, and what must come of it is all of it, in order.

// imported is an import that was begun.
type imported struct {
	id, space string
	events    []*pb.ReplayEvent
	asked     bool // for its commits to be made
	done      bool // it was seen to be
}

// mostImports is how many a world has.
const mostImports = 4

// importSome begins an import of n commits, or goes on with the last one that is not done.
func (w *World) importSome(n int) error {
	p := w.process
	switch {
	case p == nil || p.inflight || p.drain != nil || w.machine.pristine != nil:
		return misfit("no daemon runs that could import anything now")
	case n < 1:
		return misfit("an import of %d commits", n)
	}
	var x *imported
	if k := len(w.imports); k > 0 && !w.imports[k-1].done {
		x = w.imports[k-1]
	} else if k == mostImports {
		return misfit("there were %d imports", k)
	} else {
		x = newImported(k+1, n)
		w.imports = append(w.imports, x)
	}
	err := w.sendImport(p, x)
	w.rec.note(w.lane("daemon"), "import", fmt.Sprint(x.id, ": ", err))
	return nil
}

func newImported(k, n int) *imported {
	x := &imported{id: fmt.Sprint("import-", k), space: fmt.Sprint("imported-", k)}
	for i := range n {
		ev := &pb.ReplayEvent{CommitTs: uint64(10 * (i + 1)), TxnId: fmt.Sprint("elsewhere-", k, "-", i), Metadata: map[string]string{"turn": fmt.Sprint(i)}}
		for j := range 1 + i%2 {
			ev.Operations = append(ev.Operations, &pb.Operation{
				Namespace: x.space, AgentId: fmt.Sprint("agent-", j), Key: "k", ValueJson: fmt.Appendf(nil, `{"i":%d}`, i),
				Version: uint64(i/(1+j) + 1), // agent-1 has a part in every other
			})
		}
		x.events = append(x.events, ev)
	}
	return x
}

// sendImport sends what the daemon does not have yet, and asks for the commits to be made.
func (w *World) sendImport(p *process, x *imported) error {
	var got pb.Import
	err := p.operator("BeginImport", &pb.BeginImportRequest{ImportId: x.id, Targets: []*pb.ImportTarget{{Namespace: x.space}}}, &got)
	for err == nil && p.image == nil && got.GetState() == pb.ImportState_IMPORT_STATE_STAGING && int(got.GetEvents()) < len(x.events) {
		have := int(got.GetEvents())
		proto.Reset(&got)
		err = p.operator("ImportEvents", &pb.ImportEventsRequest{ImportId: x.id, After: uint64(have), Events: x.events[have:min(have+2, len(x.events))]}, &got)
	}
	if err != nil || p.image != nil {
		return err
	}
	x.asked = true
	task := sched.Spawn(func(*sched.Task) {
		err = p.service.Engine().FinishImport(context.Background(), x.id, uint64(len(x.events)), func(engine.Import) error { return nil })
	})
	w.tasks.Resume(task)
	if !task.Ended() {
		w.tasks.Kill(task) // the operator hangs up
		return nil
	}
	return err
}

// importsWait reports whether the writer has commits of an import to make.
func (w *World) importsWait() bool {
	return slices.ContainsFunc(w.imports, func(x *imported) bool { return x.asked && !x.done })
}

// staged counts the rows of imports that the writer has yet to make commits of.
func (w *World) staged() (rows int) {
	for _, x := range w.imports {
		if x.asked && !x.done {
			for _, ev := range x.events {
				rows += 1 + len(ev.GetOperations())
			}
		}
	}
	return rows
}

// checkImports holds what is published to having no part of an import, and all of it when the daemon says that it
// is done.
func (w *World) checkImports(p *process) {
	if len(w.imports) == 0 || p.image != nil {
		return
	}
	e := p.service.Engine()
	list, err := e.Imports()
	if err != nil {
		return // of a disk that fails
	}
	for _, x := range w.imports {
		i := slices.IndexFunc(list, func(other engine.Import) bool { return other.ID == x.id })
		switch {
		case i < 0:
		case list[i].State == engine.ImportMaking && e.Published() >= list[i].First:
			w.rec.violate("G4", "import-seen-early", 0, fmt.Sprintf("the commits of %s are being made, from %d on, and commit %d can be read", x.id, list[i].First, e.Published()))
		case list[i].State == engine.ImportDone && !x.done:
			x.done = true
			w.rec.probe("import finished")
			w.checkImported(e, x, &list[i])
		}
	}
}

// checkImported compares what an import came to with what was sent.
func (w *World) checkImported(e *engine.Engine, x *imported, is *engine.Import) {
	var events []engine.Event
	for at := is.First - 1; at < is.Last; {
		chunk, cursor, err := e.Replay(engine.Filter{Namespace: x.space, AllAgents: true}, at, is.Last, 0)
		if err != nil {
			return
		}
		events, at = append(events, chunk...), cursor
	}
	same := len(events) == len(x.events) && is.Last == is.First+engine.CommitTS(len(x.events))-1 && is.Last <= e.Published()
	for i := 0; same && i < len(events); i++ {
		ev, want := &events[i], x.events[i]
		same = ev.CommitTS == is.First+engine.CommitTS(i) && ev.Metadata["turn"] == want.GetMetadata()["turn"] && len(ev.Ops) == len(want.GetOperations())
		for j := 0; same && j < len(ev.Ops); j++ {
			o := want.GetOperations()[j]
			same = ev.Ops[j].Name.Agent == o.GetAgentId() && uint64(ev.Ops[j].Version) == o.GetVersion() && string(ev.Ops[j].Value) == string(o.GetValueJson())
		}
	}
	if !same {
		w.rec.violate("G5", "import-differs", 0, fmt.Sprintf("%s is done, commits %d to %d, and is not what was sent: %v", x.id, is.First, is.Last, events))
	}
}
