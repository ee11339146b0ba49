package redact

import "statehouse.dev/statehouse/history"

// What agents ask besides reads and writes. The names of leases are among those of keys; what a
// pointer names, and what is added or compared with, is part of values.

func (v *visitor) write(w *history.Write) {
	v.recordName(&w.Name)
	w.Value = v.value(w.Value)
	if w.With == nil {
		return
	}
	w.With = clone(w.With, func(a *history.Arguments) {
		a.Pointer, a.Delta, a.Min, a.Max = v.part(a.Pointer), v.part(a.Delta), v.part(a.Min), v.part(a.Max)
		a.Namespace, a.Agent = v.name(Namespaces, a.Namespace), v.name(Agents, a.Agent)
		a.Holder = v.id("holder", a.Holder)
	})
}

// part is text that is part of values: none stays none.
func (v *visitor) part(text string) string {
	if text == "" || isDigest(text) {
		return text
	}
	return v.text(text)
}

// asked is what only some requests have.
func (v *visitor) asked(in *history.Input) {
	in.Delimiter, in.Lease = v.name(Keys, in.Delimiter), v.name(Keys, in.Lease)
	in.Renewals = each(in.Renewals, func(r *history.Renewal) {
		r.Namespace, r.Agent, r.Lease = v.name(Namespaces, r.Namespace), v.name(Agents, r.Agent), v.name(Keys, r.Lease)
	})
	in.Where = each(in.Where, func(f *history.Filter) {
		f.Pointer, f.Metadata, f.Value = v.part(f.Pointer), v.name(MetadataKeys, f.Metadata), v.value(f.Value)
	})
	if in.Versus != nil {
		in.Versus = clone(in.Versus, func(p *history.Point) {
			p.Namespace, p.Agent = v.name(Namespaces, p.Namespace), v.name(Agents, p.Agent)
		})
	}
}

// told is what only some answers have.
func (v *visitor) told(out *history.Output) {
	out.Results = each(out.Results, func(r *history.Result) {
		r.Key, r.Value, r.Lease = v.name(Keys, r.Key), v.value(r.Value), v.lease(r.Lease)
		r.Claimed = each(r.Claimed, func(d *history.DueRecord) {
			if d.Lease = v.lease(d.Lease); d.Record != nil {
				d.Record = clone(d.Record, v.record)
			}
		})
	})
	out.Folders = each(out.Folders, func(s *string) { *s = v.name(Keys, *s) })
	out.Leases = each(out.Leases, v.held)
	out.Diffs = each(out.Diffs, func(d *history.KeyDiff) {
		d.Key, d.Patch = v.name(Keys, d.Key), v.part(d.Patch)
		v.record(&d.Before)
		v.record(&d.After)
	})
	if out.Origin != nil {
		out.Origin = clone(out.Origin, func(o *history.Origin) {
			o.Namespace, o.Agent = v.name(Namespaces, o.Namespace), v.name(Agents, o.Agent)
		})
	}
	out.Forks = each(out.Forks, v.agent)
}

func (v *visitor) lease(l *history.Lease) *history.Lease {
	if l == nil {
		return nil
	}
	return clone(l, v.held)
}

func (v *visitor) held(l *history.Lease) {
	l.Namespace, l.Agent, l.Lease = v.name(Namespaces, l.Namespace), v.name(Agents, l.Agent), v.name(Keys, l.Lease)
	l.Holder = v.id("holder", l.Holder)
}

func (v *visitor) eventOp(o *history.EventOp) {
	v.recordName(&o.Name)
	o.Value = v.value(o.Value)
	if o.Lease != nil {
		o.Lease = clone(o.Lease, func(l *history.LeaseChange) { l.Holder = v.id("holder", l.Holder) })
	}
	if o.Act != nil {
		o.Act = clone(o.Act, func(a *history.Act) { a.Namespace, a.Agent = v.name(Namespaces, a.Namespace), v.name(Agents, a.Agent) })
	}
}
