package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// observer is the client that looks at everything at the end.
const observer = "observer"

// audit kills the daemon one last time, and reads the log, and everything else the
// way a client would. complete: the log was read to its end.
func (r *run) audit(ctx context.Context) (log []history.Event, complete bool, err error) {
	if r.died() {
		return nil, false, nil
	}
	if r.cluster == nil {
		r.kill("SIGKILL, the last")
		if !r.start(ctx) {
			return nil, false, nil
		}
	}
	conn, recorded, err := r.dial(observer, false)
	if err != nil {
		return nil, false, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*r.o.Patience)
	defer cancel()
	a := &auditor{StatehouseServiceClient: pb.NewStatehouseServiceClient(recorded), events: make(map[uint64]*history.Event)}
	if err := a.look(ctx, r.inDoubt()); err != nil {
		if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
			return nil, false, nil // interrupted
		}
		guarantee := "G9" // there is no answer
		if status.Code(err) == codes.DataLoss {
			guarantee = "G8"
		}
		r.violate(guarantee, "unreadable", "the daemon runs, no fault is left, and it cannot be read: %v", err)
		return nil, false, nil
	}
	return a.log(), true, nil
}

// inDoubt lists the transactions that a client tried to commit without being told
// what became of it.
func (r *run) inDoubt() []string {
	var list []string
	for _, op := range r.rec.History().Operations {
		if (op.Kind == history.Commit || op.Kind == history.Transact) && op.Outcome == history.Unknown {
			list = append(list, op.In.TxnID)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// auditor reads everything that there is. What it reads is recorded, and judged
// with the rest.
type auditor struct {
	pb.StatehouseServiceClient
	events map[uint64]*history.Event
}

func (a *auditor) look(ctx context.Context, inDoubt []string) error {
	spaces, err := pages(func(token string) ([]string, string, error) {
		resp, err := a.ListNamespaces(ctx, &pb.ListNamespacesRequest{PageToken: token})
		return resp.GetNamespaces(), resp.GetNextPageToken(), err
	})
	if err != nil {
		return fmt.Errorf("listing the namespaces: %w", err)
	}
	for _, ns := range spaces {
		if err := a.replay(ctx, ns); err != nil {
			return fmt.Errorf("replaying namespace %s: %w", ns, err)
		}
		if err := a.lookInto(ctx, ns); err != nil {
			return fmt.Errorf("reading namespace %s: %w", ns, err)
		}
	}
	for _, id := range inDoubt {
		if _, err := a.GetTransaction(ctx, &pb.GetTransactionRequest{TxnId: id}); err != nil {
			return fmt.Errorf("asking for transaction %s: %w", id, err)
		}
	}
	return nil
}

// pages reads a list to its end.
func pages[T any](page func(token string) ([]T, string, error)) (all []T, err error) {
	for token := ""; ; {
		items, next, err := page(token)
		if err != nil {
			return nil, err
		}
		if all = append(all, items...); next == "" {
			return all, nil
		}
		token = next
	}
}

func (a *auditor) replay(ctx context.Context, ns string) error {
	s, err := a.ReplayBatches(ctx, &pb.ReplayRequest{Namespace: ns, AllAgents: true, Encoding: pb.ValueEncoding_VALUE_ENCODING_JSON})
	for err == nil {
		var m *pb.EventBatch
		if m, err = s.Recv(); err == nil {
			a.take(m)
		}
	}
	if err != io.EOF {
		return err
	}
	return nil
}

// take merges events: each namespace shows its part of a commit.
func (a *auditor) take(m *pb.EventBatch) {
	for _, e := range m.GetEvents() {
		ev := record.Event(e)
		if known := a.events[ev.CommitTS]; known != nil {
			known.Ops = append(known.Ops, ev.Ops...)
		} else {
			a.events[ev.CommitTS] = &ev
		}
	}
}

func (a *auditor) log() []history.Event {
	log := make([]history.Event, 0, len(a.events))
	for _, ev := range a.events { // sorted below: order cannot matter
		log = append(log, *ev)
	}
	slices.SortFunc(log, func(x, y history.Event) int { return int(x.CommitTS) - int(y.CommitTS) })
	return log
}

// lookInto reads every agent: its records, its keys, and the history of one.
func (a *auditor) lookInto(ctx context.Context, ns string) error {
	agents, err := pages(func(token string) ([]*pb.Agent, string, error) {
		resp, err := a.ListAgents(ctx, &pb.ListAgentsRequest{Namespace: ns, PageToken: token})
		return resp.GetAgents(), resp.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	for _, agent := range agents {
		id := agent.GetAgentId()
		if _, err := pages(func(token string) ([]*pb.StateEntry, string, error) {
			resp, err := a.ScanPrefix(ctx, &pb.ScanPrefixRequest{Namespace: ns, AgentId: id, PageToken: token, Encoding: pb.ValueEncoding_VALUE_ENCODING_JSON})
			return resp.GetEntries(), resp.GetNextPageToken(), err
		}); err != nil {
			return err
		}
		keys, err := pages(func(token string) ([]string, string, error) {
			resp, err := a.ListKeys(ctx, &pb.ListKeysRequest{Namespace: ns, AgentId: id, PageToken: token})
			return resp.GetKeys(), resp.GetNextPageToken(), err
		})
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			continue
		}
		if _, err := pages(func(token string) ([]*pb.HistoryEntry, string, error) {
			resp, err := a.GetHistory(ctx, &pb.GetHistoryRequest{Namespace: ns, AgentId: id, Key: keys[0], PageToken: token, Encoding: pb.ValueEncoding_VALUE_ENCODING_JSON})
			return resp.GetEntries(), resp.GetNextPageToken(), err
		}); err != nil {
			return err
		}
	}
	return nil
}

// verify ends the daemon with SIGTERM, and checks its store offline: the state is
// rebuilt from the log and compared.
func (r *run) verify(ctx context.Context) {
	if !r.alive() || ctx.Err() != nil {
		return
	}
	if err := r.daemon.terminate(r.o.Patience); err != nil {
		r.violate("G9", "does-not-end", "the daemon was told to end: %v", err)
		r.daemon.kill()
	}
	r.heard()
	if _, err := verifyStore(r.daemon.dir); err != nil {
		r.violate("G8", "verify", "verify finds the store corrupt, and no fault has touched it: %v", err)
		return
	}
	r.count(func(s *Stats) { s.Verified = true })
}
