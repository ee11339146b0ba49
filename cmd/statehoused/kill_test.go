package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// buildDaemon builds the real binary once for a test.
func buildDaemon(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "statehoused")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return binary
}

// startDaemon starts the binary on dir and waits until it listens.
func startDaemon(t *testing.T, binary, dir string) (*exec.Cmd, pb.StatehouseServiceClient) {
	t.Helper()
	cmd := exec.Command(binary, "--data-dir", dir, "--listen-addr", "127.0.0.1:0")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(log)
	var said strings.Builder
	for lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
		_, rest, found := strings.Cut(lines.Text(), "msg=listening address=")
		if !found {
			continue
		}
		go func() { _, _ = io.Copy(io.Discard, log) }() // or the daemon would block on a full pipe
		conn, err := grpc.NewClient(strings.Fields(rest)[0], grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return cmd, pb.NewStatehouseServiceClient(conn)
	}
	t.Fatalf("the daemon did not come up:\n%s", said.String())
	return nil, nil
}

// ledger is what the writers were told.
type ledger struct {
	mu      sync.Mutex
	acked   map[string]uint64              // transaction id -> commit_ts
	unknown map[string]*pb.TransactRequest // sent, not answered
}

func (l *ledger) note(req *pb.TransactRequest, resp *pb.TransactResponse, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.unknown[req.GetTxnId()] = req
		return
	}
	l.acked[req.GetTxnId()] = resp.GetCommitTs()
	delete(l.unknown, req.GetTxnId())
}

// write sends transactions over two agents until the daemon is gone.
func (l *ledger) write(ctx context.Context, s pb.StatehouseServiceClient, cycle, writer int) {
	for n := 0; ; n++ {
		value := fmt.Appendf(nil, `{"cycle":%d,"n":%d}`, cycle, n)
		req := &pb.TransactRequest{TxnId: fmt.Sprintf("c%d-w%d-%d", cycle, writer, n), Operations: []*pb.TransactOperation{
			{AgentId: fmt.Sprintf("writer-%d", writer), Key: fmt.Sprintf("k%d", n%5), ValueJson: value},
			{AgentId: "shared", Key: fmt.Sprintf("from-%d", writer), ValueJson: value},
		}}
		resp, err := s.Transact(ctx, req)
		if l.note(req, resp, err); err != nil {
			return
		}
	}
}

// TestKill9 kills the daemon under 16 writers again and again. After each: verify
// is green, everything acknowledged is in the log once, at the commit_ts that was
// answered, and what was not answered is there as a whole or not at all (G1, G2,
// G5, G6). 5 cycles; 50 with STATEHOUSE_SWEEP=full.
func TestKill9(t *testing.T) {
	cycles := 5
	if os.Getenv("STATEHOUSE_SWEEP") == "full" {
		cycles = 50
	}
	binary, dir := buildDaemon(t), filepath.Join(t.TempDir(), "data")
	l := &ledger{acked: map[string]uint64{}, unknown: map[string]*pb.TransactRequest{}}
	for cycle := range cycles {
		cmd, s := startDaemon(t, binary, dir)
		resend(t, s, l)
		var writers sync.WaitGroup
		for w := range 16 {
			writers.Go(func() { l.write(t.Context(), s, cycle, w) })
		}
		time.Sleep(time.Duration(100+37*cycle%200) * time.Millisecond) // how long there is load, not a wait for anything
		_ = cmd.Process.Kill()
		writers.Wait()
		_ = cmd.Wait()
		verifyDir(t, dir)
	}
	_, s := startDaemon(t, binary, dir)
	resend(t, s, l)
	checkLog(t, s, l)
	t.Logf("%d cycles, %d commits acknowledged", cycles, len(l.acked))
}

// resend repeats what was not answered under the same ids: each takes effect once,
// whether it had done so or not.
func resend(t *testing.T, s pb.StatehouseServiceClient, l *ledger) {
	t.Helper()
	for _, req := range l.unknown {
		resp, err := s.Transact(t.Context(), req)
		if err != nil {
			t.Fatalf("G6: sending %s again: %v", req.GetTxnId(), err)
		}
		l.note(req, resp, nil)
	}
}

func verifyDir(t *testing.T, dir string) {
	t.Helper()
	env, closeEnv := engine.OSEnv(func(err error) { t.Error(err) }, func(string, ...any) {})
	defer closeEnv()
	if _, err := engine.Verify(env, dir, nil); err != nil {
		t.Fatalf("G8: verify after kill -9: %v", err)
	}
}

// checkLog holds the whole log to what the writers were told.
func checkLog(t *testing.T, s pb.StatehouseServiceClient, l *ledger) {
	t.Helper()
	stream, err := s.ReplayBatches(t.Context(), &pb.ReplayRequest{AllAgents: true, Encoding: pb.ValueEncoding_VALUE_ENCODING_JSON})
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]uint64{}
	var last uint64
	seen := 0
	for {
		batch, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range batch.GetEvents() {
			if seen++; ev.GetCommitTs() != last+1 {
				t.Fatalf("G5: commit %d follows %d", ev.GetCommitTs(), last)
			}
			last = ev.GetCommitTs()
			if at, ok := l.acked[ev.GetTxnId()]; !ok || at != last {
				t.Errorf("G6: %s is in the log at %d, it was answered %d (%v)", ev.GetTxnId(), last, at, ok)
			}
			if len(ev.GetOperations()) != 2 {
				t.Errorf("G2: commit %d has %d of its 2 operations", last, len(ev.GetOperations()))
			}
			for _, op := range ev.GetOperations() {
				name := op.GetAgentId() + "/" + op.GetKey()
				if versions[name]++; op.GetVersion() != versions[name] {
					t.Errorf("G5: %s has version %d after %d", name, op.GetVersion(), versions[name]-1)
				}
			}
		}
	}
	if seen != len(l.acked) {
		t.Errorf("G1: %d commits are in the log, %d were acknowledged", seen, len(l.acked))
	}
}
