package answer

import (
	"context"
	"fmt"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/wire"
)

func (s *Service) GetHistory(ctx context.Context, req *pb.GetHistoryRequest) (*pb.GetHistoryResponse, error) {
	values, err := wire.ValuesFor(req)
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
	scope := []string{"history", req.GetNamespace(), req.GetAgentId(), req.GetKey(), fmt.Sprint(req.GetOldestFirst())}
	token, at, err := s.pageAfter(req.GetPageToken(), at, scope...)
	if err != nil {
		return nil, err
	}
	after, err := versionOf(token.Last)
	if err != nil {
		return nil, err
	}
	snap, err := s.engine.Snapshot(at)
	if err != nil {
		return nil, err
	}
	name := engine.RecordName{Namespace: req.GetNamespace(), Agent: req.GetAgentId(), Key: req.GetKey()}
	p := s.page(req.GetLimit(), s.config.Tuning.HistoryPage)
	entries, more, err := snap.Within(ctx).History(name, after, req.GetOldestFirst(), p)
	if err != nil {
		return nil, err
	}
	resp, size := &pb.GetHistoryResponse{}, sizer{of: s}
	for i := range entries {
		e := &entries[i]
		entry := &pb.HistoryEntry{
			Version: uint64(e.Version), CommitTs: uint64(e.CommitTS), CommitTime: wire.Timestamp(e.CommitTime),
			TxnId: string(e.TxnID), Metadata: e.Metadata, Principal: e.Principal, TraceId: e.TraceID, Deleted: !e.Exists,
			Erased: e.Erased, Pruned: e.Pruned, Cause: e.Cause.String(),
		}
		if e.Value != nil {
			if err := values.Set(entry, historyValue, &entry.ValueJson, e.Name.Key, e.Value); err != nil {
				return nil, err
			}
		}
		if err := size.add(entry); err != nil {
			return nil, err
		}
		resp.Entries, e.Value = append(resp.Entries, entry), nil
	}
	if more {
		s.pageFull(len(entries), p)
		resp.NextPageToken = s.nextPage(snap.TS(), entries[len(entries)-1].Version.String(), scope...)
	}
	return resp, s.fits(resp)
}

// versionOf reads a version out of a page token.
func versionOf(s string) (engine.Version, error) {
	if s == "" {
		return 0, nil
	}
	var v engine.Version
	if _, err := fmt.Sscan(s, &v); err != nil {
		return 0, wire.Invalid("page_token", "page_token is not one that this request answered")
	}
	return v, nil
}

func (s *Service) ListAgents(ctx context.Context, req *pb.ListAgentsRequest) (*pb.ListAgentsResponse, error) {
	scope := []string{"agents", req.GetNamespace(), req.GetPrefix()}
	token, at, err := s.pageAfter(req.GetPageToken(), engine.At{}, scope...)
	if err != nil {
		return nil, err
	}
	snap, err := s.engine.Snapshot(at)
	if err != nil {
		return nil, err
	}
	p := s.page(req.GetLimit(), s.config.Tuning.NamesPage)
	agents, more, err := snap.Within(ctx).Agents(req.GetNamespace(), req.GetPrefix(), token.Last, p)
	if err != nil {
		return nil, err
	}
	resp := &pb.ListAgentsResponse{}
	for _, a := range agents {
		resp.Agents = append(resp.Agents, agentMessage(&a))
	}
	if more {
		s.pageFull(len(agents), p)
		resp.NextPageToken = s.nextPage(snap.TS(), agents[len(agents)-1].Name.Agent, scope...)
	}
	return resp, nil
}

func (s *Service) ListNamespaces(ctx context.Context, req *pb.ListNamespacesRequest) (*pb.ListNamespacesResponse, error) {
	token, at, err := s.pageAfter(req.GetPageToken(), engine.At{}, "namespaces")
	if err != nil {
		return nil, err
	}
	snap, err := s.engine.Snapshot(at)
	if err != nil {
		return nil, err
	}
	p := s.page(req.GetLimit(), s.config.Tuning.NamesPage)
	names, more, err := s.readableNamespaces(ctx, snap, token.Last, p)
	if err != nil {
		return nil, err
	}
	resp := &pb.ListNamespacesResponse{Namespaces: names}
	if more {
		s.pageFull(len(names), p)
		resp.NextPageToken = s.nextPage(snap.TS(), names[len(names)-1], "namespaces")
	}
	return resp, nil
}

// readableNamespaces lists the namespaces that the caller may read.
func (s *Service) readableNamespaces(ctx context.Context, snap engine.Snapshot, after string, page engine.Page) (names []string, more bool, err error) {
	var grant access.Grant
	if caller := access.CallerOf(ctx); caller != nil {
		if grant, err = s.access.Valid(caller); err != nil {
			return nil, false, err
		}
	}
	if grant == nil {
		return snap.Within(ctx).Namespaces(after, page)
	}
	size := 0
	for more = true; more; {
		var next []string
		if next, more, err = snap.Within(ctx).Namespaces(after, page); err != nil {
			return nil, false, err
		}
		for _, n := range next {
			after = n
			if !grant.Allows(access.Read, n) {
				continue
			}
			if len(names) > 0 && (page.Items > 0 && len(names) >= page.Items || size+len(n) > page.Bytes) {
				return names, true, nil
			}
			names, size = append(names, n), size+len(n)
		}
	}
	return names, false, nil
}
