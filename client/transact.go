package client

import (
	"context"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/client/footprint"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Transact commits a batch in one round trip: all of it or nothing. If the answer is
// lost it sends the batch again under the same id, which takes effect once, until ctx
// ends; then the error is an *OutcomeUnknownError.
func (c *Client) Transact(ctx context.Context, b Batch) (Commit, error) {
	if b.TxnID == "" {
		b.TxnID = c.newTxnID()
	}
	req, err := c.transactRequest(b)
	if err != nil {
		return Commit{}, err
	}
	var resp *pb.TransactResponse
	err = c.commit(ctx, b.TxnID, false, false, func(ctx context.Context, opts ...grpc.CallOption) (err error) {
		resp, err = c.stub.Transact(ctx, req, opts...)
		return err
	})
	if err != nil {
		return Commit{}, err
	}
	if len(resp.GetVersions()) != len(b.Writes) {
		return Commit{}, broken("%d versions for %d writes", len(resp.GetVersions()), len(b.Writes))
	}
	return committedAs(req, resp), nil
}

// committedAs is the commit that a request was answered with: a version for each operation.
func committedAs(req *pb.TransactRequest, resp *pb.TransactResponse) Commit {
	commit := Commit{TxnID: req.TxnId, CommitTS: CommitTS(resp.GetCommitTs()), CommitTime: timeOf(resp.GetCommitTime()), Results: results(req, resp)}
	for i, v := range resp.GetVersions() {
		name := nameOf(req.Operations[i])
		if commit.Results != nil {
			name = commit.Results[i].RecordName
		}
		commit.Versions = append(commit.Versions, KeyVersion{name, Version(v)})
	}
	return commit
}

func nameOf(o *pb.TransactOperation) RecordName {
	return RecordName{o.Namespace, o.AgentId, o.Key}
}

func (c *Client) transactRequest(b Batch) (*pb.TransactRequest, error) {
	keys, heads := c.conditions(&b.Conditions)
	req := &pb.TransactRequest{TxnId: b.TxnID, KeyPreconditions: keys, HeadPreconditions: heads, Metadata: b.Metadata}
	for _, w := range b.Writes {
		if err := checkWrite(&w); err != nil {
			return nil, err
		}
		req.Operations = append(req.Operations, operation(c.named(w.RecordName), w))
		if w.evaluated() {
			req.Encoding = c.encoding(false)
		}
	}
	return req, nil
}

func operation(n RecordName, w Write) *pb.TransactOperation {
	o := &pb.TransactOperation{Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key, Delete: w.Tombstone, ExpectedVersion: (*uint64)(w.Expected)}
	switch {
	case w.act != nil:
		w.act(o)
	case w.Sum != nil:
		o.Increment = &pb.Increment{Pointer: w.Sum.Pointer, Delta: w.Sum.Delta.String(), Min: w.Sum.Least.String(), Max: w.Sum.Most.String()}
	case w.Patch:
		o.MergeJson = w.Value
	case w.Append || w.IfAbsent || w.Bytes != nil: // an older daemon refuses the operation, which has no value for it
		o.Put = putOf(&w)
	default:
		o.ValueJson = w.Value
	}
	if w.TTL > 0 {
		if o.Put == nil {
			o.Put, o.ValueJson = &pb.Put{ValueJson: w.Value}, nil
		}
		o.Put.TtlMs = milliseconds(w.TTL)
	}
	if w.Due != nil {
		if o.Put == nil {
			o.Put, o.ValueJson = &pb.Put{ValueJson: w.Value}, nil
		}
		w.Due.set(o.Put)
	}
	return o
}

// putOf is a write of a value, with more to say of it.
func putOf(w *Write) *pb.Put {
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

// bytesOf is the value of a message that has one which is bytes; nil if it has none.
func bytesOf(m interface {
	GetValueBytes() []byte
	GetContentType() string
}) *Bytes {
	if m.GetContentType() == "" { // bytes always have one
		return nil
	}
	return &Bytes{m.GetContentType(), m.GetValueBytes()}
}

func checkWrite(w *Write) error {
	switch {
	case w.TTL < 0 || w.TTL > 0 && (w.Tombstone || w.Sum != nil || w.Patch || w.Bytes == nil && len(w.Value) == 0):
		return invalidf("key %q: a time to live is of a value, and positive", w.Key)
	case w.Due != nil && (w.Tombstone || w.Sum != nil || w.Patch || w.Append || w.IfAbsent || w.act != nil || w.TTL > 0):
		return invalidf("key %q: what is due is a value that is set, without a time to live", w.Key)
	case w.evaluated() && w.Tombstone:
		return invalidf("key %q: a write is a delete or an operation on what is there, not both", w.Key)
	case w.act != nil && (w.Sum != nil || w.Patch || w.Append || w.IfAbsent || w.Bytes != nil || len(w.Value) > 0), w.Sum != nil && (w.Patch || w.Append || w.IfAbsent || w.Bytes != nil || len(w.Value) > 0), w.Patch && (w.Append || w.IfAbsent || w.Bytes != nil), w.Append && w.IfAbsent:
		return invalidf("key %q: a write is one operation, not several", w.Key)
	case w.Sum != nil || w.act != nil:
		return nil
	case w.Bytes != nil && len(w.Value) > 0:
		return invalidf("key %q: a write carries one value: it has bytes and JSON", w.Key)
	case w.Tombstone && (w.Bytes != nil || len(w.Value) > 0):
		return invalidf("key %q: a write is a delete or carries a value, not both", w.Key)
	case !w.Tombstone && w.Bytes == nil && len(w.Value) == 0:
		return invalidf("key %q: the value is absent (an empty object is {})", w.Key)
	}
	return nil
}

// named is n in the client's namespace, unless it names one.
func (c *Client) named(n RecordName) RecordName {
	if n.Namespace == "" {
		n.Namespace = c.config.Namespace
	}
	return n
}

func (c *Client) conditions(o *Conditions) (keys []*pb.KeyPrecondition, heads []*pb.HeadPrecondition) {
	for _, k := range o.Keys {
		n := c.named(k.RecordName)
		keys = append(keys, &pb.KeyPrecondition{Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key, ExpectedVersion: uint64(k.Expected)})
	}
	for _, h := range o.Heads {
		n := c.named(RecordName{Namespace: h.Namespace})
		heads = append(heads, &pb.HeadPrecondition{Namespace: n.Namespace, AgentId: h.Agent, ExpectedHead: uint64(h.Expected)})
	}
	for _, l := range o.Leases {
		n := c.named(RecordName{Namespace: l.Namespace})
		keys = append(keys, &pb.KeyPrecondition{Namespace: n.Namespace, AgentId: l.Agent, Lease: l.Lease, ExpectedVersion: uint64(l.Token)})
	}
	return keys, heads
}

// GetTransaction returns the state of a transaction by its id.
func (c *Client) GetTransaction(ctx context.Context, id string) (TxnOutcome, error) {
	resp, err := ask(ctx, c, c.stub.GetTransaction, &pb.GetTransactionRequest{TxnId: id})
	if err != nil {
		return TxnOutcome{}, err
	}
	out := TxnOutcome{Commit: Commit{
		TxnID: id, CommitTS: CommitTS(resp.GetCommitTs()), CommitTime: timeOf(resp.GetCommitTime()), Versions: keyVersions(resp.GetVersions()),
	}}
	switch resp.GetState() {
	case pb.TransactionState_TRANSACTION_STATE_OPEN:
		out.State = TxnOpen
	case pb.TransactionState_TRANSACTION_STATE_COMMITTED:
		out.State = TxnCommitted
	case pb.TransactionState_TRANSACTION_STATE_ABORTED:
		out.State = TxnAborted
	case pb.TransactionState_TRANSACTION_STATE_EXPIRED:
		out.State = TxnExpired
	case pb.TransactionState_TRANSACTION_STATE_NEVER_SEEN:
		out.State = TxnNeverSeen
	case pb.TransactionState_TRANSACTION_STATE_TOO_OLD:
		out.State = TxnTooOld
	default:
		return TxnOutcome{}, broken("transaction state %v", resp.GetState())
	}
	return out, nil
}

func keyVersions(vs []*pb.KeyVersion) []KeyVersion {
	var out []KeyVersion
	for _, v := range vs {
		out = append(out, KeyVersion{RecordName{v.GetNamespace(), v.GetAgentId(), v.GetKey()}, Version(v.GetVersion())})
	}
	return out
}

func (c *Client) newTxnID() string { return footprint.NewID(c.config.Now(), c.config.Rand) }
