package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// writes commits the nth of a run of transactions.
func writes(t *testing.T, d *daemon, n int) error {
	t.Helper()
	_, err := d.Transact(call(t), &pb.TransactRequest{TxnId: fmt.Sprint("txn-", n), Operations: []*pb.TransactOperation{put("ann", fmt.Sprint("key-", n), fmt.Sprintf(`{"n":%d}`, n))}})
	return err
}

// TestDirectoryTakenAway does to the directory of a running daemon what people do. The
// daemon stops within a second, with 74 and a sentence, and what it acknowledged before
// is where the directory now is.
func TestDirectoryTakenAway(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(t *testing.T, dir string) (now string) // where the store is afterwards; "" where there is none
		says string
	}{
		{"moved", func(t *testing.T, dir string) string {
			must(t, os.Rename(dir, dir+"-moved"))
			return dir + "-moved"
		}, "moved or removed"},
		{"removed", func(t *testing.T, dir string) string { must(t, os.RemoveAll(dir)); return "" }, "moved or removed"},
		{"removed and made again", func(t *testing.T, dir string) string {
			must(t, os.RemoveAll(dir))
			must(t, os.Mkdir(dir, 0o700))
			return ""
		}, "was replaced"},
		{"replaced by a link to another", func(t *testing.T, dir string) string {
			must(t, os.Rename(dir, dir+"-moved"))
			must(t, os.Mkdir(dir+"-other", 0o700))
			must(t, os.Symlink(dir+"-other", dir))
			return dir + "-moved"
		}, "was replaced"},
		{"its parent moved", func(t *testing.T, dir string) string {
			must(t, os.Rename(filepath.Dir(dir), filepath.Dir(dir)+"-moved"))
			return filepath.Join(filepath.Dir(dir)+"-moved", filepath.Base(dir))
		}, "moved or removed"},
		{"the lock file removed", func(t *testing.T, dir string) string {
			must(t, os.Remove(filepath.Join(dir, "LOCK")))
			return dir
		}, "LOCK"},
		{"the lock file replaced", func(t *testing.T, dir string) string {
			must(t, os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600))
			must(t, os.Rename(filepath.Join(dir, "lock"), filepath.Join(dir, "LOCK")))
			return dir
		}, "LOCK"},
		{"the store moved out of it", func(t *testing.T, dir string) string {
			must(t, os.Rename(filepath.Join(dir, "store"), dir+"-store"))
			return ""
		}, "store"},
		{"the witness removed", func(t *testing.T, dir string) string {
			must(t, os.Remove(filepath.Join(dir, "witness")))
			return ""
		}, "witness"},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "above", "data")
			d := start(t, dir)
			for n := range 3 {
				must(t, writes(t, d, n))
			}
			now := c.do(t, dir)
			begun := time.Now()
			acked := 3
			for time.Since(begun) < 3*time.Second && writes(t, d, acked) == nil {
				acked++
			}
			if code := d.exit(); code != exitStorage {
				t.Errorf("exit code %d:\n%s", code, d.log())
			}
			if took := time.Since(begun); took > 2*time.Second { // a second, and the process's end on a busy machine
				t.Errorf("it went on for %v", took)
			}
			if !strings.Contains(lastLine(d.log()), c.says) {
				t.Errorf("its last words do not say %q:\n%s", c.says, d.log())
			}
			if now == "" {
				return
			}
			if r := verified(t, now); int(r.Commits) < acked {
				t.Errorf("%d commits were acknowledged, %d are in %s", acked, r.Commits, now)
			}
		})
	}
}

// TestDirectoryBehindLink: a directory that is moved, with a link left where it was, is
// the same one.
func TestDirectoryBehindLink(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "data")
	must(t, os.Mkdir(filepath.Join(base, "volume"), 0o700))
	must(t, os.Symlink("volume", dir))
	d := start(t, dir)
	must(t, writes(t, d, 0))
	must(t, os.Symlink("volume", dir+"-new"))
	must(t, os.Rename(dir+"-new", dir))
	time.Sleep(3 * tickTime)
	must(t, writes(t, d, 1))
	d.terminate()
	verified(t, dir)
}

// tickTime is how often the daemon looks where its directory is.
const tickTime = 100 * time.Millisecond

// TestSecondDaemon: on a directory in use no second daemon starts and nothing verifies
// it, whatever was done to its lock file, and under whatever name it is reached. One on
// a directory that took the first one's place starts, and neither harms the other.
func TestSecondDaemon(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "data")
	d := start(t, dir)
	must(t, writes(t, d, 0))
	link := filepath.Join(base, "link")
	must(t, os.Symlink(dir, link))
	must(t, os.Remove(filepath.Join(dir, "LOCK"))) // the first stops soon; until then nobody else gets in
	for _, path := range []string{dir, link} {
		if err := verifies(path); !errors.Is(err, engine.ErrLocked) && running(d) {
			t.Errorf("verify of %s, which is in use, says %v", path, err)
		}
	}
	if code := d.exit(); code != exitStorage {
		t.Errorf("exit code %d:\n%s", code, d.log())
	}

	d = start(t, dir)
	fails(t, exitDataDir, []string{"in use by another process"}, nil, "--data-dir", link, "--listen-addr", "127.0.0.1:0")
	moved := filepath.Join(base, "moved")
	must(t, os.Rename(dir, moved))
	second := start(t, dir)
	for n := range 200 {
		if err := writes(t, second, n); err != nil {
			t.Fatalf("the second: %v", err)
		}
	}
	if code := d.exit(); code != exitStorage {
		t.Errorf("exit code %d:\n%s", code, d.log())
	}
	second.terminate()
	if r := verified(t, dir); r.Commits != 200 {
		t.Errorf("the second's store has %d commits", r.Commits)
	}
	if r := verified(t, moved); r.Commits != 1 {
		t.Errorf("the first's store has %d commits", r.Commits)
	}
}

func running(d *daemon) bool {
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

func verifies(dir string) error {
	env, closeEnv := engine.OSEnv(func(error) {}, func(string, ...any) {})
	defer closeEnv()
	_, err := engine.Verify(env, dir, nil)
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
