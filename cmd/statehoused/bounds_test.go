package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// TestFullDisk fills a small real file system: by the daemon itself, then by
// somebody else, under writers. Writes are refused before the disk is full and say
// why, reads and the log go on, and writes resume by themselves when there is space.
func TestFullDisk(t *testing.T) {
	mounted := mount(t, "size=64m")
	dir := filepath.Join(mounted, "data")
	d := start(t, dir)
	rng := rand.NewChaCha8([32]byte{1})
	written := 0
	write := func() error {
		noise := make([]byte, 48<<10) // which nothing can compress
		_, _ = rng.Read(noise)
		value := fmt.Sprintf(`{"v":%q}`, base64.StdEncoding.EncodeToString(noise))
		id := fmt.Sprint("txn-", written)
		_, err := d.Transact(call(t), &pb.TransactRequest{TxnId: id, Operations: []*pb.TransactOperation{put("a", fmt.Sprint("k", written%10), value)}})
		if err == nil {
			written++
		}
		return err
	}
	// full writes until that is refused for good: at first the daemon finds space
	// again by flushing and compacting. It tells whether the daemon halted instead.
	full := func(what string) (halted bool) {
		t.Helper()
		refusals := 0
		for range 5000 {
			err := write()
			if err == nil {
				refusals = 0
				continue
			}
			if gone(err) {
				if code := d.exit(); code != exitStorage {
					t.Fatalf("%s: exit code %d:\n%s", what, code, d.log())
				}
				return true
			}
			if status.Code(err) != codes.ResourceExhausted || detail(err) != pb.ErrorCode_DISK_FULL || !strings.Contains(err.Error(), "free") {
				t.Fatalf("%s, after %d writes: %v", what, written, err)
			}
			if refusals++; refusals == 100 {
				return false
			}
			time.Sleep(5 * time.Millisecond) // the daemon looks at its disk ten times a second
		}
		t.Fatalf("%s: %d writes, and they go on", what, written)
		return false
	}
	readable := func(what string) {
		t.Helper()
		got, err := d.GetState(call(t), &pb.GetStateRequest{AgentId: "a", Key: "k0", Encoding: pb.ValueEncoding_VALUE_ENCODING_JSON})
		if err != nil || !got.Exists {
			t.Errorf("%s: get: %v", what, err)
		}
		if n := len(replay(t, d, "default").events); n != written {
			t.Errorf("%s: replay has %d events of %d", what, n, written)
		}
		if h, err := d.Health(call(t), &pb.HealthRequest{}); err != nil || h.Status != "ok" {
			t.Errorf("%s: health: %v", what, err)
		}
		st, err := d.GetStatus(call(t), &pb.GetStatusRequest{})
		if err != nil || st.WritesRefused == "" {
			t.Errorf("%s: status: %v %v", what, st, err)
		}
	}
	// Somebody else's file takes most of it.
	filler := filepath.Join(mounted, "filler")
	fill(t, filler, 24<<20)
	if full("with a file beside it") {
		t.Fatalf("it halted, with %d bytes reserved:\n%s", 16<<20, d.log())
	}
	readable("with a file beside it")
	// A commit that was staged before is refused, not lost, and not hung.
	begun, err := d.BeginTransaction(call(t), &pb.BeginTransactionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(call(t), &pb.WriteRequest{TxnId: begun.TxnId, AgentId: "staged", Key: "k", ValueJson: []byte(`{}`)}); err != nil && detail(err) != pb.ErrorCode_DISK_FULL {
		t.Errorf("staging: %v", err)
	}
	if _, err := d.Commit(call(t), &pb.CommitRequest{TxnId: begun.TxnId}); detail(err) != pb.ErrorCode_DISK_FULL {
		t.Errorf("a commit while writes are refused: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, "writes resume", write)
	if _, err := d.Commit(call(t), &pb.CommitRequest{TxnId: begun.TxnId}); err != nil {
		t.Errorf("the same commit when there is space: %v", err)
	} else {
		written++ // it is in the log as well
	}
	// Now the whole rest, at once, under writers: faster than the daemon can look.
	// It may end in refusals or in a halt, never in a hang, and nothing that was
	// acknowledged is lost.
	var filling sync.WaitGroup
	filling.Go(func() { fill(t, filler, 64<<20) })
	halted := full("while somebody fills the disk")
	filling.Wait()
	if !halted {
		readable("on a full disk")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if !halted {
		eventually(t, "writes resume again", write)
		d.kill() // with whatever a full disk has left half done
	}
	t.Logf("%d writes; halted: %v", written, halted)
	verified(t, dir)
	d = start(t, dir)
	if got, err := d.GetTransaction(call(t), &pb.GetTransactionRequest{TxnId: fmt.Sprint("txn-", written)}); err != nil {
		t.Fatal(err)
	} else if got.State == pb.TransactionState_TRANSACTION_STATE_COMMITTED {
		written++ // the one that the halt left without an answer
	}
	if n := len(replay(t, d, "default").events); n != written {
		t.Errorf("after a restart: %d events of %d", n, written)
	}
	if full("by its own writes alone") {
		t.Fatalf("it halted:\n%s", d.log())
	}
	readable("by its own writes alone")
	d.terminate()
	if r := verified(t, dir); int(r.Commits) != written {
		t.Errorf("%d commits of %d", r.Commits, written)
	}
}

// fill writes a file of n bytes, or of what there is.
func fill(t *testing.T, path string, n int) {
	f, err := os.Create(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for range n / len(block) {
		if _, err := f.Write(block); err != nil {
			return
		}
	}
}

// TestAbandonedTransactions leaves 20,000 transactions behind, each with 20 KB, by
// clients that go away: 400 MB, were they kept.
func TestAbandonedTransactions(t *testing.T) {
	d := start(t, filepath.Join(t.TempDir(), "data"), "--max-open-transactions=2000", "--tx-timeout-ms=200", "--disk-reserve-mb=1")
	value := fmt.Appendf(nil, `{"v":%q}`, strings.Repeat("x", 20_000))
	abandon := func(n int) {
		t.Helper()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				conn := d.dial()
				defer conn.Close()
				s := pb.NewStatehouseServiceClient(conn)
				for done := 0; done < n/8; {
					begun, err := s.BeginTransaction(call(t), &pb.BeginTransactionRequest{})
					if detail(err) == pb.ErrorCode_LIMIT_EXCEEDED {
						continue // they expire by themselves
					}
					if err == nil {
						_, err = s.Write(call(t), &pb.WriteRequest{TxnId: begun.TxnId, AgentId: "a", Key: "k", ValueJson: value})
					}
					if err != nil && detail(err) != pb.ErrorCode_TXN_EXPIRED {
						t.Error(err)
						return
					}
					done++
				}
			})
		}
		all.Wait()
		eventually(t, "they are gone", func() error {
			st, err := d.GetStatus(call(t), &pb.GetStatusRequest{})
			if err != nil || st.OpenTransactions != 0 {
				return fmt.Errorf("%v %w", st, err)
			}
			return nil
		})
	}
	const n = 20_000
	abandon(n / 10)
	before := d.memory("VmRSS")
	abandon(n)
	peak, after := d.memory("VmHWM"), d.memory("VmRSS")
	t.Logf("resident: %d MiB before, %d after, %d at most", before>>20, after>>20, peak>>20)
	// 2,000 open ones hold 40 MB; GOGC=400 lets garbage be four times what is alive.
	if peak > before+350<<20 && !raceEnabled {
		t.Errorf("memory grew from %d to %d MiB", before>>20, peak>>20)
	}
	if _, err := d.Transact(call(t), &pb.TransactRequest{TxnId: "after", Operations: []*pb.TransactOperation{put("a", "k", `{}`)}}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	d.terminate()
}

// memory reads a field of the daemon's /proc status, in bytes.
func (d *daemon) memory(field string) int64 {
	d.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		d.t.Skipf("no /proc here: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, field+":"); found {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				d.t.Fatal(err)
			}
			return kb << 10
		}
	}
	d.t.Skipf("no %s in %s", field, status)
	return 0
}
