package history

// The fields of lines. A key that is not here leaves the line to encoding/json, so one
// that is forgotten costs time and nothing else.

func (p *parser) operation(o *Operation) {
	p.object(func(key string) {
		switch key {
		case "id":
			o.ID = int(p.int())
		case "client":
			o.Client = p.text()
		case "kind":
			o.Kind = Kind(p.text())
		case "call":
			o.Call = p.int()
		case "return":
			o.Return = p.int()
		case "in":
			p.input(&o.In)
		case "outcome":
			o.Outcome = Outcome(p.text())
		case "out":
			p.output(&o.Out)
		case "error":
			o.Error = new(Refusal)
			p.refusal(o.Error)
		case "rest":
			o.Rest = p.uint()
		default:
			p.bad = true
		}
	})
}

func (p *parser) input(in *Input) {
	p.object(func(key string) {
		switch key {
		case "txn":
			in.TxnID = p.text()
		case "ns":
			in.Namespace = p.text()
		case "agent":
			in.Agent = p.text()
		case "key":
			in.Key = p.text()
		case "value":
			in.Value = p.text()
		case "expected":
			in.Expected = p.uintPtr()
		case "writes":
			in.Writes = list(p, p.write)
		case "keys":
			in.Keys = list(p, p.keyCondition)
		case "heads":
			in.Heads = list(p, p.headCondition)
		case "metadata":
			in.Metadata = p.texts()
		case "names":
			in.Names = list(p, p.fullName)
		default:
			p.selection(in, key)
		}
	})
}

// selection reads what says which part of what there is an operation is about.
func (p *parser) selection(in *Input, key string) {
	switch key {
	case "version":
		in.KeyVersion = p.uint()
	case "at":
		in.At = p.uintPtr()
	case "at_time":
		in.AtTime = p.int()
	case "prefix":
		in.Prefix = p.text()
	case "limit":
		in.Limit = p.uint()
	case "reverse":
		in.Reverse = p.bool()
	case "page_of":
		in.PageOf = int(p.int())
	case "no_values":
		in.NoValues = p.bool()
	case "doubles":
		in.Doubles = p.bool()
	case "all_agents":
		in.AllAgents = p.bool()
	case "from":
		in.From = p.uintPtr()
	case "to":
		in.To = p.uintPtr()
	case "from_time":
		in.FromTime = p.int()
	case "to_time":
		in.ToTime = p.int()
	case "oldest_first":
		in.OldestFirst = p.bool()
	default:
		p.bad = true
	}
}

func (p *parser) output(out *Output) {
	p.object(func(key string) {
		switch key {
		case "txn":
			out.TxnID = p.text()
		case "snapshot":
			out.SnapshotTS = p.uint()
		case "commit_ts":
			out.CommitTS = p.uint()
		case "commit_time":
			out.CommitTime = p.int()
		case "versions":
			out.Versions = list(p, p.keyVersion)
		case "read_ts":
			out.ReadTS = p.uint()
		case "records":
			out.Records = list(p, p.record)
		case "keys":
			out.Keys = p.strings()
		case "agents":
			out.Agents = list(p, p.agent)
		case "more":
			out.More = p.bool()
		case "state":
			out.State = p.text()
		default:
			p.bad = true
		}
	})
}

// name reads a part of a name; a key that is none is another's.
func (p *parser) name(n *Name, key string) bool {
	switch key {
	case "ns":
		n.Namespace = p.text()
	case "agent":
		n.Agent = p.text()
	case "key":
		n.Key = p.text()
	default:
		return false
	}
	return true
}

func (p *parser) fullName(n *Name) {
	p.object(func(key string) {
		if !p.name(n, key) {
			p.bad = true
		}
	})
}

func (p *parser) write(w *Write) {
	p.object(func(key string) {
		switch {
		case p.name(&w.Name, key):
		case key == "value":
			w.Value = p.text()
		case key == "delete":
			w.Delete = p.bool()
		case key == "expected":
			w.Expected = p.uintPtr()
		default:
			p.bad = true
		}
	})
}

func (p *parser) keyCondition(k *KeyCondition) {
	p.object(func(key string) {
		switch {
		case p.name(&k.Name, key):
		case key == "expected":
			k.Expected = p.uint()
		default:
			p.bad = true
		}
	})
}

func (p *parser) headCondition(h *HeadCondition) {
	p.object(func(key string) {
		switch key {
		case "ns":
			h.Namespace = p.text()
		case "agent":
			h.Agent = p.text()
		case "expected":
			h.Expected = p.uint()
		default:
			p.bad = true
		}
	})
}

func (p *parser) keyVersion(v *KeyVersion) {
	p.object(func(key string) {
		switch {
		case p.name(&v.Name, key):
		case key == "version":
			v.Version = p.uint()
		default:
			p.bad = true
		}
	})
}

func (p *parser) record(r *Record) {
	p.object(func(key string) {
		switch {
		case p.name(&r.Name, key):
		case key == "exists":
			r.Exists = p.bool()
		case key == "version":
			r.Version = p.uint()
		case key == "commit_ts":
			r.CommitTS = p.uint()
		case key == "commit_time":
			r.CommitTime = p.int()
		case key == "value":
			r.Value = p.text()
		case key == "txn":
			r.TxnID = p.text()
		case key == "metadata":
			r.Metadata = p.texts()
		default:
			p.bad = true
		}
	})
}

func (p *parser) agent(a *Agent) {
	p.object(func(key string) {
		switch key {
		case "ns":
			a.Namespace = p.text()
		case "agent":
			a.Agent = p.text()
		case "first_ts":
			a.FirstTS = p.uint()
		case "head_ts":
			a.HeadTS = p.uint()
		default:
			p.bad = true
		}
	})
}

func (p *parser) refusal(r *Refusal) {
	p.object(func(key string) {
		switch key {
		case "code":
			r.Code = p.text()
		case "message":
			r.Message = p.text()
		case "details":
			r.Details = p.texts()
		default:
			p.bad = true
		}
	})
}

func (p *parser) batch(b *BatchOf) {
	p.object(func(key string) {
		switch key {
		case "op":
			b.Op = int(p.int())
		case "time":
			b.Time = p.int()
		case "events":
			b.Events = list(p, p.event)
		case "cursor":
			b.Cursor = p.uint()
		default:
			p.bad = true
		}
	})
}

func (p *parser) event(ev *Event) {
	p.object(func(key string) {
		switch key {
		case "commit_ts":
			ev.CommitTS = p.uint()
		case "commit_time":
			ev.CommitTime = p.int()
		case "txn":
			ev.TxnID = p.text()
		case "metadata":
			ev.Metadata = p.texts()
		case "ops":
			ev.Ops = list(p, p.eventOp)
		default:
			p.bad = true
		}
	})
}

func (p *parser) eventOp(o *EventOp) {
	p.object(func(key string) {
		switch {
		case p.name(&o.Name, key):
		case key == "version":
			o.Version = p.uint()
		case key == "delete":
			o.Delete = p.bool()
		case key == "value":
			o.Value = p.text()
		default:
			p.bad = true
		}
	})
}
