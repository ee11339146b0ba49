package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// TestUnsyncedKill: without syncs, what is acknowledged survives the death of the
// process, and a request sent again gets the first answer.
func TestUnsyncedKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	unsynced := "--fsync-on-commit=false"
	d := start(t, dir, unsynced)
	for n := range 20 {
		must(t, writes(t, d, n))
	}
	d.kill()
	if r := verified(t, dir); r.Commits != 20 || r.Witnessed != 20 || r.Lost != 0 {
		t.Errorf("verify finds %d commits, %d witnessed, %d lost", r.Commits, r.Witnessed, r.Lost)
	}
	d = start(t, dir, unsynced)
	for n := range 20 {
		ops := []*pb.TransactOperation{put("ann", fmt.Sprint("key-", n), fmt.Sprintf(`{"n":%d}`, n))}
		resp, err := d.Transact(call(t), &pb.TransactRequest{TxnId: fmt.Sprint("txn-", n), Operations: ops})
		if err != nil || resp.CommitTs != uint64(n)+1 {
			t.Fatalf("transaction %d sent again: %v %v", n, resp, err)
		}
	}
	if strings.Contains(d.log(), "are lost") {
		t.Errorf("it says that something is lost:\n%s", d.log())
	}
	for n := 20; n < 40; n++ {
		must(t, writes(t, d, n))
	}
	d.kill()

	// As after a loss of power: the log's end is gone. The daemon and verify say how many
	// the witness knew.
	log := newestLog(t, dir)
	info, err := os.Stat(log)
	must(t, err)
	content, err := os.ReadFile(log)
	must(t, err)
	used := len(strings.TrimRight(string(content), "\x00"))
	must(t, os.Truncate(log, int64(used/2)))
	t.Logf("cut %s from %d, of which %d are used", log, info.Size(), used)
	r := verified(t, dir)
	if r.Lost == 0 || r.Commits+r.Lost != 40 || r.Commits < 20 {
		t.Errorf("verify finds %d commits and %d lost", r.Commits, r.Lost)
	}
	d = start(t, dir) // with syncs again
	if !strings.Contains(d.log(), fmt.Sprintf("lost_commits=%d last_commit_ts=%d", r.Lost, r.Commits)) {
		t.Errorf("it does not say that %d commits are lost:\n%s", r.Lost, d.log())
	}
	for n := range 20 {
		must(t, writes(t, d, 100+n))
	}
	d.kill()
	if r := verified(t, dir); r.Lost != 0 {
		t.Errorf("%d are still lost", r.Lost)
	}
	// With syncs the same is damage.
	log = newestLog(t, dir)
	content, err = os.ReadFile(log)
	must(t, err)
	must(t, os.Truncate(log, int64(len(strings.TrimRight(string(content), "\x00"))/2)))
	fails(t, exitDamaged, []string{"acknowledged commits are lost"}, nil, "--data-dir", dir, "--listen-addr", "127.0.0.1:0")
}

func newestLog(t *testing.T, dir string) string {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "store", "*.log"))
	must(t, err)
	slices.Sort(logs)
	return logs[len(logs)-1]
}
