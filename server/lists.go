package server

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
	after, err := versionOf(token.last)
	if err != nil {
		return nil, err
	}
	snap, err := s.engine.Snapshot(at)
	if err != nil {
		return nil, err
	}
	name := engine.RecordName{Namespace: req.GetNamespace(), Agent: req.GetAgentId(), Key: req.GetKey()}
	page := s.page(req.GetLimit(), s.config.Tuning.HistoryPage)
	entries, more, err := snap.Within(ctx).History(name, after, req.GetOldestFirst(), page)
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
		s.pageFull(len(entries), page)
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
	page := s.page(req.GetLimit(), s.config.Tuning.NamesPage)
	agents, more, err := snap.Within(ctx).Agents(req.GetNamespace(), req.GetPrefix(), token.last, page)
	if err != nil {
		return nil, err
	}
	resp := &pb.ListAgentsResponse{}
	for _, a := range agents {
		resp.Agents = append(resp.Agents, agentMessage(&a))
	}
	if more {
		s.pageFull(len(agents), page)
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
	page := s.page(req.GetLimit(), s.config.Tuning.NamesPage)
	names, more, err := s.readableNamespaces(ctx, snap, token.last, page)
	if err != nil {
		return nil, err
	}
	resp := &pb.ListNamespacesResponse{Namespaces: names}
	if more {
		s.pageFull(len(names), page)
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

// page is one of as many items as are asked for, within what there may be; 0: as usual.
func (s *Service) page(asked uint32, usual int) engine.Page {
	t := &s.config.Tuning
	if asked > 0 {
		usual = int(asked)
	}
	return engine.Page{Items: min(usual, t.NamesPage), Bytes: t.PageBytes}
}

// pageFull counts the bound that ended a page of so many items.
func (s *Service) pageFull(items int, p engine.Page) {
	switch {
	case p.Items == 0 || items < p.Items:
		s.reached.PageBytes.Add(1)
	case p.Items == s.config.Tuning.HistoryPage:
		s.reached.HistoryPage.Add(1)
	case p.Items == s.config.Tuning.NamesPage:
		s.reached.NamesPage.Add(1)
	}
}
