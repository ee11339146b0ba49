package intent

import (
	"math"
	"strconv"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/history"
)

// What users hand to a client and get from it, in the words of histories.

// named is n in namespace ns, unless it names one.
func named(ns string, n client.RecordName) history.Name {
	if n.Namespace != "" {
		ns = n.Namespace
	}
	return history.Name{Namespace: ns, Agent: n.Agent, Key: n.Key}
}

func write(ns string, w client.Write) history.Write {
	out := history.Write{Name: named(ns, w.RecordName), Value: valueText(w.Value, w.Bytes), Delete: w.Tombstone, Expected: (*uint64)(w.Expected)}
	asked(&w, &out)
	return out
}

// changes is what a commit asks for besides its writes.
func changes(ns string, c *client.Conditions) history.Input {
	in := history.Input{Metadata: c.Metadata}
	for _, k := range c.Keys {
		in.Keys = append(in.Keys, history.KeyCondition{Name: named(ns, k.RecordName), Expected: uint64(k.Expected)})
	}
	for _, h := range c.Heads {
		n := named(ns, client.RecordName{Namespace: h.Namespace})
		in.Heads = append(in.Heads, history.HeadCondition{Namespace: n.Namespace, Agent: h.Agent, Expected: uint64(h.Expected)})
	}
	return in
}

func commit(c client.Commit) history.Output {
	out := history.Output{CommitTS: uint64(c.CommitTS), CommitTime: nanos(c.CommitTime)}
	for _, v := range c.Versions {
		out.Versions = append(out.Versions, history.KeyVersion{Name: named("", v.RecordName), Version: uint64(v.Version)})
	}
	out.Results = results(&c)
	return out
}

func record(r client.Record) history.Record {
	return history.Record{
		Name: named("", r.RecordName), Exists: r.Exists, Version: uint64(r.Version), CommitTS: uint64(r.CommitTS), CommitTime: nanos(r.CommitTime),
		Value: valueText(r.Value, r.Bytes), Erased: r.Erased, Pruned: r.Pruned, ExpiresAt: nanos(r.ExpiresAt),
	}
}

func (r *Recorder) event(ev client.Event) history.Event {
	out := history.Event{CommitTS: uint64(ev.CommitTS), CommitTime: nanos(ev.CommitTime), TxnID: r.o.Name(ev.TxnID), Metadata: ev.Metadata, Principal: ev.Principal, TraceID: ev.TraceID, Cause: ev.Cause}
	for _, o := range ev.Operations {
		out.Ops = append(out.Ops, history.EventOp{
			Name: named("", o.RecordName), Version: uint64(o.Version), Delete: o.Deleted, Value: valueText(o.Value, o.Bytes), Erased: o.Erased, Pruned: o.Pruned,
		})
	}
	return out
}

// at puts the point that is read at into in.
func at(in *history.Input, points ...client.At) {
	if len(points) != 1 {
		return // now, or refused
	}
	text := points[0].String()
	if text == "" {
		return
	}
	if ts, err := strconv.ParseUint(text, 10, 64); err == nil {
		in.At = &ts
	} else if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		in.AtTime = nanos(t)
	} else {
		in.AtTime = math.MaxInt64 // of a year that no one writes
	}
}

// nanos is t in nanoseconds since 1970; 0: none. What is farther away than they count is the
// farthest.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// valueText is a value as histories have it.
func valueText(value []byte, b *client.Bytes) string {
	if b != nil {
		return history.Bytes(b.ContentType, b.Data)
	}
	return string(value)
}
