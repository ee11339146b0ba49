package redact

import (
	"strconv"

	"statehouse.dev/statehouse/history"
)

// visitor is asked for every text of a history that its clients chose, and says what
// is to stand in its place. Collecting names and replacing them are the same walk: what
// one finds, the other does.
type visitor struct {
	name  func(Domain, string) string
	value func(string) string          // JSON, or a digest
	text  func(string) string          // of which every byte counts
	other func(string) string          // text that may hold either
	id    func(kind, id string) string // of a transaction or client
	prose func(string) string          // a sentence for people, which may tell anything
	notes func(string) string          // as prose, of who recorded
}

// The walk never writes into a slice or map, which may be shared with what is not to
// change: recorders keep an event that many streams saw once. It puts changed copies in
// their places.

func each[T any](list []T, f func(*T)) []T {
	if list == nil {
		return nil
	}
	out := make([]T, len(list))
	copy(out, list)
	for i := range out {
		f(&out[i])
	}
	return out
}

func (v *visitor) line(l *history.Line) {
	switch {
	case l.Record != nil:
		l.Record = clone(l.Record, v.record)
	case l.Agent != nil:
		l.Agent = clone(l.Agent, v.agent)
	case l.Op != nil:
		l.Op = clone(l.Op, v.operation)
	case l.Batch != nil:
		l.Batch = clone(l.Batch, func(b *history.BatchOf) { v.batch(&b.Batch) })
	case l.Event != nil:
		l.Event = clone(l.Event, v.event)
	case l.Note != nil:
		l.Note = clone(l.Note, func(n *history.Note) { n.Text = v.notes(n.Text) })
	case l.Gap != nil:
		l.Gap = clone(l.Gap, func(g *history.Gap) { g.Why = v.notes(g.Why) })
	}
}

func clone[T any](p *T, f func(*T)) *T {
	c := *p
	f(&c)
	return &c
}

func (v *visitor) history(h *history.History) {
	if b := h.Header.Base; b != nil {
		h.Header.Base = clone(b, func(b *history.Base) {
			b.Records, b.Agents = each(b.Records, v.record), each(b.Agents, v.agent)
		})
	}
	h.Operations = each(h.Operations, func(op **history.Operation) { *op = clone(*op, v.operation) })
	h.Log = each(h.Log, v.event)
	h.Notes = each(h.Notes, func(n *history.Note) { n.Text = v.notes(n.Text) })
	h.Gaps = each(h.Gaps, func(g *history.Gap) { g.Why = v.notes(g.Why) })
}

func (v *visitor) operation(op *history.Operation) {
	op.Client = v.id("client", op.Client)
	v.input(op.Kind, &op.In)
	v.output(op.Kind, &op.Out)
	if op.Error != nil {
		op.Error = clone(op.Error, v.refusal)
	}
	op.Batches = each(op.Batches, v.batch)
}

func (v *visitor) input(kind history.Kind, in *history.Input) {
	in.TxnID = v.id("txn", in.TxnID)
	in.Namespace, in.Agent, in.Key = v.name(Namespaces, in.Namespace), v.name(Agents, in.Agent), v.name(Keys, in.Key)
	in.Value = v.value(in.Value)
	in.Writes = each(in.Writes, v.write)
	in.Keys = each(in.Keys, func(k *history.KeyCondition) { v.recordName(&k.Name); k.Lease = v.name(Keys, k.Lease) })
	in.Heads = each(in.Heads, func(h *history.HeadCondition) {
		h.Namespace, h.Agent = v.name(Namespaces, h.Namespace), v.name(Agents, h.Agent)
	})
	in.Metadata = v.metadata(in.Metadata)
	if in.Reads != nil {
		in.Reads = clone(in.Reads, v.reads)
	}
	in.Names = each(in.Names, v.recordName)
	prefixOf := Keys
	if kind == history.ListAgents {
		prefixOf = Agents
	}
	in.Prefix = v.name(prefixOf, in.Prefix)
	v.asked(in)
}

func (v *visitor) reads(r *history.Reads) {
	r.Keys = each(r.Keys, func(k *history.KeyVersion) { v.recordName(&k.Name) })
	r.Ranges = each(r.Ranges, func(l *history.Range) {
		l.Namespace, l.Agent = v.name(Namespaces, l.Namespace), v.name(Agents, l.Agent)
		l.Prefix, l.First, l.Last = v.name(Keys, l.Prefix), v.name(Keys, l.First), v.name(Keys, l.Last)
	})
}

func (v *visitor) output(kind history.Kind, out *history.Output) {
	out.TxnID = v.id("txn", out.TxnID)
	out.Versions = each(out.Versions, func(k *history.KeyVersion) { v.recordName(&k.Name) })
	out.Records = each(out.Records, v.record)
	listed := Keys
	if kind == history.ListSpaces {
		listed = Namespaces
	}
	out.Keys = each(out.Keys, func(s *string) { *s = v.name(listed, *s) })
	out.Agents = each(out.Agents, v.agent)
	v.told(out)
}

// refusal: programs read the details, people the message.
func (v *visitor) refusal(r *history.Refusal) {
	r.Message = v.prose(r.Message)
	if r.Details == nil {
		return
	}
	details := make(map[string]string, len(r.Details))
	for what, is := range r.Details { // each by itself, in any order
		details[what] = v.detail(what, is)
	}
	r.Details = details
}

// detail knows what the daemon tells; of what it does not know nothing is shown but
// numbers.
func (v *visitor) detail(what, is string) string {
	switch what {
	case "namespace":
		return v.name(Namespaces, is)
	case "agent_id":
		return v.name(Agents, is)
	case "key", "range", "lease":
		return v.name(Keys, is)
	case "txn_id":
		return v.id("txn", is)
	case "holder":
		return v.id("holder", is)
	case "pointer":
		return v.text(is)
	case "field", "what": // words of the contract
		return is
	}
	if _, err := strconv.ParseUint(is, 10, 64); err == nil {
		return is
	}
	return v.other(is)
}

func (v *visitor) record(r *history.Record) {
	v.recordName(&r.Name)
	r.Value, r.TxnID, r.Metadata = v.value(r.Value), v.id("txn", r.TxnID), v.metadata(r.Metadata)
	r.Principal, r.TraceID = v.id("principal", r.Principal), v.id("trace", r.TraceID)
}

func (v *visitor) agent(a *history.Agent) {
	a.Namespace, a.Agent = v.name(Namespaces, a.Namespace), v.name(Agents, a.Agent)
}

func (v *visitor) batch(b *history.Batch) { b.Events = each(b.Events, v.event) }

func (v *visitor) event(ev *history.Event) {
	ev.TxnID, ev.Metadata = v.id("txn", ev.TxnID), v.metadata(ev.Metadata)
	ev.Principal, ev.TraceID = v.id("principal", ev.Principal), v.id("trace", ev.TraceID)
	ev.Ops = each(ev.Ops, v.eventOp)
}

func (v *visitor) recordName(n *history.Name) {
	n.Namespace, n.Agent, n.Key = v.name(Namespaces, n.Namespace), v.name(Agents, n.Agent), v.name(Keys, n.Key)
}

func (v *visitor) metadata(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, is := range m { // names keep equality: no two become one, in any order
		out[v.name(MetadataKeys, k)] = v.text(is)
	}
	return out
}
