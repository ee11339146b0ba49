package answer

import (
	"context"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/meter"
	"statehouse.dev/statehouse/server/wire"
)

func (s *Service) BeginTransaction(ctx context.Context, req *pb.BeginTransactionRequest) (*pb.BeginTransactionResponse, error) {
	id, snapshot, granted, err := s.engine.BeginFor(access.Principal(ctx), wire.Timeout(req.TimeoutMs))
	if err != nil {
		return nil, err
	}
	return &pb.BeginTransactionResponse{TxnId: string(id), SnapshotTs: uint64(snapshot), TimeoutMs: uint64(granted.Milliseconds())}, nil
}

func (s *Service) Write(_ context.Context, req *pb.WriteRequest) (*pb.WriteResponse, error) {
	w := engine.Write{
		Name:     engine.RecordName{Namespace: req.GetNamespace(), Agent: req.GetAgentId(), Key: req.GetKey()},
		Expected: wire.ExpectedVersion(req.ExpectedVersion),
	}
	if err := wire.SetValue(&w, req, req.GetValueJson(), s.engine.Limits().ValueBytes); err != nil {
		return nil, err
	}
	return &pb.WriteResponse{}, s.engine.Stage(engine.TxnID(req.GetTxnId()), w)
}

func (s *Service) Delete(_ context.Context, req *pb.DeleteRequest) (*pb.DeleteResponse, error) {
	w := engine.Write{
		Name:      engine.RecordName{Namespace: req.GetNamespace(), Agent: req.GetAgentId(), Key: req.GetKey()},
		Tombstone: true,
		Expected:  wire.ExpectedVersion(req.ExpectedVersion),
	}
	return &pb.DeleteResponse{}, s.engine.Stage(engine.TxnID(req.GetTxnId()), w)
}

func (s *Service) Commit(ctx context.Context, req *pb.CommitRequest) (*pb.CommitResponse, error) {
	c := wire.Conditions(req.GetMetadata(), req.GetKeyPreconditions(), req.GetHeadPreconditions())
	s.asked(ctx, &c)
	r, err := s.engine.Commit(ctx, engine.TxnID(req.GetTxnId()), c)
	if err != nil {
		return nil, err
	}
	return &pb.CommitResponse{CommitTs: uint64(r.CommitTS), CommitTime: wire.Timestamp(r.CommitTime), Versions: wire.KeyVersions(r.Versions)}, nil
}

// asked says whose commit it is, of which trace and in which share, and has the writer ask again whether that is let in: between the
// answer to a revocation and its own turn a commit may have waited.
func (s *Service) asked(ctx context.Context, c *engine.Conditions) {
	c.TraceID, c.Phases, c.Share = meter.TraceID(ctx), meter.Phases(ctx), access.Share(ctx)
	if caller := access.CallerOf(ctx); caller != nil {
		c.Principal, c.Permit = caller.Name, s.permit(ctx)
	}
}

func (s *Service) Abort(ctx context.Context, req *pb.AbortRequest) (*pb.AbortResponse, error) {
	return &pb.AbortResponse{}, s.engine.Abort(ctx, engine.TxnID(req.GetTxnId()))
}

func (s *Service) Transact(ctx context.Context, req *pb.TransactRequest) (*pb.TransactResponse, error) {
	writes, err := s.writesOf(req)
	if err != nil {
		return nil, err
	}
	values, err := wire.ValuesFor(loose{req})
	if err != nil {
		return nil, err
	}
	c := wire.Conditions(req.GetMetadata(), req.Preconditions(), req.GetHeadPreconditions())
	c.Reads, c.Timeout = wire.ReadSet(req.GetReads()), wire.Timeout(req.TimeoutMs)
	s.asked(ctx, &c)
	if reads := req.GetReads(); reads.GetEpoch() != "" {
		// What was read after a commit of another epoch may have had the versions of now, and other values.
		if err := s.engine.CheckEpoch(reads.GetEpoch(), c.Reads.Snapshot); err != nil {
			return nil, err
		}
	}
	r, err := s.engine.Transact(ctx, engine.TxnID(req.GetTxnId()), writes, c)
	if err != nil {
		return nil, err
	}
	resp := &pb.TransactResponse{CommitTs: uint64(r.CommitTS), CommitTime: wire.Timestamp(r.CommitTime)}
	if resp.Results = s.results(r.CommitTS, r.CommitTime, r.Results, values); resp.Results != nil {
		resp.Versions = versionsOf(r.Results)
	} else {
		resp.Versions = versionsInOrder(req.GetOperations(), r.Versions)
	}
	if req.GetReads() != nil {
		resp.Epoch, _ = s.engine.Epoch()
	}
	return resp, nil
}

func (s *Service) writesOf(req *pb.TransactRequest) ([]engine.Write, error) {
	writes := make([]engine.Write, len(req.GetOperations()))
	for i, op := range req.GetOperations() {
		w, err := s.writeOf(op)
		if err != nil {
			return nil, err
		}
		writes[i] = w
	}
	return writes, nil
}

// versionsInOrder lists the versions one an operation.
func versionsInOrder(ops []*pb.TransactOperation, got []engine.KeyVersion) []uint64 {
	if len(ops) == 1 && len(got) == 1 {
		return []uint64{uint64(got[0].Version)}
	}
	byName := make(map[engine.RecordName]engine.Version, len(got))
	for _, v := range got {
		byName[v.Name] = v.Version
	}
	out := make([]uint64, len(ops))
	for i, op := range ops {
		name := engine.RecordName{Namespace: op.GetNamespace(), Agent: op.GetAgentId(), Key: op.GetKey()}
		if name.Namespace == "" {
			name.Namespace = engine.DefaultNamespace
		}
		out[i] = uint64(byName[name])
	}
	return out
}

var txnStates = map[engine.TxnState]pb.TransactionState{
	engine.TxnNeverSeen: pb.TransactionState_TRANSACTION_STATE_NEVER_SEEN,
	engine.TxnOpen:      pb.TransactionState_TRANSACTION_STATE_OPEN,
	engine.TxnCommitted: pb.TransactionState_TRANSACTION_STATE_COMMITTED,
	engine.TxnAborted:   pb.TransactionState_TRANSACTION_STATE_ABORTED,
	engine.TxnExpired:   pb.TransactionState_TRANSACTION_STATE_EXPIRED,
	engine.TxnTooOld:    pb.TransactionState_TRANSACTION_STATE_TOO_OLD,
}

func (s *Service) GetTransaction(_ context.Context, req *pb.GetTransactionRequest) (*pb.GetTransactionResponse, error) {
	o, err := s.engine.Outcome(engine.TxnID(req.GetTxnId()))
	if err != nil {
		return nil, err
	}
	return &pb.GetTransactionResponse{
		State: txnStates[o.State], CommitTs: uint64(o.Result.CommitTS),
		CommitTime: wire.Timestamp(o.Result.CommitTime), Versions: wire.KeyVersions(o.Result.Versions),
	}, nil
}
