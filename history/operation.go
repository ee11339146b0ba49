package history

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// What an operation says by itself, whoever judges it: which records it names, when it was
// over, what its answer speaks of.

// AgentName is the name of an agent.
type AgentName struct{ Namespace, Agent string }

// CompareNames orders names as the store does: by namespace, agent and key.
func CompareNames(x, y Name) int {
	return cmp.Or(strings.Compare(x.Namespace, y.Namespace), strings.Compare(x.Agent, y.Agent), strings.Compare(x.Key, y.Key))
}

// ByCall orders operations by the times of their calls.
func ByCall(a, b *Operation) int {
	return cmp.Or(cmp.Compare(a.Call, b.Call), cmp.Compare(a.ID, b.ID))
}

// End is when an operation was over; of one that was never answered, the end of time.
func (op *Operation) End() int64 {
	if op.Return == 0 {
		return math.MaxInt64
	}
	return op.Return
}

// NewestCommit is the last commit that an answer speaks of.
func (op *Operation) NewestCommit() uint64 {
	ts := max(op.Out.CommitTS, op.Out.ReadTS)
	if !op.heldByClient() {
		ts = max(ts, op.Out.SnapshotTS)
	}
	for i := range op.Out.Records {
		ts = max(ts, op.Out.Records[i].CommitTS)
	}
	for i := range op.Out.Agents {
		ts = max(ts, op.Out.Agents[i].HeadTS)
	}
	return ts
}

// heldByClient reports whether a begin is of a transaction that its client holds. Its snapshot
// is of a read that came later.
func (op *Operation) heldByClient() bool { return op.Kind == Begin && op.In.Timeout != nil }

// SawLast is the last commit at the point at which an operation was carried out, if its
// answer tells.
func (op *Operation) SawLast() (uint64, bool) {
	if op.Outcome != OK {
		return 0, false
	}
	switch {
	case op.Kind.Info().Commits:
		return op.Out.CommitTS, len(op.Out.Versions) > 0
	case op.Kind == Begin:
		return op.Out.SnapshotTS, !op.heldByClient()
	case op.HasReadTS():
		return op.Out.ReadTS, op.In.TxnID == "" && op.In.At == nil && op.In.AtTime == 0 && op.In.PageOf == 0
	}
	return 0, false
}

// HasReadTS reports whether the answer to an operation says which commit was read at.
func (op *Operation) HasReadTS() bool { return op.Kind.Info().ReadTS }

// Name of the record that a request is about, of those that are about one.
func (in *Input) Name() Name { return Name{in.Namespace, in.Agent, in.Key} }

// EachName calls f with each name in a request: of records, and with an empty key of agents.
func (in *Input) EachName(f func(Name)) {
	if in.Agent != "" {
		f(in.Name())
	}
	for i := range in.Writes {
		f(in.Writes[i].Name)
	}
	for _, n := range in.Names {
		f(n)
	}
	for i := range in.Keys {
		f(in.Keys[i].Name)
	}
	for i := range in.Heads {
		f(Name{Namespace: in.Heads[i].Namespace, Agent: in.Heads[i].Agent})
	}
	if r := in.Reads; r != nil {
		for i := range r.Keys {
			f(r.Keys[i].Name)
		}
		for i := range r.Ranges {
			f(Name{Namespace: r.Ranges[i].Namespace, Agent: r.Ranges[i].Agent})
		}
	}
}

// AgentNames are the agents that a request names.
func (in *Input) AgentNames() (list []AgentName) {
	in.EachName(func(n Name) {
		if n.Agent != "" {
			list = append(list, AgentName{n.Namespace, n.Agent})
		}
	})
	return list
}

// Spoken are the names of the records that the requests in a history name. Of those, a base
// has the state.
func (h *History) Spoken() map[Name]bool {
	names := make(map[Name]bool)
	for _, op := range h.Operations {
		in := &op.In
		names[in.Name()] = true
		for _, n := range in.Names {
			names[n] = true
		}
		for i := range in.Writes {
			names[in.Writes[i].Name] = true
		}
		for i := range in.Keys {
			names[in.Keys[i].Name] = true
		}
		for i := range in.Reads.keys() {
			names[in.Reads.Keys[i].Name] = true
		}
	}
	return names
}

func (r *Reads) keys() []KeyVersion {
	if r == nil {
		return nil
	}
	return r.Keys
}

// LastShown is the name that a page ends with.
func (out *Output) LastShown() string {
	if n := len(out.Records); n > 0 {
		return out.Records[n-1].Key
	} else if n := len(out.Keys); n > 0 {
		return out.Keys[n-1]
	}
	return ""
}

// Named is the record, or with an empty key the agent, that a refusal is because of.
func (r *Refusal) Named() Name {
	return Name{r.Details["namespace"], r.Details["agent_id"], r.Details["key"]}
}

// Says reports whether a detail of a refusal is this number.
func (r *Refusal) Says(detail string, n uint64) bool {
	return r.Details[detail] == strconv.FormatUint(n, 10)
}

// ByOperator reports whether an event is one for which no client asks: of an erasure, or of an
// import, whose commits say where they come from.
func (ev *Event) ByOperator() bool { return ev.Erasure() || ev.Metadata["statehouse.import"] != "" }

// Erasure reports whether an event is the daemon's own commit of an erasure, for which no client
// asks.
func (ev *Event) Erasure() bool {
	return len(ev.Ops) > 0 && !slices.ContainsFunc(ev.Ops, func(o EventOp) bool { return !o.Delete || !o.Erased })
}
