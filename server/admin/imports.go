package admin

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/wire"
)

// BeginImport begins an import, or finds it.
func (s *Service) BeginImport(ctx context.Context, req *pb.BeginImportRequest) (*pb.Import, error) {
	x := engine.Import{ID: req.GetImportId(), Keep: req.GetKeep(), Principal: access.Principal(ctx)}
	for _, t := range req.GetTargets() {
		x.Targets = append(x.Targets, engine.ImportTarget{Namespace: t.GetNamespace(), Agent: t.GetAgentId()})
	}
	x, err := s.Engine.BeginImport(ctx, x)
	return importMessage(&x), err
}

// ImportEvents adds events to an import.
func (s *Service) ImportEvents(ctx context.Context, req *pb.ImportEventsRequest) (*pb.Import, error) {
	events := make([]engine.ImportEvent, len(req.GetEvents()))
	for i, m := range req.GetEvents() {
		var err error
		if events[i], err = importedEvent(m); err != nil {
			return nil, err
		}
	}
	x, err := s.Engine.StageImport(ctx, req.GetImportId(), req.GetAfter(), events)
	return importMessage(&x), err
}

func importedEvent(m *pb.ReplayEvent) (engine.ImportEvent, error) {
	ev := engine.ImportEvent{
		CommitTS: engine.CommitTS(m.GetCommitTs()), TxnID: engine.TxnID(m.GetTxnId()), Principal: m.GetPrincipal(), TraceID: m.GetTraceId(),
		Metadata: m.GetMetadata(), Ops: make([]engine.EventOp, len(m.GetOperations())),
	}
	at, err := wire.TimeOf("commit_time", m.GetCommitTime())
	if err != nil {
		return ev, err
	}
	if at != nil {
		ev.CommitTime = *at
	}
	for i, o := range m.GetOperations() {
		if o.GetValue() != nil {
			return ev, invalid("value", fmt.Sprintf("commit %d has a value as google.protobuf.Struct: an import takes value_json", m.GetCommitTs()))
		}
		ev.Ops[i] = engine.EventOp{
			Name:    engine.RecordName{Namespace: o.GetNamespace(), Agent: o.GetAgentId(), Key: o.GetKey()},
			Version: engine.Version(o.GetVersion()), Value: o.GetValueJson(), Tombstone: o.GetDeleted(), Erased: o.GetErased(), Pruned: o.GetPruned(),
		}
	}
	return ev, nil
}

// FinishImport makes the commits of an import, and says how far it is.
func (s *Service) FinishImport(req *pb.FinishImportRequest, stream pb.AdminService_FinishImportServer) error {
	return s.Engine.FinishImport(stream.Context(), req.GetImportId(), req.GetEvents(), func(x engine.Import) error {
		return stream.Send(importMessage(&x))
	})
}

// AbortImport drops an import.
func (s *Service) AbortImport(ctx context.Context, req *pb.AbortImportRequest) (*pb.AbortImportResponse, error) {
	return &pb.AbortImportResponse{}, s.Engine.AbortImport(ctx, req.GetImportId())
}

// ListImports lists imports.
func (s *Service) ListImports(context.Context, *pb.ListImportsRequest) (*pb.ListImportsResponse, error) {
	list, err := s.Engine.Imports()
	resp := new(pb.ListImportsResponse)
	for i := range list {
		resp.Imports = append(resp.Imports, importMessage(&list[i]))
	}
	return resp, err
}

var importStates = map[engine.ImportState]pb.ImportState{
	engine.ImportStaging: pb.ImportState_IMPORT_STATE_STAGING,
	engine.ImportMaking:  pb.ImportState_IMPORT_STATE_MAKING,
	engine.ImportDone:    pb.ImportState_IMPORT_STATE_DONE,
}

func importMessage(x *engine.Import) *pb.Import {
	m := &pb.Import{
		ImportId: x.ID, Keep: x.Keep, Principal: x.Principal, BeginTime: timestamppb.New(x.Began), State: importStates[x.State],
		Events: x.Events, Operations: x.Operations, Bytes: x.Bytes,
		SourceTs: uint64(x.Source), FirstTs: uint64(x.First), LastTs: uint64(x.Last),
	}
	for _, t := range x.Targets {
		m.Targets = append(m.Targets, &pb.ImportTarget{Namespace: t.Namespace, AgentId: t.Agent})
	}
	return m
}
