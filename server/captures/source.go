package captures

import (
	"errors"
	"math"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/capture"
)

// source is the engine as a capture looks at it.
type source struct{ engine *engine.Engine }

func (s source) Events(after, last uint64, f func(*history.Event) error) error {
	limit := 0 // as many as fit; once something cannot be read, one at a time
	unreadable := &capture.UnreadableError{}
	for cursor := engine.Cursor(after); uint64(cursor) < last; {
		events, next, err := s.engine.Replay(engine.Filter{Whole: true, AllOperations: true}, cursor, engine.CommitTS(last), limit)
		switch {
		case err == nil:
		case limit == 0:
			limit = 1
			continue
		default:
			unreadable.Commits, unreadable.Err = append(unreadable.Commits, uint64(cursor)+1), err
			cursor++
			if len(unreadable.Commits) > maxUnreadable {
				return unreadable
			}
			continue
		}
		for i := range events {
			if err := f(eventOf(&events[i])); err != nil {
				return err
			}
		}
		cursor = next
	}
	if unreadable.Err != nil {
		return unreadable
	}
	return nil
}

// maxUnreadable is how many commits that cannot be read are passed over.
const maxUnreadable = 1000

func eventOf(ev *engine.Event) *history.Event {
	out := &history.Event{CommitTS: uint64(ev.CommitTS), CommitTime: ev.CommitTime.UnixNano(), TxnID: string(ev.TxnID), Metadata: ev.Metadata, Principal: ev.Principal, TraceID: ev.TraceID, Cause: ev.Cause.String()}
	for i := range ev.Ops {
		o := &ev.Ops[i]
		op := history.EventOp{Name: history.Name(o.Name), Version: uint64(o.Version), Delete: o.Tombstone, Value: valueOf(o.Value)}
		var kind engine.HiddenKind
		switch kind, op.Key = engine.SplitHidden(o.Name.Key); {
		case kind == engine.HiddenDue:
			op.Due, op.Value = true, ""
		case kind == engine.HiddenLease:
			op.Lease, op.Value = &history.LeaseChange{}, ""
			if o.Value != nil {
				holder, ttl := engine.LeaseOf(o.Value)
				op.Lease = &history.LeaseChange{Holder: holder, TTL: uint64(ttl.Milliseconds())}
			}
		case o.RestoredTo != nil:
			op.Act = &history.Act{Kind: "restored", Namespace: o.Name.Namespace, Agent: o.Name.Agent, CommitTS: uint64(*o.RestoredTo)}
		case o.Many:
			op.Act = &history.Act{Kind: "deleted"}
		case o.Fork != nil:
			op.Act = &history.Act{Kind: "forked", Namespace: o.Fork.Parent.Namespace, Agent: o.Fork.Parent.Agent, CommitTS: uint64(o.Fork.ParentTS)}
		}
		out.Ops = append(out.Ops, op)
	}
	return out
}

func (s source) at(ts uint64) (engine.Snapshot, error) {
	at := engine.CommitTS(ts)
	return s.engine.Snapshot(engine.At{CommitTS: &at})
}

// named is err, but for one that says that a name is none: a client may ask about that, and is
// refused, and nothing is kept under it.
func named(err error) error {
	if errors.Is(err, engine.ErrInvalid) {
		return nil
	}
	return err
}

// valueOf is how a history has a stored value.
func valueOf(stored []byte) string {
	if contentType, data, is := engine.AsBytes(stored); is {
		return history.Bytes(contentType, data)
	}
	return string(stored)
}

func recordOf(r *engine.Record) history.Record {
	out := history.Record{Name: history.Name(r.Name), Exists: r.Exists, Version: uint64(r.Version), CommitTS: uint64(r.CommitTS), Value: valueOf(r.Value)}
	if r.Version > 0 {
		out.CommitTime = r.CommitTime.UnixNano()
	}
	return out
}

func (s source) Record(at uint64, n history.Name) (history.Record, error) {
	snap, err := s.at(at)
	if err != nil {
		return history.Record{}, err
	}
	r, err := snap.Get(engine.RecordName(n))
	return recordOf(&r), named(err)
}

func (s source) Records(at uint64, ns, agent, prefix string, f func(history.Record) error) error {
	snap, err := s.at(at)
	if err != nil {
		return err
	}
	o := engine.ScanOptions{Agent: engine.AgentName{Namespace: ns, Agent: agent}, Prefix: prefix, Page: engine.Page{Items: 1000, Bytes: 1 << 20}}
	for more := true; more; {
		var list []engine.Record
		if list, more, err = snap.Scan(o); err != nil {
			return named(err)
		}
		for i := range list {
			if err := f(recordOf(&list[i])); err != nil {
				return err
			}
			o.After = list[i].Name.Key
		}
	}
	return nil
}

func (s source) Agents(at uint64, ns, prefix string, f func(history.Agent) error) error {
	snap, err := s.at(at)
	if err != nil {
		return err
	}
	after := ""
	for more := true; more; {
		var list []engine.AgentInfo
		if list, more, err = snap.Agents(ns, prefix, after, engine.Page{Items: 1000}); err != nil {
			return named(err)
		}
		for _, a := range list {
			if err := f(history.Agent{Namespace: a.Name.Namespace, Agent: a.Name.Agent, FirstTS: uint64(a.First), HeadTS: uint64(a.Head)}); err != nil {
				return err
			}
			after = a.Name.Agent
		}
	}
	return nil
}

func (s source) Namespaces(at uint64) ([]string, error) {
	snap, err := s.at(at)
	if err != nil {
		return nil, err
	}
	names, _, err := snap.Namespaces("", engine.Page{Items: math.MaxInt32})
	return names, err
}
