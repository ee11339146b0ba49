package state

import (
	"fmt"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Named is n in a namespace, unless it names one.
func Named(n RecordName, namespace string) RecordName {
	if n.Namespace == "" {
		n.Namespace = namespace
	}
	return n
}

// Act fills in an operation on no value.
type Act func(*pb.TransactOperation)

// Acting is a write that is an operation on no value.
func Acting(n RecordName, do Act) Write { return Write{RecordName: n, act: do} }

// Evaluated reports whether w is one.
func Evaluated(w *Write) bool {
	return w.Sum != nil || w.Patch || w.Append || w.IfAbsent || w.Due != nil || w.act != nil
}

// OperationOf is w as a message, on the record n.
func OperationOf(n RecordName, w Write) *pb.TransactOperation {
	o := &pb.TransactOperation{Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key, Delete: w.Tombstone, ExpectedVersion: (*uint64)(w.Expected)}
	switch {
	case w.act != nil:
		w.act(o)
	case w.Sum != nil:
		o.Increment = &pb.Increment{Pointer: w.Sum.Pointer, Delta: w.Sum.Delta.String(), Min: w.Sum.Least.String(), Max: w.Sum.Most.String()}
	case w.Patch:
		o.MergeJson = w.Value
	case w.Append || w.IfAbsent || w.Bytes != nil: // an older daemon refuses the operation, which has no value for it
		o.Put = PutOf(&w)
	default:
		o.ValueJson = w.Value
	}
	if w.TTL > 0 {
		if o.Put == nil {
			o.Put, o.ValueJson = &pb.Put{ValueJson: w.Value}, nil
		}
		o.Put.TtlMs = Milliseconds(w.TTL)
	}
	if w.Due != nil {
		if o.Put == nil {
			o.Put, o.ValueJson = &pb.Put{ValueJson: w.Value}, nil
		}
		w.Due.set(o.Put)
	}
	return o
}

// PutOf is a write of a value, with more to say of it.
func PutOf(w *Write) *pb.Put {
	p := &pb.Put{ValueJson: w.Value, Append: w.Append, IfAbsent: w.IfAbsent}
	if w.Bytes != nil {
		p.ValueBytes, p.ContentType = w.Bytes.data(), w.Bytes.ContentType
	}
	return p
}

// data is not nil, which would be no value.
func (b Bytes) data() []byte {
	if b.Data == nil {
		return []byte{}
	}
	return b.Data
}

// Check refuses a write that is not one thing.
func Check(w *Write) error {
	switch {
	case w.TTL < 0 || w.TTL > 0 && (w.Tombstone || w.Sum != nil || w.Patch || w.Bytes == nil && len(w.Value) == 0):
		return fmt.Errorf("key %q: a time to live is of a value, and positive", w.Key)
	case w.Due != nil && (w.Tombstone || w.Sum != nil || w.Patch || w.Append || w.IfAbsent || w.act != nil || w.TTL > 0):
		return fmt.Errorf("key %q: what is due is a value that is set, without a time to live", w.Key)
	case Evaluated(w) && w.Tombstone:
		return fmt.Errorf("key %q: a write is a delete or an operation on what is there, not both", w.Key)
	case w.act != nil && (w.Sum != nil || w.Patch || w.Append || w.IfAbsent || w.Bytes != nil || len(w.Value) > 0), w.Sum != nil && (w.Patch || w.Append || w.IfAbsent || w.Bytes != nil || len(w.Value) > 0), w.Patch && (w.Append || w.IfAbsent || w.Bytes != nil), w.Append && w.IfAbsent:
		return fmt.Errorf("key %q: a write is one operation, not several", w.Key)
	case w.Sum != nil || w.act != nil:
		return nil
	case w.Bytes != nil && len(w.Value) > 0:
		return fmt.Errorf("key %q: a write carries one value: it has bytes and JSON", w.Key)
	case w.Tombstone && (w.Bytes != nil || len(w.Value) > 0):
		return fmt.Errorf("key %q: a write is a delete or carries a value, not both", w.Key)
	case !w.Tombstone && w.Bytes == nil && len(w.Value) == 0:
		return fmt.Errorf("key %q: the value is absent (an empty object is {})", w.Key)
	}
	return nil
}

// Preconditions are those of o; names without a namespace are in the one given.
func Preconditions(namespace string, o *Conditions) (keys []*pb.KeyPrecondition, heads []*pb.HeadPrecondition) {
	for _, k := range o.Keys {
		n := Named(k.RecordName, namespace)
		keys = append(keys, &pb.KeyPrecondition{Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key, ExpectedVersion: uint64(k.Expected)})
	}
	for _, h := range o.Heads {
		n := Named(RecordName{Namespace: h.Namespace}, namespace)
		heads = append(heads, &pb.HeadPrecondition{Namespace: n.Namespace, AgentId: h.Agent, ExpectedHead: uint64(h.Expected)})
	}
	for _, l := range o.Leases {
		n := Named(RecordName{Namespace: l.Namespace}, namespace)
		keys = append(keys, &pb.KeyPrecondition{Namespace: n.Namespace, AgentId: l.Agent, Lease: l.Lease, ExpectedVersion: uint64(l.Token)})
	}
	return keys, heads
}
