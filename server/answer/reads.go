package answer

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/structwire"
	"statehouse.dev/statehouse/server/wire"
)

// MaxBytes bounds an answer, unless Tuning says otherwise. A gRPC client accepts
// 4 MiB unless told otherwise.
const MaxBytes = 4<<20 - 1024

// Where answers have a Struct.
var (
	getStateValue     = structwire.Fields{Value: 1, Inexact: 8}
	stateVersionValue = structwire.Fields{Value: 1, Inexact: 7}
	stateEntryValue   = structwire.Fields{Value: 2, Inexact: 7}
	historyValue      = structwire.Fields{Value: 7, Inexact: 9}
	operationValue    = structwire.Fields{Value: 2, Inexact: 8}
)

// readPoint resolves where a read outside a transaction is taken.
func (s *Service) readPoint(at *pb.At) (engine.Snapshot, error) {
	point, err := wire.AtOf(at)
	if err != nil {
		return engine.Snapshot{}, err
	}
	return s.engine.Snapshot(point)
}

// readable checks what says when a read is: that it can be answered here and now.
func (s *Service) readable(req interface {
	GetAt() *pb.At
	GetTxnId() string
	GetMinReadTs() uint64
}) error {
	if req.GetTxnId() != "" && req.GetAt() != nil {
		return wire.Invalid("at", "a read inside a transaction is at its snapshot: leave at out")
	}
	return s.engine.CheckPublished(engine.CommitTS(req.GetMinReadTs()))
}

func (s *Service) GetState(_ context.Context, req *pb.GetStateRequest) (*pb.GetStateResponse, error) {
	values, err := wire.ValuesFor(req)
	if err != nil {
		return nil, err
	}
	if err := s.readable(req); err != nil {
		return nil, err
	}
	name := engine.RecordName{Namespace: req.GetNamespace(), Agent: req.GetAgentId(), Key: req.GetKey()}
	get, err := s.getter(req.GetTxnId(), req.GetAt())
	if err != nil {
		return nil, err
	}
	rec, ts, err := get(name)
	if err == nil {
		err = s.engine.ValueGone(&rec)
	}
	if err != nil {
		return nil, err
	}
	resp, err := s.stateAnswer(&rec, ts, values)
	if err != nil || !rec.Exists || req.GetTxnId() != "" || req.GetAt() != nil {
		return resp, err
	}
	due, err := s.engine.DueAt(name)
	resp.DueAt = wire.Timestamp(due)
	return resp, err
}

// getter reads records at one point: a transaction's, or at.
func (s *Service) getter(txnID string, at *pb.At) (func(engine.RecordName) (engine.Record, engine.CommitTS, error), error) {
	if txnID != "" {
		return func(n engine.RecordName) (engine.Record, engine.CommitTS, error) {
			return s.engine.TxnGet(engine.TxnID(txnID), n)
		}, nil
	}
	snap, err := s.readPoint(at)
	return func(n engine.RecordName) (engine.Record, engine.CommitTS, error) {
		rec, err := snap.Get(n)
		return rec, snap.TS(), err
	}, err
}

func (s *Service) stateAnswer(rec *engine.Record, ts engine.CommitTS, values wire.Values) (*pb.GetStateResponse, error) {
	resp := &pb.GetStateResponse{
		Version: uint64(rec.Version), CommitTs: uint64(rec.CommitTS), Exists: rec.Exists,
		CommitTime: wire.Timestamp(rec.CommitTime), ReadTs: uint64(ts), Erased: rec.Exists && rec.Erased, Pruned: rec.Pruned,
		ExpiresAt: wire.Timestamp(rec.ExpiresAt),
	}
	if rec.Value == nil {
		return resp, nil
	}
	if err := values.Set(resp, getStateValue, &resp.ValueJson, rec.Name.Key, rec.Value); err != nil {
		return nil, err
	}
	return resp, s.fits(resp)
}

// sizer adds up an answer's entries as they are made, so that one whose values grow, as
// Structs, past what clients accept is given up then, and not when all of it is there.
type sizer struct {
	of   *Service
	size int
}

func (s *sizer) add(entry proto.Message) error {
	if s.size += proto.Size(entry); s.size > s.of.config.Tuning.AnswerBytes {
		return s.of.answerTooLarge(fmt.Sprintf("the values are more than %d bytes together: ask for fewer at a time, or for VALUE_ENCODING_JSON, or of bytes for VALUE_ENCODING_NATIVE", s.of.config.Tuning.AnswerBytes))
	}
	return nil
}

func (s *Service) answerTooLarge(message string) error {
	s.reached.AnswerBytes.Add(1)
	return wire.Fail(engine.ErrLimit, message)
}

// fits refuses an answer that grew past what clients accept when its values were
// turned into Structs.
func (s *Service) fits(m proto.Message) error {
	if n := proto.Size(m); n > s.config.Tuning.AnswerBytes {
		return s.answerTooLarge(fmt.Sprintf("the answer is %d bytes, more than the %d that clients accept: ask for less, or for VALUE_ENCODING_JSON, or of bytes for VALUE_ENCODING_NATIVE", n, s.config.Tuning.AnswerBytes))
	}
	return nil
}

func (s *Service) GetStateAtVersion(_ context.Context, req *pb.GetStateAtVersionRequest) (*pb.GetStateAtVersionResponse, error) {
	values, err := wire.ValuesFor(req)
	if err != nil {
		return nil, err
	}
	name := engine.RecordName{Namespace: req.GetNamespace(), Agent: req.GetAgentId(), Key: req.GetKey()}
	rec, err := s.engine.GetVersion(name, engine.Version(req.GetVersion()))
	if err != nil {
		return nil, err
	}
	resp := &pb.GetStateAtVersionResponse{
		Version: uint64(rec.Version), CommitTs: uint64(rec.CommitTS), Exists: rec.Exists, CommitTime: wire.Timestamp(rec.CommitTime),
	}
	if rec.Exists {
		if err := values.Set(resp, stateVersionValue, &resp.ValueJson, rec.Name.Key, rec.Value); err != nil {
			return nil, err
		}
	}
	return resp, s.fits(resp)
}

func (s *Service) BatchGetState(ctx context.Context, req *pb.BatchGetStateRequest) (*pb.BatchGetStateResponse, error) {
	values, err := wire.ValuesFor(req)
	if err != nil {
		return nil, err
	}
	if err := s.readable(req); err != nil {
		return nil, err
	}
	if n, limit := len(req.GetNames()), s.config.Tuning.BatchNames; n > limit {
		s.reached.BatchNames.Add(1)
		return nil, wire.Invalid("names", fmt.Sprintf("%d names are asked for, the limit is %d", n, limit))
	}
	get, err := s.getter(req.GetTxnId(), req.GetAt())
	if err != nil {
		return nil, err
	}
	if len(req.GetNames()) == 0 { // a point is read, if nothing at it
		return s.batchOfNothing(req)
	}
	resp, size := &pb.BatchGetStateResponse{}, sizer{of: s}
	for _, n := range req.GetNames() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rec, ts, err := get(engine.RecordName{Namespace: n.GetNamespace(), Agent: n.GetAgentId(), Key: n.GetKey()})
		if err != nil {
			return nil, err
		}
		state, err := s.stateAnswer(&rec, ts, values)
		if err != nil {
			return nil, err
		}
		if err := size.add(state); err != nil {
			return nil, err
		}
		resp.States, resp.ReadTs = append(resp.States, state), uint64(ts)
	}
	return resp, s.fits(resp)
}

func (s *Service) batchOfNothing(req *pb.BatchGetStateRequest) (*pb.BatchGetStateResponse, error) {
	if id := req.GetTxnId(); id != "" {
		ts, err := s.engine.TxnSnapshot(engine.TxnID(id))
		return &pb.BatchGetStateResponse{ReadTs: uint64(ts)}, err
	}
	snap, err := s.readPoint(req.GetAt())
	return &pb.BatchGetStateResponse{ReadTs: uint64(snap.TS())}, err
}

// scanRequest is what ListKeys and ScanPrefix have in common.
type scanRequest interface {
	GetNamespace() string
	GetAgentId() string
	GetPrefix() string
	GetLimit() uint32
	GetPageToken() string
	GetReverse() bool
	GetAt() *pb.At
	GetTxnId() string
	GetMinReadTs() uint64
}

// scan reads one page. Without a limit and a token the whole list is asked for,
// by a client that may know nothing of pages: it gets all or a refusal.
func (s *Service) scan(ctx context.Context, req scanRequest, keysOnly bool) (records []engine.Record, next string, ts engine.CommitTS, err error) {
	if err := s.readable(req); err != nil {
		return nil, "", 0, err
	}
	at, err := wire.AtOf(req.GetAt())
	if err != nil {
		return nil, "", 0, err
	}
	scope := []string{req.GetNamespace(), req.GetAgentId(), req.GetPrefix(), fmt.Sprint(req.GetReverse()), req.GetTxnId()}
	token, at, err := s.pageAfter(req.GetPageToken(), at, scope...)
	if err != nil {
		return nil, "", 0, err
	}
	o := engine.ScanOptions{
		Agent:  engine.AgentName{Namespace: req.GetNamespace(), Agent: req.GetAgentId()},
		Prefix: req.GetPrefix(), After: token.Last, Reverse: req.GetReverse(), KeysOnly: keysOnly,
		Page: engine.Page{Items: int(req.GetLimit()), Bytes: s.config.Tuning.PageBytes},
	}
	var more bool
	if req.GetTxnId() != "" {
		records, more, ts, err = s.engine.TxnScan(ctx, engine.TxnID(req.GetTxnId()), o)
	} else {
		var snap engine.Snapshot
		if snap, err = s.engine.Snapshot(at); err == nil {
			ts = snap.TS()
			records, more, err = snap.Within(ctx).Scan(o)
		}
	}
	if err != nil {
		return nil, "", 0, err
	}
	if more {
		s.pageFull(len(records), o.Page)
		if req.GetLimit() == 0 && req.GetPageToken() == "" {
			return nil, "", 0, moreThanOneAnswer(len(records))
		}
		next = s.nextPage(ts, records[len(records)-1].Name.Key, scope...)
	}
	return records, next, ts, nil
}

func (s *Service) ListKeys(ctx context.Context, req *pb.ListKeysRequest) (*pb.ListKeysResponse, error) {
	if req.GetDelimiter() != "" {
		return s.listFolders(ctx, req)
	}
	records, next, ts, err := s.scan(ctx, req, true)
	if err != nil {
		return nil, err
	}
	resp := &pb.ListKeysResponse{Keys: make([]string, len(records)), NextPageToken: next, ReadTs: uint64(ts)}
	for i := range records {
		resp.Keys[i] = records[i].Name.Key
	}
	return resp, nil
}

func (s *Service) ScanPrefix(ctx context.Context, req *pb.ScanPrefixRequest) (*pb.ScanPrefixResponse, error) {
	values, err := wire.ValuesFor(req)
	if err != nil {
		return nil, err
	}
	records, next, ts, err := s.scan(ctx, req, values.None())
	if err != nil {
		return nil, err
	}
	resp, size := &pb.ScanPrefixResponse{Entries: make([]*pb.StateEntry, len(records)), NextPageToken: next, ReadTs: uint64(ts)}, sizer{of: s}
	for i := range records {
		rec := &records[i]
		entry, err := entryOf(rec, values)
		if err != nil {
			return nil, err
		}
		if err := size.add(entry); err != nil {
			return nil, err
		}
		resp.Entries[i], rec.Value = entry, nil
	}
	return resp, s.fits(resp)
}
