package admin

import (
	"context"
	"iter"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/client"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Import is an import and how far it is.
type Import struct {
	// ID is chosen by whoever begins it, of lower-case letters, digits and hyphens, and names the import when
	// it goes on.
	ID      string
	Targets []ImportTarget
	// Keep: the commits keep their numbers, times and ids. Only in a store that has no commit, which takes
	// no other before the import ends.
	Keep      bool
	Principal string
	Began     time.Time
	State     ImportState

	Events, Operations, Bytes uint64          // added
	Source                    client.CommitTS // of the last event, where it comes from
	First, Last               client.CommitTS // of the commits made, all of them when it is done
}

// ImportTarget is a namespace or an agent that an import makes.
type ImportTarget struct {
	Namespace string
	Agent     string // empty: the whole namespace
}

// ImportState is how far an import is.
type ImportState string

const (
	ImportStaging ImportState = "staging" // events are added
	ImportMaking  ImportState = "making"  // its commits are being made
	ImportDone    ImportState = "done"
)

// BeginImport begins to make what does not exist yet, with the history that it had elsewhere. Until the
// last commit of the import is made nobody sees anything of it. If the import was begun before, it
// is found, and says how many events it has.
func (c *Client) BeginImport(ctx context.Context, x Import) (Import, error) {
	req := &pb.BeginImportRequest{ImportId: x.ID, Keep: x.Keep}
	for _, t := range x.Targets {
		req.Targets = append(req.Targets, &pb.ImportTarget{Namespace: t.Namespace, AgentId: t.Agent})
	}
	m, err := ask(ctx, c, c.stub.BeginImport, req)
	return importOf(m), err
}

// ImportEvents adds events to an import that has after of them. They are durable when it returns. Events that are
// there already are passed over, so it can be called again when its outcome is unknown.
func (c *Client) ImportEvents(ctx context.Context, id string, after uint64, events []client.Event) (Import, error) {
	req := &pb.ImportEventsRequest{ImportId: id, After: after, Events: make([]*pb.ReplayEvent, len(events))}
	for i := range events {
		req.Events[i] = importedEvent(&events[i])
	}
	m, err := ask(ctx, c, c.stub.ImportEvents, req)
	return importOf(m), err
}

// ImportedSize is about how many bytes an event takes in a request of ImportEvents, which may have 4 MiB.
func ImportedSize(ev *client.Event) int { return proto.Size(importedEvent(ev)) }

func importedEvent(ev *client.Event) *pb.ReplayEvent {
	m := &pb.ReplayEvent{
		CommitTs: uint64(ev.CommitTS), TxnId: ev.TxnID, Principal: ev.Principal, TraceId: ev.TraceID, Metadata: ev.Metadata,
		Operations: make([]*pb.Operation, len(ev.Operations)),
	}
	if !ev.CommitTime.IsZero() {
		m.CommitTime = timestamppb.New(ev.CommitTime)
	}
	for i, o := range ev.Operations {
		m.Operations[i] = &pb.Operation{
			Namespace: o.Namespace, AgentId: o.Agent, Key: o.Key, Version: uint64(o.Version), ValueJson: o.Value,
			Deleted: o.Deleted, Erased: o.Erased, Pruned: o.Pruned,
		}
	}
	return m
}

// FinishImport makes the commits of an import that has this many events, and yields how far that is; the
// last one is done. If the call breaks the daemon goes on: asked again it says so.
func (c *Client) FinishImport(ctx context.Context, id string, events uint64) iter.Seq2[Import, error] {
	return follow(ctx, c.stub.FinishImport, &pb.FinishImportRequest{ImportId: id, Events: events}, importOf)
}

// AbortImport drops an import that is not being finished yet.
func (c *Client) AbortImport(ctx context.Context, id string) error {
	_, err := ask(ctx, c, c.stub.AbortImport, &pb.AbortImportRequest{ImportId: id})
	return err
}

// Imports lists the imports under way and the last ones that were finished.
func (c *Client) Imports(ctx context.Context) ([]Import, error) {
	resp, err := ask(ctx, c, c.stub.ListImports, &pb.ListImportsRequest{})
	var list []Import
	for _, m := range resp.GetImports() {
		list = append(list, importOf(m))
	}
	return list, err
}

func importOf(m *pb.Import) Import {
	x := Import{
		ID: m.GetImportId(), Keep: m.GetKeep(), Principal: m.GetPrincipal(), Began: m.GetBeginTime().AsTime(),
		Events: m.GetEvents(), Operations: m.GetOperations(), Bytes: m.GetBytes(),
		Source: client.CommitTS(m.GetSourceTs()), First: client.CommitTS(m.GetFirstTs()), Last: client.CommitTS(m.GetLastTs()),
	}
	switch m.GetState() {
	case pb.ImportState_IMPORT_STATE_MAKING:
		x.State = ImportMaking
	case pb.ImportState_IMPORT_STATE_DONE:
		x.State = ImportDone
	default:
		x.State = ImportStaging
	}
	for _, t := range m.GetTargets() {
		x.Targets = append(x.Targets, ImportTarget{t.GetNamespace(), t.GetAgentId()})
	}
	return x
}
