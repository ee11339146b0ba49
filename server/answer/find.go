package answer

import (
	"context"
	"fmt"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/filter"
	"statehouse.dev/statehouse/server/wire"
)

func (s *Service) Find(ctx context.Context, req *pb.FindRequest) (*pb.FindResponse, error) {
	values, err := wire.ValuesFor(req)
	if err != nil {
		return nil, err
	}
	o, err := findOptions(req)
	if err != nil {
		return nil, err
	}
	at, err := wire.AtOf(req.GetAt())
	if err != nil {
		return nil, err
	}
	if err := s.engine.CheckPublished(engine.CommitTS(req.GetMinReadTs())); err != nil {
		return nil, err
	}
	scope := findScope(req)
	token, at, err := s.pageAfter(req.GetPageToken(), at, scope...)
	if err != nil {
		return nil, err
	}
	snap, err := s.engine.Snapshot(at)
	if err != nil {
		return nil, err
	}
	o.After, o.Page = token.Last, s.page(req.GetLimit(), s.config.Tuning.NamesPage)
	o.KeysOnly, o.WithMetadata = values.None(), req.GetWithMetadata()
	found, err := snap.Within(ctx).Find(o)
	if err != nil {
		return nil, err
	}
	resp, size := &pb.FindResponse{ReadTs: uint64(snap.TS()), Scanned: uint64(found.Scanned)}, sizer{of: s}
	for i := range found.Records {
		rec := &found.Records[i]
		entry, err := entryOf(rec, values)
		if err != nil {
			return nil, err
		}
		entry.Namespace, entry.AgentId = rec.Name.Namespace, rec.Name.Agent
		if o.WithMetadata {
			entry.Metadata = found.Metadata[i]
		}
		if err := size.add(entry); err != nil {
			return nil, err
		}
		resp.Entries, rec.Value = append(resp.Entries, entry), nil
	}
	if found.Next != "" {
		if len(found.Records) > 0 {
			s.pageFull(len(found.Records), o.Page)
		}
		resp.NextPageToken = s.nextPage(snap.TS(), found.Next, scope...)
	}
	return resp, s.fits(resp)
}

// findScope is what all pages of a list have in common.
func findScope(req *pb.FindRequest) []string {
	scope := []string{"find", req.GetNamespace(), req.GetAgentId(), fmt.Sprint(req.GetAllAgents()), req.GetPrefix(), req.GetOrder().String()}
	for _, c := range req.GetWhere() {
		scope = append(scope, fmt.Sprintf("%q %q %d %q %t", c.GetPointer(), c.GetMetadata(), c.GetComparison(), c.GetValue(), c.GetNegate()))
	}
	return scope
}

func findOptions(req *pb.FindRequest) (engine.FindOptions, error) {
	o := engine.FindOptions{Namespace: req.GetNamespace(), Agent: req.GetAgentId(), AllAgents: req.GetAllAgents(), Prefix: req.GetPrefix()}
	switch req.GetOrder() {
	case pb.FindOrder_FIND_ORDER_KEY:
	case pb.FindOrder_FIND_ORDER_CHANGED:
		o.Changed = true
	default:
		return o, wire.Invalid("order", fmt.Sprintf("the order %d is not known", req.GetOrder()))
	}
	f, err := filterOf(req.GetWhere())
	if err != nil {
		return o, wire.Invalid("where", err.Error())
	}
	if f.OnValues() {
		o.Value = f.Value
	}
	if f.OnMetadata() {
		o.Metadata = f.Metadata
	}
	return o, nil
}

// comparisons of the contract, as the filter calls them.
var comparisons = map[pb.Comparison]filter.Comparison{
	pb.Comparison_COMPARISON_EQUAL: filter.Equal, pb.Comparison_COMPARISON_NOT_EQUAL: filter.NotEqual,
	pb.Comparison_COMPARISON_LESS: filter.Less, pb.Comparison_COMPARISON_LESS_OR_EQUAL: filter.LessOrEqual,
	pb.Comparison_COMPARISON_GREATER: filter.Greater, pb.Comparison_COMPARISON_GREATER_OR_EQUAL: filter.GreaterOrEqual,
	pb.Comparison_COMPARISON_IN: filter.In, pb.Comparison_COMPARISON_EXISTS: filter.Exists,
}

func filterOf(where []*pb.Condition) (*filter.Filter, error) {
	conditions := make([]filter.Condition, len(where))
	for i, c := range where {
		comparison, known := comparisons[c.GetComparison()]
		if !known {
			return nil, fmt.Errorf("condition %d: the comparison %d is not known", i+1, c.GetComparison())
		}
		conditions[i] = filter.Condition{
			Pointer: c.GetPointer(), Metadata: c.GetMetadata(), Comparison: comparison, Operand: c.GetValue(), Negate: c.GetNegate(),
		}
	}
	return filter.New(conditions)
}

// entryOf is a record of a list as a message.
func entryOf(rec *engine.Record, values wire.Values) (*pb.StateEntry, error) {
	entry := &pb.StateEntry{Key: rec.Name.Key, Version: uint64(rec.Version), CommitTs: uint64(rec.CommitTS), CommitTime: wire.Timestamp(rec.CommitTime), Erased: rec.Erased, Pruned: rec.Pruned, ExpiresAt: wire.Timestamp(rec.ExpiresAt)}
	if rec.Value == nil {
		return entry, nil
	}
	return entry, values.Set(entry, stateEntryValue, &entry.ValueJson, rec.Name.Key, rec.Value)
}

// listFolders is ListKeys with a delimiter.
func (s *Service) listFolders(ctx context.Context, req *pb.ListKeysRequest) (*pb.ListKeysResponse, error) {
	if err := s.readable(req); err != nil {
		return nil, err
	}
	if req.GetTxnId() != "" {
		return nil, wire.Invalid("delimiter", "folders are not listed inside a transaction, which would have read all that is in them: read at its snapshot instead, or list keys")
	}
	at, err := wire.AtOf(req.GetAt())
	if err != nil {
		return nil, err
	}
	scope := []string{"folders", req.GetNamespace(), req.GetAgentId(), req.GetPrefix(), req.GetDelimiter(), fmt.Sprint(req.GetReverse())}
	token, at, err := s.pageAfter(req.GetPageToken(), at, scope...)
	if err != nil {
		return nil, err
	}
	snap, err := s.engine.Snapshot(at)
	if err != nil {
		return nil, err
	}
	o := engine.ScanOptions{
		Agent:  engine.AgentName{Namespace: req.GetNamespace(), Agent: req.GetAgentId()},
		Prefix: req.GetPrefix(), After: token.Last, Reverse: req.GetReverse(),
		Page: engine.Page{Items: int(req.GetLimit()), Bytes: s.config.Tuning.PageBytes},
	}
	list, more, err := snap.Within(ctx).Folders(o, req.GetDelimiter())
	if err != nil {
		return nil, err
	}
	resp := &pb.ListKeysResponse{ReadTs: uint64(snap.TS())}
	for _, l := range list {
		if l.Folder {
			resp.Folders = append(resp.Folders, l.Name)
		} else {
			resp.Keys = append(resp.Keys, l.Name)
		}
	}
	if !more {
		return resp, nil
	}
	s.pageFull(len(list), o.Page)
	if req.GetLimit() == 0 && req.GetPageToken() == "" {
		return nil, moreThanOneAnswer(len(list))
	}
	resp.NextPageToken = s.nextPage(snap.TS(), list[len(list)-1].Name, scope...)
	return resp, nil
}
