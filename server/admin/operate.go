package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Process is what operators ask of the process round the service. What is nil cannot be asked.
type Process struct {
	// SetLogLevel changes the level of the log and answers what it was.
	SetLogLevel func(level string) (previous string, err error)
	// Diagnostics are the texts that can be asked for. None has a value, a key or a secret in it.
	Diagnostics []Diagnostic
	// Cluster is that of which the daemon is a member; nil: it is alone.
	Cluster Cluster
}

// Diagnostic is a text about the daemon.
type Diagnostic struct {
	Name string
	Text func() ([]byte, error)
}

// ListTransactions implements the RPC.
func (s *Service) ListTransactions(context.Context, *pb.ListTransactionsRequest) (*pb.ListTransactionsResponse, error) {
	const most = 10_000 // some 100 bytes each
	open := s.Engine.OpenTxns()
	resp := &pb.ListTransactionsResponse{}
	for _, x := range open[:min(len(open), most)] {
		resp.Transactions = append(resp.Transactions, &pb.OpenTransaction{
			TxnId: string(x.ID), Principal: x.Principal, BeginTime: timestamppb.New(x.Begun), ExpireTime: timestamppb.New(x.Deadline),
			SnapshotTs: uint64(x.Snapshot), Operations: uint64(x.Ops), Bytes: uint64(x.Bytes), Reads: uint64(x.Reads),
		})
	}
	return resp, nil
}

// AbortTransaction implements the RPC.
func (s *Service) AbortTransaction(ctx context.Context, req *pb.AbortTransactionRequest) (*pb.AbortTransactionResponse, error) {
	id := engine.TxnID(req.GetTxnId())
	known := slices.ContainsFunc(s.Engine.OpenTxns(), func(x engine.OpenTxn) bool { return x.ID == id })
	if err := s.Engine.Abort(ctx, id); err != nil {
		return nil, err
	}
	if !known { // an operator wants to know of a slip of the pen, which a client does not
		return nil, &engine.Failure{Kind: engine.ErrTxnNotFound, Message: fmt.Sprintf("no transaction %q is open", id)}
	}
	return &pb.AbortTransactionResponse{}, nil
}

// SetLogLevel implements the RPC.
func (s *Service) SetLogLevel(_ context.Context, req *pb.SetLogLevelRequest) (*pb.SetLogLevelResponse, error) {
	if s.Process.SetLogLevel == nil {
		return nil, &engine.Failure{Kind: engine.ErrInvalid, Message: "this process has no log whose level could be set"}
	}
	previous, err := s.Process.SetLogLevel(req.GetLevel())
	if err != nil {
		return nil, &engine.Failure{Kind: engine.ErrInvalid, Message: err.Error(), Details: map[string]string{"field": "level"}}
	}
	return &pb.SetLogLevelResponse{Previous: previous}, nil
}

// GetDiagnostics implements the RPC.
func (s *Service) GetDiagnostics(_ context.Context, req *pb.GetDiagnosticsRequest) (*pb.GetDiagnosticsResponse, error) {
	var names []string
	for _, d := range s.Process.Diagnostics {
		names = append(names, d.Name)
	}
	for _, name := range req.GetParts() {
		if !slices.Contains(names, name) {
			return nil, &engine.Failure{
				Kind: engine.ErrInvalid, Message: fmt.Sprintf("there is no %q to tell of this daemon, but %s", name, strings.Join(names, ", ")),
				Details: map[string]string{"field": "parts"},
			}
		}
	}
	resp := &pb.GetDiagnosticsResponse{Parts: make(map[string][]byte)}
	for _, d := range s.Process.Diagnostics {
		if len(req.GetParts()) > 0 && !slices.Contains(req.GetParts(), d.Name) {
			continue
		}
		text, err := d.Text()
		if err != nil {
			text = fmt.Appendf(nil, "it cannot be told: %v\n", err)
		}
		resp.Parts[d.Name] = text
	}
	return resp, nil
}
