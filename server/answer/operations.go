package answer

import (
	"time"

	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/structwire"
	"statehouse.dev/statehouse/server/wire"
)

// kinds are the operations of a Transact besides a plain write and a delete: how each is given, and the
// write that it becomes.
var kinds = []struct {
	field string
	given func(*pb.TransactOperation) bool
	write func(s *Service, op *pb.TransactOperation, w *engine.Write) error
}{
	{"put", func(op *pb.TransactOperation) bool { return op.Put != nil }, (*Service).putOf},
	{"increment", func(op *pb.TransactOperation) bool { return op.Increment != nil }, (*Service).incrementOf},
	{"merge_json", func(op *pb.TransactOperation) bool { return len(op.GetMergeJson()) > 0 }, (*Service).mergeOf},
	{"acquire", func(op *pb.TransactOperation) bool { return op.Acquire != nil }, (*Service).acquireOf},
	{"release", func(op *pb.TransactOperation) bool { return op.Release != nil }, (*Service).releaseOf},
	{"claim", func(op *pb.TransactOperation) bool { return op.Claim != nil }, (*Service).claimOf},
	{"complete", func(op *pb.TransactOperation) bool { return op.Complete != nil }, (*Service).completeOf},
	{"delete_prefix", (*pb.TransactOperation).GetDeletePrefix, (*Service).deletePrefixOf},
	{"delete_agent", (*pb.TransactOperation).GetDeleteAgent, (*Service).deleteAgentOf},
	{"restore", func(op *pb.TransactOperation) bool { return op.Restore != nil }, (*Service).restoreOf},
	{"fork", func(op *pb.TransactOperation) bool { return op.Fork != nil }, (*Service).forkOf},
}

// writeOf is the write that an operation becomes.
func (s *Service) writeOf(op *pb.TransactOperation) (w engine.Write, err error) {
	w.Name = engine.RecordName{Namespace: op.GetNamespace(), Agent: op.GetAgentId(), Key: op.GetKey()}
	w.Tombstone, w.Expected = op.GetDelete(), wire.ExpectedVersion(op.ExpectedVersion)
	is := -1
	for i := range kinds {
		if !kinds[i].given(op) {
			continue
		}
		if is >= 0 || w.Tombstone {
			return w, wire.Invalid(kinds[i].field, "an operation is one thing: it has "+kinds[i].field+" and another")
		}
		is = i
	}
	switch _, isStruct, err := structwire.Wire(op); {
	case err != nil:
		return w, wire.Invalid("value", err.Error())
	case is < 0 && !w.Tombstone:
		return w, wire.SetValue(&w, op, op.GetValueJson(), s.engine.Limits().ValueBytes)
	case isStruct || len(op.GetValueJson()) > 0:
		field := "delete"
		if is >= 0 {
			field = kinds[is].field
		}
		return w, wire.Invalid(field, "an operation is "+field+" or carries a value, not both")
	case is < 0:
		return w, nil
	}
	return w, kinds[is].write(s, op, &w)
}

func (s *Service) putOf(op *pb.TransactOperation, w *engine.Write) error {
	p := op.GetPut()
	switch {
	case p.GetAppend() && p.GetIfAbsent():
		return wire.Invalid("if_absent", "an append is to a key that was never written: leave if_absent out")
	case p.GetAppend():
		w.Eval = engine.Append{}
	case p.GetIfAbsent():
		w.Eval = engine.IfAbsent{}
	}
	w.TTL = ttlOf(p.GetTtlMs())
	if p.GetDueAt() != nil || p.DueInMs != nil {
		if err := setDue(p, w); err != nil {
			return err
		}
	}
	return wire.SetValue(w, p, p.GetValueJson(), s.engine.Limits().ValueBytes)
}

func (s *Service) incrementOf(op *pb.TransactOperation, w *engine.Write) error {
	i := op.GetIncrement()
	w.Eval = engine.Increment{Pointer: i.GetPointer(), Delta: i.GetDelta(), Min: i.GetMin(), Max: i.GetMax()}
	return nil
}

func (s *Service) mergeOf(op *pb.TransactOperation, w *engine.Write) error {
	w.Eval, w.Value = engine.Merge{}, op.GetMergeJson()
	return nil
}

var resultValue = structwire.Fields{Value: 3, Inexact: 7}

// mostResultValues bounds what the values in the results of an answer take. A commit has been made, so
// its answer cannot be refused: a value that has no room is left out.
const mostResultValues = 1<<20 + 64<<10

// results are the results of operations as messages, if there are any.
func (s *Service) results(ts engine.CommitTS, at time.Time, all []engine.OpResult, values wire.Values) (out []*pb.OperationResult) {
	size := 0
	for i := range all {
		r := &all[i]
		m := &pb.OperationResult{Key: plainKey(r.Name.Key), Lease: acquiredLease(r, ts, at), Version: uint64(r.Version), Keys: r.Keys, Existed: r.Existed}
		if r.Value != nil && size+len(r.Value) <= mostResultValues {
			with := proto.CloneOf(m)
			if err := values.Set(with, resultValue, &with.ValueJson, r.Name.Key, r.Value); err == nil && size+proto.Size(with) <= mostResultValues {
				m = with
				size += proto.Size(m)
			}
		}
		m.Claimed = s.claimed(r.Claimed, at, values)
		out = append(out, m)
	}
	return out
}

// versionsOf lists the versions that operations with results gave their keys.
func versionsOf(results []engine.OpResult) []uint64 {
	out := make([]uint64, len(results))
	for i := range results {
		if r := &results[i]; !r.Existed {
			out[i] = uint64(r.Version)
		}
	}
	return out
}

// loose is a request whose values need not be exact: Inexact says of which they are not.
type loose struct{ *pb.TransactRequest }

func (loose) GetStrict() bool { return false }
