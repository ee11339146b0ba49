package record

import (
	"cmp"
	"strings"
	"unicode/utf8"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// The operations of a transact, and what came of them.

// asked is an operation as its history has it.
func asked(o *pb.TransactOperation) history.Write {
	w := history.Write{Name: name(o), Value: text(o.GetValueJson()), Delete: o.GetDelete(), Expected: o.ExpectedVersion}
	var with history.Arguments
	if w.Op, with = evaluation(o); w.Op == history.Merge {
		w.Value = text(o.GetMergeJson())
	}
	if p := o.GetPut(); p != nil {
		w.Value = value(p)
		with.TTL, with.DueAt, with.DueIn = p.GetTtlMs(), instant(p.GetDueAt()), p.DueInMs
	}
	if with != (history.Arguments{}) {
		w.With = &with
	}
	return w
}

// evaluation is what the daemon is asked to make of it.
func evaluation(o *pb.TransactOperation) (op history.Op, with history.Arguments) {
	switch {
	case o.GetPut().GetAppend():
		return history.Append, with
	case o.GetPut().GetIfAbsent():
		return history.IfAbsent, with
	case o.GetIncrement() != nil:
		i := o.GetIncrement()
		with.Pointer, with.Delta, with.Min, with.Max = i.GetPointer(), i.GetDelta(), i.GetMin(), i.GetMax()
		return history.Increment, with
	case len(o.GetMergeJson()) > 0:
		return history.Merge, with
	case o.GetDeletePrefix():
		return history.DeletePrefix, with
	case o.GetDeleteAgent():
		return history.DeleteAgent, with
	case o.GetRestore() != nil:
		with.At, with.AtTime = moment(o.GetRestore().GetAt())
		return history.Restore, with
	case o.GetFork() != nil:
		f := o.GetFork()
		with.Namespace, with.Agent = namespace(f.GetNamespace()), f.GetAgentId()
		with.At, with.AtTime = moment(f.GetAt())
		return history.Fork, with
	}
	return workers(o)
}

// workers is what is about leases.
func workers(o *pb.TransactOperation) (op history.Op, with history.Arguments) {
	switch {
	case o.GetAcquire() != nil:
		with.Holder, with.TTL = o.GetAcquire().GetHolder(), o.GetAcquire().GetTtlMs()
		return history.Acquire, with
	case o.GetRelease() != nil:
		with.Token = o.GetRelease().GetToken()
		return history.Release, with
	case o.GetClaim() != nil:
		c := o.GetClaim()
		with.Holder, with.TTL, with.Limit, with.AllAgents = c.GetHolder(), c.GetTtlMs(), uint64(c.GetLimit()), c.GetAllAgents()
		return history.Claim, with
	case o.GetComplete() != nil:
		with.Token = o.GetComplete().GetToken()
		return history.Complete, with
	}
	return "", with
}

// ask is the other way round from asked.
func ask(w *history.Write) *pb.TransactOperation {
	o := &pb.TransactOperation{Namespace: w.Namespace, AgentId: w.Agent, Key: w.Key, Delete: w.Delete, ExpectedVersion: w.Expected}
	with := w.Arguments()
	switch w.Op {
	case "", history.Append, history.IfAbsent:
		askPut(o, w, with)
	case history.Increment:
		o.Increment = &pb.Increment{Pointer: with.Pointer, Delta: with.Delta, Min: with.Min, Max: with.Max}
	case history.Merge:
		o.MergeJson = []byte(w.Value)
	case history.DeletePrefix:
		o.DeletePrefix = true
	case history.DeleteAgent:
		o.DeleteAgent = true
	case history.Restore:
		o.Restore = &pb.Restore{At: point(with.At, with.AtTime)}
	case history.Fork:
		o.Fork = &pb.Fork{Namespace: with.Namespace, AgentId: with.Agent, At: point(with.At, with.AtTime)}
	case history.Acquire:
		o.Acquire = &pb.AcquireLease{Holder: with.Holder, TtlMs: with.TTL}
	case history.Release:
		o.Release = &pb.ReleaseLease{Token: with.Token}
	case history.Claim:
		o.Claim = &pb.ClaimDue{Holder: with.Holder, TtlMs: with.TTL, Limit: uint32(with.Limit), AllAgents: with.AllAgents}
	case history.Complete:
		o.Complete = &pb.CompleteDue{Token: with.Token}
	}
	return o
}

// askPut asks for a write in the words of the base contract where these are enough.
func askPut(o *pb.TransactOperation, w *history.Write, with history.Arguments) {
	contentType, data, isBytes := history.AsBytes(w.Value)
	switch {
	case w.Delete:
	case w.Op == "" && with == (history.Arguments{}) && !isBytes:
		o.ValueJson = []byte(w.Value)
	default:
		o.Put = &pb.Put{Append: w.Op == history.Append, IfAbsent: w.Op == history.IfAbsent, TtlMs: with.TTL, DueAt: stamp(with.DueAt), DueInMs: with.DueIn}
		if isBytes {
			withType(&o.Put.ValueBytes, &o.Put.ContentType, data, contentType)
		} else {
			o.Put.ValueJson = []byte(w.Value)
		}
	}
}

// results are what came of the operations.
func results(list []*pb.OperationResult) []history.Result {
	var out []history.Result
	for _, r := range list {
		res := history.Result{
			Key: r.GetKey(), Version: r.GetVersion(), Value: value(r), Inexact: r.GetInexact() != nil, Existed: r.GetExisted(), Keys: r.GetKeys(), Lease: lease(r.GetLease()),
		}
		for _, d := range r.GetClaimed() {
			due := history.DueRecord{DueAt: nanos(d.GetDueAt()), Lease: lease(d.GetLease())}
			if d.GetRecord() != nil {
				due.Record = new(entry(history.Name{}, d.GetRecord()))
			}
			res.Claimed = append(res.Claimed, due)
		}
		out = append(out, res)
	}
	return out
}

func lease(l *pb.Lease) *history.Lease {
	if l == nil {
		return nil
	}
	return &history.Lease{
		Namespace: l.GetNamespace(), Agent: l.GetAgentId(), Lease: l.GetName(), Token: l.GetToken(), Holder: l.GetHolder(), TTL: l.GetTtlMs(),
		Deadline: nanos(l.GetDeadline()), AcquiredTS: l.GetAcquiredTs(), AcquiredAt: nanos(l.GetAcquiredAt()),
	}
}

// defaultContentType is that of bytes which come without one.
const defaultContentType = "application/octet-stream"

// withType puts bytes and their type into a request. What has the default one is sent without.
func withType(data *[]byte, contentType *string, sent []byte, of string) {
	if *data = sent; of != defaultContentType {
		*contentType = of
	}
}

// valued is a message that has a value in one of its forms.
type valued interface {
	GetValueJson() []byte
	GetValueBytes() []byte
	GetContentType() string
}

// value is a value as histories have it.
func value(v valued) string {
	if v.GetValueBytes() != nil || v.GetContentType() != "" {
		return history.Bytes(cmp.Or(v.GetContentType(), defaultContentType), v.GetValueBytes())
	}
	return text(v.GetValueJson())
}

// text is what was sent as JSON. What is not UTF-8 has no place in a history as text, and none to
// lose: the daemon refuses it.
func text(sent []byte) string {
	if !utf8.Valid(sent) {
		return history.Bytes("", sent)
	}
	return string(sent)
}

// act is what was done to all keys under a prefix.
func act(a *pb.RangeAct) *history.Act {
	if a == nil {
		return nil
	}
	return &history.Act{Kind: strings.ToLower(a.GetKind().String()), Namespace: a.GetNamespace(), Agent: a.GetAgentId(), CommitTS: a.GetCommitTs()}
}

func leaseChange(l *pb.LeaseChange) *history.LeaseChange {
	if l == nil {
		return nil
	}
	return &history.LeaseChange{Holder: l.GetHolder(), TTL: l.GetTtlMs()}
}
